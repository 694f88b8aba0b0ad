//! How many codes may be wrong, how many pushes unanswered, and what a person's 'it was not me' stops.

use std::time::Duration;

use countersign_domain::{policy::Policy, standing::MAX_FAILURES};
use countersign_fakes::apns::Answer;
use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason},
    login::{Challenge, CodeResult, DeliveryState, Wakeup, create_challenge_response::Outcome},
};

use super::{WithCodes, asking_for_code};
use crate::world::{Backend, ByHand, World, apns_profile, asking, at, metadata_of, refused};

/// Types wrong codes until all but `left` of the failures that lock are used.
async fn fail_until(world: &World, backend: &Backend, phone: &WithCodes, round: &str, left: u32) {
    let wrong = phone.wrong_code(world.now());
    for n in 0..MAX_FAILURES - left {
        let attempt = format!("{round}-{}", n / 4);
        let (challenge, _) = backend.create_as(asking_for_code("anna", &attempt)).await;
        let (result, _) = backend.verify(&challenge.challenge_id, &wrong).await.expect("an answer");
        assert_eq!(result, CodeResult::Wrong, "{n}");
    }
}

#[tokio::test]
async fn the_fifth_wrong_code_denies_the_challenge() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    // However many secrets are tried, a code is one try.
    WithCodes::enroll(&world, &backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = phone.device.challenge(&world, id).await.expect("it was asked");
    let wrong = phone.wrong_code(world.now());
    for left in (1..5).rev() {
        let (result, pending) = backend.verify(id, &wrong).await.expect("an answer");
        assert_eq!((result, pending.code_tries_left), (CodeResult::Wrong, left));
        assert_eq!(pending.state(), ChallengeState::Pending);
    }
    let last = backend.verify(id, &wrong);
    let (waited, answer) = world.meanwhile(backend.wait_for(id, 25), at(25), last).await;
    let (result, denied) = answer.expect("an answer");
    assert_eq!((result, denied.state()), (CodeResult::Wrong, ChallengeState::Denied));
    assert_eq!(denied.denial_reason(), DenialReason::TooManyCodes);
    let settlement = denied.settlement.expect("a settlement");
    assert_eq!((settlement.factor_type, settlement.factor_id.as_str()), (0, ""));
    assert_eq!(waited.expect("it is told").denial_reason(), DenialReason::TooManyCodes);
    let (result, _) = backend.verify(id, &phone.code(world.now())).await.expect("an answer");
    assert_eq!(result, CodeResult::NotPending);
    let late = phone.device.respond(&phone.device.approval(&asked, &match_code)).await.expect("a good form");
    assert_eq!((late.accepted, late.denial_reason()), (false, DenialReason::TooManyCodes));
    let refusal = refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ChallengeNotApproved);
    assert_eq!(metadata_of(&refusal, "state"), "DENIED");
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_lock_codes_and_signed_approvals_go_on() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    fail_until(&world, &backend, &phone, "first", 2).await;
    // A right code begins the count anew; the restart does not.
    let (challenge, _) = backend.create_as(asking_for_code("anna", "right")).await;
    backend.verify(&challenge.challenge_id, &phone.code(world.now())).await.expect("an answer");
    fail_until(&world, &backend, &phone, "second", 1).await;
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let phone = WithCodes { device: phone.device.reconnected(&world).await, totp: phone.totp };
    assert_eq!(backend.user("anna").await.locked_at, None);

    // The last one is a wrong match code.
    let (challenge, match_code) = backend.create("anna", "last").await;
    let asked = phone.device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let wrong = phone.device.approval(&asked, &crate::world::other_code(&match_code));
    phone.device.respond(&wrong).await.expect("a good form");
    assert_eq!(backend.user("anna").await.locked_at, Some(world.now().to_wire()));

    for lost in [false, true] {
        if lost {
            world.forget_challenges().await;
        }
        let attempt = format!("locked-{lost}");
        let (challenge, match_code) = backend.create("anna", &attempt).await;
        let id = challenge.challenge_id.as_str();
        assert_eq!((challenge.code_factors.as_slice(), challenge.code_tries_left), (&[][..], 0));
        let (result, pending) = backend.verify(id, &phone.code(at(30))).await.expect("an answer");
        assert_eq!((result, pending.state()), (CodeResult::LockedOut, ChallengeState::Pending));
        let asked = phone.device.challenge(&world, id).await.expect("it was asked");
        let approved = phone.device.respond(&phone.device.approval(&asked, &match_code)).await;
        assert!(approved.expect("it counts").accepted);
        backend.redeem(id, "anna", &attempt).await.expect("it is approved");
        let created = backend.try_create(asking_for_code("anna", &format!("code-only-{lost}"))).await;
        let Some(Outcome::LockedOut(locked)) = created.expect("an outcome").outcome else {
            panic!("no factor is left")
        };
        assert_eq!(locked.locked_at, Some(world.now().to_wire()));
    }
    assert_eq!(backend.unlock("anna").await.locked_at, None);
    assert_eq!(backend.unlock("anna").await, backend.user("anna").await);
    world.forget_challenges().await;
    let (challenge, _) = backend.create_as(asking_for_code("anna", "unlocked")).await;
    let (result, _) = backend.verify(&challenge.challenge_id, &phone.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
}

