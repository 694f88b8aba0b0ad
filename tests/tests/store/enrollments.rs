//! Enrolments, one thing after the other.

use std::time::Duration;

use countersign::store::{
    devices::UserKey,
    enrollments::{
        ConfirmOutcome, EnrollmentRow, MAX_DEVICES, NewEnrollment, StartOutcome, TakeOutcome, Taking,
    },
};
use countersign_domain::{
    challenge::FactorTag,
    enrollment::{LIFETIME, State},
    id::ApplicationId,
};
use countersign_proto::common::PushState;

use crate::{
    enrolling::{bound, bytes, new_enrollment, taking, token_tag},
    fixture::{START, Stores},
};

const CONFIRMING: State = State::Confirming { wrong_codes: 0 };

impl Stores {
    async fn seen(&self, enrollment: &NewEnrollment) -> Option<EnrollmentRow> {
        self.enrollments.by_token(token_tag(enrollment)).await.expect("an answer")
    }

    async fn enrollment_state(&self, enrollment: &NewEnrollment) -> Option<State> {
        self.seen(enrollment).await.map(|row| row.state)
    }

    async fn take(&self, taking: &Taking) -> TakeOutcome {
        self.enrollments.take(taking.clone()).await.expect("an answer")
    }

    async fn confirm(&self, enrollment: &NewEnrollment, key: u64, is_right: bool) -> ConfirmOutcome {
        let application = enrollment.user.application;
        let confirm =
            self.enrollments.confirm(application, enrollment.id, bytes(2, key), is_right, bound(START));
        confirm.await.expect("an answer")
    }

