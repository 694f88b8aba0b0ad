//! TOTP codes: whose, when, and how often.

use countersign_domain::{policy::Policy, totp::Algorithm};
use countersign_proto::{
    common::{ChallengeState, ErrorReason, FactorType},
    login::{CodeResult, VerifyCodeRequest, Wakeup, create_challenge_response::Outcome},
    receipt::{self, Expected},
    statement::UserVerification,
};
use countersign_test_peers::oathtool_or_skip;
use data_encoding::BASE32_NOPAD;
use tokio::task::JoinSet;

use super::{
    super::factors::{enrolling_totp, oathtool, secret_of},
    WithCodes, asking_for_code,
};
use crate::world::{World, asking, at, refused, refused_field};

#[tokio::test]
async fn a_devices_code_lets_in_and_the_receipt_says_on_whose_word() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    assert_eq!(challenge.code_factors().collect::<Vec<_>>(), [FactorType::Totp]);
    assert_eq!((challenge.code_tries_left, challenge.wakeup()), (5, Wakeup::Sending));
    let code = phone.code(world.now());
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let verify = backend.verify(id, &spaced);
    let (waited, verified) = world.meanwhile(backend.wait_for(id, 25), at(25), verify).await;
    let (result, approved) = verified.expect("an answer");
    assert_eq!((result, approved.state()), (CodeResult::Accepted, ChallengeState::Approved));
    assert_eq!(waited.expect("it is told").state(), ChallengeState::Approved);
    let settlement = approved.settlement.clone().expect("a settlement");
    assert_eq!(
        (settlement.factor_type(), &settlement.factor_id),
        (FactorType::Totp, &phone.device.device_id)
    );
    assert_eq!(settlement.factor_name, "Device 1");

    // The reply was lost: the same again, also when its step is over.
    world.clock.set(at(119));
    let (result, again) = backend.verify(id, &code).await.expect("an answer");
    assert_eq!((result, again.state()), (CodeResult::Accepted, ChallengeState::Approved));
    refused(backend.redeem(id, "anna", "attempt-2").await, ErrorReason::NotYourApproval);
    let redeemed = backend.redeem(id, "anna", "attempt-1").await.expect("it is approved");
    assert_eq!(redeemed.amr, ["otp"]);
    assert_eq!(redeemed.user_verification(), UserVerification::Unspecified);
    assert_eq!(redeemed.settlement.expect("a settlement"), settlement);
    let proof = redeemed.receipt.expect("a receipt");
    assert_eq!((&proof.decision, &proof.binding), (&None, &None));
    let expected = Expected { user_id: Some("anna"), attempt_id: Some("attempt-1"), ..Expected::default() };
    let verified = receipt::verify(&proof, world.server_id(), &expected).expect("it holds together");
    assert!(verified.to_string().contains("server's word"), "{verified}");
    // It is noted beside the answer; a server that ends has noted it.
    let world = world.restart().await;
    let factor = &world.reconnect(&backend).await.user("anna").await.factors[0];
    assert_eq!(factor.last_used_at, settlement.settled_at);
}

