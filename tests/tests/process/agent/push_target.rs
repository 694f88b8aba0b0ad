//! A push target on the command line, against the stand-ins.

use countersign::clock::{Clock as _, SystemClock};
use countersign_fakes::{apns::ApnsStandIn, fcm::FcmStandIn};
use countersign_proto::{common::PushState, login::DeliveryState};

use super::{Stage, failed, json};
use crate::{
    program::{Place, soon},
    push::{DEVICE_TOKEN, REGISTRATION_TOKEN, TOPIC, configured},
};

/// Both providers, and a place whose server uses them.
async fn providers() -> (ApnsStandIn, FcmStandIn, Place) {
    let now = || SystemClock.now().as_seconds();
    let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
    let google = FcmStandIn::start(now).await.expect("a port is free");
    let place = configured(&apple, &google);
    (apple, google, place)
}

async fn push_state(stage: &Stage) -> PushState {
    stage.factors("anna").await[0].device.clone().expect("a device").push_state()
}

#[tokio::test]
async fn a_device_is_woken_where_it_said_last() {
    let (apple, google, place) = providers().await;
    let stage = Stage::start_in(place).await;
    let device = stage.enroll("anna", &["--apns-token", DEVICE_TOKEN, "--apns-topic", TOPIC]).await;
    stage.backend.create("anna", "attempt-1").await.expect("it is created");
    let push = soon(apple.next_request()).await;
    assert_eq!((push.device_token.as_str(), push.status), (DEVICE_TOKEN, Some(200)));

    let said = stage.run(&["push-target", "--fcm-token", REGISTRATION_TOKEN]).await.succeeded();
    assert_eq!(said, format!("Laptop ({device}) is woken through Google.\n"));
    stage.backend.create("anna", "attempt-2").await.expect("it is created");
    let push = soon(google.next_request()).await;
    assert_eq!((push.device_token.as_str(), push.status), (REGISTRATION_TOKEN, Some(200)));
    let said = stage.run(&["accounts"]).await.succeeded();
    assert!(said.contains("Wake-ups  go to its push target\n"), "{said}");

    let changed = stage.json(&["push-target", "--none"]).await;
    assert_eq!(changed["account"]["push_state"], "NONE");
    let (challenge, _) = stage.backend.create("anna", "attempt-3").await.expect("it is created");
    assert_eq!(challenge.deliveries[0].state(), DeliveryState::NoTarget);
    let said = stage.run(&["accounts"]).await.succeeded();
    assert!(said.contains("Wake-ups  none: it has no push target, and streams or pulls\n"), "{said}");
}

#[tokio::test]
async fn what_can_be_no_push_target_is_told_and_nothing_is_sent() {
    let (stage, [_]) = Stage::enrolled(["anna"]).await;
    for (options, complaint) in [
        (
            &["--apns-token", "xyz", "--apns-topic", TOPIC][..],
            "--apns-token must be 8 to 256 hexadecimal digits",
        ),
        (&["--apns-token", DEVICE_TOKEN, "--apns-topic", "a b"], "--apns-topic must be a bundle id"),
        (&["--fcm-token", "short"], "--fcm-token must be 22 to 4096 letters"),
        (&[], "name a push target: --apns-token with --apns-topic, or --fcm-token; or --none"),
        (&["--apns-token", DEVICE_TOKEN], "--apns-topic <BUNDLE_ID>"),
        (&["--fcm-token", REGISTRATION_TOKEN, "--none"], "cannot be used with"),
    ] {
        let (code, why) = failed(stage.run(&[&["push-target"], options].concat()).await);
        assert!(code == 2 && why.contains(complaint), "{options:?}: {why}");
    }
    assert_eq!(push_state(&stage).await, PushState::None);

    // The link is not used up.
    let started = stage.backend.start_enrollment("bert").await.expect("it is begun");
    let enroll = ["enroll", &started.uri, "--yes"];
    let (code, why) = failed(stage.run(&[&enroll[..], &["--fcm-token", "short"]].concat()).await);
    assert!(code == 2 && why.contains("--fcm-token must be"), "{why}");
    stage.run(&enroll).await.succeeded();
}

#[tokio::test]
async fn a_target_that_the_server_does_not_serve_is_told_and_the_device_is_enrolled_all_the_same() {
    let stage = Stage::start().await;
    let started = stage.backend.start_enrollment("anna").await.expect("it is begun");
    let enroll = ["--json", "enroll", &started.uri, "--yes", "--fcm-token", REGISTRATION_TOKEN];
    let ended = stage.run(&enroll).await;
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    assert!(ended.stderr.contains("this server has no [fcm] configuration"), "{ended:?}");
    let enrolled = json(&ended.stdout);
    let code = enrolled["confirmation_code"].as_str().expect("a code");
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    stage.backend.confirm(&enrollment_id, code).await.expect("the code is right");
    assert_eq!(push_state(&stage).await, PushState::None);
    let accounts = stage.json(&["accounts"]).await;
    assert_eq!(accounts["accounts"][0]["state"], "ACTIVE");
}
