//! `countersign demo --yes` as a process: what a newcomer sees, the files that it leaves, and what OpenSSL says
//! of them.

use std::{
    env, fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use countersign_proto::{
    receipt::{self, Expected},
    statement::Receipt,
};
use countersign_test_peers::{RedisServer, Value, redis_or_skip};
use tokio::time::timeout;

/// The demo waits 5 s for a login to expire; a busy machine may need longer for all the rest.
const PATIENCE: Duration = Duration::from_mins(2);

/// Calls in the order in which the demo makes them, each of which must be told with its milliseconds.
const WIRE: [&str; 51] = [
    "UserService/StartEnrollment OK",
    "DeviceService/GetOffer OK",
    "DeviceService/Enroll OK",
    "UserService/ConfirmEnrollment OK",
    "DeviceService/ChangeDevice OK",
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "LoginService/RedeemChallenge OK",
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "LoginService/RedeemChallenge FAILED_PRECONDITION",
    // It was not she: nobody is woken until the user is unlocked.
    "LoginService/CreateChallenge OK",
    "LoginService/CancelChallenge OK",
    "UserService/UnlockUser OK",
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "LoginService/RedeemChallenge FAILED_PRECONDITION",
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "LoginService/RedeemChallenge FAILED_PRECONDITION",
    // A code while the phone is off line.
    "LoginService/CreateChallenge OK",
    "LoginService/VerifyCode OK",
    "LoginService/RedeemChallenge OK",
    // A recovery code, approved by the phone.
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "DeviceService/Respond OK",
    "LoginService/RedeemChallenge OK",
    "UserService/IssueRecoveryCode OK",
    // It replaces the phone.
    "LoginService/CreateChallenge OK",
    "LoginService/VerifyCode OK",
    "LoginService/RedeemChallenge OK",
    "UserService/StartEnrollment OK",
    "DeviceService/GetOffer OK",
    "DeviceService/Enroll OK",
    "UserService/ConfirmEnrollment OK",
    "DeviceService/ChangeDevice OK",
    "UserService/RevokeFactor OK",
    // A tablet, approved by the new phone.
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "DeviceService/Respond OK",
    "LoginService/RedeemChallenge OK",
    "UserService/StartEnrollment OK",
    "DeviceService/GetOffer OK",
    "DeviceService/Enroll OK",
    "UserService/ConfirmEnrollment OK",
    "DeviceService/ChangeDevice OK",
    // A login on both.
    "LoginService/CreateChallenge OK",
    "DeviceService/GetChallenge OK",
    "DeviceService/GetChallenge OK",
    "DeviceService/Respond OK",
    "LoginService/RedeemChallenge OK",
];

struct Ended {
    is_success: bool,
    stdout: String,
    stderr: String,
}

#[tokio::test]
async fn the_demo_plays_all_logins_and_proves_the_approved_one() {
    plays_all_and_proves_one(&[]).await;
}

#[tokio::test]
async fn it_plays_the_same_on_redis_and_leaves_nothing_there_for_ever() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("Redis starts");
    let stdout = plays_all_and_proves_one(&["--redis", &redis.url()]).await;
    assert!(stdout.contains("challenges in Redis"), "{stdout}");
    let Value::Array(keys) = redis.command(&["KEYS", "*"]).await.expect("an answer") else { panic!("keys") };
    assert!(!keys.is_empty(), "challenges lay there");
    let mut long = 0;
    for key in keys {
        let Value::Bulk(key) = key else { panic!("a name: {key:?}") };
        let key = String::from_utf8(key).expect("text");
        assert!(key.starts_with("countersign-demo-"), "{key}");
        let Value::Integer(life) = redis.command(&["TTL", &key]).await.expect("an answer") else {
            panic!("{key}")
        };
        assert!((1..=400 * 24 * 3600).contains(&life), "{key} lives for {life} s");
        long += i32::from(life > 3600);
    }
    assert!(long <= 1, "only that of Anna, with her wrong match code, lives longer than an hour");
}

