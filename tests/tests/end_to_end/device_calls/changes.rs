//! `ChangeDevice`: sequence, sameness, and what a profile may say.

use countersign_proto::{
    common::{ErrorReason, PushState},
    device::ChangeDeviceRequest,
    key::SigningKey,
    statement::{DeviceChangeStatement, DeviceProfile, PushTarget, push_target},
};

use crate::world::{
    ByHand, DEVICE_TOKEN, REGISTRATION_TOKEN, TOPIC, World, apns_profile, fcm_profile, public, refused,
    refused_field, with_unknown_field,
};

fn named(name: &str) -> DeviceProfile {
    DeviceProfile { device_name: Some(name.to_owned()), ..DeviceProfile::default() }
}

#[tokio::test]
async fn a_sequence_only_rises_and_the_same_payload_gets_the_same_answer() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let account = device.account(&world).await.expect("its account").account.expect("an account");
    assert_eq!((account.sequence, account.push_state()), (0, PushState::None));

    let change = device.change(5, named("Phone"));
    let changed = device.send_change(&change).await.expect("a rising sequence");
    assert_eq!((changed.sequence, changed.device_name.as_str()), (5, "Phone"));
    assert_eq!(device.send_change(&change).await.expect("the same payload"), changed);
    for sequence in [1, 4, 5] {
        let used = device.send_change(&device.change(sequence, named("Other"))).await;
        refused(used, ErrorReason::SequenceUsed);
    }
    refused_field(device.send_change(&device.change(0, named("Other"))).await, "sequence");
    let last = device.change(u64::MAX, named("Last"));
    assert_eq!(device.send_change(&last).await.expect("a rising sequence").sequence, u64::MAX);
    refused(device.send_change(&change).await, ErrorReason::SequenceUsed);
    assert_eq!(backend.user("anna").await.factors[0].name, "Last");

    let world = world.restart().await;
    let device = device.reconnected(&world).await;
    assert_eq!(device.send_change(&last).await.expect("the same payload").device_name, "Last");
}

#[tokio::test]
async fn what_is_set_replaces_what_was_and_all_else_stays() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let changed = device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a target");
    assert_eq!((changed.push_state(), changed.device_name.as_str()), (PushState::Ok, "Device 1"));
    let version = DeviceProfile {
        app_version: Some("2.1.0".to_owned()),
        locale: Some("de-CH".to_owned()),
        ..DeviceProfile::default()
    };
    let changed = device.send_change(&device.change(2, version)).await.expect("a version");
    assert_eq!(changed.push_state(), PushState::Ok);
    let factor = backend.user("anna").await.factors.remove(0);
    assert_eq!(factor.device.expect("a device").app_version, "2.1.0");
    let none = DeviceProfile { push_target: Some(PushTarget::default()), ..DeviceProfile::default() };
    let changed = device.send_change(&device.change(3, none)).await.expect("no target");
    assert_eq!(changed.push_state(), PushState::None);
    assert_eq!(changed.application_name, "Shop");
    assert_eq!(changed.account_name, "anna@example.org");
}

#[tokio::test]
async fn a_topic_that_is_not_served_and_malformed_fields_are_refused() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let apns = |device_token: &str, topic: &str| {
        let apns = push_target::Apns {
            device_token: device_token.to_owned(),
            topic: topic.to_owned(),
            sandbox: false,
        };
        let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
        DeviceProfile { push_target: Some(target), ..DeviceProfile::default() }
    };
    let locale = DeviceProfile { locale: Some("d".to_owned()), ..DeviceProfile::default() };
    let version = DeviceProfile { app_version: Some("1".repeat(33)), ..DeviceProfile::default() };
    for (profile, field) in [
        (apns(DEVICE_TOKEN, "org.example.other"), "profile.push_target.apns.topic"),
        (apns(DEVICE_TOKEN, ""), "profile.push_target.apns.topic"),
        (apns("xyz", TOPIC), "profile.push_target.apns.device_token"),
        (named(""), "profile.device_name"),
        (named("a\u{202e}"), "profile.device_name"),
        (locale, "profile.locale"),
        (version, "profile.app_version"),
    ] {
        refused_field(device.send_change(&device.change(1, profile)).await, field);
    }
    let nothing = DeviceChangeStatement { change: None, ..device.change(1, DeviceProfile::default()) };
    refused_field(device.send_change(&nothing).await, "change");
    device.send_change(&device.change(1, named("Phone"))).await.expect("no sequence was used");
}

#[tokio::test]
async fn a_target_of_a_provider_that_is_not_configured_is_refused_and_a_malformed_one_anyway() {
    let world = World::start_without_push().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    for (profile, field) in [
        (fcm_profile(REGISTRATION_TOKEN), "profile.push_target.fcm"),
        (fcm_profile("short"), "profile.push_target.fcm.registration_token"),
        (apns_profile(DEVICE_TOKEN), "profile.push_target.apns.topic"),
    ] {
        refused_field(device.send_change(&device.change(1, profile)).await, field);
    }
}

#[tokio::test]
async fn signature_form_and_server_are_checked() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let other = world.enroll_by_hand(&backend, "anna", 2).await;
    let change = device.change(1, named("Phone"));
    let good =
        ChangeDeviceRequest { public_key: Some(public(&device.key)), change: Some(device.sign(&change)) };
    let send = async |request: ChangeDeviceRequest| device.client.clone().change_device(request).await;
    refused_field(send(ChangeDeviceRequest { change: None, ..good.clone() }).await, "change");
    refused_field(send(ChangeDeviceRequest { public_key: None, ..good.clone() }).await, "public_key");
    let weak = countersign_proto::statement::PublicKey { algorithm: 1, key: vec![0; 32] };
    let weak = ChangeDeviceRequest { public_key: Some(weak), ..good.clone() };
    refused(send(weak).await, ErrorReason::KeyNotAcceptable);
    let forged = ByHand { key: SigningKey::from_bytes(&[9; 32]), ..device.clone() }.sign(&change);
    let forged = ChangeDeviceRequest { change: Some(forged), ..good.clone() };
    refused(send(forged).await, ErrorReason::CredentialInvalid);
    let unknown = Some(with_unknown_field(&device.key, &change));
    let unknown = ChangeDeviceRequest { change: unknown, ..good.clone() };
    refused(send(unknown).await, ErrorReason::StatementNotSupported);
    // Another device of the same person, in its name.
    let pretending = ByHand { device_id: device.device_id.clone(), ..other };
    let pretended = pretending.send_change(&pretending.change(1, named("Phone"))).await;
    refused(pretended, ErrorReason::CredentialInvalid);
    let foreign = DeviceChangeStatement { server_id: "another".to_owned(), ..change };
    refused(device.send_change(&foreign).await, ErrorReason::StatementMismatch);
    send(good).await.expect("nothing of that has changed it");
}
