//! `countersign serve` and `config`: what is configured is checked before anything is opened.

mod tls;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use rusqlite::Connection;

use crate::program::Place;

/// As messages name it.
const DATABASE: &str = "data/countersign.sqlite";

/// A server with this configuration, in which `DIR` stands for its directory, is refused; nothing was made.
async fn refused(configuration: &str) -> String {
    let place = Place::bare();
    let directory = place.path("").display().to_string();
    let directory = directory.trim_end_matches('/');
    place.write("countersign.toml", configuration.replace("DIR", directory));
    place.write("empty.pem", "");
    let reason = place.run_configured(&["serve"]).await.failed();
    let mut left: Vec<_> = fs::read_dir(place.path("")).expect("it is there").collect();
    left.retain(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name != "countersign.toml" && name != "empty.pem"
    });
    assert!(left.is_empty(), "{left:?}");
    reason.replace(directory, "DIR")
}

#[tokio::test]
async fn a_bad_setting_is_named_with_file_line_key_value_and_what_is_allowed() {
    for (configuration, reason) in [
        (
            "[server]\n\nlisten = \"here\"\n",
            "countersign.toml, line 3: server.listen = \"here\": must be an IP address and a port, such as \
             127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:0\"\n",
            "countersign.toml, line 2: server.listen = \"0.0.0.0:0\": must be a loopback address as long as \
             nothing protects it: for any other, set tls.certificate_file and tls.private_key_file, or \
             tls.terminated_by_proxy = true when a proxy ends TLS",
        ),
        (
            "[limits]\nconnections = 0\n",
            "countersign.toml, line 2: limits.connections = 0: must be a whole number from 1 to 1000000",
        ),
        (
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"xml\"\n",
            "countersign.toml, line 4: log.format = \"xml\": must be \"text\" or \"json\"",
        ),
        (
            "[server]\nport = 8443\n",
            "countersign.toml, line 2: server.port is not known; allowed are listen, data_dir, \
             master_key_file, public_url, api_url",
        ),
        (
            "[server]\ndata_dri = \"data\"\n",
            "countersign.toml, line 2: server.data_dri is not known, did you mean data_dir?; allowed are \
             listen, data_dir, master_key_file, public_url, api_url",
        ),
        (
            "\n[sever]\n",
            "countersign.toml, line 2: sever is not known, did you mean server?; allowed are server, tls, \
             limits, redis, apns, fcm, log",
        ),
        (
            "[tls]\ncertificate_file = \"DIR/empty.pem\"\n",
            "countersign.toml, line 2: tls.certificate_file = \"DIR/empty.pem\": needs tls.private_key_file, \
             which is not set: they go together",
        ),
        (
            "[tls]\nterminated_by_proxy = true\n",
            "countersign.toml, line 2: tls.terminated_by_proxy = true: needs server.public_url, which is not \
             set: pairing links carry the origin at which devices find the server, such as \
             https://login.example.org",
        ),
        (
            "[apns]\nkey_id = \"ABC1234567\"\n",
            "countersign.toml, line 2: apns.key_id = \"ABC1234567\": needs apns.private_key_file, which is \
             not set: push through APNs takes private_key_file, key_id, team_id and topics together",
        ),
    ] {
        assert_eq!(refused(configuration).await, reason);
    }
    let syntax = refused("[server\n").await;
    assert!(syntax.starts_with("countersign.toml, line 1: not TOML: "), "{syntax}");
}

#[tokio::test]
async fn a_bad_option_or_a_missing_file_is_named() {
    let place = Place::bare();
    let options = place.run(&["serve", "--listen", "here"]).await.failed();
    assert!(options.starts_with("command line: --listen = \"here\": must be an IP address"), "{options}");
    let file = place.run(&["serve", "--config", "none.toml"]).await.failed();
    assert!(file.starts_with("none.toml: cannot be read: "), "{file}");
    let unknown = place.run(&["serve", "--port", "1"]).await;
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
    assert_eq!(fs::read_dir(place.path("")).expect("it is there").count(), 0);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let place = Place::new("");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = place.run_configured(&["serve", "--listen", &address]).await;
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    // The log of the first start comes before it.
    let reason = ended.stderr.lines().last().unwrap_or_default();
    assert!(reason.starts_with(&format!("countersign: cannot listen on {address}: ")), "{ended:?}");
}

