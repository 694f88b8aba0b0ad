//! `countersign app`: login backends, their policies and API keys.

mod key;

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use countersign_domain::policy::Policy;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    CommandResult, ConfigArgs,
    data::{open, open_named, open_or_make},
};
use crate::{
    applications::{self, NewApplication},
    clock::SystemClock,
    foundation::Foundation,
    random::SystemRandom,
    store::{Applications as _, applications::Application},
};

/// Commands about applications.
#[derive(Debug, Subcommand)]
pub(super) enum App {
    /// Create an application and print its API key, once.
    Create(Create),
    /// Change an application's policy; a running server heeds it at once.
    Set(Set),
    /// List applications with their policies.
    List(List),
    /// Add, list and revoke API keys; running servers heed it at once.
    #[command(subcommand)]
    Key(key::Key),
}

/// Options of `app create`.
#[derive(Args, Debug)]
pub(super) struct Create {
    #[command(flatten)]
    config: ConfigArgs,
    /// Its name, which people are shown when they enrol a device.
    name: String,
    /// Print a JSON object: `application_id`, `name`, `api_key`.
    #[arg(long)]
    json: bool,
}

/// Options of `app set`.
#[derive(Args, Debug)]
#[command(after_help = "Fields: challenge_lifetime (5s to 600s), match_code_digits (2 to 6), \
    match_code_optional, user_verification_required, enrollment_confirmation (true or false), \
    allowed_factors (all, or some of device, totp, recovery_code with commas between), \
    max_pending_challenges (1 to 10), totp_digits (6 or 8), totp_algorithm (SHA1, SHA256 or SHA512), \
    profile (none or nist-sp-800-63b-4).")]
pub(super) struct Set {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    name: String,
    /// What to change, such as match_code_digits=4.
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// Options of `app list`.
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// Why a command about applications was refused.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("{0:?} is not of the form KEY=VALUE, such as match_code_digits=4")]
    NotASetting(String),
    #[error("the policy was changed by somebody else at the same moment; run the command again")]
    Overtaken,
}

impl App {
    pub(super) async fn run(self) -> CommandResult {
        match self {
            Self::Create(create) => create.run().await,
            Self::Set(set) => set.run().await,
            Self::List(list) => list.run().await,
            Self::Key(key) => key.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> CommandResult {
        let foundation = open_or_make(&self.config.load(None)?.server)?;
        let created = applications::create(&foundation, self.name, &SystemClock, Arc::new(SystemRandom));
        let NewApplication { application, api_key } = created.await?;
        if self.json {
            let printed = json!({
                "application_id": application.id.to_string(),
                "name": application.name,
                "api_key": api_key.expose_secret(),
            });
            println!("{printed}");
        } else {
            println!("application_id  {}", application.id);
            println!("name            {}", application.name);
            println!("api_key         {}", api_key.expose_secret());
            println!("Keep the key now: it is shown only this once.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    async fn run(self) -> CommandResult {
        let (foundation, application) = open_named(self.config, &self.name).await?;
        let Application { name, policy: old, .. } = application;
        let mut new = old.clone();
        for setting in self.settings {
            match setting.split_once('=') {
                Some((field, value)) => new.set(field, value)?,
                None => return Err(AppError::NotASetting(setting).into()),
            }
        }
        if !foundation.store.set_policy(name.clone(), old, new.clone()).await? {
            return Err(AppError::Overtaken.into());
        }
        println!("{name}: {}", in_words(&new));
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self) -> CommandResult {
        let Foundation { store, .. } = open(self.config)?;
        let applications = store.list().await?;
        if self.json {
            let listed: Vec<_> = applications.iter().map(as_json).collect();
            println!("{}", serde_json::Value::from(listed));
            return Ok(ExitCode::SUCCESS);
        }
        if applications.is_empty() {
            println!("No application yet: `countersign app create NAME` makes one.");
        }
        for application in applications {
            println!("{}  {}  {}", application.id, application.name, in_words(&application.policy));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json(application: &Application) -> serde_json::Value {
    json!({
        "application_id": application.id.to_string(),
        "name": application.name,
        "created_at": application.created_at.to_string(),
        "policy": application.policy.to_wire(),
    })
}

/// The policy as it was set; a profile's floor comes on top of it.
fn in_words(policy: &Policy) -> String {
    policy.fields().map(|(field, value)| format!("{field}={value}")).join(" ")
}