/// Of an authenticator app, and of a device.
#[tokio::test]
async fn oathtools_codes_let_in_by_a_secret_of_every_kind() {
    if !oathtool_or_skip() {
        return;
    }
    let world = World::start().await;
    let mut seed = 0;
    for (algorithm, name) in
        [(Algorithm::Sha1, "sha1"), (Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")]
    {
        for digits in [6, 8] {
            let kind = format!("{name} {digits}");
            let policy = Policy { totp_algorithm: algorithm, totp_digits: digits, ..Policy::default() };
            let backend = world.backend_with(&kind, policy).await;
            let started = backend.try_start(enrolling_totp("anna", None)).await.expect("it starts");
            let app = secret_of(&started);
            let first = oathtool(&app, name, digits, world.now());
            let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
            backend.confirm(&enrollment_id, &first).await.expect("the right code");
            seed += 1;
            let phone = WithCodes::enroll(&world, &backend, "bob", seed).await;
            let phone = BASE32_NOPAD.encode(&phone.totp.secret);
            for (user_id, secret) in [("anna", app), ("bob", phone)] {
                let (challenge, _) = backend.create(user_id, "attempt-1").await;
                // The app's step was used up by its confirmation.
                let code = oathtool(&secret, name, digits, at(30));
                let verified = backend.verify(&challenge.challenge_id, &code).await;
                let (result, approved) = verified.expect("an answer");
                let told = (result, approved.state());
                assert_eq!(told, (CodeResult::Accepted, ChallengeState::Approved), "{kind}, {user_id}");
            }
        }
    }
}

#[tokio::test]
async fn each_step_is_accepted_once_for_ever() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let (used, next) = (phone.code(at(0)), phone.code(at(30)));
    let (first, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(backend.verify(&first.challenge_id, &next).await.expect("an answer").0, CodeResult::Accepted);
    let (second, _) = backend.create("anna", "attempt-2").await;
    // The step before it counts as used too; neither is a try.
    for code in [&next, &used] {
        let (result, pending) = backend.verify(&second.challenge_id, code).await.expect("an answer");
        assert_eq!((result, pending.code_tries_left), (CodeResult::AlreadyUsed, 5));
    }
    // Also when everything that is short-lived is lost.
    let world = world.restart().await;
    world.forget_challenges().await;
    let backend = world.reconnect(&backend).await;
    let (third, _) = backend.create("anna", "attempt-3").await;
    let (result, _) = backend.verify(&third.challenge_id, &next).await.expect("an answer");
    assert_eq!(result, CodeResult::AlreadyUsed);
    world.clock.set(at(60));
    let (result, _) = backend.verify(&third.challenge_id, &phone.code(at(60))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
}

#[tokio::test]
async fn of_racing_challenges_one_takes_the_code() {
    let policy = Policy { max_pending_challenges: 10, ..Policy::default() };
    let world = World::start().await;
    let backend = world.backend_with("Shop", policy).await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let code = phone.code(world.now());
    let mut calls = JoinSet::new();
    for n in 0..10 {
        let (challenge, _) = backend.create("anna", &format!("attempt-{n}")).await;
        for _ in 0..3 {
            let (mut login, challenge_id, code) =
                (backend.login.clone(), challenge.challenge_id.clone(), code.clone());
            calls.spawn(async move {
                let request =
                    VerifyCodeRequest { challenge_id: challenge_id.clone(), code, ..Default::default() };
                let response = login.verify_code(request).await.expect("an answer").into_inner();
                (challenge_id, response.result())
            });
        }
    }
    let answers = calls.join_all().await;
    let accepted: Vec<_> =
        answers.iter().filter(|(_, result)| *result == CodeResult::Accepted).map(|(id, _)| id).collect();
    assert_eq!(accepted.len(), 3, "{answers:?}");
    assert!(accepted.iter().all(|id| *id == accepted[0]), "{answers:?}");
    let others = answers.iter().filter(|(id, _)| id != accepted[0]);
    assert!(others.clone().all(|(_, result)| *result == CodeResult::AlreadyUsed), "{answers:?}");
}

#[tokio::test]
async fn what_is_no_code_is_no_try() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let paper = "0".repeat(64);
    for no_code in ["12345", "1234567", "12345678", "abcdef", "١٢٣٤٥٦", paper.as_str()] {
        let (result, pending) = backend.verify(id, no_code).await.expect("an answer");
        assert_eq!((result, pending.code_tries_left), (CodeResult::NotACode, 5), "{no_code}");
    }
    let request = |code: &str, factor_type: FactorType| VerifyCodeRequest {
        challenge_id: id.to_owned(),
        code: code.to_owned(),
        factor_type: factor_type.into(),
    };
    let code = phone.code(world.now());
    let (result, _) = backend.try_verify(request(&code, FactorType::RecoveryCode)).await.expect("an answer");
    assert_eq!(result, CodeResult::NotACode);
    refused_field(backend.try_verify(request(&code, FactorType::Device)).await, "factor_type");
    refused_field(backend.verify(id, "").await, "code");
    refused_field(backend.verify(id, &"1".repeat(129)).await, "code");
    refused(backend.verify("chl_0", &code).await, ErrorReason::ChallengeNotFound);
    let other = world.backend("Bank").await;
    refused(other.verify(id, &code).await, ErrorReason::ChallengeNotFound);
    let (result, _) = backend.try_verify(request(&code, FactorType::Totp)).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
}

#[tokio::test]
async fn the_first_answer_wins_over_a_right_code() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = phone.device.challenge(&world, id).await.expect("it was asked");
    phone.device.respond(&phone.device.approval(&asked, &match_code)).await.expect("it counts");
    let code = phone.code(world.now());
    let (result, settled) = backend.verify(id, &code).await.expect("an answer");
    assert_eq!((result, settled.state()), (CodeResult::NotPending, ChallengeState::Approved));
    assert_eq!(settled.settlement.expect("a settlement").factor_type(), FactorType::Device);

    // The code was not used up by that; and after it the device comes too late.
    let (challenge, match_code) = backend.create("anna", "attempt-2").await;
    let id = challenge.challenge_id.as_str();
    let asked = phone.device.challenge(&world, id).await.expect("it was asked");
    assert_eq!(backend.verify(id, &code).await.expect("an answer").0, CodeResult::Accepted);
    let late = phone.device.respond(&phone.device.approval(&asked, &match_code)).await.expect("a good form");
    assert_eq!((late.accepted, late.state()), (false, ChallengeState::Approved));

    let (challenge, _) = backend.create("anna", "attempt-3").await;
    world.clock.set(at(120));
    let (result, expired) =
        backend.verify(&challenge.challenge_id, &phone.code(at(120))).await.expect("an answer");
    assert_eq!((result, expired.state()), (CodeResult::NotPending, ChallengeState::Expired));
}

#[tokio::test]
async fn a_code_only_login_asks_no_device_and_has_no_match_code() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let (challenge, match_code) = backend.create_as(asking_for_code("anna", "attempt-1")).await;
    assert_eq!((match_code.as_str(), challenge.wakeup()), ("", Wakeup::NoDevice));
    assert_eq!(challenge.deliveries, []);
    assert_eq!(phone.device.list(&world).await.expect("nothing"), []);
    refused(phone.device.challenge(&world, &challenge.challenge_id).await, ErrorReason::ChallengeNotFound);
    let (result, _) = backend.verify(&challenge.challenge_id, &phone.code(at(0))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);

    // Without DEVICE among them, and with codes left out.
    let mut request = asking("anna", "attempt-2");
    request.allowed_factors = vec![FactorType::Device.into()];
    let (challenge, _) = backend.create_as(request).await;
    assert_eq!((challenge.code_factors.as_slice(), challenge.code_tries_left), (&[][..], 0));
    let (result, _) = backend.verify(&challenge.challenge_id, &phone.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::NotACode);
    let policy = Policy { enrollment_confirmation: true, ..Policy::default() };
    let mut device_only = policy.clone();
    device_only.set("allowed_factors", "device").expect("an allowed value");
    let strict = world.backend_with("Bank", device_only).await;
    refused_field(strict.try_create(asking_for_code("anna", "attempt-1")).await, "allowed_factors");
    let created = strict.try_create(asking("anna", "attempt-1")).await.expect("an outcome");
    assert!(matches!(created.outcome, Some(Outcome::NotEnrolled(_))));
}

