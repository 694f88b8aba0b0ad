//! What the one port speaks beside gRPC: a page, gRPC-Web, reflection and health.

use std::net::SocketAddr;

use countersign_proto::login::GetApplicationResponse;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_stream::once;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{
    v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    },
    v1alpha,
};

use crate::{
    people::{Application, channel},
    program::{Place, soon},
};

const SERVICES: [&str; 4] = [
    "countersign.device.v1.DeviceService",
    "countersign.login.v1.LoginService",
    "countersign.login.v1.UserService",
    "grpc.health.v1.Health",
];

/// Sends a request of HTTP/1.1, and returns the head and the body of the answer.
async fn ask(server: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = soon(TcpStream::connect(server)).await.expect("it listens");
    let length = body.len();
    let head = format!("{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    soon(stream.write_all(&[head.as_bytes(), body].concat())).await.expect("it reads");
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.expect("it answers");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).expect("ASCII").to_ascii_lowercase(), body)
}

#[tokio::test]
async fn the_page_behind_a_pairing_link_runs_nothing_and_is_kept_nowhere() {
    let place = Place::new("");
    let server = place.serve().await;
    let (head, body) = ask(server.address, "GET /device HTTP/1.1", b"").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(head.lines().any(|line| line == header), "{header}: {head}");
    }
    let page = String::from_utf8(body).expect("UTF-8");
    assert!(page.contains("Open this link with your authenticator app"), "{page}");
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="), "{page}");
    let (head, _) = ask(server.address, "GET /nothing HTTP/1.1", b"").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn a_browser_calls_by_grpc_web_over_http1() {
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let server = place.serve().await;
    let head = format!(
        "POST /countersign.login.v1.LoginService/GetApplication HTTP/1.1\r\n\
         content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\nauthorization: Bearer {}",
        application.api_key
    );
    let (head, body) = ask(server.address, &head, &[0; 5]).await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let body = if head.contains("transfer-encoding: chunked") { joined(&body) } else { body };
    let (flag, message, rest) = frame(&body);
    assert_eq!(flag, 0);
    let answer = GetApplicationResponse::decode(message).expect("a message");
    assert_eq!((answer.application_id, answer.name), (application.id, "Shop".to_owned()));
    assert_eq!(answer.server_id, server.id);
    let (flag, trailers, rest) = frame(rest);
    assert_eq!((flag, rest), (0x80, &[][..]));
    assert!(trailers.starts_with(b"grpc-status:0\r\n"), "{}", String::from_utf8_lossy(trailers));
    server.stop().await;
}

/// A frame of gRPC-Web: its flag, its content, and what follows.
fn frame(body: &[u8]) -> (u8, &[u8], &[u8]) {
    let (head, rest) = body.split_at(5);
    let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
    let (content, rest) = rest.split_at(length as usize);
    (head[0], content, rest)
}

/// The chunks of a body (RFC 9112, section 7.1) put together.
fn joined(mut chunked: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = chunked.windows(2).position(|window| window == b"\r\n").expect("a chunk's size");
        let size = str::from_utf8(&chunked[..end]).expect("ASCII");
        let size = usize::from_str_radix(size, 16).expect("a number");
        if size == 0 {
            return whole;
        }
        whole.extend(&chunked[end + 2..end + 2 + size]);
        chunked = &chunked[end + 2 + size + 2..];
    }
}

#[tokio::test]
async fn reflection_lists_the_services_and_all_are_serving() {
    let place = Place::new("");
    let server = place.serve().await;
    let channel = channel(server.address).await;

    let question = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = soon(client.server_reflection_info(once(request))).await.expect("a stream");
    let answer = soon(answers.into_inner().message()).await.expect("a stream").expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!("a list") };
    assert_lists(list.service.into_iter().map(|service| service.name));

    let question = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = soon(client.server_reflection_info(once(request))).await.expect("a stream");
    let answer = soon(answers.into_inner().message()).await.expect("a stream").expect("an answer");
    let list = match answer.message_response {
        Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) => list,
        other => panic!("{other:?}"),
    };
    assert_lists(list.service.into_iter().map(|service| service.name));

    let mut health = HealthClient::new(channel);
    for service in ["", SERVICES[0], SERVICES[1], SERVICES[2]] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = soon(health.check(request)).await.expect("an answer").into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service}");
    }
    server.stop().await;
}

fn assert_lists(names: impl Iterator<Item = String>) {
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("grpc.reflection.")).collect();
    names.sort();
    assert_eq!(names, SERVICES);
}
