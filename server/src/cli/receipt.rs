//! `countersign receipt`: what a backend keeps of an approval, checked from the pinned server id alone.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use countersign_proto::{
    common::ChallengeState,
    key::VerificationKey,
    receipt::{self, Expected},
    statement,
};

use super::CommandResult;

/// Commands about receipts.
#[derive(Debug, Subcommand)]
pub(super) enum Receipt {
    /// Say in words what was approved, by what and when; or why the receipt proves nothing.
    Verify(Verify),
}

/// Options of `receipt verify`.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The receipt as protobuf JSON, such as RedeemChallenge answers it (`.receipt`).
    file: PathBuf,
    /// The server's id, pinned when the backend was set up: GetApplication tells it, and `serve` prints it.
    // One id in 64 begins with a hyphen.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    server_id: Option<String>,
    /// Refuse receipts signed under a server key of a lower version.
    #[arg(long, value_name = "N")]
    min_key_version: Option<u64>,
}

/// Why a file was not even looked at as a receipt.
#[derive(Debug, thiserror::Error)]
enum ReceiptError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a receipt in protobuf JSON: {source}", path = path.display())]
    NotAReceipt { path: PathBuf, source: serde_json::Error },
}

impl Receipt {
    pub(super) fn run(self) -> CommandResult {
        let Self::Verify(verify) = self;
        verify.run()
    }
}

impl Verify {
    fn run(self) -> CommandResult {
        let receipt = self.read()?;
        let root = VerificationKey::from_wire(receipt.root_key.as_ref()).ok();
        let claimed = root.map(VerificationKey::thumbprint).unwrap_or_default();
        let server_id = self.server_id.as_deref().unwrap_or(&claimed);
        let expected = Expected { min_key_version: self.min_key_version, ..Expected::default() };
        match receipt::verify(&receipt, server_id, &expected) {
            Err(refusal) => {
                println!("REFUSED: {refusal}");
                Ok(ExitCode::FAILURE)
            }
            Ok(verified) if self.server_id.is_none() => {
                println!("UNANCHORED: anybody can make a receipt that holds together like this one.");
                println!("It claims to come from the server {claimed}; if that is the id that you pinned,");
                println!("say so with --server-id. It says:\n\n{verified}");
                Ok(ExitCode::FAILURE)
            }
            Ok(verified) => {
                println!("{verified}");
                // Whoever reads the exit status only must not take a proven denial for an approval.
                let is_approved = verified.settlement.state() == ChallengeState::Approved;
                Ok(if is_approved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
        }
    }

    fn read(&self) -> Result<statement::Receipt, ReceiptError> {
        let path = &self.file;
        let text = fs::read_to_string(path)
            .map_err(|source| ReceiptError::Unreadable { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| ReceiptError::NotAReceipt { path: path.clone(), source })
    }
}
