//! The one connection to a push provider's server, over HTTP/2.
//!
//! Providers want a connection to be kept, and Apple may allow one stream on it until the provider token has
//! been seen. So the first request on a connection goes alone; the others follow once it is answered. hyper
//! keeps at most one HTTP/2 connection a client and opens the next when that has ended.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, redirect, retry};
use tokio::{
    sync::{MutexGuard, Semaphore},
    time::timeout,
};

use super::{Outcome, reply::Reply};

/// How long an attempt may take before it counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// For TCP and TLS.
    pub connect: Duration,
    /// From the start to the end of the answer, a new connection included.
    pub answer: Duration,
}

/// What a connection is made with.
#[derive(Clone)]
pub(super) struct Tls {
    /// Trusted beside the system's.
    pub(super) extra_roots: Vec<Certificate>,
    pub(super) time_limits: TimeLimits,
}

/// The certificates of a `ca_file`; none without one. The error says what it must be.
pub(super) fn extra_roots(pem: Option<&str>) -> Result<Vec<Certificate>, &'static str> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    match Certificate::from_pem_bundle(pem.as_bytes()) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        _ => Err("must be a PEM file with one or more certificates (BEGIN CERTIFICATE)"),
    }
}

/// Sends to one server of a provider.
pub(super) struct Connections {
    /// The provider's name, for words.
    provider: &'static str,
    tls: Tls,
    connection: Mutex<Arc<Connection>>,
    /// Of its own, so that this server's silence never takes another one's places.
    places: Semaphore,
}

/// A client, which is at most one connection at a time.
struct Connection {
    client: Client,
    /// Whether it has answered since it was last seen to fail.
    proven: AtomicBool,
    /// How often it has answered.
    answers: AtomicU64,
    /// Held by the one request that goes alone.
    first: tokio::sync::Mutex<()>,
    /// How long the others let it go alone: it may be the only one that is not answered.
    patience: Duration,
}

/// Why there is no answer. Words for a log: without the address, which may hold a device's token.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The provider did not begin with it: `REFUSED_STREAM`, or GOAWAY below it.
    #[error("{0} did not process the request: {1}")]
    NotProcessed(&'static str, String),
    /// The time limit passed.
    #[error("{0} did not answer in time")]
    Silent(&'static str),
    /// No connection, or it broke: whether the request was taken is unknown.
    #[error("the connection to {0} failed: {1}")]
    Broken(&'static str, String),
    /// It makes no HTTP request.
    #[error("the push fits no request to {0}")]
    NotSendable(&'static str),
}

impl From<NoAnswer> for Outcome {
    fn from(error: NoAnswer) -> Self {
        let reason = error.to_string();
        match error {
            NoAnswer::NotSendable(_) => Self::Unknown { reason },
            NoAnswer::NotProcessed(..) | NoAnswer::Silent(_) | NoAnswer::Broken(..) => {
                Self::Retry { after: None, reason }
            }
        }
    }
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(10) }
    }
}

impl Connections {
    /// Requests at the same time. Apple allows about 1,000 streams.
    const PLACES: usize = 200;
    /// A request that was not processed is repeated at once this often.
    const REPETITIONS: usize = 3;

    /// None yet: the first is made by the first request.
    pub(super) fn new(provider: &'static str, tls: Tls) -> Result<Self, reqwest::Error> {
        let connection = Mutex::new(Arc::new(Connection::new(&tls)?));
        Ok(Self { provider, tls, connection, places: Semaphore::new(Self::PLACES) })
    }

    /// Sends what `request` makes, and again at once as long as the provider provably did not begin with it.
    pub(super) async fn post(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Reply, NoAnswer> {
        let _place = self.places.acquire().await.expect("it is never closed");
        let mut repetitions = 0;
        loop {
            let connection = Arc::clone(&self.connection.lock().unwrap_or_else(PoisonError::into_inner));
            let answers = connection.answers.load(Ordering::Relaxed);
            let answer = connection.post(&request).await;
            match answer.map_err(|error| NoAnswer::of(self.provider, error)) {
                Err(NoAnswer::NotProcessed(..)) if repetitions < Self::REPETITIONS => repetitions += 1,
                Err(silent @ NoAnswer::Silent(_)) => {
                    // Others were answered meanwhile: then it is the request, not the connection.
                    if connection.answers.load(Ordering::Relaxed) == answers {
                        self.give_up(&connection);
                    }
                    return Err(silent);
                }
                result => return result,
            }
        }
    }

    /// Later requests take a new connection: a dead one that nobody closed would swallow every repetition.
    fn give_up(&self, silent: &Arc<Connection>) {
        let mut current = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, silent)
            && let Ok(connection) = Connection::new(&self.tls)
        {
            *current = Arc::new(connection);
        }
    }
}

impl Connection {
    /// A health check of an idle connection, as Apple suggests by PING.
    const PING_INTERVAL: Duration = Duration::from_mins(1);

    fn new(tls: &Tls) -> Result<Self, reqwest::Error> {
        let client = tls
            .client_builder()
            .http2_prior_knowledge()
            .http2_keep_alive_interval(Self::PING_INTERVAL)
            .http2_keep_alive_timeout(tls.time_limits.answer)
            .http2_keep_alive_while_idle(true)
            .pool_idle_timeout(None)
            .build()?;
        Ok(Self {
            client,
            proven: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            first: tokio::sync::Mutex::new(()),
            patience: tls.time_limits.answer / 4,
        })
    }

    async fn post(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Reply, reqwest::Error> {
        let alone = self.turn().await;
        match request(&self.client).send().await {
            Ok(response) => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                self.proven.store(true, Ordering::Release);
                drop(alone);
                Ok(Reply::read(response).await)
            }
            Err(error) => {
                self.proven.store(false, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Waits until the request may be sent; what it gives is to be held until the answer.
    async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.proven.load(Ordering::Acquire) {
            return None;
        }
        let turn = timeout(self.patience, self.first.lock()).await.ok()?;
        // The one before may have proven the connection.
        (!self.proven.load(Ordering::Acquire)).then_some(turn)
    }
}

impl Tls {
    /// What every client of a provider is made with.
    pub(super) fn client_builder(&self) -> ClientBuilder {
        Client::builder()
            .tls_backend_rustls()
            .tls_certs_merge(self.extra_roots.iter().cloned())
            .https_only(true)
            .tcp_nodelay(true)
            .connect_timeout(self.time_limits.connect)
            .timeout(self.time_limits.answer)
            .no_proxy()
            .redirect(redirect::Policy::none())
            // Repetitions are ours: one that was refused for being one too many must go alone.
            .retry(retry::never())
    }
}

impl NoAnswer {
    /// Why `provider` did not answer.
    pub(super) fn of(provider: &'static str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_builder() {
            Self::NotSendable(provider)
        } else if error.is_timeout() && !error.is_connect() {
            Self::Silent(provider)
        } else if was_not_processed(&error) {
            Self::NotProcessed(provider, causes(&error))
        } else {
            Self::Broken(provider, causes(&error))
        }
    }
}

/// Whether HTTP/2 itself says that the request was not begun with (RFC 9113, section 8.7).
fn was_not_processed(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            let went_away = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_remote() && (refused || went_away);
        }
        cause = error.source();
    }
    false
}

/// The error and what is behind it, in one line.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
