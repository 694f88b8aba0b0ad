//! The data directory: missing, open to others, of another user, in memory, on another machine, on a full disk, or another's.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::{
        Finding,
        Severity::{self, Problem, Warning},
    },
};
use countersign_test_peers::{RedisServer, redis_or_skip};

use super::{
    Patient, ROOM, assert_one,
    mounted::{Mounted, Remote},
};
use crate::program::{Ended, Place};

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
    patient.one("data directory", Problem, "cannot be read: Not a directory", "server.data_dir").await;
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

/// What is found of a data directory in the directory `within`, its room aside; and of its room.
async fn found(within: &Path) -> [Vec<(&'static str, Finding)>; 2] {
    let data = within.join("data");
    fs::create_dir(&data).expect("there is room");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let patient = Patient { place: Place::bare() };
    std::os::unix::fs::symlink(&data, patient.place.path("data")).expect("it is ours");
    patient.configure("");
    let (room, rest) = patient
        .all_findings_at(SystemClock.now())
        .await
        .into_iter()
        .filter(|(check, _)| *check == "data directory")
        .partition(|(_, finding)| finding.what.contains(ROOM));
    [rest, room]
}

#[tokio::test]
async fn one_in_memory_and_one_with_little_room_is_told() {
    for (mebibytes, severity) in [(16, Problem), (200, Warning)] {
        let Some(mounted) = Mounted::new_or_skip(mebibytes) else { return };
        let [findings, room] = found(mounted.path()).await;
        assert_one(&findings, "data directory", Problem, "lies in memory (tmpfs)", "a local disk");
        assert_one(&room, "data directory", severity, ROOM, "df -h ");
    }
}

#[tokio::test]
async fn one_on_a_network_file_system_is_told() {
    for (subtype, severity, what, fix) in [
        ("sshfs", Problem, "lies on a network file system (sshfs)", "move it to a local disk"),
        ("mergerfs", Warning, "a file system that a program serves (mergerfs)", "a disk of this machine"),
    ] {
        let Some(remote) = Remote::new_or_skip(subtype) else { return };
        let [findings, _] = found(remote.path()).await;
        assert_one(&findings, "data directory", severity, what, fix);
    }
}

#[tokio::test]
async fn one_that_only_the_servers_user_may_read_is_told_to_anybody_else() {
    let patient = Patient::new("").await;
    let root = patient.place.path("countersign.toml");
    fs::set_permissions(root.parent().expect("it has one"), fs::Permissions::from_mode(0o755))
        .expect("it is ours");
    let Some(Ended { status, stdout, .. }) =
        patient.place.run_as_nobody(&["doctor", "--config", "countersign.toml"]).await
    else {
        return;
    };
    assert_eq!(status.code(), Some(1));
    let data = patient.place.path("data");
    let told = format!(
        "PROBLEM  data directory: the data directory {} cannot be read: Permission denied",
        data.display()
    );
    assert!(stdout.contains(&told) && stdout.contains("fix: run this as the server's user"), "{stdout}");
    // What cannot be seen is not told to be gone.
    assert!(
        stdout.contains("\nok       database\n") && stdout.ends_with("\n1 problem, 0 warnings\n"),
        "{stdout}"
    );
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
