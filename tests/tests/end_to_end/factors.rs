//! Factors beside devices, and what it takes to get one more.

mod recovery;
mod step_up;
mod totp;

use std::process::Command;

use countersign_proto::{
    common::FactorType,
    login::{Authorization, CreateChallengeRequest, StartEnrollmentRequest, StartEnrollmentResponse},
    statement::Purpose,
    time::UnixTime,
};

use crate::world::{Backend, ByHand, World, asking, enrolling, redeeming};

/// The beginning of an authenticator app's enrolment.
pub(crate) fn enrolling_totp(user_id: &str, authorization: Option<Authorization>) -> StartEnrollmentRequest {
    StartEnrollmentRequest { r#type: FactorType::Totp.into(), authorization, ..enrolling(user_id) }
}

/// The secret that an otpauth URI carries, in base32.
pub(crate) fn secret_of(started: &StartEnrollmentResponse) -> String {
    let (_, rest) = started.uri.split_once("?secret=").expect("a secret");
    rest.split('&').next().expect("it ends").to_owned()
}

/// The code that oathtool shows at `now`.
pub(crate) fn oathtool(secret: &str, algorithm: &str, digits: u32, now: UnixTime) -> String {
    let mut command = Command::new("oathtool");
    command.arg(format!("--totp={algorithm}")).args(["--digits", &digits.to_string()]);
    let output = command.args(["--now", &format!("@{}", now.as_seconds()), "--base32", secret]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("digits").trim().to_owned()
}

/// Asks to change factors.
pub(crate) fn asking_to_manage(user_id: &str, attempt_id: &str) -> CreateChallengeRequest {
    CreateChallengeRequest { purpose: Purpose::ManageFactors.into(), ..asking(user_id, attempt_id) }
}

/// A device approves what `request` asks, and the backend redeems it.
pub(crate) async fn approved(
    world: &World,
    backend: &Backend,
    device: &ByHand,
    request: CreateChallengeRequest,
) -> Authorization {
    let (user, attempt, purpose) = (request.user_id.clone(), request.attempt_id.clone(), request.purpose);
    let (challenge, match_code) = backend.create_as(request).await;
    let id = challenge.challenge_id;
    let asked = device.challenge(world, &id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    let mut redemption = redeeming(&id, &user, &attempt);
    redemption.purpose = purpose;
    backend.try_redeem(redemption).await.expect("it is approved");
    Authorization { challenge_id: id, attempt_id: attempt }
}
