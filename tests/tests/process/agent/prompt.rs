//! The passphrase as it is typed, on a terminal that `script` makes.

use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{AGENT, STATE, Stage};
use crate::program::{ended, program, soon};

/// A terminal with a command in it.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// All that was shown.
    shown: String,
    /// So much of it was waited for.
    seen: usize,
}

impl Terminal {
    fn run(stage: &Stage, shell: &str) -> Self {
        let mut script = program(stage.place.directory(), "script", &["-qefc", shell, "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).env("SHELL", "/bin/sh");
        let mut child = script.spawn().expect("script can be run");
        let keyboard = child.stdin.take().expect("a pipe");
        let screen = child.stdout.take().expect("a pipe");
        Self { child, keyboard, screen, shown: String::new(), seen: 0 }
    }

    /// Waits until `text` is shown, after what was waited for before.
    async fn shows(&mut self, text: &str) {
        let mut bytes = [0; 1024];
        let at = loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                break at;
            }
            let read = soon(self.screen.read(&mut bytes)).await.expect("it can be read");
            assert!(read > 0, "it ended without {text:?}: {}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        };
        self.seen += at + text.len();
    }

    async fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.expect("it reads");
    }

    /// All that was shown, and the exit code.
    async fn ends(mut self) -> (String, Option<i32>) {
        let mut rest = Vec::new();
        soon(self.screen.read_to_end(&mut rest)).await.expect("it can be read");
        let status = soon(self.child.wait()).await.expect("it ends");
        (self.shown + &String::from_utf8_lossy(&rest), status.code())
    }
}

fn agent(command: &str) -> String {
    format!("{AGENT} --state-dir {STATE} {command}")
}

#[tokio::test]
async fn what_is_typed_is_not_shown_and_a_new_one_is_asked_for_twice() {
    let (stage, _) = Stage::enrolled(["anna"]).await;
    let mut terminal = Terminal::run(&stage, &agent("passphrase set"));
    terminal.shows("New passphrase: ").await;
    terminal.types("open sesame\n").await;
    terminal.shows("The same again: ").await;
    terminal.types("open Sesame\n").await;
    let (shown, code) = terminal.ends().await;
    assert!(shown.contains("the two are not the same; nothing was changed"), "{shown}");
    assert_eq!(code, Some(2));

    let mut terminal = Terminal::run(&stage, &agent("passphrase set"));
    for question in ["New passphrase: ", "The same again: "] {
        terminal.shows(question).await;
        terminal.types("open sesame\n").await;
    }
    let (shown, code) = terminal.ends().await;
    assert!(shown.contains("The passphrase locks all accounts") && !shown.contains("sesame"), "{shown}");
    assert_eq!(code, Some(0));

    let mut terminal = Terminal::run(&stage, &agent("code"));
    terminal.shows("Passphrase: ").await;
    terminal.types("open sesame\n").await;
    let (shown, code) = terminal.ends().await;
    assert!(shown.contains("anna@example.org (Shop), for another") && !shown.contains("sesame"), "{shown}");
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn who_breaks_it_off_gets_the_terminal_back_as_it_was() {
    let (stage, _) = Stage::enrolled(["anna"]).await;
    stage.write_secret("old", "open sesame\n");
    stage.run(&["--passphrase-file", "old", "passphrase", "set"]).await.succeeded();
    // The shell stays when the terminal interrupts what runs in it.
    let shell =
        format!("trap : INT; {}; echo status $?; stty -a; read line; echo line $line", agent("listen"));
    let mut terminal = Terminal::run(&stage, &shell);
    terminal.shows("Passphrase: ").await;
    terminal.types("half of\x03").await;
    terminal.shows("status 130").await;
    terminal.shows(" echo ").await;
    terminal.types("whole\n").await;
    let (shown, code) = terminal.ends().await;
    assert!(shown.contains("line whole") && !shown.contains("half of"), "{shown}");
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_listener_that_was_started_to_outlive_its_terminal_does_so_after_the_question_too() {
    let (stage, _) = Stage::enrolled(["anna"]).await;
    stage.write_secret("old", "open sesame\n");
    stage.run(&["--passphrase-file", "old", "passphrase", "set"]).await.succeeded();
    // As `nohup` does.
    let shell = format!("trap '' HUP; echo pid $$ .; exec {}", agent("listen"));
    let mut terminal = Terminal::run(&stage, &shell);
    terminal.shows("Passphrase: ").await;
    let pid = terminal
        .shown
        .split_once("pid ")
        .and_then(|(_, rest)| rest.split_once(' '))
        .expect("a pid")
        .0
        .to_owned();
    terminal.types("open sesame\n").await;
    terminal.shows("listening").await;
    let kill = async |signal: &str| {
        ended(&mut program(stage.place.directory(), "kill", &[signal, &pid])).await.succeeded();
    };
    kill("-HUP").await;
    stage.backend.create("anna", "attempt-1").await.expect("it is created");
    terminal.shows("anna@example.org").await;
    kill("-QUIT").await;
    assert_eq!(terminal.ends().await.1, Some(131));
}
