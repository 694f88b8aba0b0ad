//! `countersign app key`: an application's API keys, several at once so that a new one can take over from an old one.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{CommandResult, ConfigArgs, open_named};
use crate::{api_key::ApiKey, applications, random::SystemRandom, store::Applications as _};

/// Commands about API keys.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Key {
    /// Add an API key beside those that there are, and print it, once.
    Add(Add),
    /// List the ids of an application's API keys, oldest first.
    List(List),
    /// Revoke an API key: when this returns, no server takes it any more.
    Revoke(Revoke),
}

/// Options of `app key add`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Add {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    name: String,
    /// Print a JSON object: `application_id`, `key_id`, `api_key`.
    #[arg(long)]
    json: bool,
}

/// Options of `app key list`.
#[derive(Args, Debug)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    name: String,
    /// Print a JSON array of ids.
    #[arg(long)]
    json: bool,
}

/// Options of `app key revoke`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    config: ConfigArgs,
    /// The application's name.
    name: String,
    /// The key's id: what stands between `csk_` and the next `_`. The whole key will do.
    key: String,
    /// Print a JSON object: `application_id`, `revoked`, `remaining`.
    #[arg(long)]
    json: bool,
}

/// Why a key was not revoked.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(
        "{application} has no API key of this id; `countersign app key list {application:?}` shows those it has"
    )]
    NoSuchKey { application: String },
}

impl Key {
    pub(super) async fn run(self) -> CommandResult {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> CommandResult {
        let (foundation, application) = open_named(self.config, &self.name).await?;
        let key = applications::add_key(&foundation, &application, Arc::new(SystemRandom)).await?;
        let revealed = key.reveal();
        if self.json {
            let printed = json!({
                "application_id": application.id.to_string(),
                "key_id": key.id(),
                "api_key": revealed.expose_secret(),
            });
            println!("{printed}");
        } else {
            println!("application_id  {}", application.id);
            println!("key_id          {}", key.id());
            println!("api_key         {}", revealed.expose_secret());
            println!("Keep the key now: it is shown only this once. The others stay in force.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self) -> CommandResult {
        let (foundation, application) = open_named(self.config, &self.name).await?;
        let ids = foundation.store.key_ids(application.id).await?;
        if self.json {
            println!("{}", json!(ids));
        } else if ids.is_empty() {
            println!("{} has no API key: `countersign app key add {:?}` makes one.", self.name, self.name);
        } else {
            for id in ids {
                println!("{id}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self) -> CommandResult {
        let (foundation, application) = open_named(self.config, &self.name).await?;
        // A key that leaked is at hand as a whole. It counts for nothing once this is done.
        let id = self.key.parse::<ApiKey>().map_or(self.key, |key| key.id().to_owned());
        // Servers look the key up at each call, so whoever comes after the commit is refused.
        if !foundation.store.remove_key(application.id, id.clone()).await? {
            return Err(KeyError::NoSuchKey { application: application.name }.into());
        }
        let remaining = foundation.store.key_ids(application.id).await?.len();
        if self.json {
            let printed = json!({ "application_id": application.id.to_string(), "revoked": id, "remaining": remaining });
            println!("{printed}");
            return Ok(ExitCode::SUCCESS);
        }
        println!("Revoked {id}: no server takes it any more.");
        match remaining {
            0 => println!("It was the last: `countersign app key add {:?}` makes another.", application.name),
            1 => println!("1 key is left in force."),
            _ => println!("{remaining} keys are left in force."),
        }
        Ok(ExitCode::SUCCESS)
    }
}
