//! gRPC, gRPC-Web and plain HTTP on one port.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
    routing::Route,
};
use http::{StatusCode, Version, header::CONTENT_TYPE};
use tonic::{Status, service::Routes};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, layer::layer_fn};

use super::{
    answer,
    deadline::{Bounded, CallBounds},
    limits::Limits,
    shutdown::Shutdown,
};

/// Joins the gRPC services, which are also spoken to by gRPC-Web and keep `grpc-timeout`, with plain routes.
/// A path of neither is answered in the language of its request: `UNIMPLEMENTED`, or 404.
pub fn router(services: Routes, plain: Router, limits: &Limits, shutdown: &Shutdown) -> Router {
    let bounds = Arc::new(CallBounds { limits: limits.clone(), shutdown: shutdown.clone() });
    services
        .into_axum_router()
        // For the services' own paths only: the layer of gRPC-Web answers everything else on HTTP/1 by 400.
        .route_layer(layer_fn(move |route| Calls::of(route, bounds.clone())))
        .reset_fallback()
        .merge(plain)
        .fallback(unknown_path)
}

/// The services' paths, each call by the way of its language. One service, because each of axum's layers costs every
/// call a handful of allocations.
#[derive(Clone)]
struct Calls {
    grpc: Bounded<Route>,
    grpc_web: GrpcWebService<Bounded<Route>>,
}

impl Calls {
    fn of(route: Route, bounds: Arc<CallBounds>) -> Self {
        let grpc = Bounded { inner: route, bounds };
        Self { grpc_web: GrpcWebLayer::new().layer(grpc.clone()), grpc }
    }
}

impl Service<Request> for Calls {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    /// Routes are always ready.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Answers a call in another language than gRPC's by 415 ("gRPC over HTTP2", section Requests): tonic itself
    /// would read its body as if it were one.
    fn call(&mut self, request: Request) -> Self::Future {
        let language = request.headers().get(CONTENT_TYPE).map_or(&[][..], |language| language.as_bytes());
        if !language.starts_with(b"application/grpc") {
            let problem = "This is called by gRPC or gRPC-Web.\n";
            let refusal = (StatusCode::UNSUPPORTED_MEDIA_TYPE, problem).into_response();
            return Box::pin(std::future::ready(Ok(refusal)));
        }
        if request.version() == Version::HTTP_2 && !language.starts_with(b"application/grpc-web") {
            return self.grpc.call(request);
        }
        let answer = self.grpc_web.call(request);
        Box::pin(async move { Ok(answer.await?.map(Body::new)) })
    }
}

async fn unknown_path(request: Request) -> Response {
    let status = Status::unimplemented("this server has no such service: reflection lists those it has");
    let plain = (StatusCode::NOT_FOUND, "There is nothing at this address.\n");
    answer::in_language_of(request.headers(), status, plain)
}
