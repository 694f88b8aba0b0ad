//! A configuration that no server starts with, and one with risky values.

use std::{fs, os::unix::fs::PermissionsExt as _};

use countersign::doctor::Severity::{Problem, Warning};
use rcgen::KeyPair;

use super::{Patient, assert_one};

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_told_with_file_and_line() {
    let patient = Patient::new("").await;
    patient.configure("colour = \"blue\"\n");
    patient
        .one(
            "settings",
            Problem,
            "countersign.toml, line 5: server.colour is not known",
            "countersign config",
        )
        .await;
    let names = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = patient.place.write("tls.pem", names.cert.pem());
    let key = patient.place.write("tls.key", KeyPair::generate().expect("a key").serialize_pem());
    let tls = format!("[tls]\ncertificate_file = {certificate:?}\nprivate_key_file = {key:?}\n");
    patient.configure(&tls);
    patient
        .one("settings", Problem, "must be the key of tls.certificate_file", "set what is named there")
        .await;
    fs::remove_file(&certificate).expect("it is there");
    patient
        .one("settings", Problem, "must be a file that the server can read", "set what is named there")
        .await;
    let apns = patient.place.write("apns.p8", "nothing");
    patient.configure(&format!(
        "[apns]\nprivate_key_file = {apns:?}\nkey_id = \"ABCDEFGHIJ\"\nteam_id = \"ABCDEFGHIJ\"\ntopics = [\"org.example\"]\n"
    ));
    patient
        .one("settings", Problem, "must be the .p8 file that Apple hands out", "set what is named there")
        .await;
}

#[tokio::test]
async fn a_configuration_file_that_is_not_there_or_not_for_this_user_is_told() {
    let patient = Patient::new("").await;
    let file = patient.place.path("countersign.toml");
    let fix = "run this as the server's user";
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(file.parent().expect("it has one"), everybody).expect("it is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    if let Some(told) = patient.place.run_as_nobody(&["doctor", "--config", "countersign.toml"]).await {
        assert_eq!(told.status.code(), Some(1));
        assert!(told.stdout.contains("countersign.toml: cannot be read: Permission denied"), "{told:?}");
        assert!(told.stdout.contains(fix), "{told:?}");
    }
    fs::remove_file(&file).expect("it is there");
    patient.one("settings", Problem, "countersign.toml: cannot be read: No such file", fix).await;
}

#[tokio::test]
async fn a_server_in_the_clear_beyond_loopback_is_told() {
    let patient = Patient::new("").await;
    let clear = "public_url = \"https://login.example.org\"\n[tls]\nterminated_by_proxy = true\n";
    patient.configure(clear);
    assert_eq!(patient.findings().await, [], "on loopback a proxy may end TLS");
    let file = patient.place.path("countersign.toml");
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, text.replace("127.0.0.1:0", "0.0.0.0:8443")).expect("it is written");
    patient.one("settings", Warning, "server.listen is 0.0.0.0:8443", "loopback").await;
}

#[tokio::test]
async fn a_redis_in_the_clear_or_one_that_may_forget_is_told() {
    let patient = Patient::new("").await;
    // A name that is never given (RFC 6761), so that it is not reached either.
    patient.configure("[redis]\nurl = \"redis://:secret@redis.invalid:6379\"\n");
    let mut findings = patient.findings().await;
    let unreachable = findings.remove(1);
    assert_eq!((unreachable.0, unreachable.1.severity), ("redis", Problem));
    let what = "redis.url names redis.invalid:6379 without TLS";
    assert_one(&findings, "settings", Warning, what, "rediss://");
    patient.configure("[redis]\nurl = \"redis://127.0.0.1:1\"\nallow_without_append_only_file = true\n");
    let mut findings = patient.findings().await;
    findings.remove(1);
    assert_one(&findings, "settings", Warning, "allow_without_append_only_file is true", "appendonly yes");
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_told() {
    let patient = Patient::new("").await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = patient.place.write("tls.pem", made.cert.pem());
    let key = patient.place.write("tls.key", made.signing_key.serialize_pem());
    patient.configure(&format!(
        "public_url = \"https://localhost:8443\"\n[tls]\ncertificate_file = {certificate:?}\nprivate_key_file = {key:?}\n"
    ));
    for (mode, is_told) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("it is ours");
        if is_told {
            let what = format!("{}, which tls.private_key_file names, has mode 0644", key.display());
            patient.one("settings", Warning, &what, &format!("chmod o= {}", key.display())).await;
        } else {
            assert_eq!(patient.findings().await, []);
        }
    }
}
