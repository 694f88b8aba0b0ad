//! Takes connections and answers what comes on them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http::Response;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Answer, ConnectionFault, Kind, Request, Shared};

/// More than any provider would take of a body is counted, not kept.
const LONGEST_BODY: usize = 64 * 1024;

/// What a request asks of its connection.
enum Order {
    GoAway,
    GoAwayAtOnce,
    Freeze,
    Close,
}

/// What a request's task needs of its connection.
#[derive(Clone)]
struct Line {
    shared: Arc<Shared>,
    number: usize,
    answered: Arc<AtomicUsize>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Takes connections until it is aborted, and with it all of them.
pub(super) async fn accept(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared), number));
        while connections.try_join_next().is_some() {}
    }
}

/// A client that breaks off ends its connection, and that is all.
async fn serve(stream: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>, number: usize) -> io::Result<()> {
    // Without it a small answer waits 40 ms for the client's acknowledgement.
    stream.set_nodelay(true)?;
    let fault = shared.script().connections.pop_front();
    if fault == Some(ConnectionFault::SilentHandshake) {
        return std::future::pending().await;
    }
    let stream = tls.accept(stream).await?;
    if fault == Some(ConnectionFault::GoingAway) {
        return super::going_away::serve(stream).await;
    }
    let mut settings = h2::server::Builder::new();
    if shared.script().one_stream {
        settings.max_concurrent_streams(1);
    }
    let mut connection = settings.handshake::<_, Bytes>(stream).await.map_err(io::Error::other)?;
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let line = Line { shared, number, answered: Arc::default(), orders };
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            request = connection.accept() => match request {
                Some(Ok((request, respond))) => {
                    tasks.spawn(line.clone().handle(request, respond));
                }
                _ => return Ok(()),
            },
            Some(order) = ordered.recv() => match order {
                Order::GoAway => connection.graceful_shutdown(),
                Order::GoAwayAtOnce => connection.abrupt_shutdown(Reason::NO_ERROR),
                Order::Freeze => return std::future::pending().await,
                Order::Close => return Ok(()),
            },
        }
    }
}

impl Line {
    async fn handle(self, request: http::Request<RecvStream>, respond: SendResponse<Bytes>) {
        let answered_before = self.answered.load(Ordering::SeqCst);
        let (head, body) = request.into_parts();
        let Ok(body) = read(body).await else { return };
        let head = http::Request::from_parts(head, ());
        let Shared { provider, pushes, validations, token_requests, .. } = &*self.shared;
        let kind = provider.kind(&head, &body);
        let answer = match provider.check(&head, &body) {
            Ok(()) => {
                let scripted = self.shared.script().answer(&kind);
                scripted.unwrap_or_else(|| provider.answer(&kind))
            }
            Err(refusal) => refusal,
        };
        let accepted = match answer.status() {
            Some(200) => provider.accepted(&head, &kind),
            _ => Vec::new(),
        };
        let (received, device_token, body) = match kind {
            Kind::Push(token) => (pushes, token, serde_json::from_slice(&body).unwrap_or_default()),
            Kind::Validation(token) => {
                (validations, token, serde_json::from_slice(&body).unwrap_or_default())
            }
            Kind::Token => (token_requests, String::new(), String::from_utf8_lossy(&body).into()),
        };
        // Nobody listens any more only while the stand-in ends.
        let _ = received.send(Request {
            method: head.method().to_string(),
            path: head.uri().path().to_owned(),
            device_token,
            headers: head.headers().clone(),
            body,
            status: answer.status(),
            connection: self.number,
            answered_before,
        });
        let mut builder = Response::builder();
        if let Some((name, value)) = provider.echoed(&head) {
            builder = builder.header(name, value);
        }
        self.answer(answer, builder, accepted.into(), respond).await;
    }

    async fn answer(
        &self,
        answer: Answer,
        mut builder: http::response::Builder,
        accepted: Bytes,
        mut respond: SendResponse<Bytes>,
    ) {
        let mut answer = answer;
        while let Answer::After(told, then) = answer {
            told.notified().await;
            answer = *then;
        }
        if self.shared.script().tells_date {
            builder = builder.header("date", http_date(self.shared.provider.now()));
        }
        match answer {
            Answer::Accept => self.reply(builder, accepted, &mut respond),
            Answer::AcceptWhen(told) => {
                told.notified().await;
                self.reply(builder, accepted, &mut respond);
            }
            Answer::After(..) => unreachable!("it was waited for"),
            Answer::Reply { status, headers, body } => {
                let builder = headers
                    .into_iter()
                    .fold(builder.status(status), |builder, (name, value)| builder.header(name, value));
                self.reply(builder, body.into(), &mut respond);
            }
            Answer::AcceptAndGoAway => {
                self.reply(builder, accepted, &mut respond);
                self.order(Order::GoAway);
            }
            Answer::RefuseStream => respond.send_reset(Reason::REFUSED_STREAM),
            Answer::GoAwayInstead => self.hold(Order::GoAwayAtOnce).await,
            Answer::Silence => std::future::pending().await,
            Answer::Freeze => self.hold(Order::Freeze).await,
            Answer::Hangup => self.hold(Order::Close).await,
        }
    }

    fn reply(&self, builder: http::response::Builder, body: Bytes, respond: &mut SendResponse<Bytes>) {
        let Ok(head) = builder.body(()) else { return };
        self.answered.fetch_add(1, Ordering::SeqCst);
        // A client that has gone needs no answer.
        let Ok(mut stream) = respond.send_response(head, body.is_empty()) else { return };
        if !body.is_empty() {
            let _ = stream.send_data(body, true);
        }
    }

    /// Gives the order and keeps the stream open: dropping it would reset it, which is an answer.
    async fn hold(&self, order: Order) {
        self.order(order);
        std::future::pending::<()>().await;
    }

    fn order(&self, order: Order) {
        // The connection has ended: so has what was ordered.
        let _ = self.orders.send(order);
    }
}

async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if all.len() < LONGEST_BODY {
            all.extend_from_slice(&chunk);
        }
    }
    Ok(all)
}

/// RFC 9110, section 5.6.7.
fn http_date(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
