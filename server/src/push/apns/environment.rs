//! One of Apple's two environments, and the one connection to it.
//!
//! Apple wants a connection to be kept, and may allow one stream on it until the provider token has been
//! seen. So the first request on a connection goes alone; the others follow once it is answered. hyper keeps
//! at most one HTTP/2 connection a client and opens the next when that has ended.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_proto::time::UnixTime;
use reqwest::{Client, Url, redirect, retry};
use tokio::{
    sync::{MutexGuard, Semaphore},
    time::timeout,
};

use super::{
    answer::Answer,
    config::{InvalidApnsConfig, Tls},
    provider_token::ProviderToken,
    request::Push,
};

/// Sends to one of Apple's environments.
pub(super) struct Environment {
    base_url: Url,
    tls: Tls,
    connection: Mutex<Arc<Connection>>,
    /// Of its own, so that this environment's silence never takes the other one's places.
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

/// Why there is no answer. Words for a log: without the address, which holds the device token.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Apple did not begin with it: `REFUSED_STREAM`, or GOAWAY below it.
    #[error("APNs did not process the request: {0}")]
    NotProcessed(String),
    /// The time limit passed.
    #[error("APNs did not answer in time")]
    Silent,
    /// No connection, or it broke: whether the push was taken is unknown.
    #[error("the connection to APNs failed: {0}")]
    Broken(String),
    /// The push makes no HTTP request.
    #[error("the challenge id or the topic fits no header")]
    NotSendable,
}

impl Environment {
    /// Requests at the same time. Apple allows about 1,000 streams.
    const PLACES: usize = 200;
    /// A request that was not processed is repeated at once this often.
    const REPETITIONS: usize = 3;

    pub(super) fn new(base_url: Url, tls: Tls) -> Result<Self, InvalidApnsConfig> {
        let connection = Connection::new(&tls).map_err(|error| InvalidApnsConfig {
            setting: "ca_file",
            allowed: format!(
                "must go with the system's certificates: no TLS client can be made ({})",
                causes(&error)
            ),
        })?;
        let connection = Mutex::new(Arc::new(connection));
        Ok(Self { base_url, tls, connection, places: Semaphore::new(Self::PLACES) })
    }

    /// Sends `push`, and again at once as long as Apple provably did not begin with it.
    pub(super) async fn post(
        &self,
        push: &Push<'_>,
        token: &ProviderToken,
        now: UnixTime,
    ) -> Result<Answer, NoAnswer> {
        let _place = self.places.acquire().await.expect("it is never closed");
        let mut repetitions = 0;
        loop {
            let connection = Arc::clone(&self.connection.lock().unwrap_or_else(PoisonError::into_inner));
            let answers = connection.answers.load(Ordering::Relaxed);
            match connection.post(&self.base_url, push, token, now).await {
                Err(NoAnswer::NotProcessed(_)) if repetitions < Self::REPETITIONS => repetitions += 1,
                Err(NoAnswer::Silent) => {
                    // Others were answered meanwhile: then it is the request, not the connection.
                    if connection.answers.load(Ordering::Relaxed) == answers {
                        self.give_up(&connection);
                    }
                    return Err(NoAnswer::Silent);
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
        let client = Client::builder()
            .tls_backend_rustls()
            .tls_certs_merge(tls.extra_roots.iter().cloned())
            .https_only(true)
            .http2_prior_knowledge()
            .http2_keep_alive_interval(Self::PING_INTERVAL)
            .http2_keep_alive_timeout(tls.time_limits.answer)
            .http2_keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .pool_idle_timeout(None)
            .connect_timeout(tls.time_limits.connect)
            .timeout(tls.time_limits.answer)
            .no_proxy()
            .redirect(redirect::Policy::none())
            // Repetitions are ours: one that was refused for being one too many must go alone.
            .retry(retry::never())
            .build()?;
        Ok(Self {
            client,
            proven: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            first: tokio::sync::Mutex::new(()),
            patience: tls.time_limits.answer / 4,
        })
    }

    async fn post(
        &self,
        base_url: &Url,
        push: &Push<'_>,
        token: &ProviderToken,
        now: UnixTime,
    ) -> Result<Answer, NoAnswer> {
        let alone = self.turn().await;
        match push.request(&self.client, base_url, token).send().await {
            Ok(response) => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                self.proven.store(true, Ordering::Release);
                drop(alone);
                Ok(Answer::read(response, now).await)
            }
            Err(error) => {
                self.proven.store(false, Ordering::Release);
                Err(error.without_url().into())
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

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() {
            Self::NotSendable
        } else if error.is_timeout() && !error.is_connect() {
            Self::Silent
        } else if was_not_processed(&error) {
            Self::NotProcessed(causes(&error))
        } else {
            Self::Broken(causes(&error))
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
fn causes(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
