//! One connection, from its handshake to its end.

use std::{
    convert::Infallible, future::Future, net::SocketAddr, ops::ControlFlow, pin::Pin, sync::Arc, task::Poll,
    time::Duration,
};

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt as _;

use super::{
    accept::Server,
    answer,
    body::LimitedBody,
    calls::{Calls, CountedBody},
    limits::Limits,
    refusals::Refusal,
    slots::NoSlot,
};

/// Who is at the other end of the connection, among the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address as the kernel tells it: behind a proxy, the proxy's.
    pub address: SocketAddr,
}

/// How hyper serves a connection within the limits.
pub(super) fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.http1_head)
        .max_buf_size(limits.http1_head_bytes)
        .max_headers(limits.http1_headers);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(limits.http2_header_list_bytes)
        .initial_stream_window_size(limits.http2_stream_window_bytes)
        .initial_connection_window_size(limits.http2_connection_window_bytes)
        .max_frame_size(limits.http2_frame_bytes)
        .max_send_buf_size(limits.http2_send_buffer_bytes)
        .keep_alive_interval(limits.http2_keepalive_interval)
        .keep_alive_timeout(limits.http2_keepalive_timeout)
        .max_pending_accept_reset_streams(limits.http2_pending_resets)
        .max_local_error_reset_streams(limits.http2_error_resets);
    http
}

/// Serves one accepted connection until it ends.
pub(super) async fn serve(stream: TcpStream, peer: Peer, server: Arc<Server>) {
    // Answers are small and awaited: they must not wait for more to send. A socket that refuses has ended.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = &server.tls else { return drive(stream, peer, &server).await };
    let handshake = timeout(server.limits.tls_handshake, acceptor.accept(stream));
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = server.shutdown.begun() => return,
    };
    match handshake {
        Ok(Ok(stream)) => drive(stream, peer, &server).await,
        Ok(Err(error)) => server.refusals.note(Refusal::TlsHandshakeFailed, Some(peer.address), &error),
        Err(late) => server.refusals.note(Refusal::TlsHandshakeTooSlow, Some(peer.address), &late),
    }
}

/// Speaks HTTP until the peer goes, or has to be asked to go, or must be cut.
async fn drive<S>(stream: S, peer: Peer, server: &Arc<Server>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let limits = &server.limits;
    let calls = Calls::new();
    let service = ConnectionService { peer, calls: calls.clone(), server: Arc::clone(server) };
    let mut connection = std::pin::pin!(server.http.serve_connection(TokioIo::new(stream), service));
    let aged = sleep_until(Instant::now() + server.connection_age());

    let unread = || async {
        calls.unread(limits.response_unread).await;
        server.refusals.note(Refusal::ResponseUnread, Some(peer.address), &"cut");
    };

    let until_asked_to_go = async {
        tokio::select! {
            ended = connection.as_mut() => {
                server.note_end(peer, ended);
                ControlFlow::Break(())
            }
            () = unread() => ControlFlow::Break(()),
            () = aged => ControlFlow::Continue(Some(limits.connection_age_grace)),
            () = calls.quiet(limits.first_request, limits.idle) => {
                if !calls.any_yet() {
                    server.refusals.note(Refusal::NoRequest, Some(peer.address), &"no request in time");
                }
                ControlFlow::Continue(Some(limits.connection_age_grace))
            }
            // The accept loop itself ends the wait for a drain.
            () = server.shutdown.begun() => ControlFlow::Continue(None),
        }
    };
    let ControlFlow::Continue(grace) = after_others(until_asked_to_go).await else { return };
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => server.note_end(peer, ended),
        () = unread() => {}
        refusal = overstay(&calls, grace, limits.leave) => {
            let detail = format!("cut with {} calls in flight", calls.in_flight());
            server.refusals.note(refusal, Some(peer.address), &detail);
        }
    }
}

/// Runs `connection`, each time that it is woken, after everything that is ready to run: so calls that are
/// answered at the same time share one write to the socket. Without it the first answer would be written alone,
/// because the runtime runs next what was woken last.
async fn after_others<T>(connection: impl Future<Output = T>) -> T {
    let mut connection = std::pin::pin!(connection);
    let mut is_its_turn = true;
    std::future::poll_fn(|context| {
        is_its_turn = !is_its_turn;
        if is_its_turn {
            return connection.as_mut().poll(context);
        }
        // Whoever wakes himself while he runs goes to the end of the queue.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Ends when a peer that was asked to go has stayed too long: with calls in flight for `grace` (with `None`
/// for as long as it takes), without any for `leave`.
async fn overstay(calls: &Calls, grace: Option<Duration>, leave: Duration) -> Refusal {
    let asked = Instant::now();
    let cut = async {
        match grace {
            Some(grace) => sleep_until(asked + grace).await,
            None => std::future::pending().await,
        }
    };
    let left_alone = async {
        // Quiet before it was asked does not count: the answer to the asking takes its time.
        sleep_until(asked + leave).await;
        calls.quiet(leave, leave).await;
    };
    tokio::select! {
        () = left_alone => Refusal::DidNotLeave,
        () = cut => Refusal::CallsOutlivedConnection,
    }
}

/// The router as hyper calls it, for one connection.
struct ConnectionService {
    peer: Peer,
    calls: Calls,
    server: Arc<Server>,
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_stream = self.server.limits.is_long_lived(request.uri().path());
        let slots = if is_stream { &self.server.stream_slots } else { &self.server.call_slots };
        let slot = match slots.take(self.peer.address.ip()) {
            Ok(slot) => slot,
            Err(no_slot) => {
                let refusal = refusal(no_slot, is_stream);
                return Box::pin(std::future::ready(Ok(self.refuse(&request, refusal))));
            }
        };
        let call = self.calls.begin(Some(slot));
        let mut request = request
            .map(|body| axum::body::Body::new(LimitedBody::new(body, self.peer, Arc::clone(&self.server))));
        request.extensions_mut().insert(self.peer);
        let answer = self.server.router.clone().oneshot(request);
        Box::pin(async move { Ok(answer.await?.map(|body| CountedBody::new(body, call))) })
    }
}

impl ConnectionService {
    fn refuse(&self, request: &Request<Incoming>, refusal: Refusal) -> Response<CountedBody> {
        self.server.refusals.note(refusal, Some(self.peer.address), &"answered at once");
        let plain = (StatusCode::SERVICE_UNAVAILABLE, "Too many calls at once.\n");
        let answer =
            answer::in_language_of(request.headers(), crate::refusal::Refusal::RateLimited.into(), plain);
        let call = self.calls.begin(None);
        answer.map(|body| CountedBody::new(body, call))
    }
}

fn refusal(no_slot: NoSlot, is_stream: bool) -> Refusal {
    match (no_slot, is_stream) {
        (NoSlot::Full, false) => Refusal::TooManyCalls,
        (NoSlot::ShareTaken, false) => Refusal::TooManyCallsOfPeer,
        (NoSlot::Full, true) => Refusal::TooManyStreams,
        (NoSlot::ShareTaken, true) => Refusal::TooManyStreamsOfPeer,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn a_connection_runs_after_what_is_ready_to_run() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let order = Arc::clone(&order);
            async move { order.lock().expect("sound").push(what) }
        };
        let connection = tokio::spawn(after_others(note("the connection")));
        let calls = [tokio::spawn(note("a call")), tokio::spawn(note("another call"))];
        for task in calls.into_iter().chain([connection]) {
            task.await.expect("it runs");
        }
        assert_eq!(*order.lock().expect("sound"), ["a call", "another call", "the connection"]);
    }
}
