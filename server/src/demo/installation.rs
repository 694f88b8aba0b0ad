//! Everything that a login needs, in one process and one temporary directory: the real server, and a stand-in
//! each for Apple's and Google's push service.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_fakes::{apns::ApnsStandIn, fcm::FcmStandIn};
use data_encoding::HEXLOWER;
use serde_json::json;
use tempfile::TempDir;

use super::error::DemoError;
use crate::{
    app::App,
    applications::{self, NewApplication},
    cli::log,
    clock::{Clock as _, SystemClock},
    config::{self, Config, Overrides},
    foundation::{Foundation, Opener},
    random::{self, SystemRandom},
};

/// The app that phones are woken in.
pub(super) const TOPIC: &str = "org.example.login";

/// What is up.
pub(super) struct Installation {
    pub(super) app: App,
    pub(super) apple: ApnsStandIn,
    pub(super) google: FcmStandIn,
    pub(super) directory: TempDir,
}

impl Installation {
    /// Starts all, and the log with `filter`; with `redis`, its URL, challenges lie there.
    pub(super) async fn start(filter: &str, redis: Option<&str>) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("countersign-demo-")
            .tempdir()
            .map_err(DemoError::file(std::env::temp_dir()))?;
        let apple = ApnsStandIn::start(&[TOPIC], || SystemClock.now().as_seconds()).await;
        let apple = apple.map_err(DemoError::StandIn)?;
        let google = FcmStandIn::start(|| SystemClock.now().as_seconds()).await;
        let google = google.map_err(DemoError::StandIn)?;
        let config = configuration(directory.path(), &apple, &google, filter, redis)?;
        log::install(&config.log);
        let app = App::start(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
        Ok(Self { app, apple, google, directory })
    }

    /// Where the server's database and master key lie.
    pub(super) fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The phone's keys.
    pub(super) fn phone_directory(&self) -> PathBuf {
        self.directory.path().join("phone")
    }

    /// The keys of the phone that takes the lost one's place.
    pub(super) fn new_phone_directory(&self) -> PathBuf {
        self.directory.path().join("new-phone")
    }

    /// The tablet's keys.
    pub(super) fn tablet_directory(&self) -> PathBuf {
        self.directory.path().join("tablet")
    }

    /// Creates an application beside the running server, as `countersign app create` does.
    pub(super) async fn create_application(&self, name: &str) -> Result<NewApplication, DemoError> {
        let data = self.data_directory();
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let foundation =
            Foundation::open(&data, &data.join("master.key"), Opener::CommandLine, clock, random.clone())?;
        Ok(applications::create(&foundation, name.to_owned(), &SystemClock, random).await?)
    }

    /// Ends the server, and removes the directory.
    pub(super) async fn end(self) -> Result<(), DemoError> {
        self.app.shutdown();
        self.app.ended().await;
        let path = self.directory.path().to_owned();
        self.directory.close().map_err(DemoError::file(path))
    }
}

/// A configuration as an operator would write it, read as `serve` reads it. The environment is left out: it may
/// be set for a real server.
fn configuration(
    directory: &Path,
    apple: &ApnsStandIn,
    google: &FcmStandIn,
    filter: &str,
    redis: Option<&str>,
) -> Result<Config, DemoError> {
    let write = |name: &str, content: &str| {
        let path = directory.join(name);
        fs::write(&path, content).map_err(DemoError::file(&path))?;
        Ok::<_, DemoError>(path)
    };
    let key = apple.signing_key();
    let mut settings = json!({
        "server": { "listen": "127.0.0.1:0", "data_dir": directory.join("data") },
        "apns": {
            "private_key_file": write("apns.p8", &key.private_key_pem)?,
            "key_id": key.key_id,
            "team_id": key.team_id,
            "topics": [TOPIC],
            "production_url": apple.base_url(),
            "sandbox_url": apple.base_url(),
            "ca_file": write("apns-ca.pem", apple.ca_pem())?,
        },
        "fcm": {
            "service_account_file": write("fcm.json", &google.service_account().to_string())?,
            "base_url": google.base_url(),
            "ca_file": write("fcm-ca.pem", google.ca_pem())?,
        },
        "log": { "filter": filter },
    });
    if let Some(url) = redis {
        // Not a real installation's keys. They end by themselves: within the hour, and the
        // one that remembers Anna's wrong match code within 400 days.
        let key_prefix = format!("countersign-demo-{}:", HEXLOWER.encode(&random::bytes::<4>(&SystemRandom)));
        settings["redis"] = json!({ "url": url, "key_prefix": key_prefix });
    }
    let settings = toml::to_string(&settings).expect("tables of texts can be written as TOML");
    let file = write("countersign.toml", &settings)?;
    Ok(config::load(Some(&file), [], Overrides::default())?)
}
