//! What is sent.

use countersign::push::{Outcome, PushChannel, WakeUp, apns::ApnsConfig};
use countersign_proto::statement::push_target::{Apns as ApnsTarget, Target};
use serde_json::json;

use super::{Scene, TOKEN, TOPIC, config_of, push, soon, stand_in, target, wake_up};

#[tokio::test]
async fn a_push_is_what_apple_and_the_app_expect() {
    let scene = Scene::new().await;
    assert_eq!(scene.push().await, Outcome::Accepted);

    let request = scene.apple.next_request().await;
    assert_eq!((request.method.as_str(), request.status), ("POST", Some(200)));
    assert_eq!(request.path, format!("/3/device/{TOKEN}"));
    for (name, value) in [
        ("apns-topic", TOPIC),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", "1795000120"),
        ("apns-collapse-id", "chl_0193b4a0-7b1c-8def-9abc-0123456789ab"),
    ] {
        assert_eq!(request.headers[name], value);
    }
    let expected = json!({
        "aps": {
            "alert": {"title-loc-key": "COUNTERSIGN_LOGIN_TITLE", "loc-key": "COUNTERSIGN_LOGIN_BODY"},
            "sound": "default",
            "interruption-level": "time-sensitive",
            "mutable-content": 1,
            "category": "COUNTERSIGN_LOGIN",
        },
        "countersign": {
            "v": 1,
            "c": "chl_0193b4a0-7b1c-8def-9abc-0123456789ab",
            "d": "dev_0193b4a0-7b1c-8def-9abc-ba9876543210",
            "e": 1_795_000_120,
        },
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_repetition_is_the_same_push_and_another_device_another() {
    let scene = Scene::new().await;
    let other = WakeUp { device_id: "dev_another".to_owned(), ..wake_up() };
    for wake_up in [&wake_up(), &wake_up(), &other] {
        assert_eq!(soon(scene.apns.send(&target(TOKEN), wake_up)).await, Outcome::Accepted);
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(scene.apple.next_request().await.headers["apns-id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn sandbox_is_the_devices_word() {
    let production = Scene::new().await;
    let sandbox = stand_in(&production.clock).await;
    let config = ApnsConfig {
        sandbox_url: sandbox.base_url(),
        ca_pem: Some(format!("{}{}", production.apple.ca_pem(), sandbox.ca_pem())),
        ..config_of(&production.apple)
    };
    let apns = super::client(&config, &production.tokens, &production.clock);
    let target =
        Target::Apns(ApnsTarget { device_token: TOKEN.to_owned(), topic: TOPIC.to_owned(), sandbox: true });
    // The sandbox stand-in has a signing key of its own: it refuses ours, and that is how we know.
    let outcome = soon(apns.send(&target, &wake_up())).await;
    assert_eq!(outcome, Outcome::Misconfigured { reason: "403 InvalidProviderToken".to_owned() });
    assert_eq!(push(&apns, TOKEN).await, Outcome::Accepted);
    assert_eq!((sandbox.connections(), production.apple.connections()), (1, 1));
}

#[tokio::test]
async fn what_cannot_arrive_is_not_sent() {
    let scene = Scene::new().await;
    let foreign = Target::Apns(ApnsTarget {
        device_token: TOKEN.to_owned(),
        topic: "com.example.other".to_owned(),
        sandbox: false,
    });
    let outcome = scene.apns.send(&foreign, &wake_up()).await;
    assert!(matches!(outcome, Outcome::Misconfigured { .. }), "{outcome:?}");
    for token in ["", "not-hexadecimal", "../../x", &"a".repeat(401)] {
        let outcome = push(&scene.apns, token).await;
        assert!(matches!(outcome, Outcome::TargetGone { since: None, .. }), "{outcome:?}");
    }
    let unsendable = WakeUp { challenge_id: "line\nbreak".to_owned(), ..wake_up() };
    let outcome = soon(scene.apns.send(&target(TOKEN), &unsendable)).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(scene.apple.connections(), 0);
}
