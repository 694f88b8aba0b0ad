//! The accept loop and its drain.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{
    connection::{self, Peer},
    limits::Limits,
    refusals::{Refusal, Refusals},
    shutdown::Shutdown,
    slots::{NoSlot, Slots},
};
use crate::random::{self, SharedRandom};

/// How long the loop rests when the machine can give it no further connection.
const REST: Duration = Duration::from_millis(100);

/// What a drain had to cut when its time was up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had not ended.
    pub connections_cut: usize,
    /// Calls and streams that were in flight on them.
    pub calls_cut: usize,
}

/// Serves `router` on `listener`, over TLS when `tls` is given, until `shutdown` begins. Then it accepts
/// nobody any more, asks every connection to go, waits for the calls in flight, [`Limits::drain`] at most,
/// and cuts what is left.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
    random: SharedRandom,
) -> Drained {
    let server = Arc::new(Server {
        http: connection::http(&limits),
        slots: Slots::new(limits.connections, limits.connections_per_peer),
        call_slots: Slots::new(limits.calls, limits.calls_per_peer),
        stream_slots: Slots::new(limits.streams, limits.streams_per_peer),
        tls: tls.map(TlsAcceptor::from),
        refusals: Refusals::default(),
        router,
        limits,
        shutdown,
        random,
    });
    let mut connections = JoinSet::new();
    accept(&listener, &server, &mut connections).await;
    // From here on the kernel refuses whoever comes.
    drop(listener);
    drain(&server, connections).await
}

/// What all connections share.
pub(super) struct Server {
    pub(super) limits: Limits,
    pub(super) http: auto::Builder<TokioExecutor>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) router: Router,
    pub(super) shutdown: Shutdown,
    pub(super) refusals: Refusals,
    pub(super) call_slots: Arc<Slots>,
    pub(super) stream_slots: Arc<Slots>,
    slots: Arc<Slots>,
    random: SharedRandom,
}

impl Server {
    /// The age for one connection: the limit and some of the jitter.
    pub(super) fn connection_age(&self) -> Duration {
        let share = u32::from_le_bytes(random::bytes(&*self.random));
        self.limits.connection_age + jitter(self.limits.connection_age_jitter, share)
    }

    /// Logs how a connection ended, if it ended badly.
    pub(super) fn note_end(&self, peer: Peer, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
        if let Err(error) = ended {
            self.refusals.note(Refusal::ConnectionFailed, Some(peer.address), &format_args!("{error:?}"));
        }
    }
}

/// `share` of `u32::MAX` parts of the longest jitter.
fn jitter(longest: Duration, share: u32) -> Duration {
    longest.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

/// Accepts until the shutdown begins.
async fn accept(listener: &TcpListener, server: &Arc<Server>, connections: &mut JoinSet<()>) {
    let mut resting_until = None;
    loop {
        tokio::select! {
            () = server.shutdown.begun() => return,
            Some(ended) = connections.join_next() => note_panic(ended),
            () = sleep_until(resting_until.unwrap_or_else(Instant::now)), if resting_until.is_some() => {
                resting_until = None;
            }
            accepted = listener.accept(), if resting_until.is_none() => match accepted {
                Ok((stream, address)) => admit(stream, address, server, connections),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    server.refusals.note(Refusal::AcceptFailed, None, &error);
                    resting_until = Some(Instant::now() + REST);
                }
            },
        }
    }
}

/// Starts serving a connection if there is a place for it; else it is closed by being dropped.
fn admit(stream: TcpStream, address: SocketAddr, server: &Arc<Server>, connections: &mut JoinSet<()>) {
    let refusal = match server.slots.take(address.ip()) {
        Ok(slot) => {
            let server = Arc::clone(server);
            connections.spawn(async move {
                let _slot = slot;
                connection::serve(stream, Peer { address }, server).await;
            });
            return;
        }
        Err(NoSlot::Full) => Refusal::TooManyConnections,
        Err(NoSlot::ShareTaken) => Refusal::TooManyConnectionsOfPeer,
    };
    server.refusals.note(refusal, Some(address), &"closed at once");
}

/// Errors that tell of the connection that was to be accepted, not of the listener or the process
/// (accept(2): a network error of the new socket is passed on by Linux).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Waits for the connections, which were all asked to go by the shutdown, and cuts what is left.
async fn drain(server: &Server, mut connections: JoinSet<()>) -> Drained {
    let until = Instant::now() + server.limits.drain;
    while let Ok(Some(ended)) = timeout_at(until, connections.join_next()).await {
        note_panic(ended);
    }
    let calls_cut = server.call_slots.taken() + server.stream_slots.taken();
    let drained = Drained { connections_cut: connections.len(), calls_cut };
    connections.shutdown().await;
    drained
}

/// A handler that panics on HTTP/1 takes its connection along: the panic's own message has been printed, and
/// here it reaches the log.
fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(wire.detail = %error, "a connection ended by a panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jitter_spreads_from_nothing_to_its_whole() {
        let longest = Duration::from_mins(3);
        assert_eq!(jitter(longest, 0), Duration::ZERO);
        assert_eq!(jitter(longest, u32::MAX / 2).as_secs(), 89);
        assert_eq!(jitter(longest, u32::MAX), longest);
    }

    #[test]
    fn only_errors_of_the_process_make_the_loop_rest() {
        /// EMFILE, ENFILE, ENOBUFS, ENOMEM of Linux.
        const OF_THE_PROCESS: [i32; 4] = [24, 23, 105, 12];
        /// ECONNABORTED, EHOSTUNREACH, EINTR of Linux.
        const OF_ONE_CONNECTION: [i32; 3] = [103, 113, 4];
        for number in OF_THE_PROCESS {
            assert!(!is_of_one_connection(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for number in OF_ONE_CONNECTION {
            assert!(is_of_one_connection(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
