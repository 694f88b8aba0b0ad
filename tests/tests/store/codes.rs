//! TOTP secrets and recovery codes: each code is accepted once, and for one challenge.

use std::time::Duration;

use countersign::store::{
    codes::{CodeFactorState, Consumed, EnrollingTotp, MAX_TOTP_SECRETS, NewRecovery, UserCodes},
    devices::{RevokeOutcome, TombstoneDue, UserKey},
    enrollments::{ConfirmOutcome, NewEnrollment, NewFactor, StartOutcome},
};
use countersign_domain::{
    challenge::FactorTag,
    enrollment::{LIFETIME, State},
    id::{ChallengeId, FactorId, OtpId, RecoveryId},
    standing::Holds,
};

use crate::{
    enrolling::{bytes, new_enrollment, new_totp},
    fixture::{START, Stores, USER},
};

const TAG: FactorTag = FactorTag([8; 32]);

pub(crate) fn challenge_id(n: u64) -> ChallengeId {
    ChallengeId::new(USER, n)
}

fn totp_id(n: u64) -> FactorId {
    FactorId::Totp(OtpId::new(USER, n))
}

/// The enrolment of secret `n`.
pub(crate) fn totp_enrollment(n: u64, user: &UserKey, authorization: Option<ChallengeId>) -> NewEnrollment {
    let factor = NewFactor::Totp(EnrollingTotp { id: OtpId::new(USER, n), totp: new_totp(n) });
    NewEnrollment { factor, authorization, ..new_enrollment(1000 + n, user) }
}

pub(crate) fn new_recovery(n: u64, user: &UserKey, authorization: Option<ChallengeId>) -> NewRecovery {
    NewRecovery {
        id: RecoveryId::new(USER, n),
        user: user.clone(),
        tag: bytes(5, n),
        authorization,
        approved_by: None,
    }
}

impl Stores {
    async fn codes_of(&self, user: &UserKey) -> UserCodes {
        self.codes.of_user(user.clone()).await.expect("an answer")
    }

    async fn begin(&self, enrollment: &NewEnrollment) -> StartOutcome {
        self.enrollments.start(enrollment.clone()).await.expect("an answer")
    }

    async fn totp_code(&self, enrollment: &NewEnrollment, step: Option<u64>) -> ConfirmOutcome {
        let application = enrollment.user.application;
        self.enrollments.confirm_totp(application, enrollment.id, step).await.expect("an answer")
    }

    async fn totp_state(&self, enrollment: &NewEnrollment) -> State {
        let found = self.enrollments.by_id(enrollment.user.application, enrollment.id).await;
        found.expect("an answer").expect("the enrolment").state
    }

    /// Enrols secret `n` with a code of step 100.
    pub(crate) async fn enroll_totp(&self, n: u64, user: &UserKey) -> FactorId {
        self.allow(user).await;
        let enrollment = totp_enrollment(n, user, None);
        assert_eq!(self.begin(&enrollment).await, StartOutcome::Started);
        let confirmed = self.totp_code(&enrollment, Some(100)).await;
        assert!(matches!(confirmed, ConfirmOutcome::Confirmed(row) if row.state == State::Completed));
        totp_id(n)
    }

    async fn consumed(&self, secret: FactorId, step: u64, challenge: u64) -> Consumed {
        self.codes.consume_totp(secret, step, challenge_id(challenge)).await.expect("an answer")
    }

    /// Issues a user's first factor.
    pub(crate) async fn issue(&self, n: u64, user: &UserKey, authorization: Option<ChallengeId>) -> bool {
        self.codes.issue_recovery(new_recovery(n, user, authorization)).await.expect("an answer")
    }

    async fn recovered(&self, n: u64, challenge: u64) -> Consumed {
        let code = RecoveryId::new(USER, n);
        self.codes.consume_recovery(code, challenge_id(challenge)).await.expect("an answer")
    }
}

