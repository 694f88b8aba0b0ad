//! What really went over the wire, as its two ends saw it: nothing here is made up for the screen.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http_body_util::BodyExt as _;
use tonic::{
    Code,
    body::Body,
    transport::{Channel, Error},
};
use tower::Service;

/// One call, or one push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    took: Duration,
    line: String,
}

/// What has passed and was not printed yet, shared by all who see something.
#[derive(Clone, Default)]
pub(super) struct Traffic(Arc<Mutex<Vec<Passed>>>);

impl Traffic {
    /// Notes what began at `since` and has just ended.
    pub(super) fn note(&self, since: Instant, line: String) {
        self.lock().push(Passed { took: since.elapsed(), line });
    }

    /// Everything since the last time, in the order in which it ended.
    pub(super) fn take(&self) -> Vec<Passed> {
        mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Passed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} ms  {}", self.took.as_millis(), self.line)
    }
}

/// A connection that notes of each call its path, and the status that came back.
#[derive(Clone)]
pub(super) struct Watched {
    channel: Channel,
    traffic: Traffic,
}

impl Watched {
    /// Watches `channel`.
    pub(super) fn new(channel: Channel, traffic: Traffic) -> Self {
        Self { channel, traffic }
    }
}

impl Service<http::Request<Body>> for Watched {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let (since, path) = (Instant::now(), request.uri().path().to_owned());
        let traffic = self.traffic.clone();
        let answer = self.channel.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // A refusal has its status among the headers; an answer has it behind its body.
            if let Some(status) = status_in(answer.headers()) {
                traffic.note(since, format!("{path} {status}"));
                return Ok(answer);
            }
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    if let Some(status) = frame.trailers_ref().and_then(status_in) {
                        traffic.note(since, format!("{path} {status}"));
                    }
                    frame
                }))
            }))
        })
    }
}

/// `grpc-status` by its name, such as `FAILED_PRECONDITION`.
fn status_in(headers: &http::HeaderMap) -> Option<String> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    let name = format!("{code:?}");
    if code == Code::Ok {
        return Some("OK".to_owned());
    }
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(character.to_ascii_uppercase());
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_its_name() {
        let status = |code: &'static str| {
            status_in(&http::HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                http::HeaderValue::from_static(code),
            )]))
        };
        assert_eq!(status("0").as_deref(), Some("OK"));
        assert_eq!(status("9").as_deref(), Some("FAILED_PRECONDITION"));
        assert_eq!(status("5").as_deref(), Some("NOT_FOUND"));
        assert_eq!(status_in(&http::HeaderMap::new()), None);
    }

    #[test]
    fn what_passed_is_told_once_and_with_its_milliseconds() {
        let traffic = Traffic::default();
        traffic.clone().note(Instant::now(), "POST /3/device/00fc13ad... 200".to_owned());
        let told: Vec<_> = traffic.take().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["    0 ms  POST /3/device/00fc13ad... 200"]);
        assert_eq!(traffic.take(), []);
    }
}
