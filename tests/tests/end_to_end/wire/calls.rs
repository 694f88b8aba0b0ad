//! `grpc-timeout` and the server's own limit of a call.

use countersign::wire::Limits;
use http::HeaderMap;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    SHORT,
    bystander::{Answer, Bystander, SERVING},
    raw::{Frame, Raw, flag, kind},
    running::Running,
    soon,
};

fn timeout(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", value.parse().expect("sound"));
    headers
}

#[tokio::test]
async fn a_call_ends_at_its_callers_deadline_and_its_handler_with_it() {
    let mut server = Running::start(Limits::default()).await;
    let mut caller = Bystander::connect(server.address).await;
    let answer = caller.call("/test.Hanging/Never", timeout("200m")).await;
    assert_eq!(answer.status().expect("a status").code(), Code::DeadlineExceeded);
    assert!(answer.body.is_empty() && answer.trailers.is_empty(), "headers only: {answer:?}");
    server.dropped().await;
    caller.is_served().await;
}

#[tokio::test]
async fn a_call_without_a_deadline_ends_at_the_servers() {
    let mut server = Running::start(Limits { call: SHORT, ..Limits::default() }).await;
    let mut caller = Bystander::connect(server.address).await;
    let answer = caller.call("/test.Hanging/Never", HeaderMap::new()).await;
    assert_eq!(answer.grpc_status(), Some(4));
    server.dropped().await;
    let answer = caller.call("/test.Hanging/Never", timeout("9H")).await;
    assert_eq!(answer.grpc_status(), Some(4), "the sooner of both");
}

#[tokio::test]
async fn handlers_know_what_is_left() {
    let server = Running::start(Limits::default()).await;
    let mut caller = Bystander::connect(server.address).await;
    for (asked, most) in [("7S", 7_000), ("9H", 90_000)] {
        let answer = caller.call("/test.Hanging/Left", timeout(asked)).await;
        let left: u32 = answer.headers["x-left"].to_str().expect("digits").parse().expect("digits");
        assert!((most - 5_000..=most).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let server = Running::start(Limits::default()).await;
    let mut caller = Bystander::connect(server.address).await;
    for malformed in ["soon", "5s", "123456789S", ""] {
        let answer = caller.call("/grpc.health.v1.Health/Check", timeout(malformed)).await;
        let status = answer.status().expect("a status");
        assert_eq!(status.code(), Code::InvalidArgument, "{malformed}");
        assert_eq!(status.get_details_error_info().expect("a reason").reason, "INVALID_FIELD");
        let fields = status.get_details_bad_request().expect("a field").field_violations;
        assert_eq!(fields[0].field, "grpc-timeout");
    }
    caller.is_served().await;
}

#[tokio::test]
async fn a_stream_ends_at_its_callers_deadline() {
    let server = Running::start(Limits::default()).await;
    let mut caller = Bystander::connect(server.address).await;
    let watch = caller.start("/grpc.health.v1.Health/Watch", timeout("300m"));
    let answer = Answer::read(soon(watch).await.expect("a stream")).await;
    assert_eq!(answer.body, SERVING, "one message");
    assert_eq!(answer.status().expect("a status").code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn one_call_too_many_of_an_address_is_answered_at_once() {
    let mut server = Running::start(Limits { calls_per_peer: 2, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut greedy = Raw::connect_http2(server.address).await;
    for stream in [1, 3] {
        greedy.send_frame(&Frame::call(stream, flag::END_STREAM, "/test.Hanging/Wait")).await;
        server.entered().await;
    }
    greedy.send_frame(&Frame::call(5, flag::END_STREAM, "/test.Hanging/Wait")).await;
    assert_eq!(greedy.frame_of(kind::HEADERS).await.stream, 5);
    let mut plain = Raw::connect(server.address).await;
    plain.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(plain.text_until_ended().await.starts_with("HTTP/1.0 503 "));
    bystander.is_served().await;

    server.release.notify_one();
    greedy.frame_of(kind::HEADERS).await;
    greedy.send_frame(&Frame::call(7, flag::END_STREAM, "/test.Hanging/Left")).await;
    assert_eq!(greedy.frame_of(kind::HEADERS).await.stream, 7, "a place is free again");
}

#[tokio::test]
async fn one_call_too_many_of_all_is_told_to_come_again() {
    let mut server = Running::start(Limits { calls: 1, ..Limits::default() }).await;
    let mut caller = Bystander::connect(server.address).await;
    let waiting = tokio::spawn(caller.start("/test.Hanging/Wait", HeaderMap::new()));
    server.entered().await;
    let status = caller.call("/test.Hanging/Left", HeaderMap::new()).await.status().expect("a status");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "RATE_LIMITED");
    assert!(status.get_details_retry_info().is_some());
    server.release.notify_one();
    soon(waiting).await.expect("no panic").expect("an answer");
    caller.is_served().await;
}
