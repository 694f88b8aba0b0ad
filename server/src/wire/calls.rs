//! The calls in flight on one connection: how long there has been none, and how long a response waits for
//! its peer.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::slots::Slot;

/// Counts the calls of one connection.
///
/// A call changes this half a dozen times, so nobody is told of a change. Who waits for a time to be over looks
/// again when it could be at the earliest, whatever happens until then.
#[derive(Clone, Debug)]
pub(super) struct Calls(Arc<Mutex<Activity>>);

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
        let activity = Activity { in_flight: 0, begun: 0, quiet_since, unread: BTreeSet::new() };
        Self(Arc::new(Mutex::new(activity)))
    }

    /// Counts one more, which takes `slot` of the server's places if it has work to do.
    pub(super) fn begin(&self, slot: Option<Slot>) -> CallInFlight {
        let mut activity = self.activity();
        activity.in_flight += 1;
        activity.begun += 1;
        let number = activity.begun;
        drop(activity);
        CallInFlight { calls: self.clone(), number, unread_since: None, _slot: slot }
    }

    pub(super) fn any_yet(&self) -> bool {
        self.activity().begun > 0
    }

    pub(super) fn in_flight(&self) -> usize {
        self.activity().in_flight
    }

    /// Ends once there has been no call in flight for `idle`, or no call at all for `first`.
    pub(super) async fn quiet(&self, first: Duration, idle: Duration) {
        overdue(|now| {
            let activity = self.activity();
            match (activity.begun > 0, activity.in_flight) {
                (true, 0) => activity.quiet_since + idle,
                (true, _) => now + idle,
                // The first call may come, and go, in this moment.
                (false, _) => (activity.quiet_since + first).min(now + idle),
            }
        })
        .await;
    }

    /// Ends once a response has waited for its peer for `limit`.
    pub(super) async fn unread(&self, limit: Duration) {
        overdue(|now| self.activity().unread.first().map_or(now, |(since, _)| *since) + limit).await;
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when a time is over: `earliest` tells when that will be at the earliest, as things stand now.
async fn overdue(earliest: impl Fn(Instant) -> Instant) {
    loop {
        let now = Instant::now();
        let earliest = earliest(now);
        if earliest <= now {
            return;
        }
        sleep_until(earliest).await;
    }
}

impl CallInFlight {
    /// Tells since when the response has had something that the connection has not asked for.
    fn set_unread(&mut self, since: Option<Instant>) {
        let mut activity = self.calls.activity();
        if let Some(before) = self.unread_since {
            activity.unread.remove(&(before, self.number));
        }
        if let Some(since) = since {
            activity.unread.insert((since, self.number));
        }
        drop(activity);
        self.unread_since = since;
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.set_unread(None);
        let mut activity = self.calls.activity();
        activity.in_flight -= 1;
        activity.quiet_since = Instant::now();
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(10);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_call_is_quiet_when_its_time_is_over() {
        let start = Instant::now();
        Calls::new().quiet(FIRST, IDLE).await;
        assert_eq!(start.elapsed(), FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_from_the_end_of_its_last_call_on_though_nobody_tells_of_it() {
        let (start, calls) = (Instant::now(), Calls::new());
        let work = async {
            for (from, until) in [(4, 5), (14, 37)] {
                sleep_until(start + seconds(from)).await;
                let _call = calls.begin(None);
                sleep_until(start + seconds(until)).await;
            }
        };
        tokio::join!(work, calls.quiet(FIRST, IDLE));
        assert_eq!(start.elapsed(), seconds(37) + IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_unread_from_its_own_beginning_on() {
        let (start, calls) = (Instant::now(), Calls::new());
        let answer = async |from: u64, until: u64| {
            sleep_until(start + seconds(from)).await;
            let mut call = calls.begin(None);
            call.set_unread(Some(Instant::now()));
            sleep_until(start + seconds(until)).await;
        };
        let unread = async {
            calls.unread(IDLE).await;
            start.elapsed()
        };
        let (after, ..) = tokio::join!(unread, answer(1, 9), answer(4, 13), answer(8, 60));
        assert_eq!(after, seconds(8) + IDLE);
    }
}
