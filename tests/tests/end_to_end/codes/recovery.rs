//! The recovery code: the way back in when every device is lost.

use countersign_domain::policy::Policy;
use countersign_proto::{
    common::{ChallengeState, ErrorReason, FactorType},
    login::{Authorization, CodeResult, StartEnrollmentRequest, VerifyCodeRequest},
};
use tokio::task::JoinSet;

use crate::world::{Backend, Candidate, World, enrolling, refused};

/// A user with nothing but a recovery code.
async fn on_paper(backend: &Backend, user_id: &str) -> String {
    backend.issue(user_id, None).await.expect("there was no factor").recovery_code
}

#[tokio::test]
async fn typed_in_whatever_form_it_lets_in_once() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    for (n, write) in [
        |code: &str| code.to_owned(),
        |code: &str| code.to_lowercase().replace('-', " "),
        |code: &str| code.replace('-', "").replace('0', "o").replace('1', "l"),
    ]
    .into_iter()
    .enumerate()
    {
        let user = format!("user-{n}");
        let code = on_paper(&backend, &user).await;
        let (challenge, match_code) = backend.create(&user, "attempt-1").await;
        let id = challenge.challenge_id.as_str();
        assert_eq!(match_code, "", "there is nothing to type it on");
        assert_eq!(challenge.code_factors().collect::<Vec<_>>(), [FactorType::RecoveryCode]);
        let factor_id = backend.user(&user).await.factors[0].factor_id.clone();
        for _ in 0..2 {
            let (result, approved) = backend.verify(id, &write(&code)).await.expect("an answer");
            assert_eq!((result, approved.state()), (CodeResult::Accepted, ChallengeState::Approved));
            let settlement = approved.settlement.expect("a settlement");
            assert_eq!(settlement.factor_type(), FactorType::RecoveryCode);
            assert_eq!(settlement.factor_id, factor_id);
        }
        // It says that it was used, so that the page can offer a new one.
        let user_now = backend.user(&user).await;
        assert_eq!((user_now.factors.len(), user_now.had_factors), (0, true));
        let redeemed = backend.redeem(id, &user, "attempt-1").await.expect("it is approved");
        assert_eq!(redeemed.settlement.expect("a settlement").factor_type(), FactorType::RecoveryCode);
    }
}

#[tokio::test]
async fn a_slip_of_the_pen_is_told_before_it_is_a_try() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let code = on_paper(&backend, "anna").await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let other = if code.starts_with('7') { "8" } else { "7" };
    let slip = format!("{other}{}", &code[1..]);
    for no_code in [slip.as_str(), &code[..code.len() - 1], &code.replacen(&code[..1], "U", 1)] {
        let (result, pending) = backend.verify(id, no_code).await.expect("an answer");
        assert_eq!((result, pending.code_tries_left), (CodeResult::NotACode, 5), "{no_code}");
    }
    let others = on_paper(&backend, "bob").await;
    let (result, pending) = backend.verify(id, &others).await.expect("an answer");
    assert_eq!((result, pending.code_tries_left), (CodeResult::Wrong, 4));
    assert_eq!(backend.verify(id, &code).await.expect("an answer").0, CodeResult::Accepted);
}

#[tokio::test]
async fn once_used_it_lets_nobody_in_again_whatever_is_lost() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let device = world.enroll_by_hand(&backend, "anna", 2).await;
    let manage = super::super::factors::approved(
        &world,
        &backend,
        &device,
        super::super::factors::asking_to_manage("anna", "manage"),
    );
    let code = backend.issue("anna", Some(manage.await)).await.expect("it is approved").recovery_code;
    let (first, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(backend.verify(&first.challenge_id, &code).await.expect("an answer").0, CodeResult::Accepted);
    world.forget_challenges().await;
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let (second, _) = backend.create("anna", "attempt-2").await;
    let (result, pending) = backend.verify(&second.challenge_id, &code).await.expect("an answer");
    assert_eq!((result, pending.code_tries_left), (CodeResult::AlreadyUsed, 5));
    let kinds: Vec<_> = pending.code_factors().collect();
    assert_eq!(kinds, [FactorType::Totp], "there is none on paper any more");
}

