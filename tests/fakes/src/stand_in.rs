//! What the stand-ins have in common: they take connections, check each request as the provider documents that it
//! does, answer it, and hand it to whoever waits in [`StandIn::next_request`]. A test may script other answers,
//! for a device or for whatever comes next, and faults of whole connections.

mod connection;
mod going_away;
mod script;
mod tls;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use self::script::Script;
pub use self::script::{Answer, ConnectionFault};

/// A running stand-in. It ends when dropped.
pub struct StandIn {
    address: SocketAddr,
    ca_pem: String,
    shared: Arc<Shared>,
    pushes: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    validations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    token_requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    accepting: JoinHandle<()>,
}

/// One request as it came in, and what it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Such as `/3/device/<token>`.
    pub path: String,
    /// What names the device: the last part of APNs' path; FCM's `token` or `fid`.
    pub device_token: String,
    /// All but the pseudo headers.
    pub headers: http::HeaderMap,
    /// The payload; null if it was no JSON. Of a request for a token the form, as a text.
    pub body: serde_json::Value,
    /// The status it was or will be answered with; none for one that gets no answer.
    pub status: Option<u16>,
    /// Which connection it came on: 1 for the first.
    pub connection: usize,
    /// How many requests had been answered on that connection when it came.
    pub answered_before: usize,
}

/// What a request asks for.
pub(crate) enum Kind {
    /// Waking this device.
    Push(String),
    /// Checking a push to this device, which is not delivered.
    Validation(String),
    /// A token to push with.
    Token,
}

/// A provider's own rules.
pub(crate) trait Provider: Send + Sync {
    /// What a request asks for.
    fn kind(&self, head: &http::Request<()>, body: &[u8]) -> Kind;

    /// Whether it is as the provider wants it; the refusal, if not.
    fn check(&self, head: &http::Request<()>, body: &[u8]) -> Result<(), Answer>;

    /// What a good request is answered when no test has said otherwise.
    fn answer(&self, kind: &Kind) -> Answer;

    /// What it is answered with beside 200.
    fn accepted(&self, head: &http::Request<()>, kind: &Kind) -> Vec<u8>;

    /// By the stand-in's clock, in seconds since the epoch.
    fn now(&self) -> i64;

    /// What stands in every answer to it.
    fn echoed(&self, head: &http::Request<()>) -> Option<(&'static str, http::HeaderValue)>;
}

/// Unix time in seconds, as a stand-in sees it.
pub(crate) type Now = dyn Fn() -> i64 + Send + Sync;

struct Shared {
    provider: Arc<dyn Provider>,
    script: Mutex<Script>,
    pushes: mpsc::UnboundedSender<Request>,
    validations: mpsc::UnboundedSender<Request>,
    token_requests: mpsc::UnboundedSender<Request>,
    connections: AtomicUsize,
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StandIn {
    /// Listens on a free port of the loopback interface; `provider` is made from where that is. Must be called
    /// inside a tokio runtime.
    pub(crate) async fn start<P: Provider + 'static>(
        provider: impl FnOnce(&str) -> io::Result<Arc<P>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (ca_pem, tls) = tls::make().map_err(io::Error::other)?;
        let provider = provider(&origin(address))?;
        let (pushes, pushes_received) = mpsc::unbounded_channel();
        let (validations, validations_received) = mpsc::unbounded_channel();
        let (token_requests, token_requests_received) = mpsc::unbounded_channel();
        let (script, connections) = (Mutex::default(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { provider, script, pushes, validations, token_requests, connections });
        let accepting = tokio::spawn(connection::accept(listener, tls, Arc::clone(&shared)));
        Ok(Self {
            address,
            ca_pem,
            shared,
            pushes: pushes_received.into(),
            validations: validations_received.into(),
            token_requests: token_requests_received.into(),
            accepting,
        })
    }

    /// Where it listens, such as `https://localhost:41234`.
    pub fn base_url(&self) -> String {
        origin(self.address)
    }

    /// The certificate that its own is to be checked with.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The next push, in the order in which they came in; waits for one.
    pub async fn next_request(&self) -> Request {
        self.pushes.lock().await.recv().await.expect("the stand-in keeps a sender")
    }

    /// The next push that was to be checked and not delivered; waits for one.
    pub(crate) async fn next_validation(&self) -> Request {
        self.validations.lock().await.recv().await.expect("the stand-in keeps a sender")
    }

    /// The next request for a token to push with; waits for one.
    pub(crate) async fn next_token_request(&self) -> Request {
        self.token_requests.lock().await.recv().await.expect("the stand-in keeps a sender")
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Answers the next push that passes the provider's checks by `answer`; more than one queue up.
    pub fn answer_next(&self, answer: Answer) {
        self.shared.script().next.push_back(answer);
    }

    /// Like [`Self::answer_next`], for pushes to `device_token` only; goes before it.
    pub fn answer_device(&self, device_token: &str, answer: Answer) {
        self.shared.script().devices.entry(device_token.to_owned()).or_default().push_back(answer);
    }

    /// Like [`Self::answer_next`], for requests for a token to push with.
    pub(crate) fn answer_token(&self, answer: Answer) {
        self.shared.script().tokens.push_back(answer);
    }

    /// The next connection has `fault`; more than one queue up.
    pub fn fail_next_connection(&self, fault: ConnectionFault) {
        self.shared.script().connections.push_back(fault);
    }

    /// Tells its clock in each answer from now on, as HTTP servers may.
    pub fn tell_date(&self) {
        self.shared.script().tells_date = true;
    }

    /// Allows one stream at a time on each connection from now on, as Apple does before it has seen a
    /// provider token; further ones are refused.
    pub fn allow_one_stream(&self) {
        self.shared.script().one_stream = true;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn origin(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}
