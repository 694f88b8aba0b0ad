//! Codes: how many may be wrong, what locks them, and what never does.

use std::time::Duration;

use countersign_domain::{
    challenge::{ChallengeRecord, Wakeup},
    code::CodeKind,
    id::ApplicationId,
    operation::{
        CodeAnswer, CodeTold, Create, CreateOutcome, DecideOutcome, Finding, RevokeFactor, Stand, Unlock,
        VerifyCode, View,
    },
    standing::{Holds, MAX_FAILURES},
    state::{Denial, State, Verdict},
};

use crate::fixture::{
    APPROVE, Store, USER, WRONG_CODE, application, at, challenge_id, create, decide, made, tag, verify_code,
};

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

/// What the code was.
fn answer(store: &mut Store, code: &VerifyCode, seconds: i64) -> CodeAnswer {
    store.run(code, at(seconds)).expect("the application's own").answer
}

/// A wrong code, and the challenge after it.
fn wrong(store: &mut Store, n: u64, seconds: i64) -> (ChallengeRecord, Holds) {
    let told = store.run(&verify_code(n, None, at(seconds)), at(seconds)).expect("the application's own");
    let CodeAnswer::Wrong { holds } = told.answer else { panic!("it was wrong") };
    (*told.challenge, holds)
}

fn not_compared() -> VerifyCode {
    VerifyCode { finding: Finding::NotCompared, ..verify_code(1, None, at(1)) }
}

/// A user whose every failure but the last one has happened.
fn nearly_locked() -> Store {
    let mut store = Store::default();
    let mut failures = 0;
    for n in 1.. {
        store.run(&create(n, at(n.into())), at(n.into()));
        for _ in 0..4 {
            if failures == MAX_FAILURES - 1 {
                return store;
            }
            store.run(&verify_code(n.into(), None, at(n.into())), at(n.into()));
            failures += 1;
        }
    }
    unreachable!()
}

fn told(store: &mut Store, n: u64, seconds: i64) -> ChallengeRecord {
    store.run(&View { challenge: challenge_id(n) }, at(seconds)).expect("it can be read")
}

#[test]
fn a_challenge_takes_five_tries() {
    let mut store = asked();
    for left in [4, 3, 2, 1] {
        let (challenge, _) = wrong(&mut store, 1, 1);
        assert_eq!((challenge.codes.tries_left(), challenge.state.is_pending()), (left, true));
    }
    let mut right = store.clone();
    assert_eq!(answer(&mut right, &verify_code(1, Some(1), at(2)), 2), CodeAnswer::Accepted);
    let (challenge, _) = wrong(&mut store, 1, 2);
    assert!(matches!(challenge.state, State::Denied { reason: Denial::TooManyCodes, .. }));
    let outcome = Some(CodeTold { answer: CodeAnswer::NotPending, challenge: Box::new(challenge) });
    store.settled(&verify_code(1, Some(1), at(3)), at(3), &outcome);
    store.settled(&verify_code(1, None, at(3)), at(3), &outcome);
    assert!(matches!(
        store.run(&decide(1, 1, APPROVE, at(3)), at(3)),
        DecideOutcome::Settled { accepted: false, .. }
    ));
}

#[test]
fn what_was_not_compared_is_no_try() {
    let mut store = asked();
    let before = store.clone();
    assert_eq!(answer(&mut store, &not_compared(), 1), CodeAnswer::Compare);
    let foreign = VerifyCode { application: ApplicationId::new(2, 2), ..verify_code(1, None, at(1)) };
    assert_eq!(store.run(&foreign, at(1)), None);
    let other_kind = VerifyCode { kind: CodeKind::Recovery, ..verify_code(1, None, at(1)) };
    assert_eq!(answer(&mut store, &other_kind, 1), CodeAnswer::NotTaken);
    assert_eq!(store, before);
}

#[test]
fn a_code_rests_on_the_expiry_right_or_wrong() {
    for right in [None, Some(1)] {
        let code = verify_code(1, right, at(59));
        assert_eq!(asked().transition(&code, at(59)).writes.before, Some(at(60)));
        assert_eq!(answer(&mut asked(), &code, 60), CodeAnswer::NotPending);
    }
}

#[test]
fn a_revoked_factor_settles_nothing() {
    let mut store = asked();
    store.run(&RevokeFactor { user: USER, factor: tag(1) }, at(1));
    assert_eq!(answer(&mut store, &verify_code(1, Some(1), at(2)), 2), CodeAnswer::NotTaken);
    assert_eq!(answer(&mut store, &verify_code(1, Some(2), at(2)), 2), CodeAnswer::Accepted);
}

#[test]
fn the_hundredth_failure_locks_codes_and_signed_approvals_go_on() {
    for by_match_code in [false, true] {
        let mut store = nearly_locked();
        assert!(matches!(store.run(&create(200, at(200)), at(200)), CreateOutcome::Created { .. }));
        if by_match_code {
            store.run(&decide(200, 1, WRONG_CODE, at(201)), at(201));
        } else {
            let (challenge, holds) = wrong(&mut store, 200, 201);
            assert_eq!((challenge.codes.kinds, holds.locked_at), (Vec::new(), Some(at(201))));
        }
        store.run(&create(201, at(202)), at(202));
        assert_eq!(told(&mut store, 201, 202).codes.kinds, []);
        for right in [None, Some(1)] {
            assert_eq!(answer(&mut store, &verify_code(201, right, at(203)), 203), CodeAnswer::LockedOut);
        }
        let mut approved = store.clone();
        let approval = approved.run(&decide(201, 1, APPROVE, at(203)), at(203));
        assert!(matches!(approval, DecideOutcome::Settled { accepted: true, .. }));

        // Also after a step back: nothing is locked before the unlocking any more.
        let unlocked_at = store.run(&Unlock { user: USER, copy: Holds::default() }, at(100));
        assert_eq!(unlocked_at, at(201));
        assert_eq!(told(&mut store, 201, 204).codes.kinds, [CodeKind::Totp]);
        assert_eq!(answer(&mut store, &verify_code(201, Some(1), at(204)), 204), CodeAnswer::Accepted);
    }
}

