//! `listen` with a passphrase, and what becomes of it when that is set or removed meanwhile.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines},
    process::Command,
};

use super::Stage;
use crate::{people::Application, program::soon};

async fn until(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let line = soon(lines.next_line()).await.expect("text");
        read += &line.unwrap_or_else(|| panic!("it ended without {text:?}: {read}"));
        read.push('\n');
    }
    read
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

#[tokio::test]
async fn a_listener_with_a_passphrase_file_asks_and_is_told_when_the_passphrase_is_gone() {
    let (stage, [device]) = Stage::enrolled(["anna"]).await;
    stage.write_secret("old", "correct horse battery staple\n");
    stage.write_secret("new", "Tr0ub4dor&3\n");
    let old = ["--passphrase-file", "old"];
    stage.run(&[&old[..], &["passphrase", "set"]].concat()).await.succeeded();

    let mut listener = stage.agent(&[&old[..], &["listen"]].concat());
    let mut listener = piped(&mut listener).spawn().expect("it can be run");
    let mut notes = BufReader::new(listener.stderr.take().expect("a pipe")).lines();
    let mut shown = BufReader::new(listener.stdout.take().expect("a pipe")).lines();
    let mut input = listener.stdin.take().expect("a pipe");
    until(&mut notes, "anna@example.org (Shop): listening").await;
    // It has unlocked: another passphrase is nothing to it.
    let change = [&old[..], &["passphrase", "change", "--new-passphrase-file", "new"]].concat();
    stage.run(&change).await.succeeded();
    let (challenge, match_code) = stage.backend.create("anna", "attempt-1").await.expect("it is created");
    until(&mut shown, &challenge.challenge_id).await;
    until(&mut notes, "Type the 3 digits").await;
    input.write_all(format!("{match_code}\n").as_bytes()).await.expect("it reads");
    until(&mut shown, ": approved").await;
    stage.backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("it was approved");

    // What it knows opens nothing any more: it writes nothing, and says so.
    stage.run(&["--passphrase-file", "new", "passphrase", "remove"]).await.succeeded();
    stage.run(&["--passphrase-file", "new", "passphrase", "set"]).await.succeeded();
    let (challenge, _) = stage.backend.create("anna", "attempt-2").await.expect("it is created");
    let why = until(&mut notes, "ended: ").await;
    assert!(why.contains("was set, changed or removed meanwhile: start again"), "{why}");
    assert_eq!(soon(listener.wait()).await.expect("it ends").code(), Some(1));
    let pending = stage.json(&["--passphrase-file", "new", "--account", &device, "pending"]).await;
    assert_eq!(pending["challenges"][0]["challenge_id"], challenge.challenge_id);
}

#[tokio::test]
async fn one_listener_asks_for_the_accounts_of_all_applications() {
    let (mut stage, _) = Stage::enrolled(["anna"]).await;
    let bank = Application::create(&stage.place, "Bank").await.connect(stage.server.address).await;
    let shop = std::mem::replace(&mut stage.backend, bank);
    stage.enroll("bob", &[]).await;

    let mut listener = stage.agent(&["listen"]);
    let mut listener = piped(&mut listener).spawn().expect("it can be run");
    let mut notes = BufReader::new(listener.stderr.take().expect("a pipe")).lines();
    let mut shown = BufReader::new(listener.stdout.take().expect("a pipe")).lines();
    let mut input = listener.stdin.take().expect("a pipe");
    let listening = until(&mut notes, ": listening").await + &until(&mut notes, ": listening").await;
    for account in ["anna@example.org (Shop)", "bob@example.org (Bank)"] {
        assert!(listening.contains(&format!("{account}: listening\n")), "{listening}");
    }

    // Bob is asked while Anna's question stands.
    let (of_anna, annas_code) = shop.create("anna", "attempt-1").await.expect("it is created");
    until(&mut shown, &of_anna.challenge_id).await;
    until(&mut notes, "Type the 3 digits").await;
    let (of_bob, bobs_code) = stage.backend.create("bob", "attempt-1").await.expect("it is created");
    input.write_all(format!("{annas_code}\n").as_bytes()).await.expect("it reads");
    until(&mut shown, &format!("{}: approved", of_anna.challenge_id)).await;
    until(&mut shown, &of_bob.challenge_id).await;
    until(&mut notes, "Type the 3 digits").await;
    input.write_all(format!("{bobs_code}\n").as_bytes()).await.expect("it reads");
    until(&mut shown, &format!("{}: approved", of_bob.challenge_id)).await;
    shop.redeem(&of_anna.challenge_id, "anna", "attempt-1").await.expect("Anna approved hers");
    stage.backend.redeem(&of_bob.challenge_id, "bob", "attempt-1").await.expect("Bob approved his");
}
