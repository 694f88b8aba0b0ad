//! What a person answers, and what it came to.

use std::fmt;

use countersign_proto::{
    common::{ChallengeState, DenialReason},
    statement::{DecisionStatement, UserVerification, Verdict},
    time::UnixTime,
};

use crate::{challenge::VerifiedChallenge, error::Error};

/// Why a person denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// 'It was not me.'
    NotMe,
    /// 'I did this, but do not want it.'
    Mistake,
}

/// What a challenge came to after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The state is this answer. False: another answer or the time had won before.
    pub accepted: bool,
    /// The answer that won. `Unspecified` when it is one that this agent does not know: settled, not approved.
    pub state: ChallengeState,
    /// With `Denied`.
    pub denial_reason: Option<DenialReason>,
}

/// An answer before it is signed.
pub(crate) enum Choice<'a> {
    /// Let it in.
    Approve { match_code: &'a str, user_verification: UserVerification },
    /// Keep it out.
    Deny(Denial),
}

/// Whether an approval has the form that the challenge asks for.
pub(crate) fn check_form(
    challenge: &VerifiedChallenge,
    match_code: &str,
    user_verification: UserVerification,
) -> Result<(), Error> {
    let digits = challenge.match_code_digits();
    let is_exact = u32::try_from(match_code.len()).is_ok_and(|length| length == digits)
        && match_code.bytes().all(|byte| byte.is_ascii_digit());
    if !is_exact {
        return Err(if digits == 0 { Error::MatchCodeNotAsked } else { Error::MatchCode { digits } });
    }
    let is_verified = !matches!(user_verification, UserVerification::None | UserVerification::Unspecified);
    if challenge.user_verification_required() && !is_verified {
        return Err(Error::UserVerificationRequired);
    }
    Ok(())
}

/// The statement that the device signs.
pub(crate) fn decision(
    challenge: &VerifiedChallenge,
    verdict: &Choice<'_>,
    now: UnixTime,
) -> DecisionStatement {
    let mut decision = DecisionStatement {
        server_id: challenge.statement().server_id.clone(),
        challenge_sha256: challenge.digest.to_vec(),
        challenge_id: challenge.id().to_owned(),
        device_id: challenge.device_id.clone(),
        decided_at: Some(now.to_wire()),
        ..DecisionStatement::default()
    };
    match verdict {
        Choice::Approve { match_code, user_verification } => {
            decision.set_verdict(Verdict::Approve);
            (*match_code).clone_into(&mut decision.match_code);
            decision.set_user_verification(*user_verification);
        }
        Choice::Deny(denial) => {
            decision.set_verdict(Verdict::Deny);
            decision.set_denial_reason(match denial {
                Denial::NotMe => DenialReason::NotMe,
                Denial::Mistake => DenialReason::Mistake,
            });
        }
    }
    decision
}

/// In words, to be read after 'Challenge chl_...: '.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.accepted {
            f.write_str("not counted: ")?;
        }
        f.write_str(match (self.state, self.denial_reason) {
            (ChallengeState::Approved, _) => "approved",
            (ChallengeState::Denied, Some(DenialReason::WrongMatchCode)) => {
                "denied, because the match code was wrong"
            }
            (ChallengeState::Denied, _) => "denied",
            (ChallengeState::Cancelled, _) => "withdrawn by the application",
            (ChallengeState::Superseded, _) => "a newer challenge has taken its place",
            (ChallengeState::Expired, _) => "its time had run out",
            (ChallengeState::Pending, _) => "still open",
            (ChallengeState::Unspecified, _) => "settled in a way that this agent does not know",
        })
    }
}
