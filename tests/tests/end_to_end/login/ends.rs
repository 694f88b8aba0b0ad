//! How a challenge ends: denied, cancelled, superseded, by the first of several devices.

use countersign_agent::{Denial, UserVerification};
use countersign_domain::policy::Policy;
use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason, FactorType},
    statement,
};

use crate::world::{World, asking, at, metadata_of, refused};

#[tokio::test]
async fn a_denial_is_told_with_its_reason_and_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    for (denial, reason, attempt) in
        [(Denial::NotMe, DenialReason::NotMe, "a"), (Denial::Mistake, DenialReason::Mistake, "b")]
    {
        let (challenge, match_code) = backend.create("anna", attempt).await;
        let id = challenge.challenge_id.as_str();
        let shown = device.account.challenge(id).await.expect("it was asked");
        let deny = device.account.deny(&shown, denial);
        let (settled, answer) = world.meanwhile(backend.wait_for(id, 25), at(25), deny).await;
        assert!(answer.expect("it counts").accepted);
        let settled = settled.expect("it is told");
        assert_eq!((settled.state(), settled.denial_reason()), (ChallengeState::Denied, reason));
        assert_eq!((settled.redeem_before, settled.time_left), (None, None));
        let settlement = settled.settlement.expect("a settlement");
        assert_eq!(settlement.factor_type(), FactorType::Device);
        assert_eq!(settlement.factor_id, device.account.device_id());
        assert_eq!(settlement.factor_name, "Anna's Pixel");

        let again = device.account.deny(&shown, denial).await.expect("the same answer");
        assert!(again.accepted);
        let turned = device.account.approve(&shown, &match_code, UserVerification::None).await;
        let turned = turned.expect("a good form");
        assert!(!turned.accepted);
        assert_eq!(turned.denial_reason, Some(reason));
        let refusal = refused(backend.redeem(id, "anna", attempt).await, ErrorReason::ChallengeNotApproved);
        assert_eq!(metadata_of(&refusal, "state"), "DENIED");
    }
}

#[tokio::test]
async fn user_verification_is_required_by_request_or_policy() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let policy = Policy { user_verification_required: true, ..Policy::default() };
    let strict = world.backend_with("Bank", policy).await;
    for (backend, seed) in [(&backend, 1), (&strict, 2)] {
        let device = world.enroll_by_hand(backend, "anna", seed).await;
        let mut request = asking("anna", "attempt-1");
        request.user_verification_required = seed == 1;
        let (challenge, match_code) = backend.create_as(request).await;
        let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
        let mut approval = device.approval(&asked, &match_code);
        refused(device.respond(&approval).await, ErrorReason::UserVerificationRequired);
        assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Pending);
        approval.user_verification = statement::UserVerification::Pin.into();
        assert!(device.respond(&approval).await.expect("verified").accepted);
        let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
        assert_eq!(redeemed.user_verification(), statement::UserVerification::Pin);
        assert_eq!(redeemed.amr, ["swk", "user", "pin"]);
    }
}

#[tokio::test]
async fn a_cancelled_challenge_is_told_to_waiter_and_device() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = device.challenge(&world, id).await.expect("it was asked");
    let (waited, cancelled) = world.meanwhile(backend.wait_for(id, 25), at(25), backend.cancel(id)).await;
    assert_eq!(cancelled.expect("it is its own").state(), ChallengeState::Cancelled);
    assert_eq!(waited.expect("it is told").state(), ChallengeState::Cancelled);
    let late = device.respond(&device.approval(&asked, &match_code)).await.expect("a good form");
    assert_eq!((late.accepted, late.state()), (false, ChallengeState::Cancelled));
    assert_eq!(backend.cancel(id).await.expect("again").state(), ChallengeState::Cancelled);
    assert_eq!(device.list(&world).await.expect("nothing"), []);
    let refusal = refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ChallengeNotApproved);
    assert_eq!(metadata_of(&refusal, "state"), "CANCELLED");
}

#[tokio::test]
async fn what_is_settled_is_not_cancelled() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    device.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let cancelled = backend.cancel(&challenge.challenge_id).await.expect("it is its own");
    assert_eq!(cancelled.state(), ChallengeState::Approved);
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("still approved");
}

#[tokio::test]
async fn a_newer_challenge_supersedes_the_oldest_and_wakes_its_waiter() {
    let world = World::start().await;
    for (max_pending_challenges, seed) in [(1, 1), (2, 2)] {
        let policy = Policy { max_pending_challenges, ..Policy::default() };
        let backend = world.backend_with(&format!("Shop {seed}"), policy).await;
        let device = world.enroll_by_hand(&backend, "anna", seed).await;
        let (oldest, match_code) = backend.create("anna", "attempt-0").await;
        let id = oldest.challenge_id.as_str();
        let asked = device.challenge(&world, id).await.expect("it was asked");
        for attempt in 1..max_pending_challenges {
            backend.create("anna", &format!("attempt-{attempt}")).await;
        }
        assert_eq!(device.list(&world).await.expect("listed").len(), usize::from(seed));
        assert_eq!(backend.state(id).await.state(), ChallengeState::Pending);

        let newer = backend.create("anna", "newer");
        let (superseded, (newer, _)) = world.meanwhile(backend.wait_for(id, 25), at(25), newer).await;
        assert_eq!(superseded.expect("it is told").state(), ChallengeState::Superseded);
        assert_eq!(newer.state(), ChallengeState::Pending);
        let late = device.respond(&device.approval(&asked, &match_code)).await.expect("a good form");
        assert_eq!((late.accepted, late.state()), (false, ChallengeState::Superseded));
        let read = device.challenge(&world, id).await.expect("readable");
        assert_eq!((read.state(), read.time_left), (ChallengeState::Superseded, None));
        let listed = device.list(&world).await.expect("listed");
        assert_eq!(listed.len(), usize::from(seed));
        assert_eq!(listed[0].challenge_id, newer.challenge_id, "newest first");
        let refusal =
            refused(backend.redeem(id, "anna", "attempt-0").await, ErrorReason::ChallengeNotApproved);
        assert_eq!(metadata_of(&refusal, "state"), "SUPERSEDED");
    }
}

#[tokio::test]
async fn the_first_of_several_devices_wins_and_the_others_are_told() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let first = world.enroll_by_hand(&backend, "anna", 1).await;
    let second = world.enroll_by_hand(&backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(challenge.deliveries.len(), 2);
    let asked = first.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    assert!(first.respond(&first.approval(&asked, &match_code)).await.expect("it counts").accepted);
    for answer in [second.approval(&asked, &match_code), second.denial(&asked, DenialReason::NotMe)] {
        let late = second.respond(&answer).await.expect("a good form");
        assert_eq!((late.accepted, late.state()), (false, ChallengeState::Approved));
    }
    assert!(first.respond(&first.approval(&asked, &match_code)).await.expect("again").accepted);
    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    assert_eq!(redeemed.settlement.expect("a settlement").factor_id, first.device_id);
}
