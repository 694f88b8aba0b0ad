//! A server with the real accept loop, real health and reflection, and handlers that hang on demand.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Extension, Router, routing};
use countersign::{
    grpc::{health, reflection},
    random::SystemRandom,
    wire::{self, Deadline, Drained, Limits, Peer, Shutdown},
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tonic::{Status, body::Body, server::NamedService, service::Routes};
use tower::Service;

use super::soon;

/// A server that runs.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    /// Lets one call of `Wait` answer.
    pub(super) release: Arc<Notify>,
    entered: mpsc::UnboundedReceiver<()>,
    dropped: mpsc::UnboundedReceiver<()>,
    served: JoinHandle<Drained>,
}

impl Running {
    pub(super) async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    pub(super) async fn start_with(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let shutdown = Shutdown::new();
        let (entered_by, entered) = mpsc::unbounded_channel();
        let (dropped_by, dropped) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        let hanging = Hanging { entered: entered_by, dropped: dropped_by, release: Arc::clone(&release) };
        let router = wire::router(services(hanging, shutdown.clone()).await, plain(), &limits, &shutdown);
        let served = tokio::spawn(wire::serve(
            listener,
            tls,
            router,
            limits,
            shutdown.clone(),
            Arc::new(SystemRandom),
        ));
        Self { address, shutdown, release, entered, dropped, served }
    }

    /// A call has reached its handler.
    pub(super) async fn entered(&mut self) {
        soon(self.entered.recv()).await.expect("the server runs");
    }

    /// A hanging handler was dropped.
    pub(super) async fn dropped(&mut self) {
        soon(self.dropped.recv()).await.expect("the server runs");
    }

    /// Begins the shutdown, and waits for the drain.
    pub(super) async fn stop(self) -> Drained {
        self.shutdown.begin();
        self.drained().await
    }

    pub(super) async fn drained(self) -> Drained {
        soon(self.served).await.expect("no panic")
    }
}

async fn services(hanging: Hanging, shutdown: Shutdown) -> Routes {
    let health = health::service(&["countersign.login.v1.LoginService"], &shutdown).await;
    Routes::new(health).add_service(reflection::v1()).add_service(reflection::v1alpha()).add_service(hanging)
}

fn plain() -> Router {
    Router::new()
        .route("/hello", routing::get(|| async { "hello\n" }))
        .route("/upload", routing::post(|body: bytes::Bytes| async move { body.len().to_string() }))
        .route(
            "/peer",
            routing::get(|Extension(peer): Extension<Peer>| async move { peer.address.to_string() }),
        )
}

/// A gRPC service whose methods are `Never` (hangs), `Wait` (until released), `Left` (tells the deadline's
/// milliseconds as `x-left`) and `Read` (reads the whole request).
#[derive(Clone)]
struct Hanging {
    entered: mpsc::UnboundedSender<()>,
    dropped: mpsc::UnboundedSender<()>,
    release: Arc<Notify>,
}

impl NamedService for Hanging {
    const NAME: &'static str = "test.Hanging";
}

impl Service<Request<Body>> for Hanging {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let hanging = self.clone();
        Box::pin(async move { Ok(hanging.answer(request).await) })
    }
}

impl Hanging {
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let left = request.extensions().get::<Deadline>().expect("every call has one").left();
        let guard = TellWhenDropped(self.dropped);
        // Nobody listens to tests that have ended.
        let _ = self.entered.send(());
        match request.uri().path() {
            "/test.Hanging/Never" => std::future::pending().await,
            "/test.Hanging/Wait" => self.release.notified().await,
            "/test.Hanging/Read" => {
                if let Err(error) = request.into_body().collect().await {
                    return Status::from_error(error.into()).into_http();
                }
            }
            _ => {}
        }
        std::mem::forget(guard);
        let mut response: Response<Body> = Status::ok("").into_http();
        let left = left.as_millis().to_string();
        response.headers_mut().insert("x-left", left.parse().expect("digits"));
        response
    }
}

struct TellWhenDropped(mpsc::UnboundedSender<()>);

impl Drop for TellWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}
