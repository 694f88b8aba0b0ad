//! What Apple answers.

use std::time::Duration;

use countersign::push::Outcome;
use countersign_fakes::apns::Answer;
use countersign_proto::time::UnixTime;
use serde_json::json;

use super::{Scene, retry};

fn gone(reason: &str) -> Outcome {
    Outcome::TargetGone { reason: reason.to_owned(), since: None }
}

fn again(reason: &str) -> Outcome {
    Outcome::Retry { after: None, reason: reason.to_owned() }
}

fn misconfigured(reason: &str) -> Outcome {
    Outcome::Misconfigured { reason: reason.to_owned() }
}

fn unknown(reason: &str) -> Outcome {
    Outcome::Unknown { reason: reason.to_owned() }
}

/// One kind of outcome, made from the words for the log.
type Kind = fn(&str) -> Outcome;

/// Apple's whole table, but for `ExpiredProviderToken` (see `provider_tokens`), and what is not in it.
const TABLE: [(u16, &str, Kind); 47] = [
    (400, "BadCollapseId", unknown),
    (400, "BadDeviceToken", gone),
    (400, "BadExpirationDate", unknown),
    (400, "BadMessageId", unknown),
    (400, "BadPriority", unknown),
    (400, "BadTopic", misconfigured),
    (400, "DeviceTokenNotForTopic", gone),
    (400, "DuplicateHeaders", unknown),
    (400, "IdleTimeout", again),
    (400, "InvalidPushType", unknown),
    (400, "MissingDeviceToken", unknown),
    (400, "MissingTopic", misconfigured),
    (400, "PayloadEmpty", unknown),
    (400, "TopicDisallowed", misconfigured),
    (403, "BadCertificate", misconfigured),
    (403, "BadCertificateEnvironment", misconfigured),
    (403, "Forbidden", misconfigured),
    (403, "InvalidProviderToken", misconfigured),
    (403, "MissingProviderToken", misconfigured),
    (403, "UnrelatedKeyIdInToken", misconfigured),
    (403, "BadEnvironmentKeyIdInToken", misconfigured),
    (404, "BadPath", unknown),
    (405, "MethodNotAllowed", unknown),
    (410, "ExpiredToken", gone),
    (410, "Unregistered", gone),
    (413, "PayloadTooLarge", unknown),
    (429, "TooManyProviderTokenUpdates", again),
    (429, "TooManyRequests", again),
    (500, "InternalServerError", again),
    (503, "ServiceUnavailable", again),
    (503, "Shutdown", again),
    // New reasons count by their status.
    (201, "SomethingNew", unknown),
    (302, "SomethingNew", unknown),
    (400, "SomethingNew", unknown),
    (401, "SomethingNew", misconfigured),
    (403, "SomethingNew", misconfigured),
    (404, "SomethingNew", unknown),
    (405, "SomethingNew", unknown),
    (408, "SomethingNew", again),
    (410, "SomethingNew", gone),
    (413, "SomethingNew", unknown),
    (418, "SomethingNew", unknown),
    (429, "SomethingNew", again),
    (500, "SomethingNew", again),
    (502, "SomethingNew", again),
    (599, "SomethingNew", again),
    // Whatever it says with it: a server that fails takes no target away.
    (500, "Unregistered", again),
];

#[tokio::test]
async fn each_of_apples_answers_means_what_it_should() {
    let scene = Scene::new().await;
    for (status, reason, kind) in TABLE {
        scene.apple.answer_next(Answer::refuse(status, reason));
        // A success has no body to read.
        let words =
            if status == 201 { "201 without a reason".to_owned() } else { format!("{status} {reason}") };
        assert_eq!(scene.push().await, kind(&words), "{status} {reason}");
        assert_eq!(scene.apple.next_request().await.status, Some(status));
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn the_name_that_apples_servers_really_send_is_known_too() {
    let scene = Scene::new().await;
    scene.apple.answer_next(Answer::refuse(403, "BadEnvironmentKeyInToken"));
    assert_eq!(scene.push().await, misconfigured("403 BadEnvironmentKeyIdInToken"));
}

#[tokio::test]
async fn gone_says_since_when() {
    let scene = Scene::new().await;
    let body = json!({"reason": "Unregistered", "timestamp": 1_794_999_000_123_i64});
    scene.apple.answer_next(Answer::refuse_with(410, &body));
    let since = Some(UnixTime::from_millis(1_794_999_000_123));
    assert_eq!(scene.push().await, Outcome::TargetGone { reason: "410 Unregistered".to_owned(), since });
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let scene = Scene::new().await;
    for (value, after) in [
        ("17", Some(Duration::from_secs(17))),
        ("0", Some(Duration::ZERO)),
        // The scene stands at 11:06:40.
        ("Wed, 18 Nov 2026 11:07:10 GMT", Some(Duration::from_secs(30))),
        ("Wed, 18 Nov 2026 11:06:10 GMT", Some(Duration::ZERO)),
        ("soon", None),
        ("-1", None),
    ] {
        for (status, reason) in [(429, "TooManyRequests"), (503, "ServiceUnavailable")] {
            scene.apple.answer_next(Answer::refuse(status, reason).retry_after(value));
            assert_eq!(retry(&scene.push().await).0, after, "{value}");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_none_leaves_the_status() {
    let scene = Scene::new().await;
    let long = format!(r#"{{"reason": "Unregistered", "more": "{}"}}"#, "x".repeat(100_000));
    for body in ["", "<html>", "null", r#"{"reason": 7}"#, r#"{"reason"#, long.as_str()] {
        for (status, kind) in [(400, unknown as Kind), (403, misconfigured), (410, gone), (503, again)] {
            let body = body.as_bytes().to_vec();
            scene.apple.answer_next(Answer::Reply { status, headers: Vec::new(), body });
            assert_eq!(scene.push().await, kind(&format!("{status} without a reason")));
        }
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn only_a_word_reaches_the_log() {
    let scene = Scene::new().await;
    for reason in ["two words", "line\nbreak", "\u{202e}", "", &"x".repeat(65)] {
        scene.apple.answer_next(Answer::refuse(400, reason));
        assert_eq!(scene.push().await, unknown("400 with an unreadable reason"));
    }
}