pub(crate) async fn a_secret_counts_once_its_first_code_has_come(stores: Stores) {
    let user = stores.user().await;
    let enrollment = totp_enrollment(1, &user, None);
    assert_eq!(stores.begin(&enrollment).await, StartOutcome::Started);
    assert_eq!(stores.begin(&enrollment).await, StartOutcome::Started);
    assert_eq!(stores.totp_state(&enrollment).await, State::AwaitingTotp { wrong_codes: 0 });
    assert_eq!(stores.codes_of(&user).await, UserCodes::default());
    assert_eq!(stores.consumed(totp_id(1), 100, 1).await, Consumed::Gone);
    assert!(!stores.devices.of_user(user.clone()).await.expect("an answer").had_factors);
    stores.totp_code(&enrollment, None).await;
    let stores = stores.reopened().await;
    assert_eq!(stores.totp_state(&enrollment).await, State::AwaitingTotp { wrong_codes: 1 });
    stores.totp_code(&enrollment, Some(100)).await;
    let stores = stores.reopened().await;
    assert_eq!(stores.totp_state(&enrollment).await, State::Completed);
    stores.totp_code(&enrollment, None).await;
    assert_eq!(stores.totp_state(&enrollment).await, State::Completed);
    let codes = stores.codes_of(&user).await;
    assert_eq!(codes.totp.len(), 1);
    assert_eq!((codes.totp[0].id, codes.totp[0].name.as_str()), (totp_id(1), ""));
    assert_eq!(
        (&codes.totp[0].secret, codes.totp[0].parameters()),
        (&new_totp(1).secret, new_totp(1).parameters)
    );
    assert!(stores.devices.of_user(user).await.expect("an answer").had_factors);
    // The code that confirmed it is used.
    assert_eq!(stores.consumed(totp_id(1), 100, 1).await, Consumed::Used);
    assert_eq!(stores.consumed(totp_id(1), 101, 1).await, Consumed::Now);
}

pub(crate) async fn three_wrong_codes_end_the_enrolment_of_a_secret(stores: Stores) {
    let user = stores.user().await;
    let enrollment = totp_enrollment(1, &user, None);
    stores.begin(&enrollment).await;
    for expected in [
        State::AwaitingTotp { wrong_codes: 1 },
        State::AwaitingTotp { wrong_codes: 2 },
        State::Failed,
        State::Failed,
    ] {
        stores.totp_code(&enrollment, None).await;
        assert_eq!(stores.totp_state(&enrollment).await, expected);
    }
    stores.totp_code(&enrollment, Some(100)).await;
    assert_eq!(stores.codes_of(&user).await, UserCodes::default());
    let late = totp_enrollment(2, &user, None);
    stores.begin(&late).await;
    stores.clock.set(START.plus(LIFETIME));
    stores.totp_code(&late, Some(100)).await;
    assert_eq!(stores.totp_state(&late).await, State::Expired);
    stores.clock.set(START.plus(LIFETIME + Duration::from_hours(24)));
    assert_eq!(stores.enrollments.clean().await, Ok(2));
    assert_eq!(stores.codes.by_id(totp_id(1)).await, Ok(None));
}

pub(crate) async fn a_step_is_accepted_once_and_for_one_challenge(stores: Stores) {
    let user = stores.user().await;
    let secret = stores.enroll_totp(1, &user).await;
    assert_eq!(stores.consumed(secret, 102, 1).await, Consumed::Now);
    let stores = stores.reopened().await;
    assert_eq!(stores.consumed(secret, 102, 1).await, Consumed::Again);
    assert_eq!(stores.consumed(secret, 102, 2).await, Consumed::Used);
    // An older one is over with it, also for the challenge that brought the newer one.
    assert_eq!(stores.consumed(secret, 101, 1).await, Consumed::Used);
    assert_eq!(stores.consumed(secret, 103, 2).await, Consumed::Now);
    assert_eq!(stores.consumed(secret, 102, 1).await, Consumed::Used);
    assert_eq!(stores.consumed(totp_id(2), 104, 1).await, Consumed::Gone);
    let state = CodeFactorState { user, is_in_force: true, used_by: Some(challenge_id(2)) };
    assert_eq!(stores.codes.by_id(secret).await, Ok(Some(state)));
    stores.codes.note_used(secret, START).await.expect("an answer");
}