    /// The state after a code.
    async fn confirmed(&self, enrollment: &NewEnrollment, is_right: bool) -> State {
        match self.confirm(enrollment, 1, is_right).await {
            ConfirmOutcome::Confirmed(row) => row.state,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_link_serves_one_device_and_one_code_binds_it(stores: Stores) {
    let user = stores.user().await;
    let enrollment = stores.start(1, &user).await;
    assert_eq!(stores.enrollment_state(&enrollment).await, Some(State::Pending));
    assert_eq!(stores.confirmed(&enrollment, true).await, State::Pending);
    let first = taking(&enrollment, 1, 1);
    let TakeOutcome::Taken(row) = stores.take(&first).await else { panic!("it was free") };
    assert_eq!(row.state, CONFIRMING);
    let device = row.device.clone().expect("the device that took it");
    assert_eq!((device.id, device.public_key, device.name.as_str()), (first.device, bytes(2, 1), "device 1"));
    assert_eq!((device.push_state, device.created_at), (PushState::None, START));
    assert_eq!((device.account_name.as_str(), device.bound), ("anna@example.org", None));
    assert_eq!(stores.devices.of_user(user.clone()).await.expect("an answer").devices, vec![]);

    let stores = stores.reopened().await;
    // The same key again: the first answer, whatever else differs. Another key: somebody was faster.
    assert_eq!(stores.take(&taking(&enrollment, 2, 1)).await, TakeOutcome::Taken(row.clone()));
    assert_eq!(stores.take(&taking(&enrollment, 2, 2)).await, TakeOutcome::TakenByOther);
    assert_eq!(stores.enrollments.source_sha256(first.device).await, Ok(Some(bytes(3, 1))));
    assert_eq!(stores.enrollments.source_sha256(taking(&enrollment, 2, 2).device).await, Ok(None));

    assert_eq!(stores.confirmed(&enrollment, true).await, State::Completed);
    let stores = stores.reopened().await;
    assert_eq!(stores.confirmed(&enrollment, false).await, State::Completed);
    let bound_devices = stores.devices.of_user(user).await.expect("an answer");
    assert!(bound_devices.had_factors);
    assert_eq!(bound_devices.devices.len(), 1);
    assert_eq!(bound_devices.devices[0].bound, Some(bound(START)));
    let TakeOutcome::Taken(again) = stores.take(&first).await else { panic!("it is the same device") };
    assert_eq!(again.state, State::Completed);
}

pub(crate) async fn a_third_wrong_code_ends_it(stores: Stores) {
    let user = stores.user().await;
    let enrollment = stores.start(1, &user).await;
    stores.take(&taking(&enrollment, 1, 1)).await;
    assert_eq!(stores.confirmed(&enrollment, false).await, State::Confirming { wrong_codes: 1 });
    let stores = stores.reopened().await;
    assert_eq!(stores.confirmed(&enrollment, false).await, State::Confirming { wrong_codes: 2 });
    assert_eq!(stores.confirmed(&enrollment, false).await, State::Failed);
    assert_eq!(stores.confirmed(&enrollment, true).await, State::Failed);
    assert!(!stores.devices.of_user(user).await.expect("an answer").had_factors);
    let TakeOutcome::Taken(row) = stores.take(&taking(&enrollment, 1, 1)).await else {
        panic!("the same device gets the same answer")
    };
    assert_eq!(row.state, State::Failed);
}

pub(crate) async fn a_code_for_another_key_changes_nothing(stores: Stores) {
    let user = stores.user().await;
    let enrollment = stores.start(1, &user).await;
    stores.take(&taking(&enrollment, 1, 1)).await;
    for is_right in [true, false] {
        let ConfirmOutcome::Confirmed(row) = stores.confirm(&enrollment, 2, is_right).await else {
            panic!("the enrolment is there")
        };
        assert_eq!(row.state, CONFIRMING);
    }
}

pub(crate) async fn a_newer_one_supersedes_what_is_open(stores: Stores) {
    let user = stores.user().await;
    let first = stores.start(1, &user).await;
    let second = stores.start(2, &user).await;
    assert_eq!(stores.enrollment_state(&first).await, Some(State::Superseded));
    assert_eq!(stores.take(&taking(&first, 1, 1)).await, TakeOutcome::NotFound);
    stores.take(&taking(&second, 1, 1)).await;
    // The same start again, after a lost answer, is not a newer one.
    assert_eq!(stores.enrollments.start(second.clone()).await, Ok(StartOutcome::Started));
    assert_eq!(stores.enrollment_state(&second).await, Some(CONFIRMING));
    let other = UserKey { user_id: "bob".into(), ..user.clone() };
    stores.start(3, &other).await;
    assert_eq!(stores.enrollment_state(&second).await, Some(CONFIRMING));
    stores.start(4, &user).await;
    assert_eq!(stores.confirmed(&second, true).await, State::Superseded);
}

pub(crate) async fn expiry_is_sealed_by_whoever_sees_it(stores: Stores) {
    let user = stores.user().await;
    let seen = stores.start(1, &user).await;
    let over = START.plus(LIFETIME);
    stores.clock.set(over);
    assert_eq!(stores.enrollment_state(&seen).await, Some(State::Expired));
    stores.clock.set(START);
    let stores = stores.reopened().await;
    assert_eq!(stores.enrollment_state(&seen).await, Some(State::Expired));
    assert_eq!(stores.take(&taking(&seen, 1, 1)).await, TakeOutcome::NotFound);

    let taken = stores.start(2, &user).await;
    stores.take(&taking(&taken, 1, 1)).await;
    stores.clock.set(over);
    assert!(matches!(stores.confirm(&taken, 1, true).await, ConfirmOutcome::Confirmed(row)
        if row.state == State::Expired));
    stores.clock.set(START);
    let row = stores.enrollments.by_id(user.application, taken.id).await.expect("an answer");
    assert_eq!(row.map(|row| row.state), Some(State::Expired));

    // What a newer one finds over has expired, not been superseded.
    let late = stores.start(3, &user).await;
    stores.clock.set(over);
    stores.start(4, &user).await;
    assert_eq!(stores.enrollment_state(&late).await, Some(State::Expired));

    let unseen = stores.start(5, &UserKey { user_id: "bob".into(), ..user }).await;
    stores.clock.set(START);
    assert_eq!(stores.enrollment_state(&unseen).await, Some(State::Pending));
}

pub(crate) async fn a_link_whose_time_is_over_is_not_taken_though_nobody_has_seen_it_expire(stores: Stores) {
    let user = stores.user().await;
    let enrollment = stores.start(1, &user).await;
    stores.clock.set(START.plus(LIFETIME));
    assert_eq!(stores.take(&taking(&enrollment, 1, 1)).await, TakeOutcome::NotFound);
    assert_eq!(stores.devices.by_id(taking(&enrollment, 1, 1).device).await, Ok(None));
    // The refusal has sealed it.
    stores.clock.set(START);
    assert_eq!(stores.enrollment_state(&enrollment).await, Some(State::Expired));
    assert_eq!(stores.take(&taking(&enrollment, 1, 1)).await, TakeOutcome::NotFound);
}

pub(crate) async fn another_application_finds_none(stores: Stores) {
    let user = stores.user().await;
    let enrollment = stores.start(1, &user).await;
    let other = ApplicationId::new(2, 2);
    assert_eq!(stores.enrollments.by_id(other, enrollment.id).await, Ok(None));
    let confirm = stores.enrollments.confirm(other, enrollment.id, bytes(2, 1), true, bound(START));
    assert_eq!(confirm.await, Ok(ConfirmOutcome::NotFound));
    assert_eq!(stores.enrollments.by_token(bytes(9, 9)).await, Ok(None));
    assert_eq!(stores.take(&taking(&new_enrollment(9, &user), 1, 1)).await, TakeOutcome::NotFound);
    assert!(stores.enrollments.by_id(user.application, enrollment.id).await.expect("an answer").is_some());
}

pub(crate) async fn a_known_key_is_refused_also_one_that_is_revoked(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let second = stores.start(2, &user).await;
    assert_eq!(stores.take(&taking(&second, 2, 1)).await, TakeOutcome::KeyKnown);
    let revoke = stores.devices.revoke(user.clone(), device.id, device.public_key, FactorTag([0; 32]));
    revoke.await.expect("an answer");
    let third = stores.start(3, &user).await;
    assert_eq!(stores.take(&taking(&third, 2, 1)).await, TakeOutcome::KeyKnown);
    assert!(matches!(stores.take(&taking(&third, 2, 2)).await, TakeOutcome::Taken(_)));
}

pub(crate) async fn a_user_with_all_devices_begins_none(stores: Stores) {
    let user = stores.user().await;
    let most = u64::try_from(MAX_DEVICES).expect("a small number");
    let first = stores.enroll(1, &user).await;
    for n in 2..=most {
        stores.enroll(n, &user).await;
    }
    let one_more = new_enrollment(99, &user);
    stores.allow(&user).await;
    assert_eq!(stores.enrollments.start(one_more.clone()).await, Ok(StartOutcome::TooMany));
    assert_eq!(stores.seen(&one_more).await, None);
    let revoke = stores.devices.revoke(user.clone(), first.id, first.public_key, FactorTag([0; 32]));
    revoke.await.expect("an answer");
    assert_eq!(stores.enrollments.start(one_more).await, Ok(StartOutcome::Started));
}

pub(crate) async fn cleaning_forgets_them_a_day_later_and_devices_that_never_came_into_use(stores: Stores) {
    let user = stores.user().await;
    let bound_device = stores.enroll(1, &user).await;
    let failed = stores.start(2, &user).await;
    let unbound = taking(&failed, 2, 2);
    stores.take(&unbound).await;
    let day = Duration::from_hours(24);
    stores.clock.set(START.plus(LIFETIME + day).minus(Duration::from_millis(1)));
    assert_eq!(stores.enrollments.clean().await, Ok(0));
    assert_eq!(stores.enrollment_state(&failed).await, Some(State::Expired));
    stores.clock.set(START.plus(LIFETIME + day));
    assert_eq!(stores.enrollments.clean().await, Ok(2));
    assert_eq!(stores.enrollment_state(&failed).await, None);
    assert_eq!(stores.devices.by_id(unbound.device).await, Ok(None));
    assert_eq!(stores.devices.by_id(bound_device.id).await, Ok(Some(bound_device)));
    // The key that never came into use is free again.
    let again = NewEnrollment { expires_at: START.plus(day * 2), ..new_enrollment(3, &user) };
    assert_eq!(stores.enrollments.start(again.clone()).await, Ok(StartOutcome::Started));
    assert!(matches!(stores.take(&taking(&again, 3, 2)).await, TakeOutcome::Taken(_)));
}
