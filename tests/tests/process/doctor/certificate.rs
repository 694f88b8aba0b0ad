//! The TLS certificate: its end, its beginning, its names.

use std::time::Duration;

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::Severity::{Problem, Warning},
};
use countersign_proto::time::UnixTime;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::{Patient, assert_one};

const DAY: Duration = Duration::from_hours(24);

/// A certificate for login.example.org, valid in the years 2025 to 2034.
async fn patient_at(public_url: &str) -> Patient {
    let patient = Patient::new("").await;
    let key = KeyPair::generate().expect("a key");
    let mut wanted = CertificateParams::new(vec!["login.example.org".to_owned()]).expect("a name");
    wanted.not_before = date_time_ymd(2025, 1, 1);
    wanted.not_after = date_time_ymd(2035, 1, 1);
    let certificate = patient.write("tls.pem", wanted.self_signed(&key).expect("a certificate").pem());
    let key = patient.write("tls.key", key.serialize_pem());
    patient.configure(&format!(
        "public_url = \"{public_url}\"\n[tls]\ncertificate_file = {certificate:?}\nprivate_key_file = {key:?}\n"
    ));
    patient
}

#[tokio::test]
async fn one_that_has_ended_ends_soon_or_has_not_begun_is_told() {
    let patient = patient_at("https://login.example.org").await;
    assert_eq!(patient.findings().await, []);
    let end = UnixTime::from_millis(2_051_222_400_000);
    let certificate_at = async |now| {
        let mut findings = patient.findings_at(now).await;
        // The clock of those times finds other things as well.
        findings.retain(|(check, _)| *check == "certificate");
        findings
    };
    assert_eq!(certificate_at(end.minus(DAY * 21)).await, []);
    let soon = certificate_at(end.minus(DAY * 20)).await;
    let what = "the certificate in tls.certificate_file ends in 20 days, at 2035-01-01T00:00:00Z";
    assert_one(&soon, "certificate", Warning, what, "certbot renew");
    let ended = certificate_at(end.plus(DAY)).await;
    assert_one(&ended, "certificate", Problem, "ended at 2035-01-01T00:00:00Z", "restart the server");
    let early = certificate_at(UnixTime::from_millis(1_700_000_000_000)).await;
    assert_one(
        &early,
        "certificate",
        Problem,
        "is valid from 2025-01-01T00:00:00Z only",
        "set this machine's clock",
    );
    assert!(SystemClock.now() < end, "this test is of its time");
}

#[tokio::test]
async fn one_that_leads_to_the_root_is_told_as_well() {
    let patient = Patient::new("").await;
    let key = KeyPair::generate().expect("a key");
    let mut above = CertificateParams::new(Vec::new()).expect("no name");
    above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    above.not_before = date_time_ymd(2025, 1, 1);
    above.not_after = date_time_ymd(2026, 1, 1);
    let issuer_key = KeyPair::generate().expect("a key");
    let issuer = above.self_signed(&issuer_key).expect("a certificate");
    let mut below = CertificateParams::new(vec!["login.example.org".to_owned()]).expect("a name");
    below.not_before = date_time_ymd(2025, 1, 1);
    below.not_after = date_time_ymd(2035, 1, 1);
    let below = below.signed_by(&key, &Issuer::from_params(&above, &issuer_key)).expect("a certificate");
    let chain = patient.write("tls.pem", below.pem() + &issuer.pem());
    let key = patient.write("tls.key", key.serialize_pem());
    patient.configure(&format!(
        "public_url = \"https://login.example.org\"\n[tls]\ncertificate_file = {chain:?}\nprivate_key_file = {key:?}\n"
    ));
    let what = "a certificate that leads to its root in tls.certificate_file ended at 2026-01-01T00:00:00Z";
    patient.one("certificate", Problem, what, "certbot renew").await;
}

#[tokio::test]
async fn one_for_another_name_is_told() {
    let of_another = patient_at("https://countersign.example.org:8443").await;
    let what = "is not for countersign.example.org, where devices look for the server";
    of_another.one("certificate", Problem, what, "have it issued for countersign.example.org").await;
    // Devices look at the other address as well.
    let with_api = patient_at("https://login.example.org\"\napi_url = \"https://127.0.0.1:8443").await;
    with_api.one("certificate", Problem, "is not for 127.0.0.1", "have it issued for 127.0.0.1").await;
}
