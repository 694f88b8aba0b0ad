//! gRPC, gRPC-Web and plain HTTP on one port.

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use tonic::{Status, service::Routes};
use tonic_web::GrpcWebLayer;

use super::{
    answer,
    deadline::{self, CallBounds},
    limits::Limits,
    shutdown::Shutdown,
};

/// Joins the gRPC services, which are also spoken to by gRPC-Web and keep `grpc-timeout`, with plain routes.
/// A path of neither is answered in the language of its request: `UNIMPLEMENTED`, or 404.
pub fn router(services: Routes, plain: Router, limits: &Limits, shutdown: &Shutdown) -> Router {
    let bounds = CallBounds { longest: limits.call, shutdown: shutdown.clone() };
    services
        .into_axum_router()
        // For the services' own paths only: the layer of gRPC-Web answers everything else on HTTP/1 by 400.
        .route_layer(from_fn_with_state(bounds, deadline::keep))
        .route_layer(GrpcWebLayer::new())
        .route_layer(from_fn(only_grpc))
        .reset_fallback()
        .merge(plain)
        .fallback(unknown_path)
}

/// Answers a call in another language than gRPC's by 415 ("gRPC over HTTP2", section Requests): tonic itself would
/// read its body as if it were one.
async fn only_grpc(request: Request, next: Next) -> Response {
    match request.headers().get(CONTENT_TYPE) {
        Some(language) if language.as_bytes().starts_with(b"application/grpc") => next.run(request).await,
        _ => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is called by gRPC or gRPC-Web.\n").into_response(),
    }
}

async fn unknown_path(request: Request) -> Response {
    let status = Status::unimplemented("this server has no such service: reflection lists those it has");
    let plain = (StatusCode::NOT_FOUND, "There is nothing at this address.\n");
    answer::in_language_of(request.headers(), status, plain)
}
