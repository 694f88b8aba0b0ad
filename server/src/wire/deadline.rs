//! `grpc-timeout`: until when a caller waits for a gRPC call, and the end of streams at a shutdown.
//!
//! The format is that of "gRPC over HTTP2", section Requests: at most eight digits and a unit. The spec does
//! not say what becomes of another value. grpc-go refuses the call, tonic goes on without a deadline; here
//! it is refused, since a caller that asked for a limit must not wait without one.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;
use tower::Service;

use super::{answer, limits::Limits, shutdown::Shutdown};
use crate::refusal::Refusal;

/// When the call that carries it, among the extensions of its request, is answered `DEADLINE_EXCEEDED` and
/// its handler dropped: the caller's `grpc-timeout`, or the server's own limit if that is sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// What is left of the time; zero once it is over.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// What bounds every gRPC call.
#[derive(Debug)]
pub(super) struct CallBounds {
    /// The limits of time.
    pub(super) limits: Limits,
    /// Ends the streams.
    pub(super) shutdown: Shutdown,
}

/// A service whose calls keep within their bounds. A handler that is dropped at its deadline leaves nothing half
/// done: what must not be torn runs in a task of its own.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    pub(super) inner: S,
    pub(super) bounds: Arc<CallBounds>,
}

impl<S, B> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let asked = match asked(request.headers()) {
            Ok(asked) => asked,
            Err(refusal) => return Box::pin(std::future::ready(Ok(refusal.into_http()))),
        };
        let CallBounds { limits, shutdown } = &*self.bounds;
        let start = Instant::now();
        let until = |longest: Duration| start + asked.map_or(longest, |asked| asked.min(longest));
        let head_until = until(limits.call);
        let is_long_lived = limits.is_long_lived(request.uri().path());
        let body_until = if is_long_lived { until(limits.stream) } else { head_until };
        let end = End::Ahead { until: body_until, shutdown: shutdown.clone() };
        request.extensions_mut().insert(Deadline(head_until));
        let answer = timeout_at(head_until, self.inner.call(request));
        Box::pin(async move {
            let Ok(response) = answer.await else { return Ok(answer::deadline_exceeded().into_http()) };
            // A stream lives no longer than its limit either, or strangers could hold every place with streams
            // that nothing is ever sent on. Who needs longer opens it again.
            Ok(response?.map(|body| Body::new(EndingBody { body, end })))
        })
    }
}

/// Reads `grpc-timeout`.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    parse(value).map(Some).ok_or_else(answer::malformed_timeout)
}

fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount * 60 * 60)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Why a stream that goes on has to end.
async fn ended(until: Instant, shutdown: Shutdown) -> Status {
    tokio::select! {
        () = sleep_until(until) => answer::deadline_exceeded(),
        () = shutdown.begun() => Refusal::ShuttingDown.into(),
    }
}

/// A response's body that ends with a status when it has to wait for more and must not. A unary answer
/// never waits; streams (`Health.Watch`, reflection) would else go on until a drain cuts them, which their
/// callers could not tell from a fault.
struct EndingBody {
    body: Body,
    end: End,
}

/// Why the body must not wait any more.
enum End {
    /// Nothing yet, and the body has not had to wait: nobody looks. That is all that a unary answer comes to.
    Ahead { until: Instant, shutdown: Shutdown },
    /// Nothing yet.
    Awaited(Pin<Box<dyn Future<Output = Status> + Send>>),
    /// It goes on for as long as it need not wait.
    Come(Status),
    /// It has ended by it.
    Told,
}

impl EndingBody {
    /// Looks whether the end has come; else the context is woken when it does.
    fn poll_end(&mut self, context: &mut Context<'_>) {
        if let End::Ahead { until, shutdown } = &self.end {
            self.end = End::Awaited(Box::pin(ended(*until, shutdown.clone())));
        }
        if let End::Awaited(ended) = &mut self.end
            && let Poll::Ready(status) = ended.as_mut().poll(context)
        {
            self.end = End::Come(status);
        }
    }
}

impl http_body::Body for EndingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if matches!(self.end, End::Told) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        self.poll_end(context);
        let End::Come(status) = &self.end else { return Poll::Pending };
        let trailers = trailers(status);
        self.end = End::Told;
        Poll::Ready(Some(trailers))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Told) || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn trailers(status: &Status) -> Result<Frame<Bytes>, axum::Error> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).map_err(axum::Error::new)?;
    Ok(Frame::trailers(trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_the_largest_value_fits() {
        for (text, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
            ("0S", Duration::ZERO),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(parse(&HeaderValue::from_static(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "S", "5", "5s", "123456789S", "-1S", "+1S", "1.5S", " 5S", "5 S", "5SS"] {
            assert_eq!(parse(&HeaderValue::from_static(text)), None, "{text}");
        }
        assert_eq!(parse(&HeaderValue::from_bytes("5\u{b5}".as_bytes()).expect("opaque")), None);
    }
}
