//! A code in place of an answer by a device.

mod limits;
mod recovery;
mod totp;

use countersign_domain::totp::{Algorithm, Parameters};
use countersign_proto::{
    common::FactorType, device::TotpSecret, login::CreateChallengeRequest, time::UnixTime,
};

use crate::world::{Backend, ByHand, Candidate, World, asking};

const SHA1: Parameters = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };

/// A device that shows codes with no network.
pub(crate) struct WithCodes {
    device: ByHand,
    totp: TotpSecret,
}

impl WithCodes {
    /// Enrols a device whose key has the bytes `seed`.
    pub(crate) async fn enroll(world: &World, backend: &Backend, user_id: &str, seed: u8) -> Self {
        let started = backend.start_enrollment(user_id).await;
        let candidate = Candidate::open(world, &started.uri, seed).await;
        let enrolled = candidate.enroll().await.expect("it is taken");
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        backend.confirm(&enrollment_id, &enrolled.confirmation_code).await.expect("the right code");
        let totp = enrolled.totp.clone().expect("a secret");
        Self { device: candidate.enrolled(&enrolled), totp }
    }

    /// The code that it shows then.
    pub(crate) fn code(&self, at: UnixTime) -> String {
        SHA1.code_of_step(&self.totp.secret, SHA1.step_at(at))
    }

    /// A code that it shows at no time around then.
    fn wrong_code(&self, now: UnixTime) -> String {
        let step = SHA1.step_at(now);
        let shown: Vec<_> =
            (step - 2..=step + 2).map(|step| SHA1.code_of_step(&self.totp.secret, step)).collect();
        let mut codes = (0..).map(|n| format!("{n:06}"));
        codes.find(|code| !shown.contains(code)).expect("there are more")
    }
}

/// Asks for a login by a code only.
fn asking_for_code(user_id: &str, attempt_id: &str) -> CreateChallengeRequest {
    let allowed_factors = vec![FactorType::Totp.into(), FactorType::RecoveryCode.into()];
    CreateChallengeRequest { allowed_factors, ..asking(user_id, attempt_id) }
}
