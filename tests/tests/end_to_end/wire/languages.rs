//! gRPC, gRPC-Web and plain HTTP on one port, and addresses of none of them.

use countersign::wire::Limits;
use http::HeaderMap;

use super::{
    bystander::{Bystander, SERVING},
    raw::Raw,
    running::Running,
};

/// One HTTP/1 request, and the whole answer.
async fn http1(server: &Running, request_line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut raw = Raw::connect(server.address).await;
    let length = body.len();
    let head = format!(
        "{request_line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    raw.send(head.as_bytes()).await;
    raw.send(body).await;
    raw.until_ended().await
}

fn contains(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|window| window == part)
}

/// One empty message.
const EMPTY: &[u8] = &[0; 5];
const GRPC_WEB: &str = "content-type: application/grpc-web+proto\r\n";

#[tokio::test]
async fn grpc_web_is_answered_over_http1() {
    let server = Running::start(Limits::default()).await;
    let answer = http1(&server, "POST /grpc.health.v1.Health/Check", GRPC_WEB, EMPTY).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(contains(&answer, SERVING));
    assert!(contains(&answer, b"grpc-status:0"), "the trailers within the body");
}

#[tokio::test]
async fn grpc_web_keeps_deadlines() {
    let mut server = Running::start(Limits::default()).await;
    let headers = format!("{GRPC_WEB}grpc-timeout: 100m\r\n");
    let answer = http1(&server, "POST /test.Hanging/Never", &headers, EMPTY).await;
    assert!(contains(&answer, b"grpc-status: 4"), "{}", String::from_utf8_lossy(&answer));
    server.dropped().await;
}

#[tokio::test]
async fn plain_routes_answer_and_know_their_peer() {
    let server = Running::start(Limits::default()).await;
    assert!(http1(&server, "GET /hello", "", b"").await.ends_with(b"\r\n\r\nhello\n"));
    assert!(contains(&http1(&server, "GET /peer", "", b"").await, b"\r\n\r\n127.0.0.1:"));
    assert!(http1(&server, "POST /upload", "", b"four").await.ends_with(b"\r\n\r\n4"));
}

#[tokio::test]
async fn an_unknown_path_is_answered_in_the_language_of_its_request() {
    let server = Running::start(Limits::default()).await;
    assert!(http1(&server, "GET /nothing", "", b"").await.starts_with(b"HTTP/1.1 404 "));
    let answer = http1(&server, "POST /no.Service/Call", GRPC_WEB, EMPTY).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(contains(&answer, b"content-type: application/grpc-web+proto"));
    assert!(contains(&answer, b"grpc-status: 12"));

    let mut caller = Bystander::connect(server.address).await;
    for path in ["/no.Service/Call", "/grpc.health.v1.Health/NoMethod", "/hello/there"] {
        let answer = caller.call(path, HeaderMap::new()).await;
        assert_eq!(answer.grpc_status(), Some(12), "UNIMPLEMENTED: {path}");
    }
    caller.is_served().await;
}
