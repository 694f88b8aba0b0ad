//! When access tokens are fetched. The stand-in takes none that has ended, so an accepted push proves as much.

use std::{pin::pin, sync::Arc, time::Duration};

use countersign::push::Outcome;
use countersign_fakes::fcm::Answer;
use tokio::sync::Notify;

use super::{SHORT, Scene, misconfigured, retry, soon};

const MINUTE: Duration = Duration::from_mins(1);

impl Scene {
    /// Pushes and returns the access token that was sent.
    async fn token_sent(&self) -> String {
        assert_eq!(self.push().await, Outcome::Accepted);
        self.token_received().await
    }

    async fn token_received(&self) -> String {
        let request = self.google.next_request().await;
        request.headers["authorization"].to_str().expect("ASCII").to_owned()
    }

    async fn a_token_is_asked_for(&self) {
        soon(self.google.next_token_request()).await;
    }

    /// No token was asked for that no test has looked at.
    async fn no_token_is_asked_for(&self) {
        tokio::select! {
            biased;
            request = self.google.next_token_request() => panic!("{request:?}"),
            () = std::future::ready(()) => {}
        }
    }
}

#[tokio::test]
async fn one_token_serves_until_it_is_renewed_in_time() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    scene.a_token_is_asked_for().await;
    scene.clock.advance(54 * MINUTE + Duration::from_secs(58));
    assert_eq!(scene.token_sent().await, first);
    scene.no_token_is_asked_for().await;
    scene.clock.advance(Duration::from_secs(2));
    // It goes out with the old one, and nobody waits for the new one.
    let release = Arc::new(Notify::new());
    scene.google.answer_token(Answer::AcceptWhen(Arc::clone(&release)));
    assert_eq!(scene.token_sent().await, first);
    scene.a_token_is_asked_for().await;
    assert_eq!(scene.token_sent().await, first);
    release.notify_one();
    // Too late for the old one: this waits for the new one, if it is not there yet.
    scene.clock.advance(4 * MINUTE);
    assert_ne!(scene.token_sent().await, first);
    scene.no_token_is_asked_for().await;
}

#[tokio::test]
async fn callers_at_the_same_time_fetch_one_together() {
    let scene = Scene::new().await;
    assert!(scene.burst(20).await.iter().all(|outcome| *outcome == Outcome::Accepted));
    let first = scene.token_received().await;
    for _ in 1..20 {
        assert_eq!(scene.token_received().await, first);
    }
    scene.a_token_is_asked_for().await;
    scene.no_token_is_asked_for().await;
}

#[tokio::test]
async fn a_silent_endpoint_costs_all_callers_one_time_limit_together() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    scene.google.answer_token(Answer::Silence);
    // One after the other they would take 40 s, twice as long as `soon` waits.
    for outcome in soon(scene.burst(20)).await {
        assert_eq!(retry(&outcome), (None, "Google's token endpoint did not answer in time"));
    }
    scene.a_token_is_asked_for().await;
    scene.no_token_is_asked_for().await;
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn a_caller_that_is_dropped_leaves_the_fetch_to_the_others() {
    let scene = Scene::new().await;
    let release = Arc::new(Notify::new());
    scene.google.answer_token(Answer::AcceptWhen(Arc::clone(&release)));
    {
        let dropped = pin!(scene.push());
        tokio::select! {
            outcome = dropped => panic!("it waits for a token: {outcome:?}"),
            () = scene.a_token_is_asked_for() => {}
        }
    }
    release.notify_one();
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.no_token_is_asked_for().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_and_the_push_sent_again() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    scene.clock.advance(MINUTE);
    scene.google.revoke_tokens();
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.token_received().await, first);
    assert_ne!(scene.token_received().await, first);
}

#[tokio::test]
async fn a_token_that_is_refused_when_it_is_new_is_not_replaced_again_and_again() {
    let scene = Scene::new().await;
    scene.token_sent().await;
    scene.a_token_is_asked_for().await;
    scene.google.revoke_tokens();
    for _ in 0..3 {
        assert_eq!(misconfigured(&scene.push().await), "401 UNAUTHENTICATED");
    }
    scene.no_token_is_asked_for().await;
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_is_left_alone_so_long() {
    let scene = Scene::new().await;
    scene.google.answer_token(Answer::refuse_token(503, "backend_error", "").retry_after("30"));
    for _ in 0..3 {
        let outcome = scene.push().await;
        let reason = "Google's token endpoint answered 503 backend_error";
        assert_eq!(retry(&outcome), (Some(Duration::from_secs(30)), reason));
        scene.clock.advance(Duration::from_secs(9));
    }
    scene.a_token_is_asked_for().await;
    scene.no_token_is_asked_for().await;
    scene.clock.advance(Duration::from_secs(3));
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_the_old_token_to_be_used_up() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    for _ in 0..10 {
        scene.google.answer_token(Answer::refuse_token(500, "internal_failure", ""));
    }
    for _ in 0..3 {
        scene.clock.advance(19 * MINUTE + Duration::from_secs(30));
        assert_eq!(scene.token_sent().await, first);
    }
    // It has half a minute left, and a push may take some of it.
    scene.clock.advance(MINUTE);
    assert_eq!(retry(&scene.push().await).1, "Google's token endpoint answered 500 internal_failure");
}

#[tokio::test]
async fn a_token_that_lives_short_is_renewed_in_its_own_time() {
    let scene = Scene::new().await;
    scene.google.set_token_lifetime(60);
    let first = scene.token_sent().await;
    scene.clock.advance(Duration::from_secs(54));
    assert_eq!(scene.token_sent().await, first);
    scene.clock.advance(Duration::from_secs(6));
    assert_ne!(scene.token_sent().await, first);
}
