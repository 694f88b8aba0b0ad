//! Events of a use case as the stream of a gRPC answer. The next one is asked for once the peer takes more.

use std::pin::Pin;

use futures_util::{Stream, stream::unfold};
use tonic::Status;

use crate::refusal::Refusal;

/// What a handler answers with.
pub(super) type EventStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// What happens one after the other.
pub(super) trait Events: Send + 'static {
    /// One event, as it is sent.
    type Message: Send + 'static;

    /// The next event; a refusal is the last. None: it is over.
    fn next(&mut self) -> impl Future<Output = Option<Result<Self::Message, Refusal>>> + Send;
}

/// The events as they happen.
pub(super) fn events<E: Events>(events: E) -> EventStream<E::Message> {
    Box::pin(unfold(events, |mut events| async move {
        let event = events.next().await?;
        Some((event.map_err(Status::from), events))
    }))
}