pub(crate) async fn a_recovery_code_is_used_once_released_and_replaced(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    // There was a factor now: the next one needs an approval, and each approval is good once.
    assert!(!stores.issue(2, &user, None).await);
    stores.allow(&user).await;
    assert!(!stores.issue(2, &user, None).await);
    assert_eq!(stores.recovered(1, 1).await, Consumed::Now);
    let stores = stores.reopened().await;
    assert_eq!(stores.recovered(1, 1).await, Consumed::Again);
    assert_eq!(stores.recovered(1, 2).await, Consumed::Used);
    // Another challenge's release changes nothing.
    for (challenge, after) in [(2, Consumed::Used), (1, Consumed::Now)] {
        let release = stores.codes.release_recovery(RecoveryId::new(USER, 1), challenge_id(challenge));
        assert_eq!(release.await, Ok(after == Consumed::Now));
        assert_eq!(stores.recovered(1, 2).await, after);
    }
    // Once it has let in, nothing gives it back, whatever the store of challenges says.
    let accept = |challenge| stores.codes.accept_recovery(RecoveryId::new(USER, 1), challenge_id(challenge));
    assert_eq!((accept(1).await, accept(2).await, accept(2).await), (Ok(false), Ok(true), Ok(true)));
    let release = stores.codes.release_recovery(RecoveryId::new(USER, 1), challenge_id(2));
    assert_eq!(release.await, Ok(false));
    assert_eq!(stores.recovered(1, 3).await, Consumed::Used);
    assert!(stores.issue(2, &user, Some(challenge_id(2))).await);
    assert!(!stores.issue(3, &user, Some(challenge_id(2))).await);
    let stores = stores.reopened().await;
    assert_eq!(stores.recovered(1, 2).await, Consumed::Gone);
    let recovery = stores.codes_of(&user).await.recovery.expect("the second");
    assert_eq!((recovery.id, recovery.tag, recovery.used_by), (RecoveryId::new(USER, 2), bytes(5, 2), None));
    // The first still stands for what it was used for.
    let first = FactorId::Recovery(RecoveryId::new(USER, 1));
    let state = stores.codes.by_id(first).await.expect("an answer").expect("the first");
    assert_eq!((state.is_in_force, state.used_by), (true, Some(challenge_id(2))));
}

pub(crate) async fn a_devices_own_secret_lives_and_dies_with_it(stores: Stores) {
    let user = stores.user().await;
    let device = stores.enroll(1, &user).await;
    let own = FactorId::Device(device.id);
    let codes = stores.codes_of(&user).await;
    assert_eq!(codes.totp.len(), 1);
    assert_eq!((codes.totp[0].id, codes.totp[0].name.as_str()), (own, "device 1"));
    assert_eq!(stores.consumed(own, 7, 1).await, Consumed::Now);
    assert_eq!(stores.codes.revoke(user.clone(), own, TAG).await, Ok(RevokeOutcome::NotFound));
    // One that is not confirmed has a secret that counts for nothing.
    let open = stores.start(2, &user).await;
    let unbound = crate::enrolling::taking(&open, 2, 2);
    stores.enrollments.take(unbound.clone()).await.expect("an answer");
    assert_eq!(stores.consumed(FactorId::Device(unbound.device), 7, 1).await, Consumed::Gone);
    let row = stores.enrollments.by_id(user.application, open.id).await.expect("an answer").expect("it");
    assert_eq!(row.totp.map(|totp| totp.secret), Some(new_totp(2).secret));

    let revoke = stores.devices.revoke(user.clone(), device.id, device.public_key, TAG);
    revoke.await.expect("an answer");
    let stores = stores.reopened().await;
    assert_eq!(stores.codes_of(&user).await, UserCodes::default());
    assert_eq!(stores.consumed(own, 8, 1).await, Consumed::Gone);
    assert!(stores.codes.by_id(own).await.expect("an answer").is_some_and(|state| !state.is_in_force));
}