/// Asks, and tells whether the device was woken for it.
async fn asked(world: &World, backend: &Backend, attempt: &str) -> Challenge {
    let (challenge, _) = backend.create_as(asking("anna", attempt)).await;
    if challenge.wakeup() == Wakeup::Sending {
        let push = world.apple.next_request().await;
        assert!(push.body.to_string().contains(&challenge.challenge_id), "the push is for this one");
    }
    challenge
}

#[tokio::test]
async fn it_was_not_me_stops_pushes_until_somebody_unlocks_the_user() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(crate::world::DEVICE_TOKEN))).await.expect("a target");
    let challenge = asked(&world, &backend, "attempt-1").await;
    let shown = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&shown, DenialReason::NotMe)).await.expect("it counts");
    assert_eq!(backend.user("anna").await.push_blocked_at, Some(world.now().to_wire()));
    for (n, lost) in [false, false, true].into_iter().enumerate() {
        if lost {
            world.forget_challenges().await;
        }
        let challenge = asked(&world, &backend, &format!("blocked-{n}")).await;
        assert_eq!((challenge.wakeup(), challenge.wakeup_retry_after), (Wakeup::Blocked, None));
        // It can be pulled and approved all the same.
        let listed = device.list(&world).await.expect("it is pending");
        assert_eq!(listed.len(), 1);
        let state = backend.state(&challenge.challenge_id).await;
        assert_eq!(state.wakeup(), Wakeup::Blocked);
        assert_eq!(state.deliveries[0].state(), DeliveryState::Fetched);
    }
    let user = backend.unlock("anna").await;
    assert_eq!(user.push_blocked_at, None);
    assert_eq!(asked(&world, &backend, "unlocked").await.wakeup(), Wakeup::Sending);
}

/// The person says so of one more login.
async fn it_was_not_me(world: &World, backend: &Backend, device: &ByHand, attempt: &str) {
    let challenge = asked(world, backend, attempt).await;
    assert_eq!(challenge.wakeup(), Wakeup::Sending);
    let shown = device.challenge(world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&shown, DenialReason::NotMe)).await.expect("it counts");
}

