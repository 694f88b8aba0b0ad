//! The real server: strangers exceed each of its limits over raw sockets, and logins on other connections go on
//! undisturbed.

use std::{cell::Cell, net::SocketAddr};

use bytes::Bytes;
use countersign::wire::Limits;
use countersign_proto::login::AwaitChallengeRequest;
use http::Request;
use tonic::Code;

use super::{
    SHORT,
    bystander::connect_from,
    raw::{Frame, Raw, flag, kind},
    soon,
};
use crate::world::{Backend, ByHand, World};

const LIMITS: &str = "[limits]\nconnections = 12\nconnections_per_address = 8\nstreams_per_connection = 4\n\
                      message_bytes = 16384\nheader_bytes = 8192\n";
const GET_OFFER: &str = "/countersign.device.v1.DeviceService/GetOffer";
/// RFC 9113, section 7.
const REFUSED_STREAM: u32 = 7;

/// Logs in again and again, on connections of its own.
struct Logins {
    world: World,
    backend: Backend,
    device: ByHand,
    done: usize,
}

impl Logins {
    async fn begin() -> Self {
        Self::on(World::start_with(LIMITS).await).await
    }

    async fn on(world: World) -> Self {
        let backend = world.backend("Shop").await;
        let device = world.enroll_by_hand(&backend, "anna", 1).await;
        let mut logins = Self { world, backend, device, done: 0 };
        logins.one_more().await;
        logins
    }

    /// Creates, reads, approves, awaits, redeems.
    async fn one_more(&mut self) {
        self.done += 1;
        let attempt = format!("attempt-{}", self.done);
        let (challenge, match_code) = soon(self.backend.create("anna", &attempt)).await;
        let id = &challenge.challenge_id;
        let asked = soon(self.device.challenge(&self.world, id)).await.expect("it was asked");
        let answer = soon(self.device.respond(&self.device.approval(&asked, &match_code))).await;
        assert!(answer.expect("it counts").accepted);
        let waiting = AwaitChallengeRequest { challenge_id: id.clone(), wait: None };
        soon(self.backend.login.clone().await_challenge(waiting)).await.expect("it is told");
        soon(self.backend.redeem(id, "anna", &attempt)).await.expect("approved");
    }
}

#[tokio::test]
async fn connections_beyond_an_address_share_and_beyond_all_disturb_no_login() {
    let mut logins = Logins::begin().await;
    let address = logins.world.address();
    // From an address of its own, as many as it may have; one more is closed at once.
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(connect_from([127, 0, 0, 2], address).await);
    }
    let one_more = connect_from([127, 0, 0, 2], address).await;
    assert!(Raw(one_more).until_ended().await.is_empty());
    logins.one_more().await;
    // All that are left, whoever has them, until none is.
    let refused = async {
        loop {
            let stream = connect_from([127, 0, 0, 3], address).await;
            let mut raw = Raw(stream);
            raw.send(super::raw::PREFACE).await;
            match raw.frame().await {
                Some(_) => held.push(raw.0),
                None => return,
            }
        }
    };
    soon(refused).await;
    logins.one_more().await;
}

#[tokio::test]
async fn too_many_streams_too_long_headers_and_too_large_messages_disturb_no_login() {
    let mut logins = Logins::begin().await;
    let address = logins.world.address();

    let mut greedy = Raw::connect_http2(address).await;
    for stream in [1, 3, 5, 7, 9] {
        // Without an end: each waits for the rest of its request.
        greedy.send_frame(&Frame::call(stream, 0, GET_OFFER)).await;
    }
    let refused = greedy.frame_of(kind::RST_STREAM).await;
    assert_eq!((refused.stream, refused.error_code()), (9, REFUSED_STREAM));
    logins.one_more().await;

    let stream = connect_from([127, 0, 0, 1], address).await;
    let (mut requests, connection) = soon(h2::client::handshake(stream)).await.expect("a handshake");
    // How it ends is seen in the answers.
    tokio::spawn(async move { drop(connection.await) });
    let call = |padding: usize| {
        let request = Request::post(format!("http://localhost{GET_OFFER}"));
        let request = request.header("content-type", "application/grpc").header("te", "trailers");
        request.header("x-padding", "x".repeat(padding)).body(()).expect("sound")
    };
    let (answer, _) = requests.send_request(call(10_000), true).expect("sent");
    assert_eq!(soon(answer).await.expect("an answer").status(), 431);
    logins.one_more().await;

    let (answer, mut body) = requests.send_request(call(1), false).expect("sent");
    let mut message = vec![0; 5 + 16_500];
    message[1..5].copy_from_slice(&16_500_u32.to_be_bytes());
    body.send_data(Bytes::from(message), true).expect("sent");
    let headers = soon(answer).await.expect("an answer").into_parts().0.headers;
    let code = headers["grpc-status"].to_str().expect("a number").parse().map(Code::from_i32);
    assert!(matches!(code, Ok(Code::OutOfRange | Code::ResourceExhausted)), "{headers:?}");
    logins.one_more().await;
    // The greedy one is still there: an end of its first request makes room for one more.
    greedy.send_frame(&Frame::new(kind::DATA, flag::END_STREAM, 1, &[])).await;
    greedy.frame_of(kind::HEADERS).await;
}

/// Logs in for as long as it takes `exceed` to see its limit at work, and once more.
async fn disturbs_no_login(limits: Limits, exceed: impl AsyncFnOnce(SocketAddr)) {
    disturbs_no_login_on(World::start_within(Some(limits), "").await, exceed).await;
}

