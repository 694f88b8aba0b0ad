//! The real binary: what it prints, and its exit codes.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use countersign_agent::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    script::{CHALLENGE, DEVICE},
    server::Server,
};

struct Shell {
    server: Server,
    directory: TempDir,
}

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Shell {
    async fn new() -> Self {
        let server = Server::start(SystemClock.now()).await;
        Self { server, directory: tempfile::tempdir().unwrap() }
    }

    async fn enrolled() -> Self {
        let shell = Self::new().await;
        let link = shell.server.link();
        assert_eq!(shell.run(&["enroll", &link, "--yes"], "").await.code, 0);
        shell
    }

    fn ask(&self) {
        let mut script = self.server.script();
        let statement = script.challenge();
        script.ask(&statement);
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign-agent"));
        command.arg("--state-dir").arg(self.state()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that asks nothing may have ended before it reads.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = run.await.unwrap();
        Ended {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut with_json = vec!["--json"];
        with_json.extend(arguments);
        let ended = self.run(&with_json, "").await;
        // A failure stands alone on standard error, whatever was found before it on standard output.
        let text = if ended.stderr.is_empty() { ended.stdout } else { ended.stderr };
        (ended.code, serde_json::from_str(&text).unwrap())
    }
}

#[tokio::test]
async fn enrolling_shows_the_offer_and_asks() {
    let shell = Shell::new().await;
    let link = shell.server.link();
    let declined = shell.run(&["enroll", &link], "n\n").await;
    assert_eq!(declined.code, 1);
    assert!(declined.stdout.contains("anna@example.org"), "{}", declined.stdout);
    assert_eq!(shell.server.take_calls(), ["GetOffer"]);

    let agreed = shell.run(&["enroll", &link, "--name", "Laptop"], "y\n").await;
    assert_eq!(agreed.code, 0, "{}", agreed.stderr);
    assert!(agreed.stdout.contains("Confirmation code: 123456"), "{}", agreed.stdout);
    assert_eq!(shell.server.script().enrollments[0].device_name, "Laptop");

    let (code, error) = shell.json(&["enroll", &link]).await;
    assert_eq!((code, &error["error"]["kind"]), (2, &json!("usage")), "with --json nothing is asked");
}

#[tokio::test]
async fn a_login_is_shown_and_approved_with_the_code_typed() {
    let shell = Shell::enrolled().await;
    assert!(shell.run(&["pending"], "").await.stdout.contains("Nothing waits"));
    shell.ask();
    let pending = shell.run(&["pending"], "").await.stdout;
    assert!(
        pending.starts_with("chl_1  Example (app_1): let a browser or program log in, 90 s left"),
        "{pending}"
    );
    let shown = shell.run(&["show", CHALLENGE], "").await.stdout;
    for text in ["203.0.113.7", "Moon phase  > waxing", "anna@example.org", "3 digits"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let approved = shell.run(&["approve", CHALLENGE], "042\n").await;
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    assert!(approved.stdout.contains("Challenge chl_1: approved"), "{}", approved.stdout);
    assert_eq!(shell.server.script().decisions[0].match_code, "042");
}

#[tokio::test]
async fn json_is_what_the_documentation_says() {
    let shell = Shell::new().await;
    let link = shell.server.link();
    let (code, enrolled) = shell.json(&["enroll", &link, "--yes"]).await;
    assert_eq!((code, &enrolled["confirmation_code"]), (0, &json!("123456")));
    assert_eq!(enrolled["account"]["device_id"], DEVICE);
    let (code, accounts) = shell.json(&["accounts"]).await;
    assert_eq!((code, &accounts["accounts"][0]["state"]), (0, &json!("ACTIVE")));
    shell.ask();
    let (code, pending) = shell.json(&["pending"]).await;
    let (_, shown) = shell.json(&["show", CHALLENGE]).await;
    assert_eq!((code, &pending["challenges"][0]), (0, &shown));
    let details = json!([
        { "kind": "IP_ADDRESS", "label": "IP address", "value": "203.0.113.7" },
        { "kind": null, "label": "Moon phase", "value": "waxing" },
    ]);
    assert_eq!(shown["details"], details);
    let (code, answer) = shell.json(&["approve", CHALLENGE, "--match-code", "042"]).await;
    let expected =
        json!({ "challenge_id": CHALLENGE, "accepted": true, "state": "APPROVED", "denial_reason": null });
    assert_eq!((code, answer), (0, expected));
}

#[tokio::test]
async fn exit_codes_say_what_to_do() {
    let shell = Shell::enrolled().await;
    let deny = ["deny", CHALLENGE, "--reason", "not-me"];
    assert_eq!(shell.run(&["enroll", "https://example.org", "--yes"], "").await.code, 2);
    assert_eq!(shell.run(&deny, "").await.code, 3);
    assert_eq!(shell.run(&["--account", "dev_9", "pending"], "").await.code, 3);
    shell.ask();
    assert_eq!(shell.run(&["approve", CHALLENGE, "--match-code", "42"], "").await.code, 2);
    let (code, error) = shell.json(&["approve", CHALLENGE]).await;
    assert_eq!((code, &error["error"]["kind"]), (2, &json!("usage")));
    shell.server.script().respond.accepted = false;
    assert_eq!(shell.run(&deny, "").await.code, 7);
    shell.server.script().challenges[0].challenge_id = "chl_2".into();
    assert_eq!(shell.run(&["pending"], "").await.code, 6);
    let no = crate::script::refusal(tonic::Code::ResourceExhausted, "RATE_LIMITED", "too many calls");
    shell.server.script().refusal = Some(no);
    let (code, error) = shell.json(&["pending"]).await;
    assert_eq!((code, &error["error"]["reason"]), (4, &json!("RATE_LIMITED")));
    shell.server.script().refusal = Some(tonic::Status::unavailable("down"));
    assert_eq!(shell.run(&["pending"], "").await.code, 5);

    fs::set_permissions(shell.state(), fs::Permissions::from_mode(0o775)).unwrap();
    let open = shell.run(&["pending"], "").await;
    assert_eq!(open.code, 1);
    assert!(open.stderr.contains("chmod 700"), "{}", open.stderr);
}

#[tokio::test]
async fn a_code_is_shown_while_the_server_is_away() {
    let shell = Shell::enrolled().await;
    shell.server.take_calls();
    let (code, shown) = shell.json(&["code"]).await;
    let first = &shown["codes"][0];
    assert_eq!((code, &first["device_id"]), (0, &json!(DEVICE)));
    let digits = first["code"].as_str().unwrap();
    assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    let printed = shell.run(&["code"], "").await.stdout;
    assert!(printed.contains("  anna@example.org (Example), for another "), "{printed}");
    assert_eq!(shell.server.take_calls(), [""; 0]);
    let (code, error) = shell.json(&["--account", "dev_2", "code"]).await;
    assert_eq!((code, &error["error"]["kind"]), (3, &json!("not_found")));
}
