//! When provider tokens are made. The stand-in refuses one that is older than 60 minutes and one that
//! follows another within 20, so an accepted push proves as much.

use std::time::Duration;

use countersign::{clock::Clock, push::Outcome};
use countersign_fakes::apns::Answer;

use super::{Scene, TOKEN, push, retry};

const MINUTE: Duration = Duration::from_mins(1);

impl Scene {
    /// Pushes and returns the provider token that was sent.
    async fn token_sent(&self) -> String {
        assert_eq!(self.push().await, Outcome::Accepted);
        self.token_received().await
    }

    async fn token_received(&self) -> String {
        let request = self.apple.next_request().await;
        request.headers["authorization"].to_str().expect("ASCII").to_owned()
    }
}

#[tokio::test]
async fn one_token_serves_for_fifty_minutes() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    scene.clock.advance(49 * MINUTE + Duration::from_secs(59));
    assert_eq!(scene.token_sent().await, first);
    scene.clock.advance(Duration::from_secs(1));
    let second = scene.token_sent().await;
    assert_ne!(second, first);
    scene.clock.advance(49 * MINUTE);
    assert_eq!(scene.token_sent().await, second);
}

#[tokio::test]
async fn callers_at_the_same_time_make_one_together() {
    let scene = Scene::new().await;
    let other = scene.second_process();
    let pushes = (0..10).map(|at| {
        let apns = if at % 2 == 0 { scene.apns.clone() } else { other.clone() };
        tokio::spawn(async move { push(&apns, TOKEN).await })
    });
    for push in pushes.collect::<Vec<_>>() {
        assert_eq!(push.await.expect("it does not panic"), Outcome::Accepted);
    }
    let first = scene.token_received().await;
    for _ in 1..10 {
        assert_eq!(scene.token_received().await, first);
    }
}

#[tokio::test]
async fn another_process_takes_the_token_that_it_finds() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    scene.clock.advance(30 * MINUTE);
    let other = scene.second_process();
    assert_eq!(push(&other, TOKEN).await, Outcome::Accepted);
    assert_eq!(scene.token_received().await, first);
    // The one renews, the other finds it.
    scene.clock.advance(20 * MINUTE);
    let second = scene.token_sent().await;
    assert_eq!(push(&other, TOKEN).await, Outcome::Accepted);
    assert_eq!(scene.token_received().await, second);
    assert_ne!(second, first);
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_push_sent_again() {
    let scene = Scene::new().await;
    let first = scene.token_sent().await;
    scene.clock.advance(20 * MINUTE);
    scene.apple.answer_next(Answer::refuse(403, "ExpiredProviderToken"));
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.token_received().await, first);
    assert_ne!(scene.token_received().await, first);
}

#[tokio::test]
async fn a_token_that_another_process_renewed_needs_no_new_one() {
    let scene = Scene::new().await;
    scene.token_sent().await;
    let other = scene.second_process();
    assert_eq!(push(&other, TOKEN).await, Outcome::Accepted);
    scene.token_received().await;
    scene.clock.advance(20 * MINUTE);
    for apns in [&scene.apns, &other] {
        scene.apple.answer_next(Answer::refuse(403, "ExpiredProviderToken"));
        assert_eq!(push(apns, TOKEN).await, Outcome::Accepted);
    }
    scene.token_received().await;
    let renewed = scene.token_received().await;
    scene.token_received().await;
    assert_eq!(scene.token_received().await, renewed);
}

#[tokio::test]
async fn no_second_token_within_twenty_minutes() {
    let scene = Scene::new().await;
    scene.token_sent().await;
    scene.clock.advance(5 * MINUTE);
    scene.apple.answer_next(Answer::refuse(403, "ExpiredProviderToken"));
    let outcome = scene.push().await;
    let (after, reason) = retry(&outcome);
    assert_eq!(after, Some(15 * MINUTE));
    assert!(reason.contains("expired"), "{reason}");
    // Nor does another process make one, which knows the last from the store only.
    scene.apple.answer_next(Answer::refuse(403, "ExpiredProviderToken"));
    assert_eq!(retry(&push(&scene.second_process(), TOKEN).await).0, Some(15 * MINUTE));
}

#[tokio::test]
async fn expired_twice_is_a_retry() {
    let scene = Scene::new().await;
    scene.token_sent().await;
    scene.clock.advance(20 * MINUTE);
    for _ in 0..2 {
        scene.apple.answer_next(Answer::refuse(403, "ExpiredProviderToken"));
    }
    assert_eq!(retry(&scene.push().await), (None, "403 ExpiredProviderToken"));
}

#[tokio::test]
async fn without_the_store_no_token_is_made_but_the_last_is_used_up() {
    let scene = Scene::new().await;
    scene.tokens.set_away(true);
    assert_eq!(retry(&scene.push().await), (None, "the store of provider tokens is unavailable"));
    assert_eq!(scene.apple.connections(), 0);
    scene.tokens.set_away(false);
    let first = scene.token_sent().await;
    scene.tokens.set_away(true);
    scene.clock.advance(58 * MINUTE + Duration::from_secs(59));
    assert_eq!(scene.token_sent().await, first);
    scene.clock.advance(Duration::from_secs(1));
    retry(&scene.push().await);
    scene.tokens.set_away(false);
    assert_ne!(scene.token_sent().await, first);
}

#[tokio::test]
async fn a_token_from_the_future_is_replaced_once_the_clock_is_right() {
    let scene = Scene::new().await;
    let now = scene.clock.now();
    scene.clock.advance(60 * MINUTE);
    let wrong = scene.token_sent().await;
    scene.clock.set(now);
    assert_ne!(scene.token_sent().await, wrong);
    // A small step back is no reason to make one.
    let right = scene.token_sent().await;
    scene.clock.set(now.minus(5 * MINUTE));
    assert_eq!(scene.token_sent().await, right);
}
