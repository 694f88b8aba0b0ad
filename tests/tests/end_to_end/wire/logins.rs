//! The real server, with the limits that an operator sets: strangers exceed each of them over raw sockets, and
//! logins on other connections go on undisturbed.

use bytes::Bytes;
use countersign_proto::login::AwaitChallengeRequest;
use http::Request;
use tonic::Code;

use super::{
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
        let world = World::start_with(LIMITS).await;
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
    let address = logins.world.app.address();
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
    let address = logins.world.app.address();

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