#[tokio::test]
async fn it_was_not_me_holds_also_by_a_clock_that_was_set_back_behind_the_last_unlocking() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(crate::world::DEVICE_TOKEN))).await.expect("a target");
    // By how much it was ahead, and whether the store of challenges forgets the unlocking.
    for (seconds, is_unlocking_lost) in [(30, false), (3600, false), (3600, true)] {
        world.clock.set(at(10 + seconds));
        backend.unlock("anna").await;
        if is_unlocking_lost {
            world.forget_challenges().await;
        }
        world.clock.set(at(10));
        it_was_not_me(&world, &backend, &device, &format!("stranger-{seconds}-{is_unlocking_lost}")).await;
        for lost in [false, true] {
            if lost {
                world.forget_challenges().await;
            }
            let attempt = format!("blocked-{seconds}-{is_unlocking_lost}-{lost}");
            assert_eq!(asked(&world, &backend, &attempt).await.wakeup(), Wakeup::Blocked, "{attempt}");
            assert!(backend.user("anna").await.push_blocked_at.is_some(), "{attempt}");
        }
        // It is lifted all the same, whatever the clock shows and whatever is lost.
        world.forget_challenges().await;
        assert_eq!(backend.unlock("anna").await.push_blocked_at, None);
        let attempt = format!("unlocked-{seconds}-{is_unlocking_lost}");
        assert_eq!(asked(&world, &backend, &attempt).await.wakeup(), Wakeup::Sending);
    }
}

#[tokio::test]
async fn it_was_not_me_also_stops_the_repetitions_of_pushes_for_what_was_asked_before() {
    let world = World::start().await;
    let policy = Policy { max_pending_challenges: 2, ..Policy::default() };
    let backend = world.backend_with("Shop", policy).await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(crate::world::DEVICE_TOKEN))).await.expect("a target");
    let first = asked(&world, &backend, "attempt-1").await;
    world.apple.answer_next(Answer::refuse(503, "ServiceUnavailable"));
    let second = asked(&world, &backend, "attempt-2").await;
    let back_off = Duration::from_millis(250)..=Duration::from_millis(500);
    let next_attempt = world.clock.asleep(|until| back_off.contains(&until.since(world.now()))).await;

    let shown = device.challenge(&world, &first.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&shown, DenialReason::NotMe)).await.expect("it counts");
    world.clock.set(next_attempt);
    // A server that ends waits for its deliveries.
    let world = world.restart().await;
    let (backend, device) = (world.reconnect(&backend).await, device.reconnected(&world).await);
    let state = backend.state(&second.challenge_id).await;
    assert_eq!((state.state(), state.wakeup()), (ChallengeState::Pending, Wakeup::Blocked));
    assert_eq!(state.deliveries[0].state(), DeliveryState::Failed);
    // It can be pulled and answered all the same.
    let shown = device.challenge(&world, &second.challenge_id).await.expect("it was asked");
    assert!(device.respond(&device.denial(&shown, DenialReason::Mistake)).await.expect("it counts").accepted);
    backend.unlock("anna").await;
    // The next push is for the next challenge.
    asked(&world, &backend, "unlocked").await;
}

#[tokio::test]
async fn five_unanswered_pushes_in_ten_minutes_hold_back_the_next_for_ten() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(crate::world::DEVICE_TOKEN))).await.expect("a target");
    for n in 0..5 {
        world.clock.set(at(n * 60));
        assert_eq!(asked(&world, &backend, &format!("attempt-{n}")).await.wakeup(), Wakeup::Sending);
    }
    assert_eq!(backend.user("anna").await.push_held_back_until, Some(at(840).to_wire()));
    world.clock.set(at(300));
    let held = asked(&world, &backend, "held").await;
    assert_eq!(held.wakeup(), Wakeup::HeldBack);
    let retry_after = held.wakeup_retry_after.expect("it ends");
    assert_eq!((retry_after.seconds, retry_after.nanos), (540, 0));
    // Again, it is not woken either; an answer to what was pulled lets pushes through again.
    assert_eq!(asked(&world, &backend, "held").await.wakeup(), Wakeup::HeldBack);
    let shown = device.challenge(&world, &held.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&shown, DenialReason::Mistake)).await.expect("it counts");
    assert_eq!(backend.user("anna").await.push_held_back_until, None);
    assert_eq!(asked(&world, &backend, "after").await.wakeup(), Wakeup::Sending);
}
