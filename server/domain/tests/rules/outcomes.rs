//! Every operation in every state of a challenge: what is told, and that it is told again.

use countersign_domain::{
    UnixTime,
    id::ApplicationId,
    operation::{Cancel, DecideOutcome, Fetch, Redeem, RedeemOutcome, View},
    state::{Denial, State, Verdict},
};
use countersign_proto::statement::Purpose;

use crate::fixture::{
    APPROVE, Store, VERDICTS, WRONG_CODE, application, at, attempt_id, challenge_id, create, decide, redeem,
    tag, verify_code,
};

/// A way to settle challenge 1, and the time it leaves behind.
type Settle = fn(&mut Store) -> UnixTime;

/// Every state that a challenge can come to, by the edge that leads there.
const EDGES: [(&str, Settle); 10] = [
    ("pending", |_| at(10)),
    ("settle: approve", |store| answer(store, APPROVE)),
    ("settle: wrong match code", |store| answer(store, WRONG_CODE)),
    ("settle: not me", |store| answer(store, Verdict::DenyNotMe)),
    ("settle: mistake", |store| answer(store, Verdict::DenyMistake)),
    ("cancel", |store| {
        store.run(&Cancel { challenge: challenge_id(1), application: application() }, at(10));
        at(10)
    }),
    ("supersede", |store| {
        store.run(&create(2, at(10)), at(10));
        at(10)
    }),
    ("expire", |_| at(60)),
    ("code: right", |store| {
        store.run(&verify_code(1, Some(2), at(10)), at(10));
        at(10)
    }),
    ("code: one too many", |store| {
        for _ in 0..5 {
            store.run(&verify_code(1, None, at(10)), at(10));
        }
        at(10)
    }),
];

fn answer(store: &mut Store, verdict: Verdict) -> UnixTime {
    store.run(&decide(1, 1, verdict, at(10)), at(10));
    at(10)
}

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

/// The state as a word and a denial, without what settled it.
fn word(state: &State) -> (&'static str, Option<Denial>) {
    match state {
        State::Pending => ("pending", None),
        State::Approved { .. } => ("approved", None),
        State::Denied { reason, .. } => ("denied", Some(*reason)),
        State::Cancelled => ("cancelled", None),
        State::Superseded => ("superseded", None),
        State::Expired => ("expired", None),
    }
}

const STATES: [(&str, Option<Denial>); 10] = [
    ("pending", None),
    ("approved", None),
    ("denied", Some(Denial::WrongMatchCode)),
    ("denied", Some(Denial::NotMe)),
    ("denied", Some(Denial::Mistake)),
    ("cancelled", None),
    ("superseded", None),
    ("expired", None),
    ("approved", None),
    ("denied", Some(Denial::TooManyCodes)),
];

#[test]
fn each_edge_leads_to_its_state_and_is_sealed_before_it_is_told() {
    for ((edge, settle), state) in EDGES.into_iter().zip(STATES) {
        let mut store = asked();
        let now = settle(&mut store);
        let view = View { challenge: challenge_id(1) };
        let told = store.run(&view, now);
        assert_eq!(told.as_ref().map(|challenge| word(&challenge.state)), Some(state), "{edge}");
        assert_eq!(store.challenge(challenge_id(1)), told, "{edge}");
        store.settled(&view, now, &told);
        let fetch = Fetch { challenge: challenge_id(1), device: tag(2) };
        store.settled(&fetch, now, &told);
    }
}

#[test]
fn cancel_moves_what_is_pending_and_is_told_what_stands() {
    for ((edge, settle), state) in EDGES.into_iter().zip(STATES) {
        let mut store = asked();
        let now = settle(&mut store);
        let cancel = Cancel { challenge: challenge_id(1), application: application() };
        let told = store.run(&cancel, now);
        let expected = if edge == "pending" { ("cancelled", None) } else { state };
        assert_eq!(told.as_ref().map(|challenge| word(&challenge.state)), Some(expected), "{edge}");
        store.settled(&cancel, now, &told);
    }
}

