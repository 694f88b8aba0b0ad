use std::{fs, process::Stdio};

use countersign_test_peers::{RedisServer, Value, redis_or_skip};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    process::Command,
};

use crate::{bulk, is_pending, ok, soon};

#[tokio::test]
async fn what_was_written_outlives_a_kill() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let (url, first) = (redis.url(), redis.pid());
    assert_eq!(redis.command(&["SET", "key", "value"]).await.expect("it answers"), ok());
    redis.kill();
    assert_eq!(redis.pid(), None);
    assert!(redis.command(&["PING"]).await.is_err());
    redis.restart().await.expect("it starts again");
    assert_eq!(redis.url(), url);
    assert_ne!(redis.pid(), first);
    assert_eq!(redis.command(&["GET", "key"]).await.expect("it answers"), bulk("value"));
}

#[tokio::test]
async fn a_given_directory_stays_and_another_server_finds_its_data() {
    if !redis_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().expect("there is room");
    let first = RedisServer::options().directory(directory.path()).start().await.expect("it starts");
    assert_eq!(first.command(&["SET", "key", "value"]).await.expect("it answers"), ok());
    drop(first);
    let second = RedisServer::options().directory(directory.path()).start().await.expect("it starts");
    assert_eq!(second.command(&["GET", "key"]).await.expect("it answers"), bulk("value"));
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let process = format!("/proc/{}", redis.pid().expect("it runs"));
    let (directory, port) = (redis.directory().to_owned(), redis.port());
    assert!(fs::exists(&process).expect("/proc is there") && directory.exists());
    drop(redis);
    assert!(!fs::exists(&process).expect("/proc is there") && !directory.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_server_outlives_the_thread_that_started_it() {
    if !redis_or_skip() {
        return;
    }
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it builds");
        runtime.block_on(RedisServer::start()).expect("it starts")
    };
    let redis = std::thread::spawn(start).join().expect("it does not panic");
    assert_eq!(redis.command(&["PING"]).await.expect("it answers"), Value::Simple("PONG".to_owned()));
}

/// Set for the process that this test starts, of this program again, to be killed.
const TO_BE_KILLED: &str = "COUNTERSIGN_TEST_TO_BE_KILLED";

#[tokio::test]
async fn a_server_dies_with_a_process_that_is_killed() {
    if !redis_or_skip() {
        return;
    }
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let redis = RedisServer::start().await.expect("it starts");
        println!("\nport {}", redis.port());
        return std::future::pending().await;
    }
    // A killed process does not clean up after itself.
    let directory = tempfile::tempdir().expect("there is room");
    let mut process = Command::new(std::env::current_exe().expect("it has a file"))
        .args(["--exact", "server::a_server_dies_with_a_process_that_is_killed", "--nocapture"])
        .env(TO_BE_KILLED, "1")
        .env("TMPDIR", directory.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let port: u16 = loop {
        let line = soon(lines.next_line()).await.expect("it is text").expect("it names its port");
        if let Some(port) = line.strip_prefix("port ") {
            break port.parse().expect("it is a number");
        }
    };
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.expect("Redis listens");
    process.kill().await.expect("it runs");
    let mut rest = Vec::new();
    // Ends when the kernel closes the connection for Redis, by an end or a reset.
    let _ = soon(connection.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_stopped_server_answers_when_it_goes_on() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let mut connection = redis.connect().await.expect("it connects");
    redis.stop_signal().await.expect("it stops");
    let mut answer = Box::pin(connection.command(&["PING"]));
    let state =
        fs::read_to_string(format!("/proc/{}/stat", redis.pid().expect("it runs"))).expect("it is there");
    assert!(state.contains(" T "), "{state}");
    // Asked once: a stopped process cannot have answered.
    assert!(is_pending(&mut answer).await);
    redis.continue_signal().expect("it goes on");
    assert_eq!(soon(answer).await.expect("it answers"), Value::Simple("PONG".to_owned()));
}

#[tokio::test]
async fn a_directive_takes_the_place_of_a_usual_one() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options()
        .arg("appendonly", "no")
        .arg("maxmemory", "3mb")
        .start()
        .await
        .expect("it starts");
    let settings = redis.command(&["CONFIG", "GET", "appendonly", "maxmemory"]).await.expect("it answers");
    let Value::Array(settings) = settings else { panic!("{settings:?}") };
    let value_of = |name| settings.iter().position(|found| *found == bulk(name)).map(|at| &settings[at + 1]);
    assert_eq!(value_of("appendonly"), Some(&bulk("no")));
    assert_eq!(value_of("maxmemory"), Some(&bulk("3145728")));
}

#[tokio::test]
async fn a_wrong_directive_is_an_error_that_says_so() {
    if !redis_or_skip() {
        return;
    }
    let error =
        RedisServer::options().arg("no-such-directive", "1").start().await.err().expect("it is refused");
    assert!(error.to_string().contains("no-such-directive"), "{error}");
}

#[tokio::test]
async fn a_user_may_do_what_its_rules_allow_over_tls() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options()
        .tls()
        .user("service", "pass \"word\\", "~mine:* +get +set")
        .user("default", "other", "~* +@all")
        .start()
        .await
        .expect("it starts");
    assert_eq!(redis.url(), format!("rediss://localhost:{}", redis.port()));
    let ca_file = redis.ca_file().expect("it speaks TLS");
    assert_eq!(fs::read_to_string(ca_file).ok().as_deref(), redis.ca_pem());

    let mut connection = redis.connect().await.expect("the default user logs in");
    assert_eq!(connection.command(&["ACL", "WHOAMI"]).await.expect("it answers"), bulk("default"));
    let wrong = connection.command(&["AUTH", "service", "wrong"]).await.expect("it answers");
    assert!(matches!(&wrong, Value::Error(text) if text.starts_with("WRONGPASS")), "{wrong:?}");
    assert_eq!(connection.command(&["AUTH", "service", "pass \"word\\"]).await.expect("it answers"), ok());
    assert_eq!(connection.command(&["SET", "mine:1", "value"]).await.expect("it answers"), ok());
    for refused in [["SET", "yours:1", "value"], ["GETSET", "mine:1", "value"]] {
        let answer = connection.command(&refused).await.expect("it answers");
        assert!(matches!(&answer, Value::Error(text) if text.starts_with("NOPERM")), "{answer:?}");
    }
}
