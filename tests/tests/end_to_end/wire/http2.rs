//! Limits of HTTP/2.

use bytes::Bytes;
use countersign::wire::Limits;
use http::{HeaderMap, Request};

use super::{
    SHORT,
    bystander::Bystander,
    raw::{Frame, Raw, flag, kind},
    running::Running,
    soon,
};

/// RFC 9113, section 7.
const REFUSED_STREAM: u32 = 7;
/// RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn one_stream_too_many_is_refused_and_the_others_go_on() {
    let mut server = Running::start(Limits { http2_streams: 2, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut greedy = Raw::connect_http2(server.address).await;
    for stream in [1, 3, 5] {
        greedy.send_frame(&Frame::call(stream, flag::END_STREAM, "/test.Hanging/Wait")).await;
    }
    let refused = greedy.frame_of(kind::RST_STREAM).await;
    assert_eq!((refused.stream, refused.error_code()), (5, REFUSED_STREAM));
    server.entered().await;
    server.entered().await;
    bystander.is_served().await;
    server.release.notify_one();
    greedy.frame_of(kind::HEADERS).await;
    bystander.is_served().await;
}

#[tokio::test]
async fn too_long_a_list_of_headers_is_answered_431() {
    let server = Running::start(Limits { http2_header_list_bytes: 4096, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let stream = super::bystander::connect_from([127, 0, 0, 1], server.address).await;
    let (mut requests, connection) = soon(h2::client::handshake(stream)).await.expect("a handshake");
    // How it ends is seen in the answer.
    tokio::spawn(async move { drop(connection.await) });
    let request = Request::post("http://localhost/test.Hanging/Left")
        .header("x-padding", "x".repeat(5000))
        .body(())
        .expect("sound");
    let (answer, _) = requests.send_request(request, true).expect("sent");
    assert_eq!(soon(answer).await.expect("an answer").status(), 431);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_cut() {
    let limits =
        Limits { http2_keepalive_interval: SHORT, http2_keepalive_timeout: SHORT, ..Limits::default() };
    let mut server = Running::start(limits).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut deaf = Raw::connect_http2(server.address).await;
    deaf.send_frame(&Frame::call(1, flag::END_STREAM, "/test.Hanging/Never")).await;
    server.entered().await;
    bystander.is_served().await;
    let mut pinged = false;
    while let Some(frame) = deaf.frame().await {
        pinged |= frame.kind == kind::PING;
    }
    assert!(pinged);
    server.dropped().await;
    bystander.is_served().await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let server = Running::start(Limits::default()).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut rapid = Raw::connect_http2(server.address).await;
    let mut bytes = Vec::new();
    for stream in (1..400).step_by(2) {
        bytes.extend(Frame::call(stream, flag::END_STREAM, "/test.Hanging/Never").bytes());
        bytes.extend(Frame::new(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()).bytes());
    }
    rapid.send(&bytes).await;
    assert_eq!(rapid.frame_of(kind::GOAWAY).await.error_code(), ENHANCE_YOUR_CALM);
    bystander.is_served().await;
    rapid.frames_until_ended().await;
    bystander.is_served().await;
}

#[tokio::test]
async fn errors_that_make_the_server_reset_streams_end_the_connection() {
    let server = Running::start(Limits { http2_error_resets: 5, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut faulty = Raw::connect_http2(server.address).await;
    for stream in (1..40).step_by(2) {
        // More than a window can hold is an error of the stream (RFC 9113, section 6.9.1).
        let mut bytes = Frame::call(stream, 0, "/test.Hanging/Never").bytes();
        bytes.extend(Frame::new(kind::WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]).bytes());
        // The server may have ended it by now, which is what is looked for.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut faulty.0, &bytes).await;
    }
    let frames = faulty.frames_until_ended().await;
    let goaway = frames.iter().find(|frame| frame.kind == kind::GOAWAY).expect("a GOAWAY");
    assert_eq!(goaway.error_code(), ENHANCE_YOUR_CALM);
    bystander.is_served().await;
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_connection() {
    let server = Running::start(Limits::default()).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let mut raw = Raw::connect_http2(server.address).await;
    // The head of a frame of 16 MiB; its payload never comes.
    raw.send(&[0xff, 0xff, 0xff, kind::DATA, 0, 0, 0, 0, 1]).await;
    let goaway = raw.frame_of(kind::GOAWAY).await;
    assert_eq!(goaway.error_code(), 6, "FRAME_SIZE_ERROR");
    raw.frames_until_ended().await;
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let limits = Limits { request_body_bytes: 1000, ..Limits::default() };
    let mut server = Running::start(limits).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let (answer, mut body) = upload(&server).await;
    body.send_data(Bytes::from_static(&[0; 600]), false).expect("sent");
    server.entered().await;
    bystander.is_served().await;
    body.send_data(Bytes::from_static(&[0; 600]), false).expect("sent");
    let headers = soon(answer).await.expect("an answer").into_parts().0.headers;
    assert_eq!(headers["grpc-status"], "3", "INVALID_ARGUMENT");
    assert_eq!(
        headers["grpc-message"],
        "the%20request's%20body%20must%20not%20have%20more%20than%201000%20bytes"
    );
    bystander.is_served().await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_ended() {
    let limits = Limits { request_body: SHORT, ..Limits::default() };
    let mut server = Running::start(limits).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    let (mut answer, mut body) = upload(&server).await;
    server.entered().await;
    let trickle = async {
        // The answer ends the trickle; waiting for it paces it.
        loop {
            match tokio::time::timeout(SHORT / 20, &mut answer).await {
                Ok(answer) => return answer.expect("an answer"),
                Err(_) => drop(body.send_data(Bytes::from_static(b"x"), false)),
            }
            bystander.is_served().await;
        }
    };
    let answer = soon(trickle).await;
    assert_eq!(answer.headers()["grpc-status"], "3", "INVALID_ARGUMENT");
    bystander.is_served().await;
}

/// Starts a call whose handler reads the whole request.
async fn upload(server: &Running) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let stream = super::bystander::connect_from([127, 0, 0, 1], server.address).await;
    let (mut requests, connection) = soon(h2::client::handshake(stream)).await.expect("a handshake");
    // How it ends is seen in the answer.
    tokio::spawn(async move { drop(connection.await) });
    let mut request = Request::post("http://localhost/test.Hanging/Read").body(()).expect("sound");
    *request.headers_mut() =
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/grpc".parse().expect("sound"))]);
    requests.send_request(request, false).expect("sent")
}

#[tokio::test]
async fn a_peer_that_reads_no_answer_is_cut() {
    let server = Running::start(Limits { response_unread: SHORT, ..Limits::default() }).await;
    let mut bystander = Bystander::connect(server.address).await;
    bystander.is_served().await;
    // A stream that has nothing to send is no fault of its peer.
    let watch = soon(bystander.start("/grpc.health.v1.Health/Watch", HeaderMap::new())).await;
    let mut deaf = Raw::connect_http2(server.address).await;
    // SETTINGS_INITIAL_WINDOW_SIZE of zero: the answer's body must wait.
    deaf.send_frame(&Frame::new(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    deaf.send_frame(&Frame::call(1, 0, "/grpc.health.v1.Health/Check")).await;
    deaf.send_frame(&Frame::new(kind::DATA, flag::END_STREAM, 1, &[0; 5])).await;
    deaf.frame_of(kind::HEADERS).await;
    bystander.is_served().await;
    assert!(deaf.frames_until_ended().await.iter().all(|frame| frame.kind != kind::DATA));
    bystander.is_served().await;
    drop(watch.expect("a stream"));
}