pub(crate) async fn a_revoked_secret_or_code_is_gone_and_its_tombstone_due(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let recovery = FactorId::Recovery(RecoveryId::new(USER, 1));
    let secret = stores.enroll_totp(1, &user).await;
    let other = UserKey { user_id: "bob".into(), ..user.clone() };
    for factor in [recovery, secret] {
        assert_eq!(stores.codes.revoke(other.clone(), factor, TAG).await, Ok(RevokeOutcome::NotFound));
        stores.allow(&user).await;
        let open = totp_enrollment(9, &user, None);
        let open =
            NewEnrollment { id: countersign_domain::id::EnrollmentId::new(9, factor.user().0), ..open };
        if factor == recovery {
            assert_eq!(stores.begin(&open).await, StartOutcome::Started);
        }
        stores.clock.advance(Duration::from_secs(5));
        let outcome = stores.codes.revoke(user.clone(), factor, TAG).await.expect("an answer");
        let RevokeOutcome::Revoked(due) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((due.factor, due.user, due.tag), (factor, factor.user(), TAG));
        assert_eq!(stores.devices.tombstones_due().await, Ok(vec![due.clone()]));
        assert_eq!(stores.totp_state(&open).await, State::Superseded);
        stores.devices.tombstone_stands(TAG).await.expect("an answer");
        stores.clock.advance(Duration::from_secs(5));
        assert_eq!(stores.codes.revoke(user.clone(), factor, TAG).await, Ok(outcome));
        assert_eq!(stores.devices.tombstones_due().await, Ok(vec![]));
    }
    let stores = stores.reopened().await;
    assert_eq!(stores.codes_of(&user).await, UserCodes::default());
    assert_eq!(stores.consumed(secret, 200, 1).await, Consumed::Gone);
    assert_eq!(stores.recovered(1, 1).await, Consumed::Gone);
    // That there were factors is remembered.
    assert!(stores.devices.of_user(user).await.expect("an answer").had_factors);
}

pub(crate) async fn a_user_has_five_secrets_at_most(stores: Stores) {
    let user = stores.user().await;
    let most = u64::try_from(MAX_TOTP_SECRETS).expect("a small number");
    for n in 1..most {
        stores.enroll_totp(n, &user).await;
    }
    // Two that were begun while there was room for one.
    let [first, second] = [most, most + 1].map(|n| totp_enrollment(n, &user, Some(challenge_id(n))));
    assert_eq!(stores.begin(&first).await, StartOutcome::Started);
    stores.totp_code(&first, Some(100)).await;
    assert_eq!(stores.begin(&second).await, StartOutcome::TooMany);
    assert_eq!(stores.codes.by_id(totp_id(most + 1)).await, Ok(None));
    // A device's secret is none of the five.
    stores.enroll(1, &user).await;
    stores.codes.revoke(user.clone(), totp_id(1), TAG).await.expect("an answer");
    assert_eq!(stores.begin(&second).await, StartOutcome::Started);
    stores.totp_code(&second, Some(100)).await;
    assert_eq!(stores.codes_of(&user).await.totp.len(), MAX_TOTP_SECRETS + 1);
}

pub(crate) async fn one_approval_completes_one_factor(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let unapproved = totp_enrollment(1, &user, None);
    assert_eq!(stores.begin(&unapproved).await, StartOutcome::StepUpRequired);
    // A page that is loaded again begins anew with it, and another one too; who is first has it.
    let abandoned = totp_enrollment(2, &user, Some(challenge_id(1)));
    let device = NewEnrollment { authorization: Some(challenge_id(1)), ..new_enrollment(3, &user) };
    let totp = totp_enrollment(4, &user, Some(challenge_id(1)));
    for enrollment in [&abandoned, &device, &totp] {
        assert_eq!(stores.begin(enrollment).await, StartOutcome::Started);
    }
    stores.totp_code(&totp, Some(100)).await;
    assert_eq!(stores.totp_state(&totp).await, State::Completed);
    assert_eq!(stores.totp_state(&device).await, State::Pending);
    let taking = crate::enrolling::taking(&device, 1, 1);
    let taking =
        countersign::store::enrollments::Taking { bound: Some(crate::enrolling::bound(START)), ..taking };
    let taken = stores.enrollments.take(taking).await;
    assert_eq!(taken, Ok(countersign::store::enrollments::TakeOutcome::NotFound));
    assert_eq!(stores.totp_state(&device).await, State::Superseded);
    let again = totp_enrollment(5, &user, Some(challenge_id(1)));
    assert_eq!(stores.begin(&again).await, StartOutcome::StepUpRequired);
    // It is remembered for a day, longer than any approval is good.
    stores.clock.set(START.plus(Duration::from_hours(23)));
    stores.enrollments.clean().await.expect("an answer");
    assert_eq!(stores.begin(&again).await, StartOutcome::StepUpRequired);
}

