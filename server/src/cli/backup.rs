//! `countersign backup`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{CommandResult, ConfigArgs};
use crate::store::sqlite::{DataDirectory, back_up};

/// Options of `backup`.
#[derive(Args, Debug)]
#[command(
    after_help = "The master key is not in it: keep a copy of that elsewhere, for either is worth nothing without \
    the other. docs/operations.md tells how to restore."
)]
pub(super) struct Backup {
    #[command(flatten)]
    config: ConfigArgs,
    /// The file to make. It must not be there.
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> CommandResult {
        let server = self.config.load(None)?.server;
        back_up(&DataDirectory::at(&server.data_dir).database(), &self.file)?;
        println!("Backed up to {}. The master key is not in it.", self.file.display());
        Ok(ExitCode::SUCCESS)
    }
}
