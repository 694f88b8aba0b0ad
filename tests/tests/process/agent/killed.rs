//! The agent is killed, or the disk fails, at each step of what it does to the files of a passphrase.

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path};

use super::{AGENT, Stage, files};
use crate::{
    program::{ended, program},
    synced::is_there_strace,
};

/// More than any of the commands has.
const MAX_STEPS: usize = 30;
/// By their names on this machine and on others.
const RENAMES: &str = "?rename,?renameat,?renameat2";
const UNLINKS: &str = "?unlink,?unlinkat";

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("it is new");
    fs::set_permissions(to, fs::metadata(from).expect("it is there").permissions()).expect("sets");
    for name in files(from).keys() {
        fs::copy(from.join(name), to.join(name)).expect("copies");
    }
}

/// Whether the server takes the keys of both accounts.
async fn works(stage: &Stage, copy: &str, passphrase: &[&str]) -> bool {
    let listed = ended(&mut stage.agent_at(copy, &[passphrase, &["--json", "accounts"]].concat())).await;
    listed.stdout.matches("\"ACTIVE\"").count() == 2
}

/// A command, and the options with which the accounts work before it and after it.
struct Change<'a> {
    command: Vec<&'a str>,
    before: &'a [&'a str],
    after: &'a [&'a str],
}

/// Kills the agent before each of these calls of the system in turn, of which it makes `steps`.
async fn is_survived(stage: &Stage, change: &Change<'_>, calls: &str, steps: usize) {
    let Change { command, before, after } = change;
    let mut killed = 0;
    for step in 1..MAX_STEPS {
        let name = format!("killed-{step}");
        copy(&stage.state(), &stage.place.path(&name));
        let inject = format!("inject={calls}:signal=KILL:when={step}");
        let tracer = ["-f", "-qq", "-o", "/dev/null", "-e", &inject, AGENT, "--state-dir", &name];
        let run = [&tracer[..], command].concat();
        let ended = ended(&mut program(stage.place.directory(), "strace", &run)).await;
        let was_killed = ended.status.signal() == Some(9) || ended.status.code() == Some(128 + 9);
        assert!(was_killed || ended.status.success(), "{ended:?}");
        killed += usize::from(was_killed);
        let works_as_after = works(stage, &name, after).await;
        assert!(works_as_after || works(stage, &name, before).await, "step {step} of {command:?}");
        if works_as_after && !after.is_empty() {
            // Whoever unlocked it has finished.
            for (file, content) in files(&stage.place.path(&name)) {
                let text = String::from_utf8_lossy(&content).into_owned();
                assert!(
                    !text.contains("secret_key") && !text.contains("transition"),
                    "{step}, {file}: {text}"
                );
            }
        }
        fs::remove_dir_all(stage.place.path(&name)).expect("removes");
        if !was_killed {
            assert!(works_as_after, "it was carried out");
            break;
        }
    }
    assert_eq!(killed, steps, "{command:?}");
}

#[tokio::test]
async fn whenever_it_is_killed_the_accounts_open_with_the_old_or_the_new_passphrase() {
    if !is_there_strace().await {
        return;
    }
    let (stage, _) = Stage::enrolled(["anna", "bert"]).await;
    stage.write_secret("old", "correct horse battery staple\n");
    stage.write_secret("new", "Tr0ub4dor&3\n");
    let (none, old, new) = (&[][..], &["--passphrase-file", "old"][..], &["--passphrase-file", "new"][..]);
    // Each file is put in its place by a rename, and what an earlier crash has left of it unlinked before: the key
    // file, two accounts, the key file.
    let set = Change { command: [old, &["passphrase", "set"]].concat(), before: none, after: old };
    is_survived(&stage, &set, RENAMES, 4).await;
    is_survived(&stage, &set, UNLINKS, 4).await;

    stage.run(&set.command).await.succeeded();
    let command = [old, &["passphrase", "change", "--new-passphrase-file", "new"]].concat();
    let change = Change { command, before: old, after: new };
    is_survived(&stage, &change, RENAMES, 1).await;
    is_survived(&stage, &change, UNLINKS, 1).await;

    // The key file and two accounts; then the key file is unlinked.
    let remove = Change { command: [old, &["passphrase", "remove"]].concat(), before: old, after: none };
    is_survived(&stage, &remove, RENAMES, 3).await;
    is_survived(&stage, &remove, UNLINKS, 4).await;
}

#[tokio::test]
async fn when_the_disk_fails_it_is_told_whether_the_passphrase_is_in_force() {
    if !is_there_strace().await {
        return;
    }
    let (stage, _) = Stage::enrolled(["anna", "bert"]).await;
    stage.write_secret("old", "correct horse battery staple\n");
    let old = ["--passphrase-file", "old"];
    // The key file and its directory, the same for two accounts, and the key file again.
    for step in 1..=8 {
        let name = format!("failing-{step}");
        copy(&stage.state(), &stage.place.path(&name));
        let inject = format!("inject=fsync:error=EIO:when={step}");
        let tracer = ["-f", "-qq", "-o", "/dev/null", "-e", &inject, AGENT, "--state-dir", &name];
        let run = [&tracer[..], &old, &["passphrase", "set"]].concat();
        let ended = ended(&mut program(stage.place.directory(), "strace", &run)).await;
        assert_eq!(ended.status.code(), Some(1), "step {step}: {ended:?}");
        let in_force =
            ended.stderr.contains("the passphrase is in force, but not every account is sealed yet");
        assert_eq!(in_force, step > 1, "step {step}: {ended:?}");
        assert!(works(&stage, &name, if in_force { &old } else { &[] }).await, "step {step}");
    }
}
