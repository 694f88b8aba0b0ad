//! What a device hears.

use countersign_agent::{Event, UserVerification};
use countersign_domain::policy::Policy;
use countersign_proto::{
    common::{ChallengeState, DenialReason},
    login::{Delivery, DeliveryState, Wakeup},
};

use super::told;
use crate::{
    soon::soon,
    world::{Candidate, World, at},
};

#[tokio::test]
async fn a_device_without_a_push_target_approves_what_it_hears_of_on_its_stream() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = events.challenge().await;
    assert_eq!(told(&asked), (id, ChallengeState::Pending));
    let states = backend.state(id).await.deliveries.iter().map(Delivery::state).collect::<Vec<_>>();
    assert_eq!(states, [DeliveryState::Fetched]);
    assert_eq!(asked, device.challenge(&world, id).await.expect("it was asked"), "the same as by a call");
    let answer = device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    assert!(answer.accepted);
    assert_eq!(events.challenge().await.state(), ChallengeState::Approved);
    backend.redeem(id, "anna", "attempt-1").await.expect("approved");
}

/// Only the clock that is passed in moves, so nothing is polled.
#[tokio::test]
async fn an_agent_without_a_push_target_logs_in_by_its_stream_alone() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let mut stream = device.account.subscribe().await.expect("it is its device");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let heard = soon(stream.next()).await.expect("no refusal");
    let Some(Event::Asked(asked)) = heard else { panic!("{heard:?}") };
    assert_eq!(asked.id(), challenge.challenge_id);
    let approved = device.account.approve(&asked, &match_code, UserVerification::None).await;
    assert!(approved.expect("it counts").accepted);
    let heard = soon(stream.next()).await.expect("no refusal");
    assert!(matches!(&heard, Some(Event::Settled(it)) if it.state == ChallengeState::Approved), "{heard:?}");
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
}

#[tokio::test]
async fn what_is_pending_comes_first_then_what_is_new_and_each_once_more_when_it_is_settled() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let other = world.enroll_by_hand(&backend, "anna", 2).await;
    let first = backend.create("anna", "attempt-1").await.0.challenge_id;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    assert_eq!(told(&events.challenge().await), (first.as_str(), ChallengeState::Pending));

    let second = backend.create("anna", "attempt-2").await.0.challenge_id;
    assert_eq!(told(&events.challenge().await), (first.as_str(), ChallengeState::Superseded));
    let asked = events.challenge().await;
    assert_eq!(told(&asked), (second.as_str(), ChallengeState::Pending));

    other.respond(&other.denial(&asked, DenialReason::Mistake)).await.expect("it counts");
    let denied = events.challenge().await;
    assert_eq!(told(&denied), (second.as_str(), ChallengeState::Denied));
    assert_eq!((denied.denial_reason(), denied.time_left), (DenialReason::Mistake, None));

    let third = backend.create("anna", "attempt-3").await.0.challenge_id;
    assert_eq!(told(&events.challenge().await), (third.as_str(), ChallengeState::Pending));
    world.clock.asleep_until(at(120)).await;
    world.clock.set(at(120));
    // Woken by the time, it may first tell that it is alive.
    let expired = loop {
        if let Some(challenge) = events.event().await {
            break challenge;
        }
    };
    assert_eq!(told(&expired), (third.as_str(), ChallengeState::Expired));
}

#[tokio::test]
async fn a_stream_without_events_tells_every_25_seconds_that_it_is_alive() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    for seconds in [25, 50] {
        world.clock.asleep_until(at(seconds)).await;
        world.clock.set(at(seconds));
        assert_eq!(events.event().await, None);
    }
    let challenge = backend.create("anna", "attempt-1").await.0.challenge_id;
    assert_eq!(told(&events.challenge().await), (challenge.as_str(), ChallengeState::Pending));
}

#[tokio::test]
async fn before_it_is_confirmed_a_device_hears_nothing_and_afterwards_all() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 2).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    let device = candidate.enrolled(&enrolled);
    let mut events = device.subscribe(&world).await.expect("it waits to be confirmed");
    backend.create("anna", "attempt-1").await;
    world.clock.asleep_until(at(25)).await;
    world.clock.set(at(25));
    assert_eq!(events.event().await, None);
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&enrollment_id, &enrolled.confirmation_code).await.expect("the right code");
    let challenge = backend.create("anna", "attempt-2").await.0.challenge_id;
    assert_eq!(told(&events.challenge().await), (challenge.as_str(), ChallengeState::Pending));
}

/// A window that one event does not fit into, so that most of it waits for its reader.
const NARROW: u32 = 64;

#[tokio::test]
async fn a_slow_reader_is_told_the_newest_state_and_next_to_nothing_of_what_was_in_between() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let channel = world.endpoint(0).initial_stream_window_size(NARROW).connect().await.expect("it listens");
    let slow = device.clone().over(channel);
    let first = backend.create("anna", "attempt-0").await.0.challenge_id;
    let mut events = slow.subscribe(&world).await.expect("it is its device");
    // The first is told once it counts as fetched.
    let mut changes = backend.watch(&first).await.expect("its own");
    while changes.next().await.expect("no refusal").expect("pending").deliveries[0].state()
        != DeliveryState::Fetched
    {}
    for attempt in 1..20 {
        // Nobody answers, and yet each is announced.
        backend.unlock("anna").await;
        backend.create("anna", &format!("attempt-{attempt}")).await;
    }
    backend.unlock("anna").await;
    let last = backend.create("anna", "attempt-20").await.0.challenge_id;
    let (mut is_settled, mut heard) = (false, 0);
    loop {
        let event = events.challenge().await;
        is_settled |= told(&event) == (first.as_str(), ChallengeState::Superseded);
        heard += 1;
        if told(&event) == (last.as_str(), ChallengeState::Pending) {
            break;
        }
    }
    // What is on its way, what waits for its turn, and what there is now.
    assert!(is_settled && heard <= 7, "{heard} events");
}

