//! `countersign doctor`: each of its findings provoked for real, beside a running server or none.

mod certificate;
mod clock;
mod data_directory;
mod database;
mod keys;
mod mounted;
mod push;
mod redis;
mod settings;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};

use countersign::{
    clock::{Clock as _, ManualClock, SystemClock},
    config::{self, Overrides},
    doctor::{self, Finding, Installation, Severity},
    random::SystemRandom,
};
use countersign_proto::time::UnixTime;
use serde_json::Value;

use crate::{
    people::Application,
    program::{Ended, Place},
};

/// What a finding about room says.
const ROOM: &str = " MiB are free where ";

/// A data directory with a database, and a configuration with absolute paths, so that a check may run anywhere.
struct Patient {
    place: Place,
}

impl Patient {
    /// With an application in it, no server, and `more` of a configuration.
    async fn new(more: &str) -> Self {
        let patient = Self { place: Place::bare() };
        patient.configure(more);
        Application::create(&patient.place, "Shop").await;
        patient
    }

    fn configure(&self, more: &str) {
        let (data, key) = (self.path("data"), self.path("master.key"));
        let server = format!("listen = \"127.0.0.1:0\"\ndata_dir = {data:?}\nmaster_key_file = {key:?}\n");
        self.place.write("countersign.toml", format!("[server]\n{server}{more}"));
    }

    fn path(&self, name: &str) -> String {
        self.place.path(name).display().to_string()
    }

    /// Writes a file for its owner only. Returns its path.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.place.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        self.path(name)
    }

    /// What is found by this machine's clock.
    async fn findings(&self) -> Vec<(&'static str, Finding)> {
        self.findings_at(SystemClock.now()).await
    }

    /// What is found by a clock that stands at `now`. Whether this machine has room, and its temporary files on a disk, is
    /// not for a test to say.
    async fn findings_at(&self, now: UnixTime) -> Vec<(&'static str, Finding)> {
        let mut findings = self.all_findings_at(now).await;
        findings
            .retain(|(_, finding)| !finding.what.contains(ROOM) && !finding.what.contains("lies in memory"));
        findings
    }

    async fn all_findings_at(&self, now: UnixTime) -> Vec<(&'static str, Finding)> {
        let file = self.place.path("countersign.toml");
        let checks = match config::load(Some(&file), [], Overrides::default()) {
            Ok(config) => {
                let (clock, random) = (Arc::new(ManualClock::new(now)), Arc::new(SystemRandom));
                doctor::examine(&Installation { config, clock, random }).await
            }
            Err(error) => doctor::of_config(&error),
        };
        let each = checks
            .into_iter()
            .flat_map(|checked| checked.findings.into_iter().map(move |finding| (checked.check, finding)));
        each.collect()
    }

    /// The one finding, which is of this check and severity and says this; its fix says that.
    async fn one(&self, check: &str, severity: Severity, what: &str, fix: &str) {
        assert_one(&self.findings().await, check, severity, what, fix);
    }
}

#[track_caller]
fn assert_one(findings: &[(&'static str, Finding)], check: &str, severity: Severity, what: &str, fix: &str) {
    let [(found_by, finding)] = findings else { panic!("{findings:#?}") };
    assert_eq!((*found_by, finding.severity), (check, severity), "{finding:?}");
    assert!(finding.what.contains(what), "{finding:?} does not say {what}");
    assert!(finding.fix.contains(fix), "{finding:?} does not help by {fix}");
    assert!(!finding.why.is_empty());
}

/// What lies in a directory: name, mode, owner, content.
fn contents(directory: &Path) -> BTreeMap<String, (u32, u32, i64, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("it is there").map(|entry| {
        let entry = entry.expect("it can be read");
        let metadata = entry.metadata().expect("it is there");
        let content = fs::read(entry.path()).expect("it can be read");
        let name = entry.file_name().into_string().expect("UTF-8");
        // Whoever reads takes part in the index of the log; it is made anew by the first one to open it.
        let is_index = name.ends_with("-shm");
        let (changed, content) = if is_index { (0, Vec::new()) } else { (metadata.mtime_nsec(), content) };
        (name, (metadata.mode(), metadata.uid(), changed, content))
    });
    entries.collect()
}

#[tokio::test]
async fn nothing_is_found_where_all_is_well_and_nothing_is_changed() {
    let patient = Patient::new("").await;
    let before = contents(&patient.place.path("data"));
    assert_eq!(patient.findings().await, []);
    assert_eq!(contents(&patient.place.path("data")), before, "without a server");
    // As a backup is: with no log beside it. (Whoever closed it last has copied the log.)
    let bare = patient.place.path("data");
    for name in ["countersign.sqlite-wal", "countersign.sqlite-shm"] {
        fs::remove_file(bare.join(name)).expect("it is there");
    }
    let before = contents(&bare);
    assert_eq!(patient.findings().await, []);
    assert_eq!(contents(&bare), before, "no file is made that the server could not write");

    let server = patient.place.serve().await;
    let application = Application::create(&patient.place, "Bank").await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    assert_eq!(patient.findings().await, [], "beside a server");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    server.stop().await;
}

#[tokio::test]
async fn the_command_tells_in_words_and_json_and_by_its_exit_status() {
    let patient = Patient::new("").await;
    let well = patient.place.run_configured(&["doctor"]).await.succeeded();
    let checks = ["settings", "clock", "data directory", "database", "redis", "keys", "certificate", "push"];
    for check in checks {
        assert!(well.contains(&format!("ok       {check}\n")) || check == "data directory", "{well}");
    }
    let well = patient.place.run_configured(&["doctor", "--json"]).await.succeeded();
    let well: Value = serde_json::from_str(&well).expect("JSON");
    assert_eq!(well["healthy"], true);
    let named: Vec<_> = well["checks"].as_array().expect("a list").iter().map(|one| &one["check"]).collect();
    assert_eq!(named, checks);

    // A warning is no failure; a problem is.
    let key = patient.place.path("master.key");
    fs::copy(&key, patient.place.path("data/master.key")).expect("it is copied");
    let beside = ["doctor", "--json"];
    let variable = patient.path("data/master.key");
    let warned = patient.place.run_in(&[("COUNTERSIGN_SERVER_MASTER_KEY_FILE", &variable)], &beside).await;
    let warned: Value = serde_json::from_str(&warned.succeeded()).expect("JSON");
    let finding = &warned["checks"][0]["findings"][0];
    assert_eq!((&warned["healthy"], &finding["severity"]), (&true.into(), &"warning".into()));
    assert_eq!(finding["what"], format!("the master key {variable} lies in the data directory"));
    assert!(finding["fix"].as_str().is_some_and(|fix| fix.starts_with("move it while no server runs")));
    fs::remove_file(&key).expect("it is there");
    let Ended { status, stdout, stderr } = patient.place.run_configured(&["doctor"]).await;
    assert_eq!((status.code(), stderr.as_str()), (Some(1), ""));
    let missing = format!("PROBLEM  keys: the master key file {} is missing", key.display());
    assert!(stdout.contains(&missing), "{stdout}");
    assert!(
        stdout.contains("\n         why: ") && stdout.contains("\n         fix: put the file back"),
        "{stdout}"
    );
    assert!(stdout.ends_with("\n1 problem, 0 warnings\n"), "{stdout}");
}
