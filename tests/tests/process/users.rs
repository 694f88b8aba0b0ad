//! `countersign user`: beside an embedded server, beside servers on Redis, and when Redis is away.

use std::sync::Arc;

use countersign::{
    clock::{SharedClock, SystemClock},
    foundation::{Foundation, Opener},
    operator::Operator,
    random::{SharedRandom, SystemRandom},
    store::Applications as _,
};
use countersign_agent::Denial;
use countersign_proto::login::Wakeup;
use countersign_test_peers::redis_or_skip;
use serde_json::Value;

use crate::{
    people::{Application, Backend},
    program::{Ended, Place},
    servers::Two,
};

const REVOKED_YET_PENDING: &str = "countersign: no login is redeemed by it any more, but a challenge that is pending may still take its answer until \
     a running server has seen to it, within a minute of being able to: ";

fn json(printed: &str) -> Value {
    assert_eq!(printed.lines().count(), 1, "{printed}");
    serde_json::from_str(printed).expect("JSON")
}

async fn assert_answers_no_more(backend: &Backend, user_id: &str) {
    let (challenge, _) = backend.create(user_id, "afterwards").await.expect("another factor is asked");
    assert_eq!(challenge.deliveries.len(), 1);
}

/// Lets Anna enrol one more device.
async fn allow_another(place: &Place) {
    let allowed = place.run_configured(&["user", "allow-enrollment", "Shop", "anna"]).await.succeeded();
    assert!(
        allowed.starts_with("Shop: anna may begin one enrolment without an approval until "),
        "{allowed}"
    );
}

#[tokio::test]
async fn whose_pushes_are_blocked_is_shown_and_unlocked() {
    let place = Place::new("");
    let server = place.serve().await;
    let backend = Application::create(&place, "Shop").await.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, _) = backend.create("anna", "attempt-1").await.expect("it is created");
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    device.account.deny(&shown, Denial::NotMe).await.expect("it counts");
    backend.create("anna", "attempt-2").await.expect("it is created");
    let shown = place.run_configured(&["user", "show", "Shop", "anna"]).await.succeeded();
    assert!(
        shown.contains("\npushes      BLOCKED since 2") && shown.contains("  wake-up   BLOCKED\n"),
        "{shown}"
    );

    let unlocked = place.run_configured(&["user", "unlock", "Shop", "anna"]).await.succeeded();
    assert_eq!(unlocked, "Shop: pushes of anna go through again\n");
    let again = place.run_configured(&["user", "unlock", "Shop", "anna"]).await.succeeded();
    assert_eq!(again, "Shop: nothing stood in the way of codes and pushes of anna\n");
    let shown = place.run_configured(&["user", "show", "Shop", "anna"]).await.succeeded();
    assert!(!shown.contains("BLOCKED since"), "{shown}");
    let (next, _) = backend.create("anna", "attempt-3").await.expect("it is created");
    assert_eq!(next.wakeup(), Wakeup::Sending);
    server.stop().await;
}

#[tokio::test]
async fn a_user_is_shown_in_words_and_as_json_and_a_lost_phone_is_revoked_at_once() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let nobody = place.run_configured(&["user", "show", "Shop", "anna"]).await.succeeded();
    let head = format!("user        anna\napplication Shop ({})\n", application.id);
    assert_eq!(nobody, format!("{head}factors     none, and there never was one\n\npending     none\n"));

    let lost = backend.enroll("anna").await.expect("it is enrolled");
    allow_another(&place).await;
    backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    let id = lost.account.device_id();
    let shown = place.run_configured(&["user", "show", "Shop", "anna"]).await.succeeded();
    assert!(
        shown.starts_with(&format!("{head}factors     2\n\n{id}\n  name      Anna's Pixel\n")),
        "{shown}"
    );
    for line in [
        "  kind      DEVICE, ANDROID, app version not told\n",
        "  last used never\n",
        "  push      NONE: it has told no push target, so nothing wakes it\n",
        &format!("\npending     1\n\n{}\n", challenge.challenge_id),
        &format!("  device    {id} (Anna's Pixel): NO_TARGET: nothing wakes this device, it has to ask\n"),
    ] {
        assert!(shown.contains(line), "{line} {shown}");
    }
    assert!(
        !shown.contains(&format!(" {match_code}")),
        "whoever reads a terminal must not read the match code"
    );
    let shown = json(&place.run_configured(&["user", "show", "Shop", "anna", "--json"]).await.succeeded());
    assert_eq!(shown["application_id"], application.id);
    assert_eq!(shown["user"], serde_json::to_value(backend.user("anna").await).expect("JSON"));
    assert_eq!(shown["pending"][0]["challengeId"], challenge.challenge_id);
    assert_eq!(shown["pending_unknown"], Value::Null);

    let revoke = ["user", "revoke", "Shop", "anna", id];
    let said = format!("Revoked {id}. anna has 1 factor left.\n");
    assert_eq!(place.run_configured(&revoke).await.succeeded(), said);
    lost.approve(&challenge.challenge_id, &match_code).await.expect_err("it was revoked");
    assert_answers_no_more(&backend, "anna").await;
    assert_eq!(place.run_configured(&revoke).await.succeeded(), said, "again, the same answer");
    let reason = place.run_configured(&["user", "revoke", "Shop", "bob", id]).await.failed();
    assert_eq!(reason, "the user has no such factor");
    server.stop().await;
}

