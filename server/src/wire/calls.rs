//! The calls in flight on one connection: how long there has been none, and how long a response waits for
//! its peer.

use std::{
    collections::BTreeSet,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::slots::Slot;

/// Counts the calls of one connection.
#[derive(Clone, Debug)]
pub(super) struct Calls(watch::Sender<Activity>);

#[derive(Debug)]
struct Activity {
    in_flight: usize,
    begun: u64,
    quiet_since: Instant,
    /// The calls whose response has something to send, by how long the connection has not asked for it.
    unread: BTreeSet<(Instant, u64)>,
}

/// One call, from its head to the end of its response's body; over when dropped.
#[derive(Debug)]
pub(super) struct CallInFlight {
    calls: Calls,
    number: u64,
    unread_since: Option<Instant>,
    _slot: Option<Slot>,
}

impl Calls {
    /// None yet.
    pub(super) fn new() -> Self {
        let quiet_since = Instant::now();
        Self(watch::Sender::new(Activity { in_flight: 0, begun: 0, quiet_since, unread: BTreeSet::new() }))
    }

    /// Counts one more, which takes `slot` of the server's places if it has work to do.
    pub(super) fn begin(&self, slot: Option<Slot>) -> CallInFlight {
        let mut number = 0;
        self.0.send_modify(|activity| {
            activity.in_flight += 1;
            activity.begun += 1;
            number = activity.begun;
        });
        CallInFlight { calls: self.clone(), number, unread_since: None, _slot: slot }
    }

    pub(super) fn any_yet(&self) -> bool {
        self.0.borrow().begun > 0
    }

    pub(super) fn in_flight(&self) -> usize {
        self.0.borrow().in_flight
    }

    /// Ends once there has been no call in flight for `idle`, or no call at all for `first`.
    pub(super) async fn quiet(&self, first: Duration, idle: Duration) {
        self.overdue(|activity| {
            let limit = if activity.begun > 0 { idle } else { first };
            (activity.in_flight == 0).then(|| activity.quiet_since + limit)
        })
        .await;
    }

    /// Ends once a response has waited for its peer for `limit`.
    pub(super) async fn unread(&self, limit: Duration) {
        self.overdue(|activity| activity.unread.first().map(|(since, _)| *since + limit)).await;
    }

    /// Ends when the time that `due` tells has come and is still told.
    async fn overdue(&self, due: impl Fn(&Activity) -> Option<Instant>) {
        let mut changes = self.0.subscribe();
        loop {
            let due = due(&changes.borrow_and_update());
            // The sender lives in `self`, so a change is all that `changed` can tell.
            match due {
                None => drop(changes.changed().await),
                Some(due) if timeout_at(due, changes.changed()).await.is_err() => return,
                Some(_) => {}
            }
        }
    }
}

impl CallInFlight {
    /// Tells since when the response has had something that the connection has not asked for.
    fn set_unread(&mut self, since: Option<Instant>) {
        let key = |since: Instant| (since, self.number);
        self.calls.0.send_modify(|activity| {
            if let Some(before) = self.unread_since {
                activity.unread.remove(&key(before));
            }
            if let Some(since) = since {
                activity.unread.insert(key(since));
            }
        });
        self.unread_since = since;
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.set_unread(None);
        self.calls.0.send_modify(|activity| {
            activity.in_flight -= 1;
            activity.quiet_since = Instant::now();
        });
    }
}

/// A response's body that keeps its call in flight until it is through.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Body,
    call: CallInFlight,
}

impl CountedBody {
    pub(super) fn new(body: Body, mut call: CallInFlight) -> Self {
        call.set_unread(Some(Instant::now()));
        Self { body, call }
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // A body that is asked and has nothing waits for its handler. One that has given something waits
        // for the connection to ask again, which hyper does when the peer has room.
        let since = frame.is_ready().then(Instant::now);
        if since.is_some() || self.call.unread_since.is_some() {
            self.call.set_unread(since);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
