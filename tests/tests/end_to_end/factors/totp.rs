//! Authenticator apps: the secret, its QR code, and the first code.

use std::time::Duration;

use countersign_domain::{
    policy::Policy,
    totp::{Algorithm, Parameters},
};
use countersign_proto::{
    common::{ErrorReason, FactorType, TotpAlgorithm},
    login::{EnrollmentState, StartEnrollmentResponse},
};
use countersign_test_peers::oathtool_or_skip;
use data_encoding::BASE32_NOPAD;

use super::{enrolling_totp, oathtool, secret_of};
use crate::world::{Backend, Candidate, World, at, other_code, refused, refused_field};

const SHA1: Parameters = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };

/// The code that the app shows, by our own arithmetic.
pub(super) fn code(started: &StartEnrollmentResponse, seconds: u64) -> String {
    let secret = BASE32_NOPAD.decode(secret_of(started).as_bytes()).expect("base32");
    SHA1.code_of_step(&secret, SHA1.step_at(at(seconds)))
}

pub(super) fn id(started: &StartEnrollmentResponse) -> &str {
    &started.enrollment.as_ref().expect("an enrolment").enrollment_id
}

/// Enrols an authenticator app as the user's first factor.
pub(super) async fn enroll_first(backend: &Backend, user_id: &str) -> String {
    let started = backend.try_start(enrolling_totp(user_id, None)).await.expect("it starts");
    let confirmed = backend.confirm(id(&started), &code(&started, 0)).await.expect("an answer");
    assert_eq!(confirmed.state(), EnrollmentState::Completed);
    confirmed.factor.expect("a factor").factor_id
}