#[tokio::test]
async fn a_user_whom_nobody_knows_is_neither_unlocked_nor_permitted_anything() {
    let place = Place::new("");
    let server = place.serve().await;
    let backend = Application::create(&place, "Shop").await.connect(server.address).await;
    let look = "`countersign user show \"Shop\" \"ana\"` has all that is known, and an id counts as the backend spells it";
    for (command, consequence) in
        [("unlock", "there is nothing to unlock"), ("allow-enrollment", "a first factor needs no permission")]
    {
        let reason = place.run_configured(&["user", command, "Shop", "ana"]).await.failed();
        let nobody = "Shop knows no user \"ana\" who has or had a factor";
        assert_eq!(reason, format!("{nobody}: {consequence}; {look}"));
    }
    // As it says: the first factor needs none. And who had one is permitted another.
    let anna = backend.enroll("anna").await.expect("it is enrolled");
    backend.revoke("anna", anna.account.device_id()).await.expect("it is Anna's");
    backend.start_enrollment("anna").await.expect_err("not by a password alone");
    allow_another(&place).await;
    backend.enroll("anna").await.expect("it is permitted");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_while_a_factor_is_revoked_takes_no_answer_of_it() {
    let place = Place::new("");
    let server = place.serve().await;
    let address = server.address.to_string();
    let backend = Application::create(&place, "Shop").await.connect(server.address).await;
    let lost = backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    server.stop().await;
    // The command has begun, and seen that no server runs.
    let (clock, random): (SharedClock, SharedRandom) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let (data, key) = (place.path("data"), place.path("data/master.key"));
    let foundation =
        Foundation::open(&data, &key, Opener::CommandLine, Arc::clone(&clock), Arc::clone(&random))
            .expect("it opens");
    let operator = Operator::open(&foundation, None, clock, random).await.expect("it opens");
    let application = foundation.store.list().await.expect("an answer").remove(0);
    // It starts, and finds nothing that would be due.
    let server = place.serve_with(&["--listen", &address]).await;
    let revoked =
        operator.revoke(&application, "anna", lost.account.device_id()).await.expect("it is Anna's");
    assert_eq!(revoked.in_force, Ok(()));
    lost.reconnected().approve(&challenge.challenge_id, &match_code).await.expect_err("it was revoked");
    server.stop().await;
}

#[tokio::test]
async fn beside_servers_on_redis_it_is_in_force_on_both_when_it_returns() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place, servers, application: _, backends: [a, b] } = Two::start().await;
    let lost = a.enroll("anna").await.expect("it is enrolled");
    allow_another(&place).await;
    let at_b = b.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = a.create("anna", "attempt-1").await.expect("it is created");
    let shown = json(&place.run_configured(&["user", "show", "Shop", "anna", "--json"]).await.succeeded());
    assert_eq!(shown["pending"][0]["challengeId"], challenge.challenge_id);
    for device in [&lost, &at_b] {
        let id = device.account.device_id();
        let revoked = place.run_configured(&["user", "revoke", "Shop", "anna", id, "--json"]).await;
        let revoked = json(&revoked.succeeded());
        assert_eq!((&revoked["revoked"], &revoked["in_force"]), (&Value::from(id), &Value::Bool(true)));
        device.approve(&challenge.challenge_id, &match_code).await.expect_err("it was revoked");
    }
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test]
async fn without_the_servers_configuration_and_without_redis_it_says_what_is_not_in_force_yet() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis, place, servers, application: _, backends: [a, b] } = Two::start().await;
    let anna = a.enroll("anna").await.expect("it is enrolled");
    let bob = b.enroll("bob").await.expect("it is enrolled");
    let unconfigured = ["user", "revoke", "Shop", "anna", anna.account.device_id(), "--data-dir", "data"];
    let Ended { status, stdout, stderr } = place.run(&unconfigured).await;
    assert_eq!(status.code(), Some(1));
    assert_eq!(stdout, format!("Revoked {}. anna has no factor left.\n", anna.account.device_id()));
    let why = "the servers that run on this data directory have their challenges in Redis, and this command's \
               configuration does not name it: give it theirs (--config, or COUNTERSIGN_REDIS_URL)\n";
    assert_eq!(stderr, format!("{REVOKED_YET_PENDING}{why}"));

    let address = redis.url().trim_start_matches("redis://").to_owned();
    redis.kill();
    let revoke = ["user", "revoke", "Shop", "bob", bob.account.device_id(), "--json"];
    let Ended { status, stdout, stderr } = place.run_configured(&revoke).await;
    assert_eq!(status.code(), Some(1));
    let revoked = json(&stdout);
    assert_eq!(
        (&revoked["in_force"], &revoked["user"]["hadFactors"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    assert_eq!(stderr, format!("{REVOKED_YET_PENDING}Redis at {address} does not answer\n"));
    let shown = place.run_configured(&["user", "show", "Shop", "bob"]).await.succeeded();
    assert!(
        shown.ends_with(&format!("\npending     not known: Redis at {address} does not answer\n")),
        "{shown}"
    );
    for server in servers {
        server.stop().await;
    }
}
