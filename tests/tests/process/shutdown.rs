//! How the server ends: waiting calls are told, calls in flight finish, and the data directory is free.

use std::net::SocketAddr;

use bytes::Bytes;
use countersign_proto::login::{
    AwaitChallengeRequest, AwaitEnrollmentRequest, EnrollmentState, GetApplicationRequest,
};
use h2::{SendStream, client::SendRequest};
use http::{HeaderMap, Method, Request};
use prost::Message as _;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    people::{Application, Backend},
    program::{Place, soon},
};

/// A call that has sent its head and half of its message.
struct Unfinished {
    body: SendStream<Bytes>,
    rest: Bytes,
    answer: h2::client::ResponseFuture,
}

/// Begins `CreateChallenge`, and comes back once the server has the first half.
async fn begin_call(server: SocketAddr, application: &Application) -> Unfinished {
    let stream = soon(TcpStream::connect(server)).await.expect("it listens");
    let (mut client, connection) = soon(h2::client::handshake(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let create = countersign_proto::login::CreateChallengeRequest {
        user_id: "nobody".to_owned(),
        attempt_id: "attempt".to_owned(),
        ..Default::default()
    };
    let message = framed(&create.encode_to_vec());
    let (half, rest) = (message.slice(..7), message.slice(7..));
    let (answer, mut body) = send(&mut client, application, "LoginService/CreateChallenge");
    body.send_data(half, false).expect("the stream is open");

    // Frames are taken in order, so what is answered now came after the half.
    let (after, mut whole) = send(&mut client, application, "LoginService/GetApplication");
    whole.send_data(framed(&[]), true).expect("the stream is open");
    assert_eq!(soon(after).await.expect("an answer").status(), 200);
    Unfinished { body, rest, answer }
}

fn send(
    client: &mut SendRequest<Bytes>,
    application: &Application,
    method: &str,
) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://localhost/countersign.login.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", application.api_key))
        .body(())
        .expect("a request");
    client.send_request(request, false).expect("the connection is open")
}

/// A message with the prefix of gRPC: not compressed, and its length.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

impl Unfinished {
    /// Sends the rest, and returns the trailers.
    async fn finish(mut self) -> HeaderMap {
        self.body.send_data(self.rest, true).expect("the stream is open");
        let mut body = soon(self.answer).await.expect("an answer").into_body();
        while let Some(data) = soon(body.data()).await {
            let length = data.expect("the answer's message").len();
            body.flow_control().release_capacity(length).expect("it was taken");
        }
        soon(body.trailers()).await.expect("trailers").expect("trailers")
    }
}

/// Nobody is served any more: the connection is refused, or ends without an answer.
async fn assert_refuses_connections(server: SocketAddr) {
    let Ok(mut stream) = soon(TcpStream::connect(server)).await else { return };
    let mut answer = Vec::new();
    let _ = stream.write_all(b"GET /device HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"", "a server that ends takes new connections");
}

fn assert_shutting_down(status: &Status) {
    let details = status.get_error_details();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("SHUTTING_DOWN"), "{status:?}");
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()), "{status:?}");
}

/// Waits for a challenge and an enrolment for as long as is allowed. `waiting` is called when the server has both.
async fn wait_for_both(
    backend: &Backend,
    challenge_id: String,
    enrollment_id: String,
    waiting: impl AsyncFnOnce(),
) -> [Status; 2] {
    let wait = Some(std::time::Duration::from_mins(1).into());
    let (mut login, mut users) = (backend.login.clone(), backend.users.clone());
    let challenge = login.await_challenge(AwaitChallengeRequest { challenge_id, wait });
    let known_state = EnrollmentState::Pending.into();
    let enrollment = users.await_enrollment(AwaitEnrollmentRequest { enrollment_id, wait, known_state });
    let after = async {
        // On the same connection, so that it comes to the server after the two.
        let request = GetApplicationRequest {};
        backend.login.clone().get_application(request).await.expect("it is served");
        waiting().await;
    };
    let (challenge, enrollment, ()) = soon(async { tokio::join!(challenge, enrollment, after) }).await;
    [challenge.expect_err("it was not settled"), enrollment.expect_err("nobody came")]
}

async fn ends_cleanly(signal: &str) {
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let server = place.serve().await;
    let address = server.address;
    let backend = application.connect(address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    let enrollment = backend.start_enrollment("bert").await.expect("it starts").enrollment;
    let enrollment_id = enrollment.expect("an enrolment").enrollment_id;
    let in_flight = begin_call(address, &application).await;

    let waiting = async || server.signal(signal).await;
    let told =
        Box::pin(wait_for_both(&backend, challenge.challenge_id.clone(), enrollment_id, waiting)).await;
    told.iter().for_each(assert_shutting_down);
    assert_refuses_connections(address).await;
    assert_eq!(in_flight.finish().await["grpc-status"], "0");
    let ended = server.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");

    let server = place.serve_with(&["--listen", &address.to_string()]).await;
    let backend = application.connect(address).await;
    let answer = device.reconnected().approve(&challenge.challenge_id, &match_code).await;
    let answer = answer.expect("it still waits");
    assert!(answer.accepted);
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    server.stop().await;
}

#[tokio::test]
async fn sigterm_ends_the_server_cleanly() {
    Box::pin(ends_cleanly("TERM")).await;
}

#[tokio::test]
async fn sigint_ends_the_server_cleanly() {
    Box::pin(ends_cleanly("INT")).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused() {
    let place = Place::new("");
    let server = place.serve().await;
    let reason = place.run_configured(&["serve"]).await;
    // The log has begun by then, and says nothing more.
    let expected = "another Countersign server runs on the data directory data: stop that one, or give this one \
                    another; several can share one when each has its challenges in Redis (redis.url)";
    assert_eq!(reason.failed(), expected);
    server.stop().await;
    place.serve().await.stop().await;
}
