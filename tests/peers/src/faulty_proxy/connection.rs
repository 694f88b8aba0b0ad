//! One connection through the proxy.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

use super::{
    Mode, Shared,
    replies::{Piece, Replies},
    requests::Requests,
};

const BUFFER: usize = 64 * 1024;

/// Forwards both ways until one side ends, or the test has the connection cut.
pub(super) async fn serve(line: Line, mut client: TcpStream, upstream: SocketAddr) -> io::Result<()> {
    if line.is_cut() {
        return Ok(());
    }
    let mut upstream = TcpStream::connect(upstream).await?;
    // Without it a small message waits 40 ms for an acknowledgement.
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_upstream, to_upstream) = upstream.split();
    let lost = tokio::select! {
        () = line.cut() => return Ok(()),
        lost = line.forward_requests(from_client, to_upstream) => lost?,
        ended = line.forward_replies(from_upstream, to_client) => return ended,
    };
    if let Some(lost) = lost {
        let handled = answer_everything(&mut upstream).await;
        drop(client);
        handled?;
        // Nobody need wait for it.
        let _ = lost.send(());
    }
    Ok(())
}

/// Returns when the server has done all it was asked to on this connection: it closes the connection when it
/// reads the end that is sent here, and it reads that last.
async fn answer_everything(upstream: &mut TcpStream) -> io::Result<()> {
    upstream.shutdown().await?;
    tokio::io::copy(upstream, &mut tokio::io::sink()).await?;
    Ok(())
}

/// What a connection has of its proxy.
pub(super) struct Line {
    shared: Arc<Shared>,
    /// How often the proxy had cut its connections when this one was taken.
    cuts: u64,
    /// Requests without a reply.
    under_way: AtomicUsize,
}

impl Line {
    /// For a connection that has just been taken.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let cuts = shared.state.borrow().cuts;
        Self { shared: Arc::clone(shared), cuts, under_way: AtomicUsize::new(0) }
    }

    fn is_cut(&self) -> bool {
        let state = self.shared.state.borrow();
        state.cuts != self.cuts || state.mode == Mode::Refuse
    }

    async fn cut(&self) {
        let mut state = self.shared.state.subscribe();
        let _ = state.wait_for(|state| state.cuts != self.cuts || state.mode == Mode::Refuse).await;
    }

    /// The mode, once it is one that lets anything through. None if the connection is cut.
    async fn mode(&self) -> Option<Mode> {
        let mut state = self.shared.state.subscribe();
        let state =
            state.wait_for(|state| state.cuts != self.cuts || state.mode != Mode::Stall).await.ok()?;
        (state.cuts == self.cuts && state.mode != Mode::Refuse).then_some(state.mode)
    }

    /// Returns when the client ends, or, with whom to tell, after a request whose reply is to be lost.
    async fn forward_requests(
        &self,
        mut client: impl AsyncRead + Unpin,
        mut upstream: impl AsyncWrite + Unpin,
    ) -> io::Result<Option<oneshot::Sender<()>>> {
        let mut requests = Requests::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = client.read(&mut buffer).await?;
            if length == 0 {
                return Ok(None);
            }
            requests.push(&buffer[..length]);
            while let Some(request) = requests.next() {
                if self.mode().await.is_none() {
                    return Ok(None);
                }
                let lost = self.shared.loses_reply_to(&request);
                if !requests.are_opaque() {
                    let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    self.shared.most_under_way.fetch_max(under_way, Ordering::SeqCst);
                }
                upstream.write_all(&request).await?;
                self.shared.tell_of(&request);
                if lost.is_some() {
                    return Ok(lost);
                }
            }
        }
    }

    /// Returns when the server ends.
    async fn forward_replies(
        &self,
        mut upstream: impl AsyncRead + Unpin,
        mut client: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut replies = Replies::default();
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = upstream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let piece = replies.push(&buffer[..length]);
            if let Piece::Whole(whole) = &piece {
                let less = |under_way: usize| Some(under_way.saturating_sub(whole.len()));
                let _ = self.under_way.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            }
            let Some(mode) = self.mode().await else { return Ok(()) };
            let bytes = match piece {
                _ if mode == Mode::SwallowReplies => continue,
                Piece::Opaque(bytes) => bytes,
                Piece::Whole(whole) => {
                    let kept = whole.into_iter().filter(|reply| !self.shared.loses(reply, mode));
                    kept.flatten().collect()
                }
            };
            client.write_all(&bytes).await?;
        }
    }
}
