//! The end of a server.

use std::time::{Duration, Instant};

use countersign::wire::{Drained, Limits};
use http::HeaderMap;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    SHORT,
    bystander::{Answer, Bystander},
    raw::{Frame, Raw, flag, kind},
    running::Running,
    soon,
};

#[tokio::test]
async fn calls_in_flight_finish_and_one_that_hangs_is_cut() {
    let mut server = Running::start(Limits { drain: 2 * SHORT, ..Limits::default() }).await;
    let mut waiting = Raw::connect_http2(server.address).await;
    waiting.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Wait")).await;
    let mut hanging = Raw::connect_http2(server.address).await;
    hanging.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Never")).await;
    let mut idle = Bystander::connect(server.address).await;
    idle.is_served().await;
    server.entered().await;
    server.entered().await;

    server.shutdown.begin();
    assert_eq!(waiting.frame_of(kind::GOAWAY).await.error_code(), 0, "NO_ERROR");
    server.release.notify_one();
    let answer = waiting.frame_of(kind::HEADERS).await;
    assert_eq!(answer.stream, 1);
    waiting.frames_until_ended().await;
    hanging.frames_until_ended().await;
    server.dropped().await;

    let address = server.address;
    assert_eq!(server.drained().await, Drained { connections_cut: 1, calls_cut: 1 });
    soon(TcpStream::connect(address)).await.expect_err("nobody listens");
}

#[tokio::test]
async fn without_calls_a_drain_takes_no_time() {
    let limits = Limits { drain: Duration::from_hours(1), leave: SHORT, ..Limits::default() };
    let server = Running::start(limits).await;
    let mut idle = Bystander::connect(server.address).await;
    idle.is_served().await;
    let _silent = Raw::connect(server.address).await;
    let mut deaf = Raw::connect_http2(server.address).await;
    deaf.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Left")).await;
    let start = Instant::now();
    assert_eq!(server.stop().await, Drained::default());
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[tokio::test]
async fn streams_are_told_that_the_server_goes() {
    let server = Running::start(Limits::default()).await;
    let mut caller = Bystander::connect(server.address).await;
    let watch = caller.start("/grpc.health.v1.Health/Watch", HeaderMap::new());
    let watch = soon(watch).await.expect("a stream");
    server.shutdown.begin();
    let status = Answer::read(watch).await.status().expect("a status");
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().expect("a reason").reason, "SHUTTING_DOWN");
    assert!(status.get_details_retry_info().is_some());
    assert_eq!(server.drained().await, Drained::default());
}