#[tokio::test]
async fn while_pushes_are_blocked_a_stream_announces_nothing_new() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    let first = backend.create("anna", "attempt-1").await.0.challenge_id;
    let asked = events.challenge().await;
    device.respond(&device.denial(&asked, DenialReason::NotMe)).await.expect("it counts");
    assert_eq!(told(&events.challenge().await), (first.as_str(), ChallengeState::Denied));

    let blocked = backend.create("anna", "attempt-2").await.0.challenge_id;
    let (state, listed) = (backend.state(&blocked).await, device.list(&world).await.expect("its own"));
    assert_eq!((state.deliveries[0].state(), listed.len()), (DeliveryState::NoTarget, 1));
    backend.unlock("anna").await;
    let next = backend.create("anna", "attempt-3").await.0.challenge_id;
    // Nothing of the second one in between, neither that it came nor that it was superseded.
    assert_eq!(told(&events.challenge().await), (next.as_str(), ChallengeState::Pending));
}

#[tokio::test]
async fn while_pushes_are_held_back_a_stream_announces_nothing_new() {
    /// Pushes that stay unanswered until the next is held back.
    const UNANSWERED: usize = 5;
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    let mut before = String::new();
    for n in 0..UNANSWERED {
        let id = backend.create("anna", &format!("attempt-{n}")).await.0.challenge_id;
        if n > 0 {
            assert_eq!(told(&events.challenge().await), (before.as_str(), ChallengeState::Superseded));
        }
        assert_eq!(told(&events.challenge().await), (id.as_str(), ChallengeState::Pending));
        before = id;
    }

    let held = backend.create("anna", "held").await.0;
    assert_eq!(held.wakeup(), Wakeup::HeldBack);
    assert_eq!(told(&events.challenge().await), (before.as_str(), ChallengeState::Superseded));
    // After each event it sleeps until the next heartbeat: it has looked again since it told the last one.
    for _ in 0..=2 * UNANSWERED {
        world.clock.asleep_until(at(25)).await;
    }
    world.clock.set(at(25));
    assert_eq!(events.event().await, None, "it is alive, and announces nothing");
    let listed = device.list(&world).await.expect("its own");
    assert_eq!(listed.iter().map(told).collect::<Vec<_>>(), [(&*held.challenge_id, ChallengeState::Pending)]);
    device.challenge(&world, &held.challenge_id).await.expect("it can be pulled");

    world.clock.set(at(600));
    let next = backend.create("anna", "after").await.0;
    assert_eq!(next.wakeup(), Wakeup::Sending);
    let announced = loop {
        if let Some(challenge) = events.event().await {
            break challenge;
        }
    };
    // Nothing of the one before in between, neither that it came nor that its time was over.
    assert_eq!(told(&announced), (next.challenge_id.as_str(), ChallengeState::Pending));
}

#[tokio::test]
async fn once_pushes_are_blocked_no_stream_announces_what_was_asked_before() {
    let world = World::start().await;
    let policy = Policy { max_pending_challenges: 2, ..Policy::default() };
    let backend = world.backend_with("Shop", policy).await;
    let phone = world.enroll_by_hand(&backend, "anna", 1).await;
    let tablet = world.enroll_by_hand(&backend, "anna", 2).await;
    let mut at_phone = phone.subscribe(&world).await.expect("it is its device");
    let first = backend.create("anna", "attempt-1").await.0.challenge_id;
    let first_asked = at_phone.challenge().await;
    let (second, match_code) = backend.create("anna", "attempt-2").await;
    let second = second.challenge_id;
    let second_asked = at_phone.challenge().await;
    phone.respond(&phone.denial(&first_asked, DenialReason::NotMe)).await.expect("it counts");
    assert_eq!(told(&at_phone.challenge().await), (first.as_str(), ChallengeState::Denied));

    let mut at_tablet = tablet.subscribe(&world).await.expect("it is its device");
    world.clock.asleep_until(at(25)).await;
    world.clock.set(at(25));
    assert_eq!(at_tablet.event().await, None);
    // What had been announced is answered, and its end is told.
    let answer = phone.respond(&phone.approval(&second_asked, &match_code)).await.expect("it counts");
    assert!(answer.accepted);
    let end = loop {
        if let Some(challenge) = at_phone.event().await {
            break challenge;
        }
    };
    assert_eq!(told(&end), (second.as_str(), ChallengeState::Approved));
    backend.unlock("anna").await;
    let third = backend.create("anna", "attempt-3").await.0.challenge_id;
    assert_eq!(told(&at_tablet.challenge().await), (third.as_str(), ChallengeState::Pending));
}
