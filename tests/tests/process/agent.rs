//! `countersign-agent`, the real one, at a real server.

mod account;
mod killed;
mod listening;
mod passphrase;
mod prompt;
mod push_target;

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use countersign_proto::login::{Factor, VerifyCodeRequest};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    people::{Application, Backend},
    program::{Ended, Place, Server, ended, program},
};

/// The agent, built by this package.
const AGENT: &str = env!("CARGO_BIN_EXE_countersign-agent-under-test");
/// Where it keeps its accounts.
const STATE: &str = "state";

/// A server with a backend, and an agent beside it.
struct Stage {
    place: Place,
    server: Server,
    backend: Backend,
}

impl Stage {
    async fn start() -> Self {
        Self::start_in(Place::new("")).await
    }

    async fn start_in(place: Place) -> Self {
        let server = place.serve().await;
        let backend = Application::create(&place, "Shop").await.connect(server.address).await;
        Self { place, server, backend }
    }

    /// With an account for each of these users; their devices' ids.
    async fn enrolled<const N: usize>(users: [&str; N]) -> (Self, [String; N]) {
        let stage = Self::start().await;
        let mut devices = users.map(str::to_owned);
        for device in &mut devices {
            *device = stage.enroll(device, &[]).await;
        }
        (stage, devices)
    }

    /// Enrols the agent for `user`, up to the confirmation; the device's id.
    async fn enroll(&self, user: &str, options: &[&str]) -> String {
        let started = self.backend.start_enrollment(user).await.expect("it is begun");
        let arguments = [&["enroll", &started.uri, "--name", "Laptop", "--yes"], options].concat();
        let enrolled = json(&self.run(&[&["--json"], &arguments[..]].concat()).await.succeeded());
        let code = enrolled["confirmation_code"].as_str().expect("the policy asks for one");
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        self.backend.confirm(&enrollment_id, code).await.expect("the code is right");
        enrolled["account"]["device_id"].as_str().expect("an id").to_owned()
    }

    /// The agent with these arguments, not yet running.
    fn agent(&self, arguments: &[&str]) -> Command {
        self.agent_at(STATE, arguments)
    }

    fn agent_at(&self, state: &str, arguments: &[&str]) -> Command {
        program(self.place.directory(), AGENT, &[&["--state-dir", state], arguments].concat())
    }

    /// Runs a command that ends by itself and reads nothing, without a terminal.
    async fn run(&self, arguments: &[&str]) -> Ended {
        ended(&mut self.agent(arguments)).await
    }

    /// What a command prints with `--json`; it must succeed.
    async fn json(&self, arguments: &[&str]) -> Value {
        json(&self.run(&[&["--json"], arguments].concat()).await.succeeded())
    }

    /// Puts a file of this name in the place, closed to others.
    fn write_secret(&self, name: &str, content: &str) {
        let path = self.place.path(name);
        fs::write(&path, content).expect("writes");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("sets");
    }

    fn state(&self) -> PathBuf {
        self.place.path(STATE)
    }

    /// The factors that the server has of `user`.
    async fn factors(&self, user: &str) -> Vec<Factor> {
        self.backend.user(user).await.factors
    }

    /// Logs `user` in by a code; its result.
    async fn log_in_by(&self, code: &str, user: &str) -> i32 {
        let (challenge, _) = self.backend.create(user, code).await.expect("it is created");
        let request = VerifyCodeRequest {
            challenge_id: challenge.challenge_id,
            code: code.to_owned(),
            ..VerifyCodeRequest::default()
        };
        self.backend.login.clone().verify_code(request).await.expect("an answer").into_inner().result
    }
}

fn json(printed: &str) -> Value {
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(printed).expect("JSON")
}

/// The exit code of a command that failed, and its complaint; it must have printed nothing else.
fn failed(ended: Ended) -> (i32, String) {
    assert_eq!(ended.stdout, "", "{ended:?}");
    (ended.status.code().expect("it ended by itself"), ended.stderr)
}

/// What lies in `directory`, by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let content = |entry: fs::DirEntry| {
        (entry.file_name().into_string().expect("a name"), fs::read(entry.path()).expect("reads"))
    };
    fs::read_dir(directory).expect("lists").map(|entry| content(entry.expect("an entry"))).collect()
}
