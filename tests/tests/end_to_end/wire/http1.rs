//! Limits of HTTP/1.

use std::fmt::Write as _;

use countersign::wire::Limits;

use super::{SHORT, bystander::Bystander, raw::Raw, running::Running};

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let server = Running::start(Limits { http1_head: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut slow = Raw::connect(server.address).await;
    slow.send(b"GET /hello HTTP/1.1\r\nhost: loc").await;
    bystander.is_served().await;
    assert!(!slow.text_until_ended().await.contains(" 200 "));
    bystander.is_served().await;
}

#[tokio::test]
async fn too_large_a_head_is_answered_431() {
    let server = Running::start(Limits { http1_head_bytes: 8192, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut raw = Raw::connect(server.address).await;
    raw.send(b"GET /hello HTTP/1.1\r\nhost: localhost\r\nx-padding: ").await;
    raw.send(&[b'x'; 8192]).await;
    assert!(raw.text_until_ended().await.starts_with("HTTP/1.1 431 "));
    bystander.is_served().await;
}

#[tokio::test]
async fn too_many_headers_are_answered_431() {
    let server = Running::start(Limits { http1_headers: 10, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut head = String::from("GET /hello HTTP/1.1\r\n");
    for number in 0..11 {
        write!(head, "x-{number}: x\r\n").expect("a string takes all");
    }
    let mut raw = Raw::connect(server.address).await;
    raw.send(format!("{head}\r\n").as_bytes()).await;
    assert!(raw.text_until_ended().await.starts_with("HTTP/1.1 431 "));
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Running::start(Limits { request_body: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut slow = Raw::connect(server.address).await;
    slow.send(b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nx").await;
    bystander.is_served().await;
    assert!(slow.text_until_ended().await.starts_with("HTTP/1.1 400 "));
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Running::start(Limits { request_body_bytes: 1000, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut raw = Raw::connect(server.address).await;
    raw.send(b"POST /upload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n").await;
    raw.send(b"3e9\r\n").await;
    raw.send(&[b'x'; 1001]).await;
    let answer = raw.text_until_ended().await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    bystander.is_served().await;
}