#[tokio::test]
async fn the_printed_defaults_are_a_configuration() {
    let place = Place::bare();
    let defaults = place.run(&["config"]).await.succeeded();
    assert!(defaults.lines().all(|line| line.is_empty() || line.starts_with(['#', '['])), "{defaults}");
    place.write("countersign.toml", &defaults);
    let server = place.serve_with(&["--listen", "127.0.0.1:0", "--data-dir", "elsewhere"]).await;
    server.stop().await;
    assert!(place.path("elsewhere/countersign.sqlite").exists());
}

#[tokio::test]
async fn a_database_of_another_program_or_version_is_left_alone() {
    let place = Place::new("");
    fs::create_dir(place.path("data")).expect("it is new");
    let path = place.database();
    let connection = Connection::open(&path).expect("a new database");
    connection.execute_batch("CREATE TABLE notes (text)").expect("it is written");
    place.write("data/master.key", [7; 32]);
    let key = place.path("data/master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let expected =
        format!("{DATABASE} is a database of another program; give Countersign a data directory of its own");
    for command in [&["serve"][..], &["app", "list"]] {
        assert_eq!(place.run_configured(command).await.failed(), expected);
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .expect("it can be read");
    assert_eq!(tables, 1);
    drop(connection);

    let place = Place::new("");
    place.run_configured(&["app", "create", "Shop"]).await.succeeded();
    let path = place.database();
    let connection = Connection::open(&path).expect("a database");
    connection.pragma_update(None, "user_version", 99).expect("it is written");
    drop(connection);
    let expected = format!(
        "the database {DATABASE} has schema 99, made by a newer Countersign; this one knows schema 2: run the newer \
         version, or restore a backup from before it"
    );
    for command in [&["serve"][..], &["app", "list"]] {
        assert_eq!(place.run_configured(command).await.failed(), expected);
    }

    fs::write(&path, vec![b'x'; 8192]).expect("it is written");
    let reason = place.run_configured(&["serve"]).await.failed();
    let expected = format!("the database {DATABASE} cannot be opened: file is not a database");
    assert_eq!(reason, expected);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_named() {
    let place = Place::new("");
    place.write("data", "a file");
    let reason = place.run_configured(&["serve"]).await.failed();
    assert!(reason.starts_with("the data directory data cannot be used: "), "{reason}");
}

#[tokio::test]
async fn a_master_key_that_is_missing_exposed_or_none_opens_nothing() {
    let place = Place::new("");
    place.run_configured(&["app", "create", "Shop"]).await.succeeded();
    let key = place.path("data/master.key");
    let shown = "data/master.key";
    let set_mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("it is ours");

    set_mode(0o640);
    let exposed = format!(
        "the master key file {shown} has mode 0640, so others than its owner can use it; allowed are 0600 and \
         0400: run chmod 600 {shown}"
    );
    assert_refused(&place, &exposed).await;
    set_mode(0o600);

    let whole = fs::read(&key).expect("it is ours");
    fs::write(&key, &whole[..31]).expect("it is ours");
    let short = format!(
        "the master key file {shown} is not a master key: exactly 32 bytes are allowed, with no line break \
         after them (if a first start was cut off before there were any data, delete the file)"
    );
    assert_refused(&place, &short).await;

    // Another key opens nothing that was sealed with this one.
    fs::write(&key, [7; 32]).expect("it is ours");
    for command in [&["serve"][..], &["app", "create", "Bank"]] {
        let reason = place.run_configured(command).await.failed();
        assert!(reason.contains("master key"), "{reason}");
    }

    fs::remove_file(&key).expect("it is ours");
    let missing = format!(
        "the master key file {shown} is missing, but there are data that were sealed with it: put it back \
         from your backup (a new key would open nothing)"
    );
    assert_refused(&place, &missing).await;
    assert!(!key.exists());

    let aside = place.write("aside.key", &whole);
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o400)).expect("it is ours");
    symlink(&aside, &key).expect("there is none");
    place.serve().await.stop().await;
}

async fn assert_refused(place: &Place, expected: &str) {
    for command in [&["serve"][..], &["app", "list"]] {
        assert_eq!(place.run_configured(command).await.failed(), expected);
    }
}
