//! Why the demo did not come to its end.

use std::{io, path::PathBuf};

use countersign_proto::receipt::Refusal;

use crate::{app::StartError, applications::CreateError, config::ConfigError, foundation::FoundationError};

/// Why the demo did not come to its end, or not to the one that it should have.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("{path} cannot be used: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("a stand-in for a push provider cannot start: {0}")]
    StandIn(io::Error),
    #[error("signals cannot be caught: {0}")]
    Signals(io::Error),
    #[error("the server's configuration for the demo is refused: {0}")]
    Config(#[from] ConfigError),
    #[error("the server does not start: {0}")]
    Start(#[from] StartError),
    #[error("the data directory cannot be opened beside the server: {0}")]
    Foundation(#[from] FoundationError),
    #[error("the application cannot be created: {0}")]
    Create(#[from] CreateError),
    #[error("the login page cannot reach the server: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("the server refused a call of the login page: {message}", message = .0.message())]
    Refused(#[from] tonic::Status),
    #[error("the phone could not go on: {0}")]
    Phone(#[from] countersign_agent::Error),
    #[error("no push for this login came to the stand-in for its provider within 10 s")]
    NoPush,
    #[error("the server's answer lacks the {0}")]
    Incomplete(&'static str),
    #[error("the receipt is refused: {0}")]
    Receipt(#[from] Refusal),
    #[error("{what}: expected {expected}, found {found}")]
    Unexpected { what: &'static str, expected: String, found: String },
    #[error("you declined the offer, and nothing was sent: run the demo again to see the rest")]
    Declined,
    #[error("nobody answers any more: the input has ended")]
    NobodyAnswers,
    #[error("interrupted")]
    Interrupted,
}

impl DemoError {
    /// For a file or directory.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