#[tokio::test]
async fn oathtools_codes_confirm_a_secret_of_every_kind() {
    if !oathtool_or_skip() {
        return;
    }
    let world = World::start().await;
    for (algorithm, name) in
        [(Algorithm::Sha1, "sha1"), (Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")]
    {
        for digits in [6, 8] {
            let policy = Policy { totp_algorithm: algorithm, totp_digits: digits, ..Policy::default() };
            let backend = world.backend_with(&format!("Shop {name} {digits}"), policy).await;
            let started = backend.try_start(enrolling_totp("anna", None)).await.expect("it starts");
            let secret = secret_of(&started);
            assert_eq!(started.setup_key.replace(' ', ""), secret);
            let rest =
                format!("&issuer=Shop%20{name}%20{digits}&algorithm={algorithm}&digits={digits}&period=30");
            let begins =
                format!("otpauth://totp/Shop%20{name}%20{digits}:anna%40example.org?secret={secret}");
            assert_eq!(started.uri, begins + &rest);
            assert!(started.qr_svg.starts_with("<svg ") && started.qr_svg.len() <= 16 * 1024);
            let code = oathtool(&secret, name, digits, world.now());
            let confirmed = backend.confirm(id(&started), &code).await.expect("an answer");
            assert_eq!(confirmed.state(), EnrollmentState::Completed, "{name} {digits}");
        }
    }
}

#[tokio::test]
async fn the_first_code_makes_it_a_factor_that_is_listed_and_revoked() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.try_start(enrolling_totp("anna", None)).await.expect("it starts");
    let enrollment = started.enrollment.clone().expect("an enrolment");
    assert_eq!((enrollment.state(), enrollment.r#type()), (EnrollmentState::Pending, FactorType::Totp));
    assert_eq!(backend.user("anna").await.factors, []);
    let waiting = backend.wait_for_enrollment(id(&started), EnrollmentState::Pending, 25);
    let code = code(&started, 0);
    // What another server did is seen when it reads again.
    let look = Duration::from_millis(250);
    let confirm = async {
        let confirmed = backend.confirm(id(&started), &code).await.expect("an answer");
        if world.shared.is_some() {
            world.clock.advance(look);
        }
        confirmed
    };
    let (told, confirmed) = world.meanwhile(waiting, at(0).plus(look), confirm).await;
    assert_eq!(told.expect("it ends"), confirmed);
    assert_eq!(confirmed.state(), EnrollmentState::Completed);
    let user = backend.user("anna").await;
    assert_eq!(user.factors, [confirmed.factor.expect("a factor")]);
    assert!(user.had_factors);
    let factor = &user.factors[0];
    assert!(factor.factor_id.starts_with("otp_") && factor.name.is_empty() && factor.device.is_none());
    assert_eq!(factor.r#type(), FactorType::Totp);

    // After the end any code is answered alike.
    let again = backend.confirm(id(&started), &other_code(&code)).await.expect("an answer");
    assert_eq!(again.state(), EnrollmentState::Completed);
    refused(backend.revoke("bob", &factor.factor_id).await, ErrorReason::FactorNotFound);
    for _ in 0..2 {
        let user = backend.revoke("anna", &factor.factor_id).await.expect("it is Anna's");
        assert_eq!((user.factors.len(), user.had_factors), (0, true));
    }
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(backend.user("anna").await.factors, []);
}

#[tokio::test]
async fn three_wrong_codes_end_it_and_the_window_is_one_step() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.try_start(enrolling_totp("anna", None)).await.expect("it starts");
    for no_code in ["", "12345", "1234567", "abcdef"] {
        refused_field(backend.confirm(id(&started), no_code).await, "code");
    }
    // Two steps behind, two ahead, and any other.
    world.clock.set(at(90));
    for (wrong, state) in [
        (code(&started, 30), EnrollmentState::Pending),
        (code(&started, 150), EnrollmentState::Pending),
        (other_code(&code(&started, 90)), EnrollmentState::Failed),
        (code(&started, 90), EnrollmentState::Failed),
    ] {
        let enrollment = backend.confirm(id(&started), &wrong).await.expect("an answer");
        assert_eq!(enrollment.state(), state, "{wrong}");
        assert_eq!(enrollment.factor, None);
    }
    for behind in [60, 120] {
        let user = format!("user-{behind}");
        let started = backend.try_start(enrolling_totp(&user, None)).await.expect("it starts");
        let typed = code(&started, behind);
        let grouped = format!("{} {}", &typed[..3], &typed[3..]);
        let confirmed = backend.confirm(id(&started), &grouped).await.expect("an answer");
        assert_eq!(confirmed.state(), EnrollmentState::Completed, "{behind}");
    }
}

#[tokio::test]
async fn five_secrets_are_the_most() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let first = enroll_first(&backend, "anna").await;
    for _ in 1..5 {
        backend.allow_enrollment("anna").await;
        enroll_first(&backend, "anna").await;
    }
    backend.allow_enrollment("anna").await;
    refused(backend.try_start(enrolling_totp("anna", None)).await, ErrorReason::FactorLimitReached);
    backend.revoke("anna", &first).await.expect("it is Anna's");
    enroll_first(&backend, "anna").await;
    assert_eq!(backend.user("anna").await.factors.len(), 5);
    backend.delete("anna").await.expect("she is forgotten");
    let user = backend.user("anna").await;
    assert_eq!((user.factors.len(), user.had_factors), (0, false));
    enroll_first(&backend, "anna").await;
}

#[tokio::test]
async fn a_device_is_given_a_secret_of_its_own_until_its_enrolment_has_ended() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    let totp = enrolled.totp.clone().expect("a secret");
    assert_eq!((totp.secret.len(), totp.digits, totp.algorithm()), (20, 6, TotpAlgorithm::Sha1));
    assert_eq!(totp.period.as_ref().map(|period| period.seconds), Some(30));
    assert_eq!(candidate.enroll().await.expect("the same answer"), enrolled);
    backend.confirm(id(&started), &enrolled.confirmation_code).await.expect("the right code");
    assert_eq!(candidate.enroll().await.expect("the account").totp, None);
    // It is no factor of its own: the device is.
    let factors = backend.user("anna").await.factors;
    assert_eq!((factors.len(), factors[0].r#type()), (1, FactorType::Device));

    let policy = Policy { enrollment_confirmation: false, totp_digits: 8, ..Policy::default() };
    let backend = world.backend_with("Bank", policy).await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 2).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    assert_eq!(enrolled.totp.expect("told as it ends").digits, 8);
    assert_eq!(candidate.enroll().await.expect("the account").totp, None);
}