pub(crate) async fn a_permission_is_good_for_one_factor_begun_in_time(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let until = START.plus(Duration::from_hours(24));
    stores.allowances.allow_enrollment(user.clone(), until).await.expect("an answer");
    let other = UserKey { user_id: "bob".into(), ..user.clone() };
    assert!(stores.issue(9, &other, None).await);
    assert_eq!(stores.begin(&totp_enrollment(9, &other, None)).await, StartOutcome::StepUpRequired);
    let abandoned = totp_enrollment(1, &user, None);
    assert_eq!(stores.begin(&abandoned).await, StartOutcome::Started);
    stores.totp_code(&abandoned, None).await;
    stores.clock.set(until);
    assert_eq!(stores.begin(&totp_enrollment(2, &user, None)).await, StartOutcome::StepUpRequired);
    stores.clock.set(START);
    let completed = totp_enrollment(3, &user, None);
    assert_eq!(stores.begin(&completed).await, StartOutcome::Started);
    let stores = stores.reopened().await;
    stores.totp_code(&completed, Some(100)).await;
    assert_eq!(stores.totp_state(&completed).await, State::Completed);
    assert_eq!(stores.begin(&totp_enrollment(4, &user, None)).await, StartOutcome::StepUpRequired);
}

pub(crate) async fn the_first_factor_ends_every_other_enrolment(stores: Stores) {
    let user = stores.user().await;
    let other = UserKey { user_id: "bob".into(), ..user.clone() };
    let bobs = totp_enrollment(9, &other, None);
    stores.begin(&bobs).await;
    let device = new_enrollment(1, &user);
    stores.begin(&device).await;
    let approved = totp_enrollment(2, &user, Some(challenge_id(1)));
    stores.begin(&approved).await;
    assert!(stores.issue(1, &user, None).await);
    assert_eq!(stores.totp_state(&device).await, State::Superseded);
    assert_eq!(stores.totp_state(&approved).await, State::AwaitingTotp { wrong_codes: 0 });
    assert_eq!(stores.totp_state(&bobs).await, State::AwaitingTotp { wrong_codes: 0 });
    let device = new_enrollment(2, &other);
    stores.begin(&device).await;
    stores.totp_code(&bobs, Some(100)).await;
    assert_eq!(stores.totp_state(&bobs).await, State::Completed);
    assert_eq!(stores.totp_state(&device).await, State::Superseded);
}

pub(crate) async fn a_deleted_user_has_no_codes_and_never_had_any(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let recovery = FactorId::Recovery(RecoveryId::new(USER, 1));
    let secret = stores.enroll_totp(1, &user).await;
    let locked = Holds { locked_at: Some(START), push_blocked_at: None };
    stores.hold_copies.copy(user.clone(), locked).await.expect("an answer");
    stores.allow(&user).await;
    let due = |factor: FactorId, n| TombstoneDue {
        factor,
        user: factor.user(),
        tag: FactorTag([n; 32]),
        revoked_at: START,
        successor: None,
    };
    let delete = |factors| stores.devices.delete_user(user.clone(), factors);
    assert_eq!(delete(vec![due(recovery, 1)]).await, Ok(false));
    assert_eq!(delete(vec![due(secret, 2)]).await, Ok(false));
    assert_eq!(delete(vec![due(secret, 2), due(recovery, 1)]).await, Ok(true));
    assert_eq!(stores.codes_of(&user).await, UserCodes::default());
    assert_eq!(stores.devices.tombstones_due().await.map(|due| due.len()), Ok(2));
    assert!(!stores.devices.of_user(user.clone()).await.expect("an answer").had_factors);
    assert_eq!(stores.begin(&totp_enrollment(2, &user, None)).await, StartOutcome::Started);
}