#[test]
fn decide_moves_what_is_pending_and_accepts_only_the_answer_that_won() {
    for ((edge, settle), state) in EDGES.into_iter().zip(STATES) {
        for verdict in VERDICTS {
            for device in [1, 2] {
                let mut store = asked();
                let now = settle(&mut store);
                let decision = decide(1, device, verdict, now);
                let DecideOutcome::Settled { accepted, first, challenge } = store.run(&decision, now) else {
                    panic!("{edge}: the device was asked");
                };
                let (won, approves) = (edge == "pending", |v| matches!(v, Verdict::Approve { .. }));
                let expected = match verdict {
                    _ if !won => state,
                    Verdict::Approve { match_code_is_right: true } => ("approved", None),
                    Verdict::Approve { match_code_is_right: false } => {
                        ("denied", Some(Denial::WrongMatchCode))
                    }
                    Verdict::DenyNotMe => ("denied", Some(Denial::NotMe)),
                    Verdict::DenyMistake => ("denied", Some(Denial::Mistake)),
                };
                let repeats = match edge {
                    "settle: approve" => device == 1 && approves(verdict),
                    "settle: not me" => device == 1 && verdict == Verdict::DenyNotMe,
                    "settle: mistake" => device == 1 && verdict == Verdict::DenyMistake,
                    _ => false,
                };
                assert_eq!(word(&challenge.state), expected, "{edge}, {verdict:?}");
                assert_eq!(first, won, "{edge}, {verdict:?}");
                assert_eq!(accepted, won && verdict != WRONG_CODE || repeats, "{edge}, {verdict:?}");
                store.settled(&decision, now, &DecideOutcome::Settled { accepted, first: false, challenge });
            }
        }
    }
}

#[test]
fn redeem_takes_an_approval_once_and_is_told_what_else_it_is() {
    for ((edge, settle), state) in EDGES.into_iter().zip(STATES) {
        let mut store = asked();
        let now = settle(&mut store);
        let told = store.run(&redeem(1, 1), now);
        match &told {
            RedeemOutcome::Redeemed(challenge) => {
                assert!(["settle: approve", "code: right"].contains(&edge));
                let State::Approved { redeemed_at, .. } = &challenge.state else { panic!("{edge}") };
                assert_eq!(*redeemed_at, Some(now));
                let last = now.plus(countersign_domain::challenge::REDEEM_WITHIN);
                let just_before = last.minus(std::time::Duration::from_millis(1));
                store.settled(&redeem(1, 1), just_before, &told);
                // It stays too late, wherever the clock steps.
                let mut late = store.clone();
                assert_eq!(late.run(&redeem(1, 1), last), RedeemOutcome::TooLate);
                late.settled(&redeem(1, 1), last, &RedeemOutcome::TooLate);
                late.settled(&redeem(1, 1), just_before, &RedeemOutcome::TooLate);
            }
            RedeemOutcome::NotApproved(challenge) => assert_eq!(word(&challenge.state), state, "{edge}"),
            other => panic!("{edge}: {other:?}"),
        }
        store.settled(&redeem(1, 1), now, &told);
    }
}

#[test]
fn redeem_compares_user_attempt_and_purpose_before_it_tells_a_state() {
    let foreign = [
        Redeem { user_id: "otto".into(), ..redeem(1, 1) },
        Redeem { attempt_id: attempt_id(2), ..redeem(1, 1) },
        Redeem { purpose: Purpose::ManageFactors, ..redeem(1, 1) },
        Redeem { purpose: Purpose::Unspecified, ..redeem(1, 1) },
    ];
    for (edge, settle) in EDGES {
        for operation in &foreign {
            let mut store = asked();
            let now = settle(&mut store);
            assert_eq!(store.run(operation, now), RedeemOutcome::NotYours, "{edge}");
            store.settled(operation, now, &RedeemOutcome::NotYours);
        }
    }
}

#[test]
fn redeem_refuses_a_challenge_whose_statement_cannot_be_read() {
    let mut store = Store::default();
    let mut operation = create(1, at(0));
    operation.challenge.challenge.pop();
    store.run(&operation, at(0));
    store.run(&decide(1, 1, APPROVE, at(1)), at(1));
    assert_eq!(store.run(&redeem(1, 1), at(2)), RedeemOutcome::NotYours);
}

#[test]
fn what_is_unknown_foreign_or_not_for_this_device_is_not_found_and_stays_as_it_is() {
    let other = ApplicationId::new(2, 2);
    for (edge, settle) in EDGES {
        let mut store = asked();
        let now = settle(&mut store);
        let id = challenge_id(1);
        store.settled(&Cancel { challenge: id, application: other }, now, &None);
        store.settled(&Redeem { application: other, ..redeem(1, 1) }, now, &RedeemOutcome::NotFound);
        store.settled(&Fetch { challenge: id, device: tag(3) }, now, &None);
        store.settled(&decide(1, 3, APPROVE, now), now, &DecideOutcome::NotFound);
        let unknown = challenge_id(99);
        store.settled(&View { challenge: unknown }, now, &None);
        store.settled(&Cancel { challenge: unknown, application: application() }, now, &None);
        store.settled(&Fetch { challenge: unknown, device: tag(1) }, now, &None);
        store.settled(&decide(99, 1, APPROVE, now), now, &DecideOutcome::NotFound);
        store.settled(&redeem(99, 1), now, &RedeemOutcome::NotFound);
        assert!(store.challenge(id).is_some(), "{edge}");
    }
}
