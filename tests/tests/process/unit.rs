//! The systemd unit, as systemd itself reads it, and what the server tells systemd. (`guide` runs it.)

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
};

use tokio::net::UnixDatagram;

use crate::program::{PROGRAM, Place, soon};

const UNIT: &str = include_str!("../../../packaging/countersign.service");
const INSTALLED: &str = "/usr/local/bin/countersign";

/// Runs `systemd-analyze`. None where there is none: this has then said so. With a non-empty `CI` it panics instead.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            let message = format!("no systemd-analyze, so the unit is NOT checked: {error}\n");
            std::io::stderr().write_all(message.as_bytes()).expect("standard error");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{message}");
            None
        }
    }
}

#[test]
fn the_unit_is_understood_and_leaves_the_server_little() {
    let place = Place::bare();
    assert_eq!(UNIT.matches(INSTALLED).count(), 1);
    // That what it starts is there is checked too.
    let unit = place.write("countersign.service", UNIT.replace(INSTALLED, PROGRAM));
    let unit = unit.to_str().expect("UTF-8");
    let Some((is_good, said)) = analyze(&["verify", unit]) else { return };
    assert!(is_good && said.is_empty(), "{said}");
    // From 0 to 10; a unit with no such settings has 9.6.
    let Some((is_little, said)) = analyze(&["security", "--offline=true", "--threshold=15", unit]) else {
        return;
    };
    assert!(is_little, "{said}");
}

/// What a server tells whoever started it.
struct Manager {
    socket: UnixDatagram,
    variable: (&'static str, String),
}

impl Manager {
    fn new(place: &Place) -> Self {
        let at = place.path("notify").to_str().expect("UTF-8").to_owned();
        Self { socket: UnixDatagram::bind(&at).expect("nothing is there"), variable: ("NOTIFY_SOCKET", at) }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [(self.variable.0, &self.variable.1)]
    }

    async fn next(&self) -> String {
        let mut message = [0; 64];
        let length = soon(self.socket.recv(&mut message)).await.expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    }
}

#[tokio::test]
async fn systemd_is_told_when_it_serves_and_when_it_ends_and_nothing_when_it_does_not_start() {
    let place = Place::new("");
    let systemd = Manager::new(&place);
    let server = place.serve_in(&systemd.environment(), &[]).await;
    assert_eq!(systemd.next().await, "READY=1");
    TcpStream::connect(server.address).expect("it listens");
    server.signal("TERM").await;
    assert_eq!(systemd.next().await, "STOPPING=1");
    assert_eq!(server.ended().await.status.code(), Some(0));

    let holder = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = holder.local_addr().expect("it is bound").to_string();
    let ended = place.run_in(&systemd.environment(), &["serve", "--listen", &address]).await;
    assert!(ended.failed().starts_with(&format!("cannot listen on {address}: ")));
    assert!(systemd.socket.try_recv(&mut [0; 64]).is_err(), "it does not serve");
}

#[tokio::test]
async fn it_serves_also_where_nobody_reads_what_it_prints() {
    let place = Place::new("");
    let systemd = Manager::new(&place);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = place.command(&["serve", "--config", "countersign.toml"]);
    let mut child = command
        .envs(systemd.environment())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be run");
    assert_eq!(systemd.next().await, "READY=1");
    let id = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().expect("it can be run").success());
    assert_eq!(soon(child.wait()).await.expect("it can be waited for").code(), Some(0));
}
