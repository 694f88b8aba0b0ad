//! Many at once.

use std::{future::Future, sync::Arc};

use countersign::store::{
    codes::Consumed,
    devices::{RevokeOutcome, TombstoneDue, UserKey},
    enrollments::{ConfirmOutcome, NewEnrollment, StartOutcome, TakeOutcome, Taking},
};
use countersign_domain::{
    enrollment::State as EnrollmentState,
    id::{FactorId, RecoveryId, UserTag},
    operation::{CreateOutcome, DecideOutcome, RedeemOutcome, RevokeFactor},
    standing::Holds,
    state::{State, Verdict},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    codes::{challenge_id, new_recovery, totp_enrollment},
    enrolling::{bound, new_enrollment, taking, token_tag},
    fixture::{
        APPROVE, START, Stores, USER, attempt_tag, challenge, decision, device_id, device_tag, redemption,
    },
};

/// Runs them all at once, and gives what came of each.
pub(crate) async fn race<F>(racers: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let racers: Vec<_> = racers.into_iter().collect();
    let start = Arc::new(Barrier::new(racers.len()));
    let mut tasks = JoinSet::new();
    for racer in racers {
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            racer.await
        });
    }
    tasks.join_all().await
}

pub(crate) async fn a_thousand_decisions_of_ten_devices_make_one_settlement(stores: Stores) {
    let asked = stores.ask("attempt", 1, 10).await;
    let verdicts = [APPROVE, Verdict::DenyNotMe, Verdict::DenyMistake];
    let answers = race((0..1000).map(|n| {
        let (device, verdict) = (n % 10 + 1, verdicts[usize::try_from(n % 3).expect("below 3")]);
        let (challenges, decision) = (stores.challenges.clone(), decision(asked.id, device, verdict));
        async move { (device, verdict, challenges.update(decision).await.expect("an answer")) }
    }))
    .await;
    let winner = stores.state(asked.id).await.expect("the challenge");
    let mut settled_by = 0;
    for (device, verdict, answer) in answers {
        let DecideOutcome::Settled { accepted, first, challenge } = answer else {
            panic!("each device was asked");
        };
        assert_eq!(challenge.state, winner);
        assert_eq!(accepted, winner.is_answer_of(device_id(device), verdict));
        settled_by += usize::from(first);
    }
    assert_eq!(settled_by, 1);
    assert_eq!(stores.reopened().await.state(asked.id).await, Some(winner));
}

