//! A device whose clock is off corrects itself by the server's.

use std::{sync::Arc, time::Duration};

use countersign_agent::UserVerification;
use countersign_proto::common::ChallengeState;

use crate::world::{START, WatchedClock, World};

#[tokio::test]
async fn the_agent_corrects_its_clock_and_answers() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let clock = WatchedClock::new(START);
    let (agent, state) = world.agent();
    let agent = agent.with_clock(Arc::new(clock.clone()));
    let device = world.enroll_agent(&backend, "anna", agent, state).await;
    for by in [Duration::from_hours(30), Duration::ZERO] {
        // Far ahead, then back again: the offset that was kept is wrong once more.
        clock.set(START.plus(by));
        let (challenge, match_code) = backend.create("anna", &format!("attempt-{}", by.as_secs())).await;
        let pending = device.account.pending().await.expect("it has corrected itself");
        assert_eq!(pending.len(), 1);
        let answer = device.account.approve(&pending[0], &match_code, UserVerification::None).await;
        assert!(answer.expect("it counts").accepted);
        assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Approved);
        device.account.refresh().await.expect("and goes on");
    }
}
