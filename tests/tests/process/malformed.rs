//! Malformed, oversized, truncated and foreign input to each method, over HTTP/2 without a gRPC library.

use std::{fmt::Write as _, net::SocketAddr};

use bytes::Bytes;
use countersign_proto::login::DeliveryState;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use rusqlite::{Connection, types::Value};
use tokio::net::TcpStream;

use crate::{
    people::Application,
    program::{Place, soon},
};

const METHODS: [&str; 18] = [
    "countersign.login.v1.LoginService/CreateChallenge",
    "countersign.login.v1.LoginService/AwaitChallenge",
    "countersign.login.v1.LoginService/CancelChallenge",
    "countersign.login.v1.LoginService/RedeemChallenge",
    "countersign.login.v1.LoginService/GetApplication",
    "countersign.login.v1.UserService/StartEnrollment",
    "countersign.login.v1.UserService/AwaitEnrollment",
    "countersign.login.v1.UserService/ConfirmEnrollment",
    "countersign.login.v1.UserService/GetUser",
    "countersign.login.v1.UserService/RevokeFactor",
    "countersign.login.v1.UserService/DeleteUser",
    "countersign.device.v1.DeviceService/GetOffer",
    "countersign.device.v1.DeviceService/Enroll",
    "countersign.device.v1.DeviceService/GetAccount",
    "countersign.device.v1.DeviceService/ListChallenges",
    "countersign.device.v1.DeviceService/GetChallenge",
    "countersign.device.v1.DeviceService/Respond",
    "countersign.device.v1.DeviceService/ChangeDevice",
];

/// What is sent as the body of a call, and how it is called.
struct Sent {
    name: String,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Sent {
    fn new(name: impl Into<String>, body: Vec<u8>) -> Self {
        Self { name: name.into(), content_type: "application/grpc", body }
    }
}

/// Bytes that are the same in each run (xorshift64).
fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    [&[flag], &length[..], message].concat()
}

fn malformed() -> Vec<Sent> {
    let mut sent = Vec::new();
    for seed in 1..=8 {
        let mut bytes = random_bytes(seed, 40 * usize::try_from(seed).expect("small"));
        // Field 1 of a wire type that there is none of: whatever follows, it is no message.
        bytes[0] = 0x0f;
        sent.push(Sent::new(format!("random message {seed}"), framed(0, &bytes)));
        bytes[0] |= 2;
        sent.push(Sent::new(format!("random body {seed}"), bytes));
    }
    // A field of 100 bytes, of which four come.
    sent.push(Sent::new("truncated field", framed(0, &[0x0a, 100, 1, 2, 3, 4])));
    sent.push(Sent::new("truncated message", framed(0, &[0x0a, 4, b'a', b'n', b'n', b'a'])[..8].to_vec()));
    sent.push(Sent::new("truncated prefix", vec![0, 0, 0]));
    sent.push(Sent::new("no message", Vec::new()));
    sent.push(Sent::new("large message", framed(0, &vec![b'x'; 1 << 20])));
    sent.push(Sent::new("announced as 4 GiB", vec![0, 0xff, 0xff, 0xff, 0xff, 1]));
    sent.push(Sent::new("compressed", framed(1, &random_bytes(9, 64))));
    sent.push(Sent::new("unknown flag", framed(7, &[])));
    for content_type in ["application/json", "text/plain", "application/x-protobuf"] {
        let (name, body) = (content_type.to_owned(), framed(0, &[]));
        sent.push(Sent { name, content_type, body });
    }
    sent
}

/// Calls, and returns what the server says: the HTTP status, and gRPC's if there is one.
async fn call(
    client: &SendRequest<Bytes>,
    api_key: &str,
    method: &str,
    sent: &Sent,
) -> (StatusCode, Option<String>) {
    let mut client = soon(client.clone().ready()).await.expect("the connection lives");
    let request = Request::post(format!("http://localhost/{method}"))
        .header("content-type", sent.content_type)
        .header("te", "trailers")
        .header("authorization", format!("Bearer {api_key}"))
        .body(())
        .expect("a request");
    let (answer, mut body) = client.send_request(request, false).expect("the connection lives");
    // The server may refuse before it has read it all.
    let _ = body.send_data(sent.body.clone().into(), true);
    let answer = soon(answer).await.unwrap_or_else(|error| panic!("{} to {method}: {error}", sent.name));
    let grpc_status = |headers: &HeaderMap| {
        headers.get("grpc-status").map(|status| status.to_str().expect("ASCII").to_owned())
    };
    let status = answer.status();
    let mut told = grpc_status(answer.headers());
    let mut body = answer.into_body();
    while let Some(Ok(data)) = soon(body.data()).await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    if let Ok(Some(trailers)) = soon(body.trailers()).await {
        told = told.or_else(|| grpc_status(&trailers));
    }
    (status, told)
}

async fn connect(server: SocketAddr) -> SendRequest<Bytes> {
    let stream = soon(TcpStream::connect(server)).await.expect("it listens");
    let (client, connection) = soon(h2::client::handshake(stream)).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    client
}

/// Each row of each table.
fn dump(place: &Place) -> String {
    let connection = Connection::open(place.database()).expect("a database");
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .expect("a statement");
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let mut dump = String::new();
    for table in tables.map(|table| table.expect("a name")) {
        let mut all = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect("a statement");
        let columns = all.column_count();
        let mut rows = all.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<Value> = (0..columns).map(|n| row.get(n).expect("a value")).collect();
            writeln!(dump, "{table} {values:?}").expect("a string takes all");
        }
    }
    dump
}

#[tokio::test]
async fn what_is_no_message_is_answered_by_an_error_and_changes_nothing() {
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let server = place.serve().await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    // Afterwards nothing else writes.
    device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    // Whoever asks for the deliveries waits until what is known of them is written.
    assert_eq!(backend.state(&challenge.challenge_id).await.deliveries[0].state(), DeliveryState::Fetched);
    let before = dump(&place);
    assert!(before.lines().count() > 5, "{before}");

    let malformed = malformed();
    for method in METHODS {
        let client = connect(server.address).await;
        for sent in &malformed {
            let (status, told) = call(&client, &application.api_key, method, sent).await;
            let is_error = !status.is_success() || told.as_deref().is_some_and(|status| status != "0");
            assert!(is_error, "{} to {method}: {status}, {told:?}", sent.name);
        }
        // The connection itself has not suffered.
        let whole = Sent::new("whole", framed(0, &[]));
        let answer = call(&client, &application.api_key, METHODS[4], &whole).await;
        assert_eq!(answer, (StatusCode::OK, Some("0".to_owned())), "after {method}");
    }
    let client = connect(server.address).await;
    for method in ["countersign.login.v1.LoginService/", "countersign.admin.v1.AdminService/Get", "nothing"] {
        let answer = call(&client, &application.api_key, method, &Sent::new("empty", framed(0, &[]))).await;
        assert_eq!(answer.1.as_deref(), Some("12"), "{method} is not implemented: {answer:?}");
    }
    assert_eq!(dump(&place), before);

    let answer = device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    assert!(answer.accepted);
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let ended = server.stop().await;
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
