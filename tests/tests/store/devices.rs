//! Devices in use: what they tell of themselves, and their end.

use std::time::Duration;

use countersign::store::{
    devices::{ChangeOutcome, DeviceRow, ProfileChange, RevokeOutcome, TombstoneDue, UserDevices, UserKey},
    enrollments::TakeOutcome,
};
use countersign_domain::{challenge::FactorTag, enrollment::State, id::FactorId};
use countersign_proto::{
    common::PushState,
    statement::{
        DeviceProfile, PushTarget,
        push_target::{Apns, Target},
    },
};

use crate::{
    enrolling::{bytes, taking, token_tag},
    fixture::{START, Stores, device_tag},
};

impl Stores {
    async fn of_user(&self, user: &UserKey) -> UserDevices {
        self.devices.of_user(user.clone()).await.expect("an answer")
    }

    async fn device(&self, device: &DeviceRow) -> DeviceRow {
        self.devices.by_id(device.id).await.expect("an answer").expect("the device")
    }

    async fn revoke(&self, user: &UserKey, device: &DeviceRow, tag: FactorTag) -> RevokeOutcome {
        let revoke = self.devices.revoke(user.clone(), device.id, device.public_key, tag);
        revoke.await.expect("an answer")
    }

    async fn change(&self, device: &DeviceRow, sequence: u64, profile: DeviceProfile) -> ChangeOutcome {
        let change = ProfileChange {
            device: device.id,
            public_key: device.public_key,
            sequence,
            payload_sha256: bytes(7, sequence),
            profile,
        };
        self.devices.change_profile(change).await.expect("an answer")
    }
}

fn target(token: &str) -> PushTarget {
    let apns = Apns { device_token: token.into(), topic: "org.example.app".into(), sandbox: true };
    PushTarget { target: Some(Target::Apns(apns)) }
}

fn due(device: &DeviceRow, n: u64) -> TombstoneDue {
    TombstoneDue {
        factor: FactorId::Device(device.id),
        user: device.id.user(),
        tag: device_tag(n),
        successor: None,
        revoked_at: START,
    }
}

pub(crate) async fn devices_are_listed_oldest_first_and_only_to_their_user(stores: Stores) {
    let user = stores.user().await;
    assert_eq!(stores.of_user(&user).await, UserDevices::default());
    let second = stores.enroll(2, &user).await;
    let first = stores.enroll(1, &user).await;
    let stores = stores.reopened().await;
    let all = UserDevices {
        totp: vec![FactorId::Device(second.id), FactorId::Device(first.id)],
        devices: vec![second.clone(), first],
        had_factors: true,
        ..UserDevices::default()
    };
    assert_eq!(stores.of_user(&user).await, all);
    let other = UserKey { user_id: "bob".into(), ..user };
    assert_eq!(stores.of_user(&other).await, UserDevices::default());
    assert_eq!(stores.device(&second).await, second);
}

pub(crate) async fn a_revocation_marks_its_tombstone_as_due_once(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let kept = stores.enroll(2, &user).await;
    let open = stores.start(3, &user).await;
    stores.clock.advance(Duration::from_secs(5));
    let revoked_at = START.plus(Duration::from_secs(5));
    let tombstone = TombstoneDue { revoked_at, ..due(&device, 1) };
    let outcome = RevokeOutcome::Revoked(tombstone.clone());
    assert_eq!(stores.revoke(&user, &device, device_tag(1)).await, outcome);
    let stores = stores.reopened().await;
    assert_eq!(stores.devices.tombstones_due().await, Ok(vec![tombstone]));
    assert_eq!(
        stores.of_user(&user).await,
        UserDevices {
            totp: vec![FactorId::Device(kept.id)],
            devices: vec![kept],
            had_factors: true,
            ..UserDevices::default()
        }
    );
    assert_eq!(stores.device(&device).await.revoked_at, Some(revoked_at));
    let ended = stores.enrollments.by_token(token_tag(&open)).await.expect("an answer");
    assert_eq!(ended.map(|row| row.state), Some(State::Superseded));

    // Again, and later: the same, and no enrolment that was begun since is ended.
    stores.devices.tombstone_stands(device_tag(1)).await.expect("an answer");
    let later = stores.start(4, &user).await;
    stores.clock.advance(Duration::from_secs(5));
    assert_eq!(stores.revoke(&user, &device, device_tag(1)).await, outcome);
    assert_eq!(stores.devices.tombstones_due().await, Ok(vec![]));
    let goes_on = stores.enrollments.by_token(token_tag(&later)).await.expect("an answer");
    assert_eq!(goes_on.map(|row| row.state), Some(State::Pending));
}

pub(crate) async fn only_a_bound_device_of_the_user_with_the_key_is_revoked(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let other = UserKey { user_id: "bob".into(), ..user.clone() };
    assert_eq!(stores.revoke(&other, &device, device_tag(1)).await, RevokeOutcome::NotFound);
    let other_key = DeviceRow { public_key: bytes(9, 9), ..device.clone() };
    assert_eq!(stores.revoke(&user, &other_key, device_tag(1)).await, RevokeOutcome::NotFound);
    let open = stores.start(2, &user).await;
    let taken = stores.enrollments.take(taking(&open, 2, 2)).await.expect("an answer");
    let TakeOutcome::Taken(row) = taken else { panic!("it was free") };
    let unbound = row.device.expect("the device that took it");
    assert_eq!(stores.revoke(&user, &unbound, device_tag(2)).await, RevokeOutcome::NotFound);
    assert_eq!(stores.devices.tombstones_due().await, Ok(vec![]));
    assert_eq!(stores.device(&device).await, device);
}

