//! Who ends TLS: the server, or a proxy in front of it.

use countersign_agent::Agent;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use crate::{
    people::{Application, Backend, channel},
    program::{Place, soon},
};

/// Writes a certificate for localhost with its key, and returns the authority's.
fn write_certificate(place: &Place) -> String {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = certificate.signed_by(&key, &authority).expect("a certificate");
    place.write("cert.pem", certificate.pem());
    place.write("key.pem", key.serialize_pem());
    place.write("other.pem", KeyPair::generate().expect("a key").serialize_pem());
    authority.pem()
}

const TLS: &str = "[tls]\ncertificate_file = \"cert.pem\"\nprivate_key_file = \"key.pem\"\n";

#[tokio::test]
async fn a_server_with_a_certificate_serves_backends_and_devices_over_tls() {
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let ca = write_certificate(&place);
    // The certificate is for a name, so links must carry that; the port is only known by then.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    place.write(
        "countersign.toml",
        format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\ndata_dir = \"data\"\n\
             public_url = \"https://localhost:{port}\"\n{TLS}"
        ),
    );
    let server = place.serve().await;

    let endpoint = Channel::from_shared(format!("https://localhost:{port}")).expect("an address");
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ca));
    let endpoint = endpoint.tls_config(trusting).expect("a good authority");
    let backend = Backend::new(soon(endpoint.connect()).await.expect("it listens"), &application.api_key);

    let state = tempfile::tempdir().expect("a temporary directory");
    let stranger = Agent::open(state.path()).expect("an empty directory");
    let link = backend.start_enrollment("anna").await.expect("it starts").uri;
    assert!(link.starts_with(&format!("https://localhost:{port}/device#")), "not shown: a link is a secret");
    stranger.inspect(&link).await.expect_err("nobody told it of the authority");
    let agent = stranger.with_ca_pem(ca.as_bytes()).expect("a certificate");
    let device = backend.enroll_on(agent, state, "anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    let answer = device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    assert!(answer.accepted);
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");

    // In the clear nobody is spoken to.
    let plain = Channel::from_shared(format!("http://{}", server.address)).expect("an address");
    let plain = Backend::new(plain.connect_lazy(), &application.api_key);
    soon(plain.create("anna", "attempt-2")).await.expect_err("the server wants TLS");
    server.stop().await;
}

#[tokio::test]
async fn any_address_may_be_bound_with_a_certificate_or_behind_a_proxy() {
    let place = Place::new("");
    write_certificate(&place);
    let server =
        "[server]\nlisten = \"0.0.0.0:0\"\ndata_dir = \"data\"\npublic_url = \"https://login.example.org\"\n";
    place.write("countersign.toml", format!("{server}{TLS}"));
    place.serve().await.stop().await;

    place.write("countersign.toml", format!("{server}[tls]\nterminated_by_proxy = true\n"));
    let application = Application::create(&place, "Shop").await;
    let server = place.serve().await;
    let loopback = ([127, 0, 0, 1], server.address.port()).into();
    let backend = Backend::new(channel(loopback).await, &application.api_key);
    let link = backend.start_enrollment("anna").await.expect("it starts").uri;
    assert!(link.starts_with("https://login.example.org/device#"), "not shown: a link is a secret");
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_refused_before_anything_is_opened() {
    let place = Place::new(&TLS.replace("key.pem", "other.pem"));
    write_certificate(&place);
    let reason = place.run_configured(&["serve"]).await.failed();
    assert_eq!(
        reason,
        "countersign.toml, line 6: tls.private_key_file = \"other.pem\": must be the key of \
         tls.certificate_file"
    );
    place.write("cert.pem", "nothing");
    let reason = place.run_configured(&["serve"]).await.failed();
    assert_eq!(
        reason,
        "countersign.toml, line 5: tls.certificate_file = \"cert.pem\": must be a PEM file with one or more \
         certificates (BEGIN CERTIFICATE)"
    );
    assert!(!place.path("data").exists());
}