#[test]
fn only_an_accepted_code_begins_the_count_anew() {
    let mut store = nearly_locked();
    store.run(&create(200, at(200)), at(200));
    store.run(&decide(200, 1, APPROVE, at(201)), at(201));
    assert_eq!(store.run(&Stand { user: USER }, at(201)).failures, MAX_FAILURES - 1);
    store.run(&create(201, at(202)), at(202));
    store.run(&verify_code(201, Some(1), at(203)), at(203));
    assert_eq!(store.run(&Stand { user: USER }, at(203)).failures, 0);
}

#[test]
fn a_user_without_devices_is_asked_for_a_code_or_is_locked_out() {
    let code_only = |n, seconds| {
        let mut operation = create(n, at(seconds));
        operation.challenge.asked.clear();
        operation
    };
    let mut store = Store::default();
    let CreateOutcome::Created { challenge, .. } = store.run(&code_only(1, 0), at(0)) else {
        panic!("there is a code")
    };
    assert_eq!(challenge.wakeup, Wakeup::NoDevice);
    assert_eq!(answer(&mut store, &verify_code(1, Some(1), at(1)), 1), CodeAnswer::Accepted);

    let copy = Holds { locked_at: Some(at(1)), push_blocked_at: None };
    let locked = Create { copy, ..code_only(2, 2) };
    store.settled(&locked, at(2), &CreateOutcome::LockedOut(at(1)));
}

#[test]
fn what_the_store_forgot_is_heeded_from_its_copy_until_somebody_unlocks_it() {
    let copy = Holds { locked_at: Some(at(-100)), push_blocked_at: Some(at(-90)) };
    let mut store = Store::default();
    let asks = Create { copy, ..create(1, at(0)) };
    let CreateOutcome::Created { challenge, .. } = store.run(&asks, at(0)) else {
        panic!("devices may answer")
    };
    assert_eq!((challenge.wakeup, challenge.codes.kinds), (Wakeup::Blocked, Vec::new()));
    assert_eq!(told(&mut store, 1, 1).codes.kinds, []);
    assert_eq!(store.run(&Stand { user: USER }, at(1)).holds(), copy);

    store.run(&Unlock { user: USER, copy: Holds::default() }, at(2));
    // Whoever read the copy before that comes late.
    let asks = Create { copy, ..create(2, at(3)) };
    let CreateOutcome::Created { challenge, .. } = store.run(&asks, at(3)) else {
        panic!("devices may answer")
    };
    assert_eq!((challenge.wakeup, challenge.codes.kinds), (Wakeup::Sending, vec![CodeKind::Totp]));
    let mut code = verify_code(2, Some(1), at(4));
    code.copy = copy;
    assert_eq!(answer(&mut store, &code, 4), CodeAnswer::Accepted);

    // VerifyCode heeds it as well.
    let mut store = asked();
    let mut code = verify_code(1, Some(1), at(4));
    code.copy = copy;
    assert_eq!(answer(&mut store, &code, 4), CodeAnswer::LockedOut);
}

#[test]
fn unanswered_wake_ups_hold_back_the_next_and_not_me_blocks_them() {
    let wakeup = |store: &mut Store, n: u8| {
        let now = at(i64::from(n) * 10);
        match store.run(&create(n, now), now) {
            CreateOutcome::Created { challenge, .. } => challenge.wakeup,
            other => panic!("{other:?}"),
        }
    };
    let mut store = Store::default();
    for n in 1..=5 {
        assert_eq!(wakeup(&mut store, n), Wakeup::Sending);
    }
    assert_eq!(wakeup(&mut store, 6), Wakeup::HeldBack { until: at(650) });
    let repeated = store.run(&create(6, at(60)), at(61));
    assert!(matches!(repeated, CreateOutcome::Repeated(challenge) if challenge.wakeup != Wakeup::Sending));
    let mut answered = store.clone();
    answered.run(&decide(6, 1, Verdict::DenyMistake, at(62)), at(62));
    assert_eq!(wakeup(&mut answered, 7), Wakeup::Sending);

    answered.run(&decide(7, 2, Verdict::DenyNotMe, at(71)), at(71));
    assert_eq!(wakeup(&mut answered, 8), Wakeup::Blocked);
    // An answer to what was pulled does not lift it.
    answered.run(&decide(8, 1, APPROVE, at(81)), at(81));
    assert_eq!(wakeup(&mut answered, 9), Wakeup::Blocked);
    answered.run(&Unlock { user: USER, copy: Holds::default() }, at(95));
    assert_eq!(wakeup(&mut answered, 10), Wakeup::Sending);
}

#[test]
fn what_is_counted_is_kept_with_no_challenge_left() {
    let mut store = asked();
    store.run(&verify_code(1, None, at(1)), at(1));
    store.run(&decide(1, 1, APPROVE, at(2)), at(2));
    assert!(store.user().open.is_empty() && !store.user().is_empty());
    assert_eq!(store.user().keep_until(), Some(at(1).plus(Duration::from_hours(400 * 24))));
    store.clean(at(10_000));
    assert_eq!(store.run(&Stand { user: USER }, at(10_001)).failures, 1);
    assert_eq!(made(&store.run(&create(2, at(10_001)), at(10_001))), []);
    assert_eq!(application(), store.challenge(challenge_id(2)).expect("it was made").application_id);
}
