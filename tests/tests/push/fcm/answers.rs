//! What Google answers.

use std::time::Duration;

use countersign::push::Outcome;
use countersign_fakes::fcm::Answer;
use serde_json::{Value, json};

use super::{INSTALLATION_ID, Scene, push, retry};

fn gone(reason: &str) -> Outcome {
    Outcome::TargetGone { reason: reason.to_owned(), since: None }
}

fn again(reason: &str) -> Outcome {
    Outcome::Retry { after: None, reason: reason.to_owned() }
}

/// Where Google does not say how long to wait, its documentation does.
fn in_a_minute(reason: &str) -> Outcome {
    Outcome::Retry { after: Some(Duration::from_mins(1)), reason: reason.to_owned() }
}

fn misconfigured(reason: &str) -> Outcome {
    Outcome::Misconfigured { reason: reason.to_owned() }
}

fn unknown(reason: &str) -> Outcome {
    Outcome::Unknown { reason: reason.to_owned() }
}

/// One kind of outcome, made from the words for the log.
type Kind = fn(&str) -> Outcome;

/// The whole table of "FCM Error Codes" (each with the status of `google.rpc.Code` that it comes with), and what
/// is not in it.
const OF_FCM: [(u16, &str, &str, Kind); 17] = [
    (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", unknown),
    (400, "INVALID_ARGUMENT", "UNSPECIFIED_ERROR", unknown),
    (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", misconfigured),
    (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", misconfigured),
    (404, "NOT_FOUND", "UNREGISTERED", gone),
    (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", in_a_minute),
    (500, "INTERNAL", "INTERNAL", again),
    (500, "INTERNAL", "UNSPECIFIED_ERROR", again),
    (503, "UNAVAILABLE", "UNAVAILABLE", again),
    // New codes count by their HTTP status.
    (400, "INVALID_ARGUMENT", "SOMETHING_NEW", unknown),
    (401, "UNAUTHENTICATED", "SOMETHING_NEW", misconfigured),
    (403, "PERMISSION_DENIED", "SOMETHING_NEW", misconfigured),
    (404, "NOT_FOUND", "SOMETHING_NEW", misconfigured),
    (408, "CANCELLED", "SOMETHING_NEW", again),
    (429, "RESOURCE_EXHAUSTED", "SOMETHING_NEW", in_a_minute),
    (503, "UNAVAILABLE", "SOMETHING_NEW", again),
    // Whatever it says with it: a server that fails takes no target away.
    (500, "INTERNAL", "UNREGISTERED", again),
];

/// What comes with no code of FCM's own.
const OF_GOOGLE: [(u16, &str, Kind); 13] = [
    (400, "INVALID_ARGUMENT", unknown),
    (400, "FAILED_PRECONDITION", unknown),
    (401, "UNAUTHENTICATED", misconfigured),
    (403, "PERMISSION_DENIED", misconfigured),
    // A project that there is not; a device that there is not has a code of FCM's.
    (404, "NOT_FOUND", misconfigured),
    (409, "ABORTED", unknown),
    (418, "SOMETHING_NEW", unknown),
    (429, "RESOURCE_EXHAUSTED", in_a_minute),
    (500, "INTERNAL", again),
    (501, "UNIMPLEMENTED", again),
    (502, "SOMETHING_NEW", again),
    (503, "UNAVAILABLE", again),
    (504, "DEADLINE_EXCEEDED", again),
];

#[tokio::test]
async fn each_of_googles_answers_means_what_it_should() {
    let scene = Scene::new().await;
    for (http_status, status, code, kind) in OF_FCM {
        scene.google.answer_next(Answer::refuse_fcm(http_status, status, code));
        assert_eq!(scene.push().await, kind(&format!("{http_status} {code}")), "{http_status} {code}");
        assert_eq!(scene.google.next_request().await.status, Some(http_status));
    }
    for (http_status, status, kind) in OF_GOOGLE {
        scene.google.answer_next(Answer::refuse_google(http_status, status, "refused", &json!([])));
        assert_eq!(scene.push().await, kind(&format!("{http_status} {status}")), "{http_status} {status}");
        assert_eq!(scene.google.next_request().await.status, Some(http_status));
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
}

/// One of `google.rpc.BadRequest`, which names a field.
fn bad_request(field: &str) -> Answer {
    let details = json!([{
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": "Invalid value"}],
    }]);
    Answer::refuse_google(400, "INVALID_ARGUMENT", "Invalid value", &details)
}

#[tokio::test]
async fn an_invalid_argument_is_the_devices_fault_only_where_google_says_so() {
    let scene = Scene::new().await;
    let the_target = gone("400 INVALID_ARGUMENT (the target)");
    let of_fcm = json!([{
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": "INVALID_ARGUMENT",
    }]);
    let message = "The registration token is not a valid FCM registration token";
    for (answer, outcome) in [
        (bad_request("message.token"), &the_target),
        (bad_request("message.fid"), &the_target),
        (Answer::refuse_google(400, "INVALID_ARGUMENT", message, &of_fcm), &the_target),
        (bad_request("message.data[0].value"), &unknown("400 INVALID_ARGUMENT")),
        (bad_request("message.android.ttl"), &unknown("400 INVALID_ARGUMENT")),
    ] {
        scene.google.answer_next(answer);
        assert_eq!(scene.push().await, *outcome);
    }
    // The stand-in itself knows no installation id that is no id.
    let not_an_id = &INSTALLATION_ID.replace('d', "z");
    assert_eq!(push(&scene.fcm, not_an_id).await, the_target);
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
    ] {
        for (http_status, status, code) in
            [(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), (503, "UNAVAILABLE", "UNAVAILABLE")]
        {
            scene.google.answer_next(Answer::refuse_fcm(http_status, status, code).retry_after(value));
            assert_eq!(retry(&scene.push().await).0, after, "{value}");
        }
    }
    scene.google.answer_next(Answer::refuse_fcm(503, "UNAVAILABLE", "UNAVAILABLE").retry_after("soon"));
    assert_eq!(retry(&scene.push().await).0, None);
}

#[tokio::test]
async fn a_body_that_is_none_leaves_the_status() {
    let scene = Scene::new().await;
    let long = json!({"error": {"status": "NOT_FOUND", "message": "x".repeat(100_000)}}).to_string();
    for body in ["", "<html>", "null", r#"{"error": 7}"#, r#"{"error"#, long.as_str()] {
        for (status, kind) in [
            (302, unknown as Kind),
            (400, unknown),
            (401, misconfigured),
            (403, misconfigured),
            (404, misconfigured),
            (429, in_a_minute),
            (503, again),
        ] {
            let body = body.as_bytes().to_vec();
            scene.google.answer_next(Answer::Reply { status, headers: Vec::new(), body });
            assert_eq!(scene.push().await, kind(&format!("{status} without a code")), "{status}");
        }
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn only_a_word_reaches_the_log() {
    let scene = Scene::new().await;
    for status in ["two words", "line\nbreak", "\u{202e}", "", &"x".repeat(65)] {
        let answer = Answer::refuse_google(400, status, "refused", &Value::Array(Vec::new()));
        scene.google.answer_next(answer);
        assert_eq!(scene.push().await, unknown("400 with an unreadable code"));
    }
}
