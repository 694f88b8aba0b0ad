//! The data directory: missing, open to others, of another user, in memory, on a full disk, or another's.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
};

use countersign::doctor::{
    Finding,
    Severity::{self, Problem, Warning},
};
use countersign_test_peers::{RedisServer, redis_or_skip};

use super::{Patient, assert_one, mounted::Mounted};

#[tokio::test]
async fn one_that_is_missing_or_open_to_others_is_told() {
    let patient = Patient::new("").await;
    let data = patient.place.path("data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let fix = format!("chmod 700 {}", data.display());
    patient.one("data directory", Warning, "has mode 0755", &fix).await;
    fs::rename(&data, patient.place.path("elsewhere")).expect("it is ours");
    patient
        .one("data directory", Problem, "cannot be read: No such file or directory", "server.data_dir")
        .await;
    assert!(!data.exists(), "it is not made");
    patient.place.write("data", "");
    patient.one("data directory", Problem, "it is no directory", "server.data_dir").await;
}

#[tokio::test]
async fn a_file_that_somebody_made_as_root_is_told() {
    let patient = Patient::new("").await;
    let data = patient.place.path("data");
    // To be root is what it takes to give files away.
    if chown(data.join("lock"), Some(65_534), None).is_err() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "not root: NOT tested");
        return;
    }
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&data).expect("it is there"));
    let fix = format!("chown -R {owner} {}", data.display());
    patient.one("data directory", Problem, "lock belongs to another user than the directory", &fix).await;
    chown(data.join("lock"), Some(owner), None).expect("given back");
    let key = patient.place.path("master.key");
    chown(&key, Some(65_534), None).expect("given away");
    let what = format!("the master key file {} belongs to another user", key.display());
    patient.one("keys", Problem, &what, &format!("chown {owner} {}", key.display())).await;
}

/// What is found of a directory in a file system of so much room.
async fn within(mebibytes: u32) -> Option<Vec<(&'static str, Finding)>> {
    let mounted = Mounted::new_or_skip(mebibytes)?;
    let patient = Patient::new("").await;
    fs::remove_dir_all(patient.place.path("data")).expect("it is ours");
    let data = mounted.path().join("data");
    std::os::unix::fs::symlink(&data, patient.place.path("data")).expect("it is ours");
    fs::create_dir(&data).expect("there is room");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let file = patient.place.path("countersign.toml");
    let config = countersign::config::load(Some(&file), [], countersign::config::Overrides::default());
    let installation = countersign::doctor::Installation {
        config: config.expect("a good configuration"),
        clock: std::sync::Arc::new(countersign::clock::SystemClock),
        random: std::sync::Arc::new(countersign::random::SystemRandom),
    };
    let checks = countersign::doctor::examine(&installation).await;
    let of = checks.into_iter().find(|checked| checked.check == "data directory").expect("it is made");
    Some(of.findings.into_iter().map(|finding| ("data directory", finding)).collect())
}

#[tokio::test]
async fn one_in_memory_and_one_with_little_room_is_told() {
    for (mebibytes, severity) in [(16, Problem), (200, Warning)] {
        let Some(mut findings) = within(mebibytes).await else { return };
        let room = findings.pop().expect("it is small");
        assert_one(&findings, "data directory", Problem, "lies in memory (tmpfs)", "a local disk");
        assert_one(&[room], "data directory", severity, " MiB are free where ", "df -h ");
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_the_running_servers_is_told() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options().arg("appendfsync", "always").start().await.expect("it starts");
    let in_redis = format!("[redis]\nurl = {:?}\n", redis.url());
    let patient = Patient::new("").await;
    let told = async |severity: Severity, what: &str| {
        patient.one("data directory", severity, what, "configuration").await;
    };
    let embedded = patient.place.serve().await;
    patient.configure(&in_redis);
    told(Warning, "has its challenges in it, and this configuration names a Redis").await;
    embedded.stop().await;
    assert_eq!(patient.findings().await, [], "no server runs");
    let sharing = patient.place.serve().await;
    assert_eq!(patient.findings().await, []);
    patient.configure("");
    told(Warning, "have their challenges in Redis, and this configuration does not name it").await;
    sharing.stop().await;
}
