//! `countersign-agent listen`, the real binary.

use std::{path::Path, process::Stdio, time::Duration};

use countersign_agent::{ChallengeState, Clock as _, SystemClock};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use tonic::Code;

use crate::{
    script::{CHALLENGE, DEVICE, Stream, refusal},
    server::Server,
};

/// A listener that runs, killed when dropped.
struct Listener {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), event).await.unwrap()
}

fn command(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
    command.arg("--state-dir").arg(state).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Enrols at a server of its own; the stream that will be opened.
async fn enroll(state: &Path, user: &str, device: &str) -> (Server, Stream) {
    let server = Server::start(SystemClock.now()).await;
    {
        let mut script = server.script();
        script.offer.user_id = user.into();
        script.offer.account_name = format!("{user}@example.org");
        script.account.device_id = device.into();
    }
    let link = server.link();
    let enrolled = soon(command(state, &["enroll", &link, "--yes"]).output()).await.unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    let stream = server.script().stream();
    (server, stream)
}

/// Asks `user` on the stream.
fn ask(server: &Server, stream: &Stream, user: &str, challenge_id: &str) {
    let mut script = server.script();
    let mut statement = script.challenge();
    statement.user_id = user.into();
    statement.challenge_id = challenge_id.into();
    script.ask(&statement);
    stream.send(Ok(script.event(ChallengeState::Pending))).unwrap();
}

fn revoked() -> tonic::Status {
    refusal(Code::Unauthenticated, "CREDENTIAL_INVALID", "the signature does not count")
}

impl Listener {
    fn start(state: &Path, arguments: &[&str]) -> Self {
        let mut child = command(state, arguments).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let notes = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, input, output, notes }
    }

    /// What is printed until a line has `text` in it.
    async fn printed(&mut self, text: &str) -> String {
        until(&mut self.output, text).await
    }

    /// What is noted on standard error until a line has `text` in it.
    async fn noted(&mut self, text: &str) -> String {
        until(&mut self.notes, text).await
    }

    async fn types(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn event(&mut self) -> Value {
        serde_json::from_str(&soon(self.output.next_line()).await.unwrap().unwrap()).unwrap()
    }

    async fn code(&mut self) -> i32 {
        soon(self.child.wait()).await.unwrap().code().unwrap()
    }
}

async fn until<R: tokio::io::AsyncBufRead + Unpin>(lines: &mut Lines<R>, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let line = soon(lines.next_line()).await.unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended without {text:?}: {read}"));
        read.push_str(&line);
        read.push('\n');
    }
    read
}

#[tokio::test]
async fn each_challenge_of_several_accounts_is_shown_and_answered_as_it_arrives() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    let (of_anna, annas) = enroll(&state, "anna", DEVICE).await;
    let (of_bert, berts) = enroll(&state, "bert", "dev_2").await;
    let mut listener = Listener::start(&state, &["listen"]);

    ask(&of_anna, &annas, "anna", CHALLENGE);
    let shown = listener.printed("127.0.0.1").await;
    for text in ["203.0.113.7", "Moon phase  > waxing", "anna@example.org", "3 digits", CHALLENGE] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    listener.noted("Type the 3 digits").await;
    ask(&of_bert, &berts, "bert", "chl_2");
    listener.noted("1 more to answer").await;
    listener.types("42").await;
    listener.noted("no try was used").await;
    listener.types("042").await;
    let next = listener.printed("bert@example.org").await;
    assert!(next.contains("Challenge chl_1: approved"), "{next}");
    assert_eq!(of_anna.script().decisions[0].match_code, "042");

    // Somebody else was faster.
    let settled = of_bert.script().event(ChallengeState::Superseded);
    berts.send(Ok(settled)).unwrap();
    listener.noted("Challenge chl_2: a newer challenge has taken its place").await;
    assert_eq!(of_bert.script().decisions, []);

    annas.send(Err(revoked())).unwrap();
    let why = listener.noted("anna@example.org (Example): ended").await;
    assert!(why.contains("it was revoked"), "{why}");
    berts.send(Err(revoked())).unwrap();
    listener.noted("bert@example.org (Example): ended").await;
    assert_eq!(listener.code().await, 4);
}

#[tokio::test]
async fn with_json_each_event_is_an_object_and_nothing_is_asked() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    let (server, stream) = enroll(&state, "anna", DEVICE).await;
    let mut listener = Listener::start(&state, &["--json", "listen"]);
    let listening = listener.event().await;
    assert_eq!(
        (listening["event"].as_str(), listening["device_id"].as_str()),
        (Some("listening"), Some(DEVICE))
    );
    ask(&server, &stream, "anna", CHALLENGE);
    let asked = listener.event().await;
    assert_eq!(asked["event"], "asked");
    assert_eq!(
        (&asked["challenge"]["challenge_id"], &asked["challenge"]["state"]),
        (&CHALLENGE.into(), &"PENDING".into())
    );
    stream.send(Ok(server.script().event(ChallengeState::Expired))).unwrap();
    let settled = listener.event().await;
    assert_eq!((&settled["event"], &settled["state"]), (&"settled".into(), &"EXPIRED".into()));

    let second = server.script().stream();
    stream.send(Err(refusal(Code::Unavailable, "SHUTTING_DOWN", "another one answers"))).unwrap();
    let interrupted = listener.event().await;
    assert_eq!(interrupted["event"], "interrupted");
    assert_eq!(interrupted["error"]["reason"], "SHUTTING_DOWN");
    assert_eq!(listener.event().await["event"], "listening");
    second.send(Err(revoked())).unwrap();
    let ended = listener.event().await;
    assert_eq!((&ended["event"], &ended["error"]["reason"]), (&"ended".into(), &"CREDENTIAL_INVALID".into()));
    assert_eq!(listener.code().await, 4);
}

#[tokio::test]
async fn without_an_account_there_is_nothing_to_listen_for() {
    let directory = TempDir::new().unwrap();
    let ended = soon(command(&directory.path().join("state"), &["listen"]).output()).await.unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("enroll LINK"));
}
