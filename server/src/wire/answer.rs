//! Answers that the wire gives by itself, in the language of the request.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use tonic::Status;

use crate::refusal::Refusal;

/// For gRPC and gRPC-Web a response without a body whose headers carry `status`, which both understand;
/// for anything else `plain`.
pub(super) fn in_language_of(
    request: &HeaderMap,
    status: Status,
    plain: (StatusCode, &'static str),
) -> Response {
    match request.get(CONTENT_TYPE) {
        Some(language) if language.as_bytes().starts_with(b"application/grpc") => {
            let mut response: Response<Body> = status.into_http();
            response.headers_mut().insert(CONTENT_TYPE, language.clone());
            response
        }
        _ => plain.into_response(),
    }
}

/// The call's deadline has passed.
pub(super) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the call's time was over before it had an answer")
}

/// `grpc-timeout` is not what the specification allows.
pub(super) fn malformed_timeout() -> Status {
    Refusal::field("grpc-timeout", "must be one to eight digits and one of H, M, S, m, u, n").into()
}