/// Returns what was printed.
async fn plays_all_and_proves_one(more: &[&str]) -> String {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (out, temporary) = (place.path().join("out"), place.path().join("tmp"));
    fs::create_dir(&temporary).expect("it is made");
    let receipts = out.display().to_string();
    let arguments = [&["--yes", "--out", &receipts], more].concat();
    let ended = demo(&temporary, &arguments).await;
    assert!(ended.is_success, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "", "nothing goes wrong, so nothing is logged");
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80), "it fits 80 columns");
    assert!(!ended.stdout.contains('\x1b'), "no colours where there is no terminal");

    outcomes_are_told(&ended.stdout);
    codes_are_shown(&ended.stdout);
    wire_is_told(&ended.stdout);
    receipts_are_what_they_are_told_to_be(&ended.stdout, &out);
    openssl_verifies(&ended.stdout, &out);
    let left = fs::read_dir(&temporary).expect("it is there").count();
    assert_eq!(left, 0, "nothing is left behind");
    ended.stdout
}

#[tokio::test]
async fn without_a_terminal_it_asks_nobody_and_a_failure_is_told_in_a_sentence() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("file");
    fs::write(&file, "").expect("it is written");
    // No --yes. The receipt cannot be written where a file is in the way.
    let ended = demo(place.path(), &["--out", &file.display().to_string()]).await;
    assert!(!ended.is_success);
    let told = format!("countersign: {} cannot be used: ", file.display());
    assert!(ended.stderr.starts_with(&told), "{}", ended.stderr);
    assert_eq!(fs::read_dir(place.path()).expect("it is there").count(), 1, "nothing else is left behind");
}