async fn disturbs_no_login_on(world: World, exceed: impl AsyncFnOnce(SocketAddr)) {
    let mut logins = Logins::on(world).await;
    let address = logins.world.address();
    let is_seen = Cell::new(false);
    let exceeding = async {
        exceed(address).await;
        is_seen.set(true);
    };
    // Each to its end: a creation that is left half way might supersede the next one's challenge.
    let going_on = async {
        while !is_seen.get() {
            logins.one_more().await;
        }
    };
    tokio::join!(exceeding, going_on);
    logins.one_more().await;
}

#[tokio::test]
async fn a_connection_without_a_request() {
    let limits = Limits { first_request: SHORT, leave: SHORT, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut silent = Raw::connect(server).await;
        let mut half_a_line = Raw::connect(server).await;
        half_a_line.send(b"GET /dev").await;
        silent.until_ended().await;
        half_a_line.until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_without_a_call() {
    // Longer than what lies between two calls of the logins.
    let limits = Limits { idle: 4 * SHORT, leave: SHORT, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut idle = Raw::connect_http2(server).await;
        idle.send_frame(&Frame::call(1, flag::END_STREAM, GET_OFFER)).await;
        idle.frame_of(kind::HEADERS).await;
        idle.until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping() {
    let limits =
        Limits { http2_keepalive_interval: SHORT, http2_keepalive_timeout: 4 * SHORT, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut deaf = Raw::connect_http2(server).await;
        deaf.send_frame(&Frame::call(1, 0, GET_OFFER)).await;
        deaf.until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn rapid_resets() {
    disturbs_no_login(Limits::default(), async |server| {
        let mut rapid = Raw::connect_http2(server).await;
        let mut bytes = Vec::new();
        for stream in (1..400).step_by(2) {
            bytes.extend(Frame::call(stream, 0, GET_OFFER).bytes());
            bytes.extend(Frame::new(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()).bytes());
        }
        rapid.send(&bytes).await;
        rapid.frames_until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_come_and_one_that_is_too_large() {
    let limits = Limits { request_body: SHORT, request_body_bytes: 4096, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut slow = Raw::connect_http2(server).await;
        slow.send_frame(&Frame::call(1, 0, GET_OFFER)).await;
        let mut large = Raw::connect_http2(server).await;
        large.send_frame(&Frame::call(1, 0, GET_OFFER)).await;
        large.send_frame(&Frame::new(kind::DATA, 0, 1, &[0; 5000])).await;
        large.frame_of(kind::HEADERS).await;
        slow.frame_of(kind::HEADERS).await;
    })
    .await;
}

#[tokio::test]
async fn more_calls_than_an_address_may_have() {
    let limits = Limits { calls_per_peer: 8, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut greedy = Raw(connect_from([127, 0, 0, 2], server).await);
        greedy.send(super::raw::PREFACE).await;
        greedy.send_frame(&Frame::new(kind::SETTINGS, 0, 0, &[])).await;
        for stream in (1..19).step_by(2) {
            greedy.send_frame(&Frame::call(stream, 0, GET_OFFER)).await;
        }
        assert_eq!(greedy.frame_of(kind::HEADERS).await.stream, 17, "the ninth is answered at once");
    })
    .await;
}

#[tokio::test]
async fn heads_of_http1_that_do_not_end_or_are_too_large_or_too_many() {
    let limits = Limits { http1_head: SHORT, http1_head_bytes: 8192, http1_headers: 10, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut slow = Raw::connect(server).await;
        slow.send(b"GET /device HTTP/1.1\r\nhost: loc").await;
        let mut large = Raw::connect(server).await;
        large.send(b"GET /device HTTP/1.1\r\nhost: localhost\r\nx-padding: ").await;
        large.send(&[b'x'; 8192]).await;
        assert!(large.text_until_ended().await.starts_with("HTTP/1.1 431 "));
        let mut many = Raw::connect(server).await;
        many.send(format!("GET /device HTTP/1.1\r\n{}\r\n", "x: x\r\n".repeat(11)).as_bytes()).await;
        assert!(many.text_until_ended().await.starts_with("HTTP/1.1 431 "));
        slow.until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn a_tls_handshake_that_stalls() {
    let world = World::start_over_tls(Limits { tls_handshake: SHORT, ..Limits::default() }).await;
    disturbs_no_login_on(world, async |server| {
        let mut silent = Raw::connect(server).await;
        let mut half_a_hello = Raw::connect(server).await;
        half_a_hello.send(&[0x16, 3, 1, 2, 0, 1]).await;
        silent.until_ended().await;
        half_a_hello.until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn errors_that_make_the_server_reset_streams() {
    let limits = Limits { http2_error_resets: 5, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut faulty = Raw::connect_http2(server).await;
        for stream in (1..40).step_by(2) {
            // More than a window can hold is an error of the stream (RFC 9113, section 6.9.1).
            let mut bytes = Frame::call(stream, 0, GET_OFFER).bytes();
            bytes.extend(Frame::new(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]).bytes());
            // The server may have ended it by now, which is what is looked for.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut faulty.0, &bytes).await;
        }
        faulty.frames_until_ended().await;
    })
    .await;
}

#[tokio::test]
async fn a_response_that_is_left_unread() {
    let limits = Limits { response_unread: SHORT, ..Limits::default() };
    disturbs_no_login(limits, async |server| {
        let mut shut = Raw::connect(server).await;
        shut.send(super::raw::PREFACE).await;
        // SETTINGS_INITIAL_WINDOW_SIZE of nothing (RFC 9113, section 6.5.2): no response may be sent.
        shut.send_frame(&Frame::new(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
        shut.send_frame(&Frame::call(1, 0, "/grpc.health.v1.Health/Check")).await;
        shut.send_frame(&Frame::new(kind::DATA, flag::END_STREAM, 1, &[0; 5])).await;
        let frames = shut.frames_until_ended().await;
        assert!(frames.iter().all(|frame| frame.kind != kind::DATA), "{frames:?}");
    })
    .await;
}
