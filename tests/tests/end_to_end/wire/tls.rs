//! The same over TLS.

use std::sync::Arc;

use countersign::wire::{Limits, tls::server_config};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::{
    SHORT,
    bystander::{Bystander, connect_from},
    raw::Raw,
    running::Running,
    soon,
};

fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

/// A server, and what a client needs that speaks `alpn`.
async fn start(limits: Limits) -> (Running, impl Fn(&[u8]) -> ClientConfig) {
    let CertifiedKey { cert, signing_key } = certificate();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
    let config = server_config(vec![cert.der().clone()], key).expect("a certificate and its key");
    let running = Running::start_with(limits, Some(config)).await;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a certificate");
    let client = move |alpn: &[u8]| {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    };
    (running, client)
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut() {
    let (server, client) = start(Limits { tls_handshake: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect_tls(server.address, client(b"h2")).await;
    bystander.is_served().await;
    let mut silent = Raw::connect(server.address).await;
    let mut half_a_hello = Raw::connect(server.address).await;
    half_a_hello.send(&[0x16, 3, 1, 2, 0, 1]).await;
    bystander.is_served().await;
    silent.until_ended().await;
    half_a_hello.until_ended().await;
    bystander.is_served().await;
}

#[tokio::test]
async fn both_protocols_are_agreed_on_by_alpn_and_others_refused() {
    let (server, client) = start(Limits::default()).await;
    let mut bystander = Bystander::connect_tls(server.address, client(b"h2")).await;
    bystander.is_served().await;

    let connect = async |alpn: &[u8]| {
        let stream = connect_from([127, 0, 0, 1], server.address).await;
        let connector = TlsConnector::from(Arc::new(client(alpn)));
        soon(connector.connect("localhost".try_into().expect("a name"), stream)).await
    };
    let h2 = connect(b"h2").await.expect("agreed");
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut http1 = connect(b"http/1.1").await.expect("agreed");
    assert_eq!(http1.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    http1.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    soon(http1.read_to_string(&mut answer)).await.expect("a whole answer");
    assert!(answer.ends_with("hello\n"), "{answer}");
    connect(b"spdy/1").await.expect_err("no such protocol here");

    let mut no_tls = Raw::connect(server.address).await;
    no_tls.send(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!no_tls.text_until_ended().await.contains("hello"));
    bystander.is_served().await;
}