#[tokio::test]
async fn of_racing_challenges_one_takes_it() {
    let policy = Policy { max_pending_challenges: 10, ..Policy::default() };
    let world = World::start().await;
    let backend = world.backend_with("Shop", policy).await;
    let code = on_paper(&backend, "anna").await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(backend.create("anna", &format!("attempt-{n}")).await.0.challenge_id);
    }
    let mut calls = JoinSet::new();
    for id in ids.iter().cycle().take(30) {
        let (mut login, id, code) = (backend.login.clone(), id.clone(), code.clone());
        calls.spawn(async move {
            let request = VerifyCodeRequest { challenge_id: id.clone(), code, ..Default::default() };
            let response = login.verify_code(request).await.expect("an answer").into_inner();
            (id, response.result())
        });
    }
    let answers = calls.join_all().await;
    let accepted: Vec<_> =
        answers.iter().filter(|(_, result)| *result == CodeResult::Accepted).map(|(id, _)| id).collect();
    assert_eq!(accepted.len(), 3, "{answers:?}");
    assert!(accepted.iter().all(|id| *id == accepted[0]), "{answers:?}");
}

#[tokio::test]
async fn used_up_by_a_crash_it_is_resumed_or_given_back() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let code = on_paper(&backend, "anna").await;
    let use_up = |challenge_id: &str| {
        let used =
            world.database().execute("UPDATE recovery_codes SET used_by = ?1, used_at = 1", [challenge_id]);
        assert_eq!(used.expect("it is written beside the server"), 1);
    };
    // The server died between the two stores: the same call finishes it.
    let (first, _) = backend.create("anna", "attempt-1").await;
    use_up(&first.challenge_id);
    assert_eq!(backend.verify(&first.challenge_id, &code).await.expect("an answer").0, CodeResult::Accepted);

    // Or the challenge ended otherwise: the next one gets the code.
    let code = {
        backend.redeem(&first.challenge_id, "anna", "attempt-1").await.expect("it is approved");
        let approval =
            Authorization { challenge_id: first.challenge_id.clone(), attempt_id: "attempt-1".to_owned() };
        backend.issue("anna", Some(approval)).await.expect("one factor").recovery_code
    };
    let (second, _) = backend.create("anna", "attempt-2").await;
    world
        .database()
        .execute(
            "UPDATE recovery_codes SET used_by = ?1, used_at = 1 WHERE replaced_at IS NULL",
            [&second.challenge_id],
        )
        .expect("it is written beside the server");
    backend.cancel(&second.challenge_id).await.expect("it is its own");
    let (third, _) = backend.create("anna", "attempt-3").await;
    assert_eq!(third.code_factors().collect::<Vec<_>>(), [FactorType::RecoveryCode]);
    let (result, _) = backend.verify(&third.challenge_id, &code).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    backend.redeem(&third.challenge_id, "anna", "attempt-3").await.expect("it is approved");
}

#[tokio::test]
async fn a_lost_phone_is_replaced_by_means_of_the_recovery_code() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = world.enroll_by_hand(&backend, "anna", 1).await;
    let manage = super::super::factors::approved(
        &world,
        &backend,
        &lost,
        super::super::factors::asking_to_manage("anna", "manage"),
    );
    let code = backend.issue("anna", Some(manage.await)).await.expect("it is approved").recovery_code;
    world.database().execute("DELETE FROM enrollment_allowances", []).expect("a table");

    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    assert_eq!(backend.verify(id, &code).await.expect("an answer").0, CodeResult::Accepted);
    let approval = || Some(Authorization { challenge_id: id.to_owned(), attempt_id: "attempt-1".to_owned() });
    let link = || StartEnrollmentRequest { authorization: approval(), ..enrolling("anna") };
    // Approved and not redeemed, it authorizes nothing.
    refused(backend.try_start(link()).await, ErrorReason::StepUpRequired);
    backend.redeem(id, "anna", "attempt-1").await.expect("it is approved");
    backend.revoke("anna", &lost.device_id).await.expect("it is Anna's");
    let started = backend.try_start(link()).await.expect("a login by the recovery code will do");
    let candidate = Candidate::open(&world, &started.uri, 2).await;
    let taken = candidate.enroll().await.expect("it is taken");
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&enrollment_id, &taken.confirmation_code).await.expect("the right code");
    let factors = backend.user("anna").await.factors;
    assert_eq!(factors.len(), 1);
    assert_ne!(factors[0].factor_id, lost.device_id);
    refused(backend.try_start(link()).await, ErrorReason::StepUpRequired);
    refused(backend.issue("anna", approval()).await, ErrorReason::StepUpRequired);
}
