//! The plain page behind a pairing link, for a phone whose camera opened it.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// The pages.
pub fn routes() -> Router {
    Router::new().route("/device", get(device))
}

/// Says what to do with the link. The token is in the link's fragment, which no browser sends: this page does
/// not know it, runs no script that could read it, and no log has it.
async fn device() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, include_str!("web/device.html")).into_response()
}
