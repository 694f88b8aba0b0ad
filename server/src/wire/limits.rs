//! What one peer may take of the server.

use std::time::Duration;

/// The limits of the accept loop, of its connections and of the calls on them.
///
/// All memory that strangers can claim is bounded by these: connections times streams times windows, headers
/// and bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. One more is accepted and closed at once: its peer learns it immediately and can
    /// ask another server, and the queue of the kernel stays free for whoever comes when a place is free.
    /// The process needs about that many file descriptors.
    pub connections: usize,
    /// Connections at once from one address (IPv6: from one /64 network, which is what one customer gets).
    /// Behind a proxy all connections come from it: set it to [`Limits::connections`] there, and
    /// [`Limits::calls_per_peer`] to [`Limits::calls`].
    pub connections_per_peer: usize,
    /// How long a TLS handshake may take.
    pub tls_handshake: Duration,
    /// How long a new connection may take until its first whole request head has come. It ends silent
    /// clients and ones that stall within the HTTP/2 preface or the first head.
    pub first_request: Duration,
    /// How long a connection may stay without any call in flight.
    pub idle: Duration,
    /// The age at which a connection is asked to go (GOAWAY, or `connection: close`), so that the load
    /// spreads over servers that were added since. Calls in flight go on.
    pub connection_age: Duration,
    /// Up to so much is added to the age of each connection, at random, so that they do not all come back
    /// at once.
    pub connection_age_jitter: Duration,
    /// How long calls may go on after their connection was asked to go; then it is cut. It should be longer
    /// than the longest call or stream.
    pub connection_age_grace: Duration,
    /// How long a peer that was asked to go, and has no call in flight, may stay.
    pub leave: Duration,
    /// How long a drain waits for calls in flight before they are cut.
    pub drain: Duration,

    /// HTTP/2: calls at once on one connection; further ones are refused (`REFUSED_STREAM`: nothing was done).
    pub http2_streams: u32,
    /// HTTP/2: bytes of all header fields of a request as RFC 9113, section 6.5.2, counts them. More is
    /// answered by 431.
    pub http2_header_list_bytes: u32,
    /// HTTP/2: bytes of a request body that may be under way before the handler reads, for one stream.
    pub http2_stream_window_bytes: u32,
    /// HTTP/2: the same for all streams of a connection.
    pub http2_connection_window_bytes: u32,
    /// HTTP/2: bytes of the largest frame (16,384 to 16,777,215).
    pub http2_frame_bytes: u32,
    /// HTTP/2: bytes of a response that wait for the peer to read, for one stream.
    pub http2_send_buffer_bytes: usize,
    /// HTTP/2: how often the peer is pinged.
    pub http2_keepalive_interval: Duration,
    /// HTTP/2: how long the peer may take to answer a ping; then it is taken for dead and cut.
    pub http2_keepalive_timeout: Duration,
    /// HTTP/2: streams which the peer has reset and which have not yet reached a handler ('rapid reset',
    /// CVE-2023-44487). More ends the connection with `ENHANCE_YOUR_CALM`.
    pub http2_pending_resets: usize,
    /// HTTP/2: streams that the server had to reset for errors of the peer. More ends the connection
    /// likewise.
    pub http2_error_resets: usize,

    /// HTTP/1: how long the head of a request may take from its first byte.
    pub http1_head: Duration,
    /// HTTP/1: bytes of a request's head (at least 8,192). More is answered by 431.
    pub http1_head_bytes: usize,
    /// HTTP/1: header fields of a request. More is answered by 431.
    pub http1_headers: usize,

    /// Bytes of a whole request body, whatever is in it. Single messages have their own limit at their
    /// service.
    pub request_body_bytes: u64,
    /// How long a request body may take to arrive as a whole. It ends a request that comes byte by byte,
    /// and a client's stream of requests.
    pub request_body: Duration,
    /// How long a gRPC call may take, a stream that is not among [`Limits::long_lived`] included, if its caller does not
    /// ask for less.
    pub call: Duration,
    /// Paths of the calls whose answers are streams that stay open for long. They have limits of their own, the next
    /// three, in place of those of calls.
    pub long_lived: &'static [&'static str],
    /// How long such a stream may stay open, if its caller does not ask for less. Its handler ends it before.
    pub stream: Duration,
    /// Such streams at once on all connections; further ones are answered `RESOURCE_EXHAUSTED`.
    pub streams: usize,
    /// Such streams at once from one address, counted as for [`Limits::connections_per_peer`].
    pub streams_per_peer: usize,
    /// How long a peer may leave the next piece of a response unread; then its connection is cut, with all
    /// that the server keeps for it.
    pub response_unread: Duration,
    /// Calls at once on all connections; further ones are answered `RESOURCE_EXHAUSTED` (503 if not gRPC).
    pub calls: usize,
    /// Calls at once from one address, counted as for [`Limits::connections_per_peer`].
    pub calls_per_peer: usize,
}

impl Limits {
    /// Whether the call at `path` is one of [`Limits::long_lived`].
    pub(super) fn is_long_lived(&self, path: &str) -> bool {
        self.long_lived.contains(&path)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_peer: 256,
            tls_handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(30),
            idle: Duration::from_mins(5),
            connection_age: Duration::from_hours(1),
            connection_age_jitter: Duration::from_mins(6),
            connection_age_grace: Duration::from_mins(17),
            leave: Duration::from_secs(5),
            drain: Duration::from_secs(20),
            http2_streams: 1000,
            http2_header_list_bytes: 16 * 1024,
            http2_stream_window_bytes: 64 * 1024,
            http2_connection_window_bytes: 1024 * 1024,
            http2_frame_bytes: 16 * 1024,
            http2_send_buffer_bytes: 64 * 1024,
            http2_keepalive_interval: Duration::from_mins(1),
            http2_keepalive_timeout: Duration::from_secs(20),
            http2_pending_resets: 20,
            http2_error_resets: 256,
            http1_head: Duration::from_secs(10),
            http1_head_bytes: 16 * 1024,
            http1_headers: 64,
            request_body_bytes: 1024 * 1024,
            request_body: Duration::from_secs(30),
            call: Duration::from_secs(90),
            long_lived: &[],
            stream: Duration::from_mins(16),
            streams: 20_000,
            streams_per_peer: 4 * 1024,
            response_unread: Duration::from_secs(30),
            calls: 16 * 1024,
            calls_per_peer: 4 * 1024,
        }
    }
}
