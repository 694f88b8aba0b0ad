//! `countersign server-key`: the keys that sign challenges, offers, bindings and settlements.

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use countersign_domain::UnixTime;
use serde_json::json;

use super::{CommandResult, ConfigArgs, data::open};
use crate::{
    clock::{Clock as _, SystemClock},
    random::SystemRandom,
    server_keys::{Rotation, ServerKeyInfo, ServerKeys},
};

/// Commands about server keys.
#[derive(Debug, Subcommand)]
pub(super) enum ServerKey {
    /// List the server's keys with when each is valid, and which one signs.
    List(List),
    /// Make the next key now. Servers and devices take it by themselves, and receipts hold.
    Rotate(Rotate),
}

/// Options of `server-key list`.
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print a JSON array of objects: `version`, `keyid`, `not_before`, `not_after`, `state`.
    #[arg(long)]
    json: bool,
}

/// Options of `server-key rotate`.
#[derive(Args, Debug)]
#[command(
    after_help = "The key before stays valid for what it has signed. If it may have leaked, have receipts of later \
    logins checked with --min-key-version, see docs/operations.md."
)]
pub(super) struct Rotate {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print a JSON object: `made` (false: one that was made before does not sign yet), `version`, `keyid`,
    /// `not_before`, `not_after`, `state`.
    #[arg(long)]
    json: bool,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It signs later.
    Next,
    /// It signs.
    Signs,
    /// It signed.
    Former,
}

impl ServerKey {
    pub(super) async fn run(self) -> CommandResult {
        match self {
            Self::List(list) => list.run().await,
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

impl List {
    async fn run(self) -> CommandResult {
        let keys = open_keys(self.config).await?;
        let now = SystemClock.now();
        let (listed, signing) = (keys.list(), keys.signing());
        if self.json {
            let listed: Vec<_> = listed.iter().map(|key| as_json(key, state(key, signing, now))).collect();
            println!("{}", serde_json::Value::from(listed));
            return Ok(ExitCode::SUCCESS);
        }
        println!("server id  {}", keys.server_id());
        for key in listed {
            let ServerKeyInfo { version, keyid, not_before, not_after } = &key;
            let state = state(&key, signing, now).name();
            println!("version {version}  {keyid}  {not_before} to {not_after}  {state}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Rotate {
    async fn run(self) -> CommandResult {
        let keys = open_keys(self.config).await?;
        let (key, made) = match keys.rotate().await? {
            Rotation::Made(key) => (key, true),
            Rotation::UnderWay(key) => (key, false),
        };
        if self.json {
            let mut printed = as_json(&key, state(&key, keys.signing(), SystemClock.now()));
            printed["made"] = made.into();
            println!("{printed}");
            return Ok(ExitCode::SUCCESS);
        }
        let ServerKeyInfo { version, keyid, not_before, .. } = key;
        if made {
            println!("Made version {version}  {keyid}");
            println!("It signs from {not_before} on. Servers and devices take it by themselves.");
        } else {
            println!("Version {version} was made before and signs from {not_before} on: nothing was done.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signs => "signs",
            Self::Former => "former",
        }
    }
}

async fn open_keys(config: ConfigArgs) -> Result<ServerKeys, Box<dyn std::error::Error>> {
    let foundation = open(config)?;
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    Ok(ServerKeys::open(Arc::clone(&foundation.store) as _, foundation.keyring, clock, random).await?)
}

fn state(key: &ServerKeyInfo, signing: Option<u64>, now: UnixTime) -> State {
    match signing {
        Some(version) if version == key.version => State::Signs,
        _ if now < key.not_before => State::Next,
        _ => State::Former,
    }
}

fn as_json(key: &ServerKeyInfo, state: State) -> serde_json::Value {
    json!({
        "version": key.version,
        "keyid": key.keyid,
        "not_before": key.not_before.to_string(),
        "not_after": key.not_after.to_string(),
        "state": state.name(),
    })
}
