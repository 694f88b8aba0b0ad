//! What is sent.

use countersign::push::{Outcome, PushChannel};
use countersign_proto::statement::push_target::{Apns, Target};
use serde_json::json;

use super::{INSTALLATION_ID, Scene, TOKEN, push, soon, target, wake_up};

#[tokio::test]
async fn a_push_is_what_google_and_the_app_expect() {
    let scene = Scene::new().await;
    scene.clock.advance(std::time::Duration::from_millis(500));
    assert_eq!(scene.push().await, Outcome::Accepted);

    let request = scene.google.next_request().await;
    assert_eq!((request.method.as_str(), request.status), ("POST", Some(200)));
    assert_eq!(request.path, "/v1/projects/stand-in-project/messages:send");
    assert_eq!(request.headers["content-type"], "application/json; charset=utf-8");
    let expected = json!({
        "message": {
            "token": TOKEN,
            "data": {
                "v": "1",
                "c": "chl_0193b4a0-7b1c-8def-9abc-0123456789ab",
                "d": "dev_0193b4a0-7b1c-8def-9abc-ba9876543210",
                "e": "1795007200",
                "title_loc_key": "countersign_login_title",
                "body_loc_key": "countersign_login_body",
            },
            "android": {
                "priority": "HIGH",
                // Half a second less than two hours: it must not arrive after the end.
                "ttl": "7199s",
                "collapse_key": "chl_0193b4a0-7b1c-8def-9abc-0123456789ab",
            },
        },
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn an_installation_id_is_sent_as_one() {
    let scene = Scene::new().await;
    assert_eq!(push(&scene.fcm, INSTALLATION_ID).await, Outcome::Accepted);
    let message = &scene.google.next_request().await.body["message"];
    assert_eq!(message["fid"], INSTALLATION_ID);
    assert_eq!(message.get("token"), None);
}

#[tokio::test]
async fn a_repetition_takes_the_place_of_the_first() {
    let scene = Scene::new().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        assert_eq!(scene.push().await, Outcome::Accepted);
        seen.push(scene.google.next_request().await.body);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn what_cannot_arrive_is_not_sent() {
    let scene = Scene::new().await;
    for token in ["", "short", "with \"quotes\" and more of them", &"x".repeat(4097)] {
        let outcome = push(&scene.fcm, token).await;
        assert!(matches!(outcome, Outcome::TargetGone { since: None, .. }), "{outcome:?}");
    }
    let outcome = soon(scene.fcm.send(&Target::Apns(Apns::default()), &wake_up())).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(scene.google.connections(), 0);
}

#[tokio::test]
async fn after_the_end_google_keeps_it_for_nobody() {
    let scene = Scene::new().await;
    let mut late = wake_up();
    late.expires_at = super::START;
    assert_eq!(soon(scene.fcm.send(&target(TOKEN), &late)).await, Outcome::Accepted);
    assert_eq!(scene.google.next_request().await.body["message"]["android"]["ttl"], "0s");
}