pub(crate) async fn a_thousand_redemptions_give_one_time_and_none_to_another_attempt(stores: Stores) {
    let asked = stores.ask("attempt", 1, 1).await;
    let _ = stores.decide(asked.id, 1, APPROVE).await;
    let answers = race((0..1000).map(|n| {
        let is_right = n % 2 == 0;
        let redeem = redemption(asked.id, if is_right { "attempt" } else { "another" });
        let (challenges, clock) = (stores.challenges.clone(), stores.clock.clone());
        async move {
            clock.advance(std::time::Duration::from_millis(1));
            (is_right, challenges.update(redeem).await.expect("an answer"))
        }
    }))
    .await;
    let redeemed = stores.state(asked.id).await.expect("the challenge");
    assert!(matches!(redeemed, State::Approved { redeemed_at: Some(_), .. }));
    for (is_right, answer) in answers {
        match answer {
            RedeemOutcome::Redeemed(challenge) if is_right => assert_eq!(challenge.state, redeemed),
            RedeemOutcome::NotYours if !is_right => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn of_racing_challenges_one_stays_and_each_other_is_superseded_once(stores: Stores) {
    let answers = race((1..=100).map(|n| {
        let attempt = n.to_string();
        let create = countersign_domain::operation::Create {
            attempt: attempt_tag(&attempt),
            challenge: challenge(&attempt, n, 1, &stores.clock),
            max_pending: 1,
            copy: Holds::default(),
        };
        let challenges = stores.challenges.clone();
        async move { challenges.update(create).await.expect("an answer") }
    }))
    .await;
    let mut superseded = Vec::new();
    for answer in answers {
        let CreateOutcome::Created { superseded: pushed_out, .. } = answer else {
            panic!("each attempt is new")
        };
        assert!(pushed_out.len() <= 1);
        superseded.extend(pushed_out);
    }
    let open = stores.challenges.open(UserTag(USER)).await.expect("an answer");
    assert_eq!((open.len(), superseded.len()), (1, 99));
    superseded.sort();
    superseded.dedup();
    assert_eq!(superseded.len(), 99);
    for id in superseded {
        assert_eq!(stores.state(id).await, Some(State::Superseded));
    }
    assert_eq!(stores.state(open[0]).await, Some(State::Pending));
}

pub(crate) async fn racing_calls_of_one_attempt_get_one_challenge(stores: Stores) {
    let answers = race((1..=100).map(|n| {
        let create = countersign_domain::operation::Create {
            attempt: attempt_tag("attempt"),
            challenge: challenge("attempt", n, 1, &stores.clock),
            max_pending: 1,
            copy: Holds::default(),
        };
        let (challenges, id) = (stores.challenges.clone(), create.challenge.id);
        async move { (id, challenges.update(create).await.expect("an answer")) }
    }))
    .await;
    let created = |answer: &CreateOutcome| matches!(answer, CreateOutcome::Created { .. });
    let ids: Vec<_> = answers
        .iter()
        .map(|(id, answer)| match answer {
            CreateOutcome::Repeated(challenge) => challenge.id,
            _ => *id,
        })
        .collect();
    assert_eq!(answers.iter().filter(|(_, answer)| created(answer)).count(), 1);
    assert!(ids.iter().all(|id| *id == ids[0]));
}

pub(crate) async fn a_revocation_lets_answers_through_before_it_and_none_after(stores: Stores) {
    let asked = stores.ask("attempt", 1, 1).await;
    let revoke = RevokeFactor { user: UserTag(USER), factor: device_tag(1) };
    let answers = race((0..200).map(|n| {
        let (challenges, decision) = (stores.challenges.clone(), decision(asked.id, 1, APPROVE));
        async move {
            if n == 100 {
                challenges.update(revoke).await.expect("an answer");
            }
            challenges.update(decision).await.expect("an answer")
        }
    }))
    .await;
    assert_eq!(stores.decide(asked.id, 1, APPROVE).await, DecideOutcome::NotFound);
    let is_first = |answer: &&DecideOutcome| matches!(answer, DecideOutcome::Settled { first: true, .. });
    let settled = answers.iter().filter(is_first).count();
    let state = stores.state(asked.id).await.expect("the challenge");
    // Either an answer was there before the revocation, and stands, or none counts.
    assert_eq!(settled == 1, matches!(state, State::Approved { .. }), "{state:?}");
    assert_eq!(settled == 0, state == State::Pending, "{state:?}");
}

pub(crate) async fn of_racing_devices_one_takes_the_link(stores: Stores) {
    let user = stores.user().await;
    let enrollment = new_enrollment(1, &user);
    assert_eq!(stores.enrollments.start(enrollment.clone()).await, Ok(StartOutcome::Started));
    let answers = race((0..200).map(|n| {
        // Twenty devices, each of which tries ten times, with a new id each time.
        let (enrollments, taking) = (stores.enrollments.clone(), taking(&enrollment, n, n % 20));
        async move { (taking.public_key, enrollments.take(taking).await.expect("an answer")) }
    }))
    .await;
    let row = stores.enrollments.by_token(token_tag(&enrollment)).await.expect("an answer");
    let winner = row.and_then(|row| row.device).expect("somebody took it");
    for (public_key, answer) in answers {
        match answer {
            TakeOutcome::Taken(row) if public_key == winner.public_key => {
                assert_eq!(row.device.as_ref(), Some(&winner));
            }
            TakeOutcome::TakenByOther if public_key != winner.public_key => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn racing_wrong_codes_are_counted_each(stores: Stores) {
    let user = stores.user().await;
    let enrollment = new_enrollment(1, &user);
    assert_eq!(stores.enrollments.start(enrollment.clone()).await, Ok(StartOutcome::Started));
    let taking = taking(&enrollment, 1, 1);
    stores.enrollments.take(taking.clone()).await.expect("an answer");
    let application = user.application;
    let answers =
        race(
            (0..50).map(|_| {
                let enrollments = stores.enrollments.clone();
                let (id, key) = (enrollment.id, taking.public_key);
                async move {
                    enrollments.confirm(application, id, key, false, bound(START)).await.expect("an answer")
                }
            }),
        )
        .await;
    let with = |state| {
        let is =
            |answer: &&ConfirmOutcome| matches!(answer, ConfirmOutcome::Confirmed(row) if row.state == state);
        answers.iter().filter(is).count()
    };
    assert_eq!(with(EnrollmentState::Confirming { wrong_codes: 1 }), 1);
    assert_eq!(with(EnrollmentState::Confirming { wrong_codes: 2 }), 1);
    assert_eq!(with(EnrollmentState::Failed), 48);
}

pub(crate) async fn a_deletion_and_an_enrolment_at_once_leave_all_or_nothing(stores: Stores) {
    let user = stores.user().await;
    let enrollment = new_enrollment(1, &user);
    assert_eq!(stores.enrollments.start(enrollment.clone()).await, Ok(StartOutcome::Started));
    let mut taking = taking(&enrollment, 1, 1);
    taking.bound = Some(bound(START));
    let (devices, enrollments, key) = (stores.devices.clone(), stores.enrollments.clone(), user.clone());
    let (deleted, taken) = tokio::join!(
        tokio::spawn(async move { devices.delete_user(key, Vec::<TombstoneDue>::new()).await }),
        tokio::spawn(async move { enrollments.take(taking).await }),
    );
    let deleted = deleted.expect("no panic").expect("an answer");
    let taken = taken.expect("no panic").expect("an answer");
    // The deletion knew of no device: it came first, or it did nothing.
    assert_eq!(deleted, taken == TakeOutcome::NotFound);
    let left = stores.devices.of_user(user).await.expect("an answer");
    assert_eq!(left.had_factors, !deleted);
}

pub(crate) async fn of_racing_challenges_one_has_the_code(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let secret = stores.enroll_totp(1, &user).await;
    let code = RecoveryId::new(USER, 1);
    let consume = |n: u64| {
        let codes = Arc::clone(&stores.codes);
        // Every challenge asks twice.
        let challenge = challenge_id(n / 2);
        async move {
            let totp = codes.consume_totp(secret, 101, challenge).await.expect("an answer");
            (totp, codes.consume_recovery(code, challenge).await.expect("an answer"))
        }
    };
    let outcomes = race((0..200).map(consume)).await;
    for of in [
        outcomes.iter().map(|(totp, _)| *totp).collect::<Vec<_>>(),
        outcomes.iter().map(|(_, code)| *code).collect(),
    ] {
        let count = |outcome| of.iter().filter(|each| **each == outcome).count();
        let counts = [Consumed::Now, Consumed::Again, Consumed::Used].map(count);
        assert_eq!(counts, [1, 1, 198]);
    }
}

pub(crate) async fn of_racing_enrolments_one_has_the_approval(stores: Stores) {
    let user = stores.user().await;
    assert!(stores.issue(1, &user, None).await);
    let approval = Some(challenge_id(1));
    let mut racers = Vec::new();
    // Of one type the newest is open only, so that there are two enrolments and a code that race.
    let totp = totp_enrollment(1, &user, approval);
    assert_eq!(stores.enrollments.start(totp.clone()).await, Ok(StartOutcome::Started));
    let device = NewEnrollment { authorization: approval, ..new_enrollment(1, &user) };
    assert_eq!(stores.enrollments.start(device.clone()).await, Ok(StartOutcome::Started));
    let taking = Taking { bound: Some(bound(START)), ..taking(&device, 1, 1) };
    for n in 2..60 {
        let (codes, enrollments) = (Arc::clone(&stores.codes), Arc::clone(&stores.enrollments));
        let (recovery, totp, taking) = (new_recovery(n, &user, approval), totp.clone(), taking.clone());
        racers.push(async move {
            match n % 3 {
                0 => codes.issue_recovery(recovery).await.map(drop),
                1 => enrollments.confirm_totp(totp.user.application, totp.id, Some(100)).await.map(drop),
                _ => enrollments.take(taking).await.map(drop),
            }
        });
    }
    assert!(race(racers).await.iter().all(Result::is_ok));
    let codes = stores.codes.of_user(user.clone()).await.expect("an answer");
    let devices = stores.devices.of_user(user).await.expect("an answer").devices.len();
    let secrets = codes.totp.iter().filter(|totp| matches!(totp.id, FactorId::Totp(_))).count();
    let replaced = usize::from(codes.recovery.expect("one").id != RecoveryId::new(USER, 1));
    assert_eq!(devices + secrets + replaced, 1);
}

pub(crate) async fn what_is_read_of_a_user_is_from_one_moment(stores: Stores) {
    let application = stores.user().await.application;
    let users = (1..=40).map(|n| (n, UserKey { application, user_id: format!("user-{n}") }));
    for (n, user) in users {
        // The device and its secret come in one commit, and go in one.
        let come_and_go = async {
            let device = stores.enroll(n, &user).await;
            let tag = device_tag(n);
            let revoked = stores.devices.revoke(user.clone(), device.id, device.public_key, tag).await;
            assert!(matches!(revoked, Ok(RevokeOutcome::Revoked(_))), "{revoked:?}");
        };
        let look = async {
            loop {
                let known = stores.devices.of_user(user.clone()).await.expect("an answer");
                let devices: Vec<_> =
                    known.devices.iter().map(|device| FactorId::Device(device.id)).collect();
                assert_eq!(known.totp, devices, "of {}", user.user_id);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = come_and_go => {}
            () = look => {}
        }
    }
}
