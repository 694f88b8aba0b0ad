//! A backup of a running server, restored elsewhere as docs/operations.md says; and what either half is worth alone.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::Path,
};

use countersign_proto::login::create_challenge_response::Outcome;

use crate::{
    people::{Application, Backend, Device},
    program::{Place, soon},
};

const GUIDE: &str = include_str!("../../../docs/operations.md");

/// An installation that is backed up while it runs, and lost.
struct Lost {
    place: Place,
    application: Application,
    address: String,
    server_id: String,
    /// Enrolled before the backup.
    anna: Device,
    /// Enrolled after it.
    bob: Device,
}

impl Lost {
    async fn new() -> Self {
        let place = Place::new("");
        let server = place.serve().await;
        let application = Application::create(&place, "Shop").await;
        let backend = application.connect(server.address).await;
        let anna = backend.enroll("anna").await.expect("it is enrolled");
        // A login is under way meanwhile.
        backend.create("anna", "under-way").await.expect("it is created");
        assert!(GUIDE.contains("countersign backup "), "the guide has the command");
        let said = place.run_configured(&["backup", "copy.sqlite"]).await.succeeded();
        assert_eq!(said, "Backed up to copy.sqlite. The master key is not in it.\n");
        let bob = backend.enroll("bob").await.expect("it is enrolled");
        let (address, server_id) = (server.address.to_string(), server.id.clone());
        server.stop().await;
        Self { place, application, address, server_id, anna, bob }
    }

    fn master_key(&self) -> Vec<u8> {
        fs::read(self.place.path("data/master.key")).expect("it is there")
    }

    /// A machine with the backup in place, as the guide says, and this master key.
    fn restored(&self, master_key: Option<&[u8]>) -> Place {
        let place = Place::new("");
        fs::DirBuilder::new().mode(0o700).create(place.path("data")).expect("a directory");
        fs::copy(self.place.path("copy.sqlite"), place.database()).expect("it is copied");
        put_key(&place.path("data/master.key"), master_key);
        place
    }
}

fn put_key(path: &Path, master_key: Option<&[u8]>) {
    if let Some(key) = master_key {
        fs::write(path, key).expect("it is written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
}

async fn log_in(backend: &Backend, device: &Device) -> String {
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    device.reconnected().approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    serde_json::to_string(&redeemed.receipt).expect("JSON")
}

#[tokio::test]
async fn with_database_and_master_key_it_is_the_same_server_as_at_the_backup() {
    let lost = Lost::new().await;
    let mode = fs::metadata(lost.place.path("copy.sqlite")).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    let place = lost.restored(Some(&lost.master_key()));
    let server = place.serve_with(&["--listen", &lost.address]).await;
    assert_eq!(server.id, lost.server_id, "what devices and backends have pinned");
    let backend = lost.application.connect(server.address).await;
    let receipt = log_in(&backend, &lost.anna).await;
    place.write("receipt.json", receipt);
    let verify = ["receipt", "verify", "receipt.json", "--server-id", &lost.server_id];
    assert!(place.run(&verify).await.succeeded().starts_with("APPROVED at "));
    // What came after the backup has to come again.
    let request = countersign_proto::login::CreateChallengeRequest {
        user_id: "bob".to_owned(),
        attempt_id: "attempt-1".to_owned(),
        ..Default::default()
    };
    let asked = soon(backend.login.clone().create_challenge(request)).await.expect("an outcome").into_inner();
    assert!(matches!(asked.outcome, Some(Outcome::NotEnrolled(_))), "{asked:?}");
    soon(lost.bob.reconnected().account.refresh()).await.expect_err("nobody knows it");
    assert_eq!(place.run_configured(&["doctor"]).await.status.code(), Some(0));
    server.stop().await;
}

#[tokio::test]
async fn the_database_without_its_master_key_opens_to_nobody() {
    let lost = Lost::new().await;
    let master_key = lost.master_key();
    for (key, reason, found) in [
        (None, "the master key file data/master.key is missing", "is missing, but there are data"),
        (
            Some(&[7; 32][..]),
            "cannot be opened: a sealed value does not open",
            "the master key does not open this database",
        ),
    ] {
        let place = lost.restored(key);
        let started = place.run_configured(&["serve"]).await;
        assert_eq!(started.status.code(), Some(1));
        assert!(started.stderr.contains(reason), "{started:?}");
        let doctor = place.run_configured(&["doctor"]).await;
        assert_eq!(doctor.status.code(), Some(1));
        assert!(doctor.stdout.contains(found), "{doctor:?}");
        // Nothing was spoilt by the attempt.
        put_key(&place.path("data/master.key"), Some(&master_key));
        let server = place.serve_with(&["--listen", &lost.address]).await;
        log_in(&lost.application.connect(server.address).await, &lost.anna).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn the_master_key_without_its_database_is_another_server() {
    let lost = Lost::new().await;
    let place = Place::new("");
    fs::DirBuilder::new().mode(0o700).create(place.path("data")).expect("a directory");
    put_key(&place.path("data/master.key"), Some(&lost.master_key()));
    let server = place.serve_with(&["--listen", &lost.address]).await;
    assert_ne!(server.id, lost.server_id);
    soon(lost.anna.reconnected().account.refresh()).await.expect_err("nobody knows it");
    assert_eq!(
        place.run_configured(&["app", "list"]).await.succeeded(),
        "No application yet: `countersign app create NAME` makes one.\n"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_is_made_of_a_database_only() {
    let place = Place::new("");
    let nothing = place.run_configured(&["backup", "copy.sqlite"]).await.failed();
    assert_eq!(
        nothing,
        "there is no database of Countersign's at data/countersign.sqlite: set server.data_dir to where it is"
    );
    assert!(!place.path("copy.sqlite").exists() && !place.path("data").exists(), "nothing is made");
    Application::create(&place, "Shop").await;
    place.write("copy.sqlite", "something");
    let there = place.run_configured(&["backup", "copy.sqlite"]).await.failed();
    assert_eq!(there, "copy.sqlite is there already: give another name");
    assert_eq!(fs::read(place.path("copy.sqlite")).expect("it is there"), b"something");
    let nowhere = place.run_configured(&["backup", "nowhere/copy.sqlite"]).await.failed();
    assert_eq!(nowhere, "nowhere/copy.sqlite cannot be written: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_backup_lies_where_it_was_told_to_whatever_bytes_the_name_has() {
    let place = Place::new("");
    Application::create(&place, "Shop").await;
    fs::create_dir(place.path("copies")).expect("it is ours");
    let names: [&[u8]; 3] = [b"k\xf6nig.sqlite", b"file:a?mode=ro%41#.sqlite", b"..."];
    for name in names {
        let name = OsStr::from_bytes(name);
        let to = Path::new("copies").join(name);
        let ended = place.run_configured(&[OsStr::new("backup"), to.as_os_str()]).await;
        assert!(ended.succeeded().starts_with("Backed up to copies/"));
        let made = fs::read_dir(place.path("copies")).expect("it is there").map(|entry| entry.expect("one"));
        let made: Vec<_> = made.map(|entry| entry.file_name()).collect();
        assert_eq!(made, [name]);
        let copy = place.path("copies").join(name);
        fs::rename(&copy, place.path("copy.sqlite")).expect("it is ours");
        let connection = rusqlite::Connection::open(place.path("copy.sqlite")).expect("it opens");
        let count: u32 =
            connection.query_row("SELECT count(*) FROM applications", [], |row| row.get(0)).expect("ours");
        assert_eq!(count, 1);
    }
}
