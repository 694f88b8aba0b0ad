//! Devices that change their key, or say goodbye: the change itself, and what whoever asks again is told.

use std::{sync::Arc, time::Duration};

use countersign::store::{
    Devices,
    devices::{
        Bound, ChangeOutcome, DeviceRow, FormerKey, Goodbye, KeyChange, RevokeOutcome, TombstoneDue, UserKey,
    },
};
use countersign_domain::{UnixTime, id::FactorId, user::Successor};

use crate::{
    enrolling::bytes,
    fixture::{START, Stores, device_tag},
    races::race,
};

/// A key number that no device has.
const NEW: u64 = 100;

fn at(seconds: u64) -> UnixTime {
    START.plus(Duration::from_secs(seconds))
}

/// The device gets key number `key` in place of the one that it has, by the payload with this number.
fn new_key(device: &DeviceRow, key: u64, sequence: u64) -> KeyChange {
    KeyChange {
        device: device.id,
        public_key: device.public_key,
        sequence,
        payload_sha256: bytes(7, key),
        new_key: bytes(2, key),
        bound: Bound { at: at(5), envelope: bytes(6, key).to_vec() },
        tag: device_tag(tag_number(device)),
        successor: Successor { tag: device_tag(key), bound_at: at(5) },
    }
}

fn goodbye(device: &DeviceRow, sequence: u64) -> Goodbye {
    Goodbye {
        device: device.id,
        public_key: device.public_key,
        sequence,
        payload_sha256: bytes(8, sequence),
        tag: device_tag(tag_number(device)),
    }
}

/// A key's number is in its first bytes.
fn tag_number(device: &DeviceRow) -> u64 {
    u64::from_be_bytes(*device.public_key.first_chunk().expect("32 bytes"))
}

fn changed(outcome: ChangeOutcome) -> DeviceRow {
    match outcome {
        ChangeOutcome::Changed(row) => *row,
        other => panic!("{other:?}"),
    }
}

impl Stores {
    async fn replace(&self, change: &KeyChange) -> ChangeOutcome {
        self.devices.replace_key(change.clone()).await.expect("an answer")
    }

    async fn leave(&self, goodbye: &Goodbye) -> ChangeOutcome {
        self.devices.take_leave(goodbye.clone()).await.expect("an answer")
    }

    async fn told_again(&self, change: &KeyChange) -> Option<DeviceRow> {
        let KeyChange { device, public_key, payload_sha256, .. } = *change;
        self.devices.ended_by(device, public_key, payload_sha256).await.expect("an answer")
    }

    async fn due(&self) -> Vec<TombstoneDue> {
        self.devices.tombstones_due().await.expect("an answer")
    }
}

pub(crate) async fn a_new_key_takes_over_and_the_old_binding_is_kept(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let other = stores.enroll(2, &user).await;
    stores.clock.set(at(5));
    let change = new_key(&device, NEW, 3);
    let row = changed(stores.replace(&change).await);
    let expected = DeviceRow {
        public_key: change.new_key,
        bound: Some(change.bound.clone()),
        sequence: 3,
        ..device.clone()
    };
    assert_eq!(row, expected);
    let stores = stores.reopened().await;
    assert_eq!(stores.devices.by_id(device.id).await, Ok(Some(expected.clone())));
    let before = FormerKey {
        public_key: device.public_key,
        binding: device.bound.as_ref().expect("it is bound").envelope.clone(),
    };
    assert_eq!(stores.devices.former_keys(device.id).await, Ok(vec![before.clone()]));
    assert_eq!(stores.devices.former_keys(other.id).await, Ok(vec![]));
    let due = TombstoneDue {
        factor: FactorId::Device(device.id),
        user: device.id.user(),
        tag: change.tag,
        successor: Some(change.successor),
        revoked_at: at(5),
    };
    assert_eq!(stores.due().await, [due]);

    // Once more: the newest comes first.
    let second = new_key(&expected, NEW + 1, 4);
    changed(stores.replace(&second).await);
    let former = stores.devices.former_keys(device.id).await.expect("an answer");
    let newest = FormerKey { public_key: change.new_key, binding: change.bound.envelope.clone() };
    assert_eq!(former, [newest, before]);
    assert_eq!(stores.due().await.len(), 2);
}

pub(crate) async fn a_key_is_replaced_by_a_fresh_one_in_order_and_only_by_its_owner(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let other = stores.enroll(2, &user).await;
    let change = new_key(&device, NEW, 5);
    let foreign = KeyChange { public_key: other.public_key, ..change.clone() };
    assert_eq!(stores.replace(&foreign).await, ChangeOutcome::NotFound);
    let taken = KeyChange { new_key: other.public_key, ..change.clone() };
    assert_eq!(stores.replace(&taken).await, ChangeOutcome::KeyKnown);
    let same = KeyChange { new_key: device.public_key, ..change.clone() };
    assert_eq!(stores.replace(&same).await, ChangeOutcome::KeyKnown);
    assert_eq!((stores.due().await, stores.devices.former_keys(device.id).await), (vec![], Ok(vec![])));

    let row = changed(stores.replace(&change).await);
    // The sequence goes on from the change of the key, and a key of before never comes back.
    assert_eq!(stores.replace(&new_key(&row, NEW + 1, 5)).await, ChangeOutcome::SequenceUsed);
    let back = KeyChange { new_key: device.public_key, ..new_key(&row, NEW + 1, 6) };
    assert_eq!(stores.replace(&back).await, ChangeOutcome::KeyKnown);
    assert_eq!(stores.leave(&goodbye(&row, 5)).await, ChangeOutcome::SequenceUsed);
    assert_eq!(stores.leave(&goodbye(&device, 6)).await, ChangeOutcome::NotFound, "its key is another one");
    assert_eq!(stores.devices.by_id(device.id).await, Ok(Some(row)));
}

