//! What is logged of refused peers: each kind at most once in a while, so that nobody fills the disk.

use std::{collections::HashMap, fmt::Display, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::time::Instant;

/// One line of each kind in so long.
const PACE: Duration = Duration::from_secs(10);

/// Why a peer was refused or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// No descriptor, no memory: nobody can be accepted for a while.
    AcceptFailed,
    /// [`super::Limits::connections`].
    TooManyConnections,
    /// [`super::Limits::connections_per_peer`].
    TooManyConnectionsOfPeer,
    /// The peer speaks no TLS that we speak, or does not trust us.
    TlsHandshakeFailed,
    /// [`super::Limits::tls_handshake`].
    TlsHandshakeTooSlow,
    /// [`super::Limits::first_request`].
    NoRequest,
    /// The peer was asked to go and did not.
    DidNotLeave,
    /// Calls went on after the connection's age and grace.
    CallsOutlivedConnection,
    /// The peer broke HTTP or one of its limits, or went away within a request.
    ConnectionFailed,
    /// [`super::Limits::response_unread`].
    ResponseUnread,
    /// [`super::Limits::calls`].
    TooManyCalls,
    /// [`super::Limits::calls_per_peer`].
    TooManyCallsOfPeer,
    /// [`super::Limits::streams`].
    TooManyStreams,
    /// [`super::Limits::streams_per_peer`].
    TooManyStreamsOfPeer,
    /// [`super::Limits::request_body_bytes`].
    BodyTooLarge,
    /// [`super::Limits::request_body`].
    BodyTooSlow,
}

/// Writes refusals to the log, within bounds.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Refusal, Line>>);

/// The last line of one kind.
#[derive(Debug)]
struct Line {
    written: Instant,
    suppressed: u64,
}

impl Refusals {
    /// Logs one, or counts it for the next line of its kind.
    pub(super) fn note(&self, refusal: Refusal, peer: Option<SocketAddr>, detail: &dyn Display) {
        let Some(suppressed) = self.due(refusal) else { return };
        let peer = peer.map(tracing::field::display);
        match refusal {
            Refusal::AcceptFailed => tracing::error!(
                wire.refusal = ?refusal, wire.suppressed = suppressed, wire.detail = %detail,
                "cannot accept connections; trying again every moment",
            ),
            Refusal::ConnectionFailed | Refusal::TlsHandshakeFailed => tracing::debug!(
                wire.refusal = ?refusal, wire.suppressed = suppressed, wire.detail = %detail, peer.address = peer,
                "a connection failed",
            ),
            _ => tracing::info!(
                wire.refusal = ?refusal, wire.suppressed = suppressed, wire.detail = %detail, peer.address = peer,
                "a peer exceeded a limit",
            ),
        }
    }

    /// How many went unwritten since the last line of this kind; `None` if it is too early for another.
    fn due(&self, refusal: Refusal) -> Option<u64> {
        let mut lines = self.0.lock().expect("nobody panics while holding it");
        let now = Instant::now();
        let Some(line) = lines.get_mut(&refusal) else {
            lines.insert(refusal, Line { written: now, suppressed: 0 });
            return Some(0);
        };
        if now < line.written + PACE {
            line.suppressed += 1;
            return None;
        }
        line.written = now;
        Some(std::mem::take(&mut line.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_of_a_kind_in_a_while_tells_how_many_were_left_out() {
        let refusals = Refusals::default();
        assert_eq!(refusals.due(Refusal::NoRequest), Some(0));
        assert_eq!(refusals.due(Refusal::NoRequest), None);
        assert_eq!(refusals.due(Refusal::NoRequest), None);
        assert_eq!(refusals.due(Refusal::BodyTooSlow), Some(0), "another kind has a line of its own");
        tokio::time::advance(PACE).await;
        assert_eq!(refusals.due(Refusal::NoRequest), Some(2));
        assert_eq!(refusals.due(Refusal::NoRequest), None);
    }
}
