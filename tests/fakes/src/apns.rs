//! A stand-in for Apple Push Notification service.
//!
//! It checks each request as Apple documents that it does, answers it, and hands it to whoever waits in
//! [`ApnsStandIn::next_request`]. A test may script other answers, for a device token or for whatever comes
//! next, and faults of whole connections.

mod check;
mod connection;
mod going_away;
mod script;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use self::check::Rules;
use self::script::Script;
pub use self::script::{Answer, ConnectionFault};

/// A running stand-in. It ends when dropped.
pub struct ApnsStandIn {
    address: SocketAddr,
    ca_pem: String,
    signing_key: SigningKey,
    shared: Arc<Shared>,
    received: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    accepting: JoinHandle<()>,
}

/// What Apple gives a developer to sign provider tokens with.
#[derive(Clone)]
pub struct SigningKey {
    /// The content of `AuthKey_<key id>.p8`: P-256, PKCS#8, PEM.
    pub private_key_pem: String,
    /// 10 characters.
    pub key_id: String,
    /// The team's id, 10 characters.
    pub team_id: String,
}

/// One request as it came in, and what it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Such as `/3/device/<token>`.
    pub path: String,
    /// The last part of the path.
    pub device_token: String,
    /// All but the pseudo headers.
    pub headers: http::HeaderMap,
    /// The payload; null if it was no JSON.
    pub body: serde_json::Value,
    /// The status it was or will be answered with; none for one that gets no answer.
    pub status: Option<u16>,
    /// Which connection it came on: 1 for the first.
    pub connection: usize,
    /// How many requests had been answered on that connection when it came.
    pub answered_before: usize,
}

/// Unix time in seconds, as the stand-in sees it.
type Now = dyn Fn() -> i64 + Send + Sync;

struct Shared {
    rules: Rules,
    script: Mutex<Script>,
    requests: mpsc::UnboundedSender<Request>,
    connections: AtomicUsize,
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ApnsStandIn {
    /// Listens on a free port of the loopback interface, and takes pushes to `topics` only. `now` is asked
    /// for the time, in seconds since the epoch. Must be called inside a tokio runtime.
    pub async fn start(topics: &[&str], now: impl Fn() -> i64 + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (ca_pem, tls) = make_tls().map_err(io::Error::other)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let signing_key = SigningKey {
            private_key_pem: key.serialize_pem(),
            key_id: "STANDINKEY".to_owned(),
            team_id: "STANDTEAM1".to_owned(),
        };
        let rules = Rules::new(&signing_key, &key.public_key_pem(), topics, Box::new(now))?;
        let (requests, received) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { rules, script: Mutex::default(), requests, connections: AtomicUsize::new(0) });
        let accepting = tokio::spawn(connection::accept(listener, tls, Arc::clone(&shared)));
        let received = tokio::sync::Mutex::new(received);
        Ok(Self { address, ca_pem, signing_key, shared, received, accepting })
    }

    /// Where it listens, such as `https://localhost:41234`.
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The certificate that its own is to be checked with.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The key that it knows.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// The next request, in the order in which they came in; waits for one.
    pub async fn next_request(&self) -> Request {
        self.received.lock().await.recv().await.expect("the stand-in keeps a sender")
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Answers the next request that passes Apple's checks by `answer`; more than one queue up.
    pub fn answer_next(&self, answer: Answer) {
        self.shared.script().next.push_back(answer);
    }

    /// Like [`Self::answer_next`], for requests to `device_token` only; goes before it.
    pub fn answer_device(&self, device_token: &str, answer: Answer) {
        self.shared.script().devices.entry(device_token.to_owned()).or_default().push_back(answer);
    }

    /// The next connection has `fault`; more than one queue up.
    pub fn fail_next_connection(&self, fault: ConnectionFault) {
        self.shared.script().connections.push_back(fault);
    }

    /// Allows one stream at a time on each connection from now on, as Apple does before it has seen a
    /// provider token; further ones are refused.
    pub fn allow_one_stream(&self) {
        self.shared.script().one_stream = true;
    }
}

impl Drop for ApnsStandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A fresh authority, and a certificate of it for localhost.
fn make_tls() -> Result<(String, TlsAcceptor), Box<dyn std::error::Error + Send + Sync>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok((authority.pem(), TlsAcceptor::from(Arc::new(config))))
}
