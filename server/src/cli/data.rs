//! The data directory and an application in it, as commands open them beside the servers.

use std::{path::PathBuf, sync::Arc};

use super::ConfigArgs;
use crate::{
    clock::SystemClock,
    config::ServerConfig,
    foundation::{Foundation, FoundationError, Opener},
    random::SystemRandom,
    store::{Applications as _, applications::Application, sqlite::DataDirectory},
};

/// What a command did not find.
#[derive(Debug, thiserror::Error)]
enum NotThere {
    #[error("there is no application of this name; `countersign app list` shows them")]
    Application,
    #[error(
        "there is no database {}: set server.data_dir (--config, --data-dir) to where it is; before a first start \
         `countersign app create` makes one", .0.display()
    )]
    Database(PathBuf),
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Opens the data directory, which must be there: by another configuration than the servers' a command would otherwise
/// make an empty one, and tell that nobody is known.
pub(super) fn open(config: ConfigArgs) -> Result<Foundation> {
    open_of(&config.load(None)?.server)
}

/// [`open`] by a configuration that has been read.
pub(super) fn open_of(server: &ServerConfig) -> Result<Foundation> {
    let database = DataDirectory::at(&server.data_dir).database();
    // What cannot be looked up is told by opening it.
    if matches!(database.try_exists(), Ok(false)) {
        return Err(NotThere::Database(database).into());
    }
    Ok(open_or_make(server)?)
}

/// Opens the data directory. Before a first start this makes it.
pub(super) fn open_or_make(server: &ServerConfig) -> std::result::Result<Foundation, FoundationError> {
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Foundation::open(&server.data_dir, &server.master_key_file, Opener::CommandLine, clock, random)
}

/// Opens the data directory, and finds the application of this name.
pub(super) async fn open_named(config: ConfigArgs, name: &str) -> Result<(Foundation, Application)> {
    let foundation = open(config)?;
    let application = named(&foundation, name).await?;
    Ok((foundation, application))
}

/// The application of this name.
pub(super) async fn named(foundation: &Foundation, name: &str) -> Result<Application> {
    let applications = foundation.store.list().await?;
    let application = applications.into_iter().find(|application| application.name == name);
    Ok(application.ok_or(NotThere::Application)?)
}
