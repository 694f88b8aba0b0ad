//! `countersign user`: what an operator does for one user.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Subcommand};

use super::{CommandResult, ConfigArgs};
use crate::{
    clock::{Clock as _, SystemClock},
    core::user_of,
    foundation::{Foundation, Opener},
    random::SystemRandom,
    store::{Applications as _, Codes as _},
};

/// How long a permission to enrol is good.
const ALLOWED_FOR: Duration = Duration::from_hours(24);

/// Commands about users.
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Let a user who has no factor left enrol one, once, within 24 hours; a running server heeds it at once.
    AllowEnrollment(AllowEnrollment),
}

/// Options of `user allow-enrollment`.
#[derive(Args, Debug)]
#[command(
    after_help = "First make sure by other means that it is this person who asks: with it, the password \
    alone is enough to enrol a device."
)]
pub(super) struct AllowEnrollment {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    application: String,
    /// The application's own id of the user.
    user: String,
}

/// Why a command about users was refused.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error("there is no application of this name; `countersign app list` shows them")]
    NoSuchApplication,
}

impl User {
    pub(super) async fn run(self) -> CommandResult {
        match self {
            Self::AllowEnrollment(allow) => allow.run().await,
        }
    }
}

impl AllowEnrollment {
    async fn run(self) -> CommandResult {
        let server = self.config.load(None)?.server;
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let opened =
            Foundation::open(&server.data_dir, &server.master_key_file, Opener::CommandLine, clock, random);
        let Foundation { store, .. } = opened?;
        let applications = store.list().await?;
        let application = applications.into_iter().find(|application| application.name == self.application);
        let application = application.ok_or(UserError::NoSuchApplication)?;
        let user = user_of(&application, &self.user)?;
        let until = SystemClock.now().plus(ALLOWED_FOR);
        store.allow_enrollment(user, until).await?;
        println!(
            "{}: {} may begin one enrolment without an approval until {until}",
            application.name, self.user
        );
        Ok(ExitCode::SUCCESS)
    }
}