async fn demo(temporary: &Path, arguments: &[&str]) -> Ended {
    let running = tokio::process::Command::new(env!("CARGO_BIN_EXE_countersign-under-test"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", temporary)
        .current_dir(temporary)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, running).await.expect("it ends in time").expect("it runs");
    Ended {
        is_success: output.status.success(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

fn outcomes_are_told(stdout: &str) {
    let mut rest = stdout;
    for told in [
        "-- A phone is enrolled",
        "-- 1. A login that is approved",
        "is told: approved. | is told: approved.",
        "Logged in.",
        "-- 2. A login that is denied",
        "Not logged in.",
        "the challenge is DENIED, not approved: let nobody in",
        "That also stops pushes",
        "WAKEUP_BLOCKED     |",
        "| is woken again, from the next login on",
        "-- 3. A login with a wrong match code",
        "is told: denied, because the match code was wrong.",
        "the challenge is DENIED, not approved: let nobody in",
        "-- 4. A login that nobody answers",
        "is told: expired.",
        "the challenge is EXPIRED, not approved: let nobody in",
        "-- 5. A code while the phone is off line",
        "Use a code instead | No network",
        "  for another ",
        "code ACCEPTED      |",
        "Logged in.         |",
        "  by code      a TOTP code of dev_",
        "  rests on     the server's word alone: no device signed this",
        "-- 6. A recovery code for the drawer",
        "| Purpose       let somebody add or remove ways to log in",
        "| [Approve]  with ",
        "Its last group is a checksum:",
        "-- 7. A lost phone is replaced",
        "code ACCEPTED      |",
        "Logged in.         |",
        "adds a new phone   | The new phone is added, and told the server where to push.",
        "revokes the lost   | the lost phone: the signature does not count",
        "-- 8. A login on two devices",
        "| Purpose       let somebody add or remove ways to log in",
        "adds a tablet      | The tablet is added, and told the server where to push.",
        "is told: approved. | tablet  [Approve]  with ",
        "Logged in.         |         is told: approved.",
        "| phone   [Deny]  it was not me",
        "|         is told: not counted: approved.",
        "-- The receipt of the approved login",
        "APPROVED at 20",
        "203.0.113.7 becomes 203.0.113.8",
        "REFUSED: the challenge does not hold: the signature does not verify",
    ] {
        rest = rest.split_once(told).unwrap_or_else(|| panic!("{told:?} is missing in\n{stdout}")).1;
    }
}

/// As the phone shows its own, and as the paper has the other: 16 groups of 4.
fn codes_are_shown(stdout: &str) {
    let (before, _) = stdout.split_once("  for another ").expect("a code is shown");
    let digits = before.rsplit(' ').next().expect("it stands before");
    assert!(digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits:?}");
    let (_, after) = stdout.split_once("Its last group is a checksum:\n").expect("a code is shown");
    let groups: Vec<_> = after.lines().next().expect("it stands below").split('-').collect();
    assert_eq!(groups.len(), 16, "{groups:?}");
    let is_group = |group: &&str| group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(groups.iter().all(is_group), "{groups:?}");
}

fn wire_is_told(stdout: &str) {
    let lines: Vec<_> = stdout.lines().filter_map(|line| line.split_once(" ms  ")).collect();
    assert!(lines.iter().all(|(millis, _)| millis.trim().parse::<u64>().is_ok()), "{lines:?}");
    let mut calls = lines.iter().map(|(_, call)| *call);
    for expected in WIRE {
        let is_there = calls.any(|call| call.starts_with("/countersign.") && call.ends_with(expected));
        assert!(is_there, "{expected} is missing in {lines:?}");
    }
    let count = |wanted: &str| lines.iter().filter(|(_, call)| call.ends_with(wanted)).count();
    assert_eq!(count("POST /3/device/1f2e9c57... 200"), 7, "one for each that the first phone was asked");
    assert_eq!(count("POST /3/device/8c04b7e1... 200"), 2, "the new phone's");
    assert_eq!(count("POST /v1/projects/stand-in-project/messages:send 200"), 1);
    assert_eq!(count("DeviceService/Respond OK"), 7);
    assert_eq!(count("LoginService/AwaitChallenge OK"), 5);
}

fn receipts_are_what_they_are_told_to_be(stdout: &str, out: &Path) {
    let server_id = stdout.lines().find_map(|line| line.strip_prefix("server id  ")).expect("it is told");
    let read = |name: &str| -> Receipt {
        let text = fs::read_to_string(out.join(name)).expect("it was written");
        serde_json::from_str(&text).expect("a receipt")
    };
    let (receipt, changed) = (read("receipt.json"), read("receipt-changed.json"));
    receipt::verify(&receipt, server_id, &Expected::default()).expect("it proves the login");
    receipt::verify(&changed, server_id, &Expected::default()).expect_err("it proves nothing");
    let payload = |receipt: &Receipt| receipt.challenge.clone().expect("a challenge").payload;
    let (before, after) = (payload(&receipt), payload(&changed));
    assert_eq!(before.len(), after.len());
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1, "one byte was changed");
    let signature = &receipt.decision.expect("a decision").signatures[0].sig;
    assert_eq!(fs::read(out.join("decision.sig")).expect("it was written"), *signature);
}

/// Runs the very line that was printed; and once more on bytes that were not signed.
fn openssl_verifies(stdout: &str, out: &Path) {
    if let Err(error) = Command::new("openssl").arg("version").output() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(env::var_os("CI").is_none(), "openssl is missing, and CI must have it");
        eprintln!("not checked with OpenSSL, for there is none here");
        return;
    }
    let start = stdout.find("openssl pkeyutl -verify").expect("it is printed");
    let line = stdout[start..].replace("\\\n", " ");
    let line = line.lines().next().expect("a line");
    let run = || Command::new("sh").args(["-c", line]).current_dir(out).output().expect("sh runs");
    let verified = run();
    assert!(verified.status.success(), "{line}: {verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).contains("Signature Verified Successfully"));
    let signed = out.join("decision.signed");
    let mut bytes = fs::read(&signed).expect("it was written");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    fs::write(&signed, bytes).expect("it is written");
    assert!(!run().status.success(), "other bytes than the signed ones must not verify");
}
