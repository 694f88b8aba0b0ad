//! A request's body within its limits of size and time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::{accept::Server, connection::Peer, refusals::Refusal};

/// What a handler reads of a request's body. Its errors are gRPC statuses, which tonic's decoder hands on to
/// the caller as they are.
pub(super) struct LimitedBody {
    body: Incoming,
    left_bytes: u64,
    until: Instant,
    // Made when the body first lets us wait: most bodies are there at once.
    timer: Option<Pin<Box<Sleep>>>,
    peer: Peer,
    server: Arc<Server>,
}

impl LimitedBody {
    pub(super) fn new(body: Incoming, peer: Peer, server: Arc<Server>) -> Self {
        let left_bytes = server.limits.request_body_bytes;
        let until = Instant::now() + server.limits.request_body;
        Self { body, left_bytes, until, timer: None, peer, server }
    }

    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Status> {
        let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
        if let Some(left) = self.left_bytes.checked_sub(bytes) {
            self.left_bytes = left;
            return Ok(());
        }
        let message = format!("must not have more than {} bytes", self.server.limits.request_body_bytes);
        Err(self.refuse(Refusal::BodyTooLarge, message))
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        let until = self.until;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        timer.as_mut().poll(context).map(|()| {
            let message = format!("must arrive within {:?}", self.server.limits.request_body);
            self.refuse(Refusal::BodyTooSlow, message)
        })
    }

    fn refuse(&self, refusal: Refusal, problem: String) -> Status {
        self.server.refusals.note(refusal, Some(self.peer.address), &problem);
        crate::refusal::Refusal::field("the request's body", problem).into()
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match self.count(&frame) {
                Ok(()) => Poll::Ready(Some(Ok(frame))),
                Err(status) => Poll::Ready(Some(Err(status.into()))),
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_timer(context).map(|status| Some(Err(status.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
