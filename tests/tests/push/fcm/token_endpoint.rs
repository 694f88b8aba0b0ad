//! What the token endpoint answers.

use std::time::Duration;

use countersign::{clock::ManualClock, push::Outcome};
use countersign_fakes::fcm::{Answer, FcmStandIn};
use serde_json::Value;

use super::{START, Scene, client, config_of, config_with, misconfigured, push, retry, stand_in};
use crate::{captured_log::CapturedLog, fcm::TOKEN};

/// The stand-in's key file with another value in one place.
fn changed(google: &FcmStandIn, name: &str, value: &str) -> Value {
    let mut account = google.service_account().clone();
    account[name] = value.into();
    account
}

/// What becomes of a push with this key file.
async fn outcome(scene: &Scene, account: &Value) -> Outcome {
    push(&client(&config_with(&scene.google, account), &scene.clock), TOKEN).await
}

#[tokio::test]
async fn a_key_that_was_revoked_and_an_account_that_is_gone_are_told_as_such() {
    let scene = Scene::new().await;
    let revoked = changed(&scene.google, "private_key_id", "fedcba9876543210");
    assert_eq!(
        misconfigured(&outcome(&scene, &revoked).await),
        "Google's token endpoint answered 400 invalid_grant (the service account's key was revoked)"
    );
    let deleted = changed(&scene.google, "client_email", "nobody@example.org");
    assert_eq!(
        misconfigured(&outcome(&scene, &deleted).await),
        "Google's token endpoint answered 400 invalid_grant (there is no such service account any more)"
    );
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_as_such_and_forgotten_once_it_is_right() {
    let scene = Scene::new().await;
    for wrong in [START.plus(Duration::from_mins(20)), START.minus(Duration::from_mins(80))] {
        let clock = ManualClock::new(wrong);
        let fcm = client(&config_of(&scene.google), &clock);
        let outcome = push(&fcm, TOKEN).await;
        let expected = "Google's token endpoint answered 400 invalid_grant (is this machine's clock right?)";
        assert_eq!(misconfigured(&outcome), expected);
        clock.set(START.plus(Duration::from_secs(2)));
        assert_eq!(push(&fcm, TOKEN).await, Outcome::Accepted);
    }
}

#[tokio::test]
async fn each_status_means_what_it_should() {
    let scene = Scene::new().await;
    for (status, error) in [
        (400, "invalid_grant"),
        (400, "invalid_scope"),
        (401, "invalid_client"),
        (403, "access_denied"),
        (404, "something_new"),
    ] {
        scene.google.answer_token(Answer::refuse_token(status, error, "somebody@example.org"));
        let words = format!("Google's token endpoint answered {status} {error}");
        assert_eq!(misconfigured(&scene.push().await), words);
        scene.clock.advance(Duration::from_secs(1));
    }
    for status in [408, 429, 500, 502, 503, 504] {
        scene.google.answer_token(Answer::refuse_token(status, "try_later", "").retry_after("7"));
        let words = format!("Google's token endpoint answered {status} try_later");
        assert_eq!(retry(&scene.push().await), (Some(Duration::from_secs(7)), words.as_str()));
        scene.clock.advance(Duration::from_secs(7));
    }
    for body in
        ["", "<html>", r#"{"access_token": ""}"#, r#"{"access_token": "a b"}"#, r#"{"expires_in": 9}"#]
    {
        let body = body.as_bytes().to_vec();
        scene.google.answer_token(Answer::Reply { status: 200, headers: Vec::new(), body });
        let words = "Google's token endpoint answered no access token (is token_uri right?)";
        assert_eq!(misconfigured(&scene.push().await), words);
        scene.clock.advance(Duration::from_secs(1));
    }
    let body = b"<html>".to_vec();
    scene.google.answer_token(Answer::Reply { status: 403, headers: Vec::new(), body });
    assert_eq!(misconfigured(&scene.push().await), "Google's token endpoint answered 403 without a reason");
    scene.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn the_key_files_token_uri_is_where_tokens_are_fetched() {
    let scene = Scene::new().await;
    let elsewhere = stand_in(&scene.clock).await;
    let mut config = config_with(&scene.google, elsewhere.service_account());
    config.ca_pem = Some(format!("{}{}", scene.google.ca_pem(), elsewhere.ca_pem()));
    let fcm = client(&config, &scene.clock);
    // The one gives a token, which the other does not know.
    assert_eq!(misconfigured(&push(&fcm, TOKEN).await), "401 UNAUTHENTICATED");
    assert_eq!((elsewhere.connections(), scene.google.connections()), (1, 1));
    assert_eq!(super::soon(elsewhere.next_token_request()).await.status, Some(200));
}

#[tokio::test]
async fn an_endpoint_with_a_certificate_of_another_authority_gets_no_assertion() {
    let scene = Scene::new().await;
    let stranger = stand_in(&scene.clock).await;
    let outcome = outcome(&scene, stranger.service_account()).await;
    let (_, reason) = retry(&outcome);
    assert!(reason.starts_with("the connection to Google's token endpoint failed"), "{reason}");
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!((stranger.connections(), scene.google.connections()), (1, 0));
}

#[tokio::test]
async fn neither_assertion_nor_token_nor_key_is_logged_at_any_level() {
    let log = CapturedLog::start();
    let scene = Scene::new().await;
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.google.answer_next(Answer::refuse_fcm(404, "NOT_FOUND", "UNREGISTERED"));
    scene.push().await;
    let text = log.text();
    assert!(text.contains("TRACE") && text.contains("h2::"), "the libraries' logs are in it");
    let bearer = scene.google.next_request().await.headers["authorization"].clone();
    let bearer = bearer.to_str().expect("ASCII").trim_start_matches("Bearer ").to_owned();
    // Each JWT of an RS256 key begins like this.
    for secret in [TOKEN, bearer.as_str(), "eyJ0eXAi", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} was logged");
    }
}
