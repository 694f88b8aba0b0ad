//! The systemd unit, as systemd itself reads it.

use std::{io::Write as _, process::Command};

use crate::program::{PROGRAM, Place};

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

#[tokio::test]
async fn the_command_line_that_it_starts_is_one_that_the_program_takes() {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let place = Place::bare();
    // The directories that the unit makes and the guide configures.
    let (data, key) = (place.path("countersign"), place.path("countersign-key"));
    std::fs::create_dir(&key).expect("as systemd makes it");
    let config = place.write(
        "countersign.toml",
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\nmaster_key_file = {:?}\n",
            key.join("master.key")
        ),
    );
    let line = line.replace("/etc/countersign/countersign.toml", config.to_str().expect("UTF-8"));
    let arguments: Vec<_> = line.split(' ').skip(1).collect();
    let ["serve", "--config", file] = arguments[..] else { panic!("{line}") };
    assert_eq!(file, config.to_str().expect("UTF-8"));
    place.serve().await.stop().await;
    assert!(key.join("master.key").exists());
    let doctor = place.run(&["doctor", "--config", file]).await.succeeded();
    assert!(doctor.contains("ok       settings\n"), "{doctor}");
}
