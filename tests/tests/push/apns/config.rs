//! Settings that are refused before anything is sent.

use std::sync::Arc;

use countersign::{
    clock::ManualClock,
    push::apns::{Apns, ApnsConfig, InvalidApnsConfig},
};
use rcgen::KeyPair;

use super::{MemoryTokens, START, TOPIC};

fn good() -> ApnsConfig {
    let key = KeyPair::generate().expect("P-256 is known").serialize_pem();
    ApnsConfig::new(key.into(), "ABCDE12345", "TEAM567890", vec![TOPIC.to_owned()])
}

fn error(change: impl FnOnce(&mut ApnsConfig)) -> Option<String> {
    let mut config = good();
    change(&mut config);
    let clock = Arc::new(ManualClock::new(START));
    let result: Result<Apns, InvalidApnsConfig> =
        Apns::new(&config, Arc::new(MemoryTokens::default()), clock);
    result.err().map(|error| error.to_string())
}

#[test]
fn good_settings_are_taken_and_lead_to_apple() {
    assert_eq!(error(|_| {}), None);
    assert_eq!(good().production_url, "https://api.push.apple.com");
    assert_eq!(good().sandbox_url, "https://api.sandbox.push.apple.com");
}

#[test]
fn each_bad_setting_is_named() {
    let key = |pem: &str| error(|config| config.private_key_pem = pem.into());
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("P-384 is known");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("Ed25519 is known");
    let public = KeyPair::generate().expect("P-256 is known").public_key_pem();
    for pem in ["", "no PEM", &p384.serialize_pem(), &ed25519.serialize_pem(), &public] {
        let error = key(pem).expect("it is refused");
        assert!(error.contains("apns.private_key_file") && error.contains("P-256"), "{error}");
    }
    for value in ["", "SHORT", "abcde12345", "ABCDE1234\n", "ABCDE123456"] {
        let error = error(|config| config.key_id = value.to_owned()).expect("it is refused");
        assert!(error.contains("apns.key_id"), "{error}");
    }
    let team = error(|config| config.team_id = "x".to_owned()).expect("it is refused");
    assert!(team.contains("apns.team_id") && team.contains("10 capital"), "{team}");
    for topics in [vec![], vec!["two words".to_owned()], vec![TOPIC.to_owned(), String::new()]] {
        let error = error(|config| config.topics = topics).expect("it is refused");
        assert!(error.contains("apns.topics"), "{error}");
    }
    for value in
        ["", "http://localhost", "https://a.example/3/device", "https://u:p@a.example", "https://a/?q"]
    {
        let error = error(|config| config.sandbox_url = value.to_owned()).expect("it is refused");
        assert!(error.contains("apns.sandbox_url") && error.contains("https"), "{error}");
    }
    let url = error(|config| config.production_url = "x".to_owned()).expect("it is refused");
    assert!(url.contains("apns.production_url"), "{url}");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for value in ["", "no PEM", broken] {
        let error = error(|config| config.ca_pem = Some(value.to_owned())).expect("it is refused");
        assert!(error.contains("apns.ca_file"), "{error}");
    }
}

#[test]
fn the_key_is_not_printed() {
    let config = good();
    assert!(!format!("{config:?}").contains("PRIVATE KEY"));
}
