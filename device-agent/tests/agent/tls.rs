//! https, by a certificate authority that the system does not know.

use countersign_agent::{Agent, Error};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Identity, ServerTlsConfig};

use crate::{script::link, server::Server};

fn certificates() -> (String, Identity) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let host = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = host.signed_by(&key, &authority).unwrap();
    (authority.pem(), Identity::from_pem(certificate.pem(), key.serialize_pem()))
}

#[tokio::test]
async fn a_server_s_certificate_counts_only_under_a_known_authority() {
    let (authority, identity) = certificates();
    // The real time: certificates are checked by the machine's clock.
    let now = countersign_agent::Clock::now(&countersign_agent::SystemClock);
    let server = Server::start_with(now, Some(ServerTlsConfig::new().identity(identity))).await;
    let link = link(&format!("https://localhost:{}", server.address.port())).to_string();
    let directory = tempfile::tempdir().unwrap();

    let agent = Agent::open(directory.path()).unwrap();
    let error = agent.inspect(&link).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    assert!(server.take_calls().is_empty());

    let agent = agent.with_ca_pem(authority.as_bytes()).unwrap();
    assert_eq!(agent.inspect(&link).await.unwrap().application_name(), "Example");
    assert!(matches!(agent.with_ca_pem(b"nothing"), Err(Error::CaCertificate(_))));
}
