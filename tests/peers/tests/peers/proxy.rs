use countersign_test_peers::{FaultyProxy, RedisServer, Value, redis_or_skip};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{bulk, is_pending, soon};

const INCREMENT: &[u8] = b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n";
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

async fn connect(proxy: &FaultyProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).await.expect("it listens");
    stream.set_nodelay(true).expect("it is connected");
    stream
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 1024];
    let length = soon(stream.read(&mut bytes)).await.unwrap_or(0);
    bytes.truncate(length);
    bytes
}

/// A server that sends back what it reads, and closes when its client does.
async fn echo() -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    Ok(port)
}

async fn echo_behind_proxy() -> FaultyProxy {
    FaultyProxy::in_front_of(echo().await.expect("it listens")).await.expect("it listens")
}

#[tokio::test]
async fn a_lost_reply_is_that_of_a_request_that_was_carried_out() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let proxy = FaultyProxy::in_front_of(redis.port()).await.expect("it listens");
    let mut stream = connect(&proxy).await;
    stream.write_all(INCREMENT).await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b":1\r\n");

    let lost = proxy.lose_reply_to("INCR");
    stream.write_all(PING).await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"+PONG\r\n");
    // In two pieces: the second belongs to the request as well.
    let (piece, rest) = INCREMENT.split_at(INCREMENT.len() - 5);
    stream.write_all(piece).await.expect("it takes it");
    stream.write_all(rest).await.expect("it takes it");
    soon(lost.happened()).await;
    assert_eq!(read(&mut stream).await, b"");
    assert_eq!(redis.command(&["GET", "n"]).await.expect("it answers"), bulk("2"));

    // It was for one reply.
    let mut stream = connect(&proxy).await;
    stream.write_all(INCREMENT).await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b":3\r\n");
}

#[tokio::test]
async fn a_reply_is_not_lost_before_the_server_is_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    let proxy = FaultyProxy::in_front_of(port).await.expect("it listens");
    let mut lost = Box::pin(proxy.lose_reply_to("INCR").happened());
    let mut stream = connect(&proxy).await;
    let (mut upstream, _) = soon(listener.accept()).await.expect("the proxy connects");
    stream.write_all(INCREMENT).await.expect("it takes it");
    let mut request = Vec::new();
    soon(upstream.read_to_end(&mut request)).await.expect("the proxy asks for no more");
    assert_eq!(request, INCREMENT);
    assert!(is_pending(&mut lost).await);
    upstream.write_all(b":1\r\n").await.expect("the proxy takes it");
    drop(upstream);
    soon(lost).await;
    assert_eq!(read(&mut stream).await, b"");
}

#[tokio::test]
async fn nothing_after_the_request_whose_reply_is_lost_is_carried_out() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let proxy = FaultyProxy::in_front_of(redis.port()).await.expect("it listens");
    let lost = proxy.lose_reply_to("INCR");
    let mut stream = connect(&proxy).await;
    stream.write_all(&[PING, INCREMENT, INCREMENT].concat()).await.expect("it takes it");
    soon(lost.happened()).await;
    assert_eq!(redis.command(&["GET", "n"]).await.expect("it answers"), bulk("1"));
}

#[tokio::test]
async fn swallowed_replies_are_of_requests_that_were_carried_out() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let proxy = FaultyProxy::in_front_of(redis.port()).await.expect("it listens");
    let mut stream = connect(&proxy).await;
    stream.write_all(PING).await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"+PONG\r\n");
    proxy.swallow_replies();
    // Redis closes the connection after it has answered both.
    stream.write_all(&[INCREMENT, b"*1\r\n$4\r\nQUIT\r\n"].concat()).await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"");
    assert_eq!(redis.command(&["GET", "n"]).await.expect("it answers"), bulk("1"));
}

/// As a subscriber of the channel `c` gets it.
fn message(text: &str) -> Vec<u8> {
    format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
}

#[tokio::test]
async fn a_lost_message_is_the_one_that_was_meant_and_those_after_it_come() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let proxy = FaultyProxy::in_front_of(redis.port()).await.expect("it listens");
    let mut stream = connect(&proxy).await;
    stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n").await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let publish = async |text: &str| {
        assert_eq!(redis.command(&["PUBLISH", "c", text]).await.expect("it answers"), Value::Integer(1));
    };

    let lost = proxy.lose_message("two");
    publish("one").await;
    assert_eq!(read(&mut stream).await, message("one"));
    publish("two").await;
    soon(lost.happened()).await;
    publish("two").await;
    assert_eq!(read(&mut stream).await, message("two"));

    let lost = proxy.lose_message("three");
    proxy.swallow_messages();
    publish("four").await;
    publish("three").await;
    soon(lost.happened()).await;
    // What is no message comes.
    stream.write_all(b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nd\r\n").await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:2\r\n");
    proxy.pass();
    publish("five").await;
    assert_eq!(read(&mut stream).await, message("five"));
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_cut_ends_the_connections_that_there_are() {
    let proxy = echo_behind_proxy().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"one").await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"one");
    proxy.cut();
    assert_eq!(read(&mut stream).await, b"");
    let mut stream = connect(&proxy).await;
    stream.write_all(b"two").await.expect("it takes it");
    assert_eq!(read(&mut stream).await, b"two");
    assert_eq!(soon(proxy.connections_beyond(1)).await, 2);
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_refusing_proxy_ends_old_and_new_connections() {
    let proxy = echo_behind_proxy().await;
    let mut old = connect(&proxy).await;
    old.write_all(b"one").await.expect("it takes it");
    assert_eq!(read(&mut old).await, b"one");
    proxy.refuse();
    assert_eq!(read(&mut old).await, b"");
    let mut new = connect(&proxy).await;
    assert_eq!(read(&mut new).await, b"");
    assert_eq!(soon(proxy.connections_beyond(1)).await, 2);
    proxy.pass();
    let mut new = connect(&proxy).await;
    new.write_all(b"two").await.expect("it takes it");
    assert_eq!(read(&mut new).await, b"two");
}

#[tokio::test]
async fn a_stalled_proxy_keeps_what_it_is_given_until_it_passes() {
    let proxy = echo_behind_proxy().await;
    proxy.stall();
    let mut stream = connect(&proxy).await;
    soon(proxy.connections_beyond(0)).await;
    stream.write_all(b"one").await.expect("it takes it");
    proxy.pass();
    assert_eq!(read(&mut stream).await, b"one");
}

#[tokio::test]
async fn what_a_stalled_proxy_was_given_is_lost_in_a_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    let proxy = FaultyProxy::in_front_of(port).await.expect("it listens");
    let mut stream = connect(&proxy).await;
    let (mut upstream, _) = soon(listener.accept()).await.expect("the proxy connects");
    stream.write_all(b"one").await.expect("it takes it");
    assert_eq!(read(&mut upstream).await, b"one");
    proxy.stall();
    stream.write_all(b"two").await.expect("it takes it");
    upstream.write_all(b"reply").await.expect("it takes it");
    // What passes beside the proxy gives it the time to see what it was given.
    let mut beside =
        TcpStream::connect(("127.0.0.1", echo().await.expect("it listens"))).await.expect("it listens");
    beside.write_all(b"three").await.expect("it takes it");
    assert_eq!(read(&mut beside).await, b"three");
    proxy.cut();
    assert_eq!(read(&mut upstream).await, b"");
    assert_eq!(read(&mut stream).await, b"");
}