pub(crate) async fn a_deleted_user_leaves_nothing_but_tombstones_that_are_due(stores: Stores) {
    let user = stores.user().await;
    let (first, second) = (stores.enroll(1, &user).await, stores.enroll(2, &user).await);
    let open = stores.start(3, &user).await;
    let delete = |devices| stores.devices.delete_user(user.clone(), devices);
    // One that the caller does not know of came meanwhile: he must look again.
    assert_eq!(delete(vec![due(&first, 1)]).await, Ok(false));
    assert_eq!(stores.of_user(&user).await.devices.len(), 2);
    assert_eq!(stores.devices.tombstones_due().await, Ok(vec![]));
    stores.clock.advance(Duration::from_secs(5));
    assert_eq!(delete(vec![due(&first, 1), due(&second, 2)]).await, Ok(true));
    let stores = stores.reopened().await;
    assert_eq!(stores.of_user(&user).await, UserDevices::default());
    assert_eq!(stores.devices.by_id(first.id).await, Ok(None));
    assert_eq!(stores.enrollments.by_token(token_tag(&open)).await, Ok(None));
    // By the time of the commit, which is later than what the caller took it for.
    let revoked_at = START.plus(Duration::from_secs(5));
    let mut expected = [due(&first, 1), due(&second, 2)].map(|due| TombstoneDue { revoked_at, ..due });
    expected.sort_by_key(|due| due.factor);
    let mut found = stores.devices.tombstones_due().await.expect("an answer");
    found.sort_by_key(|due| due.factor);
    assert_eq!(found, expected);
    for due in found {
        stores.devices.tombstone_stands(due.tag).await.expect("an answer");
    }
    assert_eq!(stores.devices.tombstones_due().await, Ok(vec![]));
    assert_eq!(stores.devices.delete_user(user, vec![]).await, Ok(true));
}

pub(crate) async fn a_change_replaces_what_it_sets_once_and_in_order(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let first = DeviceProfile {
        device_name: Some("Anna's phone".into()),
        push_target: Some(target("aa")),
        ..DeviceProfile::default()
    };
    let changed = DeviceRow {
        name: "Anna's phone".into(),
        push_target: Some(target("aa")),
        push_state: PushState::Ok,
        sequence: 5,
        ..device.clone()
    };
    let outcome = ChangeOutcome::Changed(Box::new(changed.clone()));
    assert_eq!(stores.change(&device, 5, first.clone()).await, outcome);
    let stores = stores.reopened().await;
    assert_eq!(stores.device(&device).await, changed);
    assert_eq!(stores.change(&device, 5, first.clone()).await, outcome);
    assert_eq!(stores.change(&device, 4, first).await, ChangeOutcome::SequenceUsed);
    let other = ProfileChange {
        device: device.id,
        public_key: device.public_key,
        sequence: 5,
        payload_sha256: bytes(8, 8),
        profile: DeviceProfile::default(),
    };
    assert_eq!(stores.devices.change_profile(other.clone()).await, Ok(ChangeOutcome::SequenceUsed));
    let foreign = ProfileChange { public_key: bytes(9, 9), sequence: 6, ..other };
    assert_eq!(stores.devices.change_profile(foreign).await, Ok(ChangeOutcome::NotFound));

    // A sequence is 64 bits without sign.
    let second = DeviceProfile {
        app_version: Some("2.1.0".into()),
        locale: Some("de".into()),
        push_target: Some(PushTarget::default()),
        ..DeviceProfile::default()
    };
    let last = DeviceRow {
        app_version: "2.1.0".into(),
        locale: "de".into(),
        push_target: None,
        push_state: PushState::None,
        sequence: u64::MAX,
        ..changed
    };
    let outcome = ChangeOutcome::Changed(Box::new(last.clone()));
    assert_eq!(stores.change(&device, u64::MAX, second.clone()).await, outcome);
    assert_eq!(stores.device(&device).await, last);
    assert_eq!(stores.change(&device, 6, second.clone()).await, ChangeOutcome::SequenceUsed);
    stores.revoke(&user, &device, device_tag(1)).await;
    assert_eq!(stores.change(&device, u64::MAX, second).await, ChangeOutcome::NotFound);
}

pub(crate) async fn a_target_is_gone_only_if_it_is_still_the_devices(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let with = |token| DeviceProfile { push_target: Some(target(token)), ..DeviceProfile::default() };
    stores.change(&device, 1, with("aa")).await;
    stores.devices.target_gone(device.id, target("bb"), None).await.expect("an answer");
    assert_eq!(stores.device(&device).await.push_state, PushState::Ok);
    stores.devices.target_gone(device.id, target("aa"), None).await.expect("an answer");
    assert_eq!(stores.device(&device).await.push_state, PushState::Gone);
    stores.change(&device, 2, with("bb")).await;
    assert_eq!(stores.device(&device).await.push_state, PushState::Ok);
}

pub(crate) async fn use_and_calls_are_noted_and_never_earlier(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let hour = Duration::from_hours(1);
    let [seen, later] = [START.plus(hour), START.plus(hour * 2)];
    for at in [seen, later, seen] {
        stores.devices.note_used(device.id, at).await.expect("an answer");
        stores.devices.note_seen(device.id, at).await.expect("an answer");
    }
    // Nobody waits until it is written, but whoever closes the store has written it.
    let stores = stores.reopened().await;
    let noted = stores.device(&device).await;
    assert_eq!(noted.last_used_at, Some(later));
    let last_seen = noted.last_seen_at.expect("it was seen");
    assert_eq!(last_seen.as_millis() % 3_600_000, 0);
    assert!(later.since(last_seen) < hour);
}
