//! What must stay secret is in no log and in no error, whatever is logged and whatever goes wrong; and in no file but
//! the master key's.

mod at_rest;
mod flow;
mod search;

use countersign_test_peers::{RedisServer, redis_or_skip};

use self::{
    flow::Flow,
    search::{Found, Secrets},
};

#[tokio::test]
async fn a_log_of_everything_for_people_tells_no_secret() {
    assert_tells_no_secret("text", "").await;
}

#[tokio::test]
async fn a_log_of_everything_for_programs_tells_no_secret() {
    assert_tells_no_secret("json", "").await;
}

#[tokio::test]
async fn a_log_of_everything_with_challenges_in_redis_tells_no_secret() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    assert_tells_no_secret("text", &format!("[redis]\nurl = {:?}\n", redis.url())).await;
}

async fn assert_tells_no_secret(format: &str, more: &str) {
    let Flow { secrets, log, errors, printed, challenge_ids } = Flow::run(format, more).await;
    // It is the log of everything, and of this.
    assert!(log.contains("TRACE") && log.contains("h2"), "it was not logged at trace level");
    assert!(log.contains("push.reason"), "no failed push was logged: {log}");
    assert!(errors.len() > 10, "{errors:#?}");
    let errors = errors.join("\n");
    for (place, text) in [("the log", &log), ("an error", &errors), ("standard output", &printed)] {
        let found = secrets.found_in(text);
        let told: Vec<_> = found.iter().map(Found::to_string).collect();
        assert!(told.is_empty(), "in {place} stand: {told:#?}");
    }
    // The same search finds what is there: an id that is no secret, and each of the secrets once it is planted.
    let mut known = Secrets::default();
    known.add_text("a challenge's id", &challenge_ids[0]);
    assert!(known.found_in(&log).len() == 1, "the log names no challenge");
    secrets.assert_found_when_planted_in(&log);
}
