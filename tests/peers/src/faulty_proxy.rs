//! A TCP proxy that fails on order.

mod connection;
mod replies;
mod requests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::{JoinHandle, JoinSet},
};

use self::connection::Line;

/// A proxy on a free port of the loopback interface, in front of another address. It lets everything through
/// until it is told otherwise; it ends when dropped, and its connections with it.
///
/// An order holds from its return on: what the proxy reads after it is treated by it.
pub struct FaultyProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// Tells when a reply or a message has been lost: [`FaultyProxy::lose_reply_to`], [`FaultyProxy::lose_message`].
pub struct LostReply(oneshot::Receiver<()>);

struct Shared {
    state: watch::Sender<State>,
    accepted: watch::Sender<usize>,
    most_under_way: AtomicUsize,
    replies_to_lose: Mutex<Vec<Order>>,
    messages_to_lose: Mutex<Vec<Order>>,
    requests_to_tell: Mutex<Vec<Order>>,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// How often all connections have been cut.
    cuts: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Refuse,
    Stall,
    SwallowReplies,
    SwallowMessages,
}

/// What is to be lost, or told: the reply to a request, a message, a request.
struct Order {
    has: Vec<u8>,
    done: oneshot::Sender<()>,
}

impl FaultyProxy {
    /// Starts a proxy in front of `upstream`. Must be called inside a tokio runtime.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: watch::Sender::new(State { mode: Mode::Pass, cuts: 0 }),
            accepted: watch::Sender::new(0),
            most_under_way: AtomicUsize::new(0),
            replies_to_lose: Mutex::default(),
            messages_to_lose: Mutex::default(),
            requests_to_tell: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, upstream, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Starts a proxy in front of `port` of 127.0.0.1. Must be called inside a tokio runtime.
    pub async fn in_front_of(port: u16) -> io::Result<Self> {
        Self::start((Ipv4Addr::LOCALHOST, port).into()).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything through, also what was held back by [`Self::stall`].
    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Cuts all connections, and closes each new one at once.
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
    }

    /// Keeps connections, and takes new ones, but lets nothing through in either direction.
    pub fn stall(&self) {
        self.set(Mode::Stall);
    }

    /// Lets requests through, but no reply.
    pub fn swallow_replies(&self) {
        self.set(Mode::SwallowReplies);
    }

    /// Lets everything through but what the channels bring that a client of Redis has subscribed. Their connections
    /// stay.
    pub fn swallow_messages(&self) {
        self.set(Mode::SwallowMessages);
    }

    /// Cuts all connections that there are; new ones are not concerned.
    pub fn cut(&self) {
        self.shared.state.send_modify(|state| state.cuts += 1);
    }

    /// Lets the next Redis request that contains `text` through, but neither its reply nor whatever comes
    /// after it on the same connection: that one is cut when the server has done what it was asked to. Several
    /// orders are each for one request. Of a stream that is not RESP, a piece as it was read counts as a
    /// request.
    pub fn lose_reply_to(&self, text: &str) -> LostReply {
        LostReply(order(&self.shared.replies_to_lose, text))
    }

    /// Loses the next message of a channel of Redis that contains `text`, and nothing else: its connection stays, and
    /// brings what comes after it. Several orders are each for one message.
    pub fn lose_message(&self, text: &str) -> LostReply {
        LostReply(order(&self.shared.messages_to_lose, text))
    }

    /// Returns when it has let a Redis request through that contains `text`, from the call on.
    pub fn request_with(&self, text: &str) -> impl Future<Output = ()> + Send + use<> {
        let asked = order(&self.shared.requests_to_tell, text);
        async move { asked.await.expect("the proxy goes on") }
    }

    /// How many connections it has taken, those that it refused included.
    pub fn connections(&self) -> usize {
        *self.shared.accepted.borrow()
    }

    /// Returns when it has taken more than `count` connections, with their number.
    pub async fn connections_beyond(&self, count: usize) -> usize {
        let mut accepted = self.shared.accepted.subscribe();
        *accepted.wait_for(|accepted| *accepted > count).await.expect("the proxy keeps the sender")
    }

    /// The most Redis requests that were ever without a reply on one connection. (On one that subscribes, messages
    /// count as replies; of a stream that is not RESP nothing is counted.)
    pub fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }

    fn set(&self, mode: Mode) {
        self.shared.state.send_modify(|state| state.mode = mode);
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl LostReply {
    /// Returns when the request has been carried out and its reply is lost, or when the message is. Panics if the
    /// proxy ended, or its connection to the server broke, before.
    pub async fn happened(self) {
        self.0.await.expect("it is lost");
    }
}

impl Shared {
    /// Whom to tell if the reply to `request` is to be lost.
    fn loses_reply_to(&self, request: &[u8]) -> Option<oneshot::Sender<()>> {
        ordered(&self.replies_to_lose, request)
    }

    /// Tells whoever asked for it of a request that has been let through.
    fn tell_of(&self, request: &[u8]) {
        while let Some(asked) = ordered(&self.requests_to_tell, request) {
            // Nobody need wait for it.
            let _ = asked.send(());
        }
    }

    /// Whether this reply of the server is a message that is to be lost. Tells whoever ordered it.
    fn loses(&self, reply: &[u8], mode: Mode) -> bool {
        if !replies::is_message(reply) {
            return false;
        }
        let lost = ordered(&self.messages_to_lose, reply);
        let is_lost = lost.is_some() || mode == Mode::SwallowMessages;
        if let Some(lost) = lost {
            // Nobody need wait for it.
            let _ = lost.send(());
        }
        is_lost
    }
}

fn order(orders: &Mutex<Vec<Order>>, text: &str) -> oneshot::Receiver<()> {
    let (done, receiver) = oneshot::channel();
    let has = text.as_bytes().to_vec();
    orders.lock().unwrap_or_else(PoisonError::into_inner).push(Order { has, done });
    receiver
}

/// Takes the first order that is for these bytes, if there is one.
fn ordered(orders: &Mutex<Vec<Order>>, bytes: &[u8]) -> Option<oneshot::Sender<()>> {
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    let position = orders.iter().position(|order| contains(bytes, &order.has))?;
    Some(orders.remove(position).done)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

/// Takes connections until it is aborted, and with it all of them.
async fn accept(listener: TcpListener, upstream: SocketAddr, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // Made before the connection counts: who has seen it counted can cut it.
        let line = Line::new(&shared);
        connections.spawn(connection::serve(line, client, upstream));
        shared.accepted.send_modify(|accepted| *accepted += 1);
        while connections.try_join_next().is_some() {}
    }
}