pub(crate) async fn a_change_that_ended_a_key_is_told_again_for_a_day_also_after_goodbye(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let change = new_key(&device, NEW, 1);
    assert_eq!(stores.told_again(&change).await, None);
    let row = changed(stores.replace(&change).await);
    assert_eq!(stores.replace(&change).await, ChangeOutcome::NotFound, "its key is another one now");
    let stores = stores.reopened().await;
    assert_eq!(stores.told_again(&change).await, Some(row.clone()));
    let other_payload = KeyChange { payload_sha256: bytes(7, 9), ..change.clone() };
    assert_eq!(stores.told_again(&other_payload).await, None);
    let other_key = KeyChange { public_key: bytes(9, 9), ..change.clone() };
    assert_eq!(stores.told_again(&other_key).await, None);

    stores.clock.set(at(3600));
    let leave = goodbye(&row, 2);
    let gone = changed(stores.leave(&leave).await);
    assert_eq!(gone, DeviceRow { revoked_at: Some(at(3600)), sequence: 2, ..row.clone() });
    assert_eq!(stores.leave(&leave).await, ChangeOutcome::NotFound);
    let leave_again =
        KeyChange { public_key: leave.public_key, payload_sha256: leave.payload_sha256, ..change.clone() };
    // Each of the two that ended a key, with the device as it is now.
    for told in [&change, &leave_again] {
        assert_eq!(stores.told_again(told).await, Some(gone.clone()));
    }
    let day = Duration::from_hours(24);
    stores.clock.set(at(0).plus(day));
    assert_eq!(stores.told_again(&change).await, None);
    assert_eq!(stores.told_again(&leave_again).await, Some(gone));
    stores.clock.set(at(3600).plus(day));
    assert_eq!(stores.told_again(&leave_again).await, None);
}

pub(crate) async fn a_goodbye_revokes_the_device_and_marks_its_tombstone_as_due(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    stores.clock.set(at(7));
    let leave = goodbye(&device, 1);
    changed(stores.leave(&leave).await);
    let due = TombstoneDue {
        factor: FactorId::Device(device.id),
        user: device.id.user(),
        tag: leave.tag,
        successor: None,
        revoked_at: at(7),
    };
    let stores = stores.reopened().await;
    assert_eq!(stores.due().await, std::slice::from_ref(&due));
    assert_eq!(stores.devices.of_user(user.clone()).await.expect("an answer").devices, []);
    // A revocation that comes later is told when it was.
    let revoke = stores.devices.revoke(user, device.id, device.public_key, leave.tag);
    assert_eq!(revoke.await, Ok(RevokeOutcome::Revoked(due)));
    assert_eq!(stores.replace(&new_key(&device, NEW, 2)).await, ChangeOutcome::NotFound);
}

pub(crate) async fn of_racing_new_keys_one_takes_over(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let answers = race((0..100).map(|n| {
        let (devices, change) = (Arc::clone(&stores.devices), new_key(&device, NEW + n, 1 + n));
        async move { (change.new_key, devices.replace_key(change).await.expect("an answer")) }
    }))
    .await;
    let winner = stores.devices.by_id(device.id).await.expect("an answer").expect("the device");
    let mut won = 0;
    for (new_key, answer) in answers {
        match answer {
            ChangeOutcome::Changed(row) => {
                assert_eq!((row.public_key, *row), (new_key, winner.clone()));
                won += 1;
            }
            ChangeOutcome::NotFound => {}
            other => panic!("{other:?}"),
        }
    }
    let former = stores.devices.former_keys(device.id).await.expect("an answer");
    assert_eq!((won, former.len(), stores.due().await.len()), (1, 1, 1));
}

/// Each revocation names the key that it read; whoever finds another one reads again, as the server does.
pub(crate) async fn a_revocation_that_races_a_new_key_ends_the_device(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    race((0..20).map(|n| {
        let (devices, device, user) = (Arc::clone(&stores.devices), device.clone(), user.clone());
        async move {
            if n != 10 {
                let answer = devices.replace_key(new_key(&device, NEW + n, 1 + n)).await.expect("an answer");
                assert!(matches!(answer, ChangeOutcome::Changed(_) | ChangeOutcome::NotFound), "{answer:?}");
                return;
            }
            while revoked(&devices, &user, &device).await.is_none() {}
        }
    }))
    .await;
    let row = stores.devices.by_id(device.id).await.expect("an answer").expect("the device");
    assert!(row.revoked_at.is_some());
    // The key that it had in the end is revoked; one before it, if there was one, leads to that.
    let due = stores.due().await;
    let last = due.iter().find(|due| due.tag == device_tag(tag_number(&row))).expect("it is due");
    assert_eq!(last.successor, None);
    let former = due.iter().filter(|due| due.tag != last.tag);
    let leads_on: Vec<_> = former.map(|due| due.successor.map(|successor| successor.tag)).collect();
    let is_new = row.public_key != device.public_key;
    assert_eq!(leads_on, if is_new { vec![Some(last.tag)] } else { vec![] });
    assert_eq!(stores.replace(&new_key(&row, NEW + 50, 1000)).await, ChangeOutcome::NotFound);
}

async fn revoked(devices: &Arc<dyn Devices>, user: &UserKey, device: &DeviceRow) -> Option<TombstoneDue> {
    let row = devices.by_id(device.id).await.expect("an answer").expect("the device");
    let tag = device_tag(tag_number(&row));
    match devices.revoke(user.clone(), row.id, row.public_key, tag).await.expect("an answer") {
        RevokeOutcome::Revoked(due) => Some(due),
        RevokeOutcome::NotFound => None,
    }
}
