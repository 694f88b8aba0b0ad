//! Limits of connections: how many, how silent, how long.

use std::time::Duration;

use countersign::wire::Limits;
use tokio::net::TcpStream;

use super::{
    SHORT,
    bystander::{Bystander, connect_from},
    raw::{Frame, PREFACE, Raw, flag, kind},
    running::Running,
};

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_a_free_place_is_given_again() {
    let server = Running::start(Limits { connections: 3, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut first = Raw::connect(server.address).await;
    let _second = TcpStream::connect(server.address).await.expect("the second place for strangers");
    let mut refused = Raw::connect(server.address).await;
    assert!(refused.until_ended().await.is_empty());
    bystander.is_served().await;

    first.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(first.text_until_ended().await.ends_with("hello\n"), "who has a place is served");
    let mut next = Raw::connect(server.address).await;
    next.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    // Its place is free only once the server has seen the end of the first: until then, ask again.
    while !next.text_until_ended().await.ends_with("hello\n") {
        next = Raw::connect(server.address).await;
        next.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    }
    bystander.is_served().await;
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let server = Running::start(Limits { connections_per_peer: 2, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let _held = [Raw::connect(server.address).await, Raw::connect(server.address).await];
    let mut refused = Raw::connect(server.address).await;
    assert!(refused.until_ended().await.is_empty());

    bystander.is_served().await;
    let mut newcomer = Raw(connect_from([127, 0, 0, 3], server.address).await);
    newcomer.send(b"GET /hello HTTP/1.0\r\n\r\n").await;
    assert!(newcomer.text_until_ended().await.ends_with("hello\n"));
}

#[tokio::test]
async fn a_client_without_a_request_is_closed() {
    let server = Running::start(Limits { first_request: SHORT, leave: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;

    let mut silent = Raw::connect(server.address).await;
    let mut half_a_preface = Raw::connect(server.address).await;
    half_a_preface.send(&PREFACE[..10]).await;
    let mut no_headers = Raw::connect_http2(server.address).await;
    let mut half_headers = Raw::connect_http2(server.address).await;
    // Without END_HEADERS, so that the server waits for a CONTINUATION that never comes.
    let head = Frame { flags: flag::END_STREAM, ..Frame::call(1, 0, "/test.Hanging/Never") };
    half_headers.send_frame(&head).await;
    let mut half_a_line = Raw::connect(server.address).await;
    half_a_line.send(b"GET /hel").await;
    bystander.is_served().await;

    assert!(silent.until_ended().await.is_empty());
    assert!(half_a_preface.until_ended().await.is_empty());
    assert!(no_headers.frames_until_ended().await.iter().any(|frame| frame.kind == kind::GOAWAY));
    half_headers.until_ended().await;
    half_a_line.until_ended().await;
    bystander.is_served().await;
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_go_and_one_that_does_not_answer_is_cut() {
    let server = Running::start(Limits { idle: SHORT, leave: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    // A stream that stays open keeps a connection from being idle.
    let watch = bystander.start("/grpc.health.v1.Health/Watch", http::HeaderMap::new());
    let _watch = super::soon(watch).await.expect("a stream");

    let mut polite = Raw::connect_http2(server.address).await;
    polite.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Left")).await;
    polite.frame_of(kind::HEADERS).await;
    let goaway = polite.frame_of(kind::GOAWAY).await;
    assert_eq!(goaway.error_code(), 0, "NO_ERROR");
    polite.frames_until_ended().await;

    let mut deaf = Raw::connect_http2(server.address).await;
    deaf.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Left")).await;
    deaf.until_ended().await;

    let mut kept_alive = Raw::connect(server.address).await;
    kept_alive.send(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(kept_alive.text_until_ended().await.ends_with("hello\n"));
    bystander.is_served().await;
}

#[tokio::test]
async fn at_its_age_a_connection_goes_when_its_call_is_done() {
    let limits = Limits { connection_age: SHORT, connection_age_jitter: Duration::ZERO, ..Limits::default() };
    let mut server = Running::start(limits).await;
    let mut raw = Raw::connect_http2(server.address).await;
    raw.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Wait")).await;
    server.entered().await;
    assert_eq!(raw.frame_of(kind::GOAWAY).await.error_code(), 0, "NO_ERROR");
    Bystander::connect(server.address).await.is_served().await;

    server.release.notify_one();
    let answer = raw.frame_of(kind::HEADERS).await;
    assert_eq!((answer.stream, answer.flags & flag::END_STREAM), (1, flag::END_STREAM));
    raw.frames_until_ended().await;
}

#[tokio::test]
async fn after_its_age_and_grace_a_connection_is_cut() {
    let limits = Limits {
        connection_age: SHORT,
        connection_age_jitter: Duration::ZERO,
        connection_age_grace: SHORT,
        ..Limits::default()
    };
    let mut server = Running::start(limits).await;
    let mut raw = Raw::connect_http2(server.address).await;
    raw.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Never")).await;
    raw.frame_of(kind::GOAWAY).await;
    Bystander::connect(server.address).await.is_served().await;
    raw.frames_until_ended().await;
    server.dropped().await;
    Bystander::connect(server.address).await.is_served().await;
}