#[tokio::test]
async fn the_code_of_a_device_that_is_revoked_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let kept = WithCodes::enroll(&world, &backend, "anna", 2).await;
    let (approved, _) = backend.create("anna", "attempt-1").await;
    let code = lost.code(at(0));
    assert_eq!(
        backend.verify(&approved.challenge_id, &code).await.expect("an answer").0,
        CodeResult::Accepted
    );
    let (pending, _) = backend.create("anna", "attempt-2").await;
    backend.revoke("anna", &lost.device.device_id).await.expect("it is Anna's");
    refused(backend.redeem(&approved.challenge_id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
    let (result, _) = backend.verify(&pending.challenge_id, &lost.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Wrong);
    let (result, _) = backend.verify(&pending.challenge_id, &kept.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    backend.redeem(&pending.challenge_id, "anna", "attempt-2").await.expect("the other device's");
}

#[tokio::test]
async fn the_code_of_a_device_that_has_gone_is_dead_at_once() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let going = WithCodes::enroll(&world, &backend, "anna", 1).await;
    let kept = WithCodes::enroll(&world, &backend, "anna", 2).await;
    let (approved, _) = backend.create("anna", "attempt-1").await;
    let (result, _) = backend.verify(&approved.challenge_id, &going.code(at(0))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    let (pending, _) = backend.create("anna", "attempt-2").await;
    going.device.unenroll(1).await.expect("it goes");

    refused(backend.redeem(&approved.challenge_id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
    // Neither where it was asked before nor in a login that comes after. Successive calls go to all servers.
    for code in [going.code(at(0)), going.code(at(30))] {
        for _ in &world.apps {
            let (result, _) = backend.verify(&pending.challenge_id, &code).await.expect("an answer");
            assert_eq!(result, CodeResult::Wrong);
        }
    }
    let (result, _) = backend.verify(&pending.challenge_id, &kept.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    backend.redeem(&pending.challenge_id, "anna", "attempt-2").await.expect("the other device's");
    let (later, _) = backend.create("anna", "attempt-3").await;
    let (result, _) = backend.verify(&later.challenge_id, &going.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Wrong);
}

#[tokio::test]
async fn a_devices_codes_outlive_its_key() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = WithCodes::enroll(&world, &backend, "anna", 1).await;
    // So that a code is something to be tried to the end.
    WithCodes::enroll(&world, &backend, "anna", 3).await;
    let (approved, _) = backend.create("anna", "attempt-1").await;
    let (result, _) = backend.verify(&approved.challenge_id, &phone.code(at(0))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    let (pending, _) = backend.create("anna", "attempt-2").await;
    let renewed = phone.device.with_key(2);
    phone.device.hand_over(1, &renewed).await.expect("it is changed");

    backend.redeem(&approved.challenge_id, "anna", "attempt-1").await.expect("it is the same device");
    let (result, _) = backend.verify(&pending.challenge_id, &phone.code(at(0))).await.expect("an answer");
    assert_eq!(result, CodeResult::AlreadyUsed, "the change of key gives no code back");
    let (result, _) = backend.verify(&pending.challenge_id, &phone.code(at(30))).await.expect("an answer");
    assert_eq!(result, CodeResult::Accepted);
    backend.redeem(&pending.challenge_id, "anna", "attempt-2").await.expect("it is the same device");

    // And end with the device, whatever key it has.
    let (last, _) = backend.create("anna", "attempt-3").await;
    backend.revoke("anna", &renewed.device_id).await.expect("it is Anna's");
    world.clock.set(at(60));
    let (result, _) = backend.verify(&last.challenge_id, &phone.code(at(60))).await.expect("an answer");
    assert_eq!(result, CodeResult::Wrong);
}
