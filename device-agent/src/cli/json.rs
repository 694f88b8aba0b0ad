//! The objects of `--json`, as docs/agent.md describes them. Names and values are only ever added.

use countersign_agent::{
    Account, AccountState, AccountStatus, Answer, ChallengeState, DenialReason, Enrolled, Error, News,
    OneTimeCode, Purpose, PushState, StateFault, VerifiedChallenge,
};
use countersign_proto::statement::DetailKind;
use serde_json::{Value, json};

use super::Failure;

/// An account; with `status`, how the server says it stands.
pub(crate) fn account(
    account: &Account,
    status: Option<&Result<AccountStatus, Error>>,
) -> Result<Value, Error> {
    let answered = status.and_then(|status| status.as_ref().ok());
    let problem = status.and_then(|status| status.as_ref().err());
    Ok(json!({
        "device_id": account.device_id(),
        "device_name": account.device_name()?,
        "server": account.server(),
        "server_id": account.server_id(),
        "application_id": account.application_id(),
        "application_name": account.application_name(),
        "user_id": account.user_id(),
        "account_name": account.account_name(),
        "state": answered.map(|status| account_state_name(status.state)),
        "push_state": answered.map(|status| push_state_name(status.push_state)),
        "problem": problem.map(ToString::to_string),
    }))
}

/// A code of an account.
pub(crate) fn code(account: &Account, code: &OneTimeCode) -> Value {
    json!({
        "device_id": account.device_id(),
        "application_name": account.application_name(),
        "account_name": account.account_name(),
        "code": code.reveal(),
        "time_left_seconds": code.time_left.as_secs(),
    })
}

/// A new account; with `status`, what came of telling its push target.
pub(crate) fn enrolled(
    enrolled: &Enrolled,
    status: Option<&Result<AccountStatus, Error>>,
) -> Result<Value, Error> {
    Ok(json!({
        "account": account(&enrolled.account, status)?,
        "confirmation_code": enrolled.confirmation_code(),
    }))
}

/// A challenge with all that it says.
pub(crate) fn challenge(challenge: &VerifiedChallenge) -> Value {
    let statement = challenge.statement();
    let details: Vec<_> = challenge
        .details()
        .iter()
        .map(|detail| json!({ "kind": detail_kind_name(detail.kind), "label": detail.label, "value": detail.value }))
        .collect();
    json!({
        "challenge_id": challenge.id(),
        "server_id": statement.server_id,
        "application_id": statement.application_id,
        "application_name": challenge.application_name(),
        "user_id": statement.user_id,
        "account_name": challenge.account_name(),
        "purpose": purpose_name(challenge.purpose()),
        "created_at": challenge.created_at().to_string(),
        "expires_at": challenge.expires_at().to_string(),
        "time_left_seconds": challenge.time_left().as_secs(),
        "details": details,
        "match_code_digits": challenge.match_code_digits(),
        "user_verification_required": challenge.user_verification_required(),
        "attempt_sha256": data_encoding::BASE64URL_NOPAD.encode(&statement.attempt_sha256),
        "state": state_name(challenge.state()),
        "denial_reason": challenge.denial_reason().map(denial_reason_name),
    })
}

/// What an answer came to.
pub(crate) fn answer(challenge: &VerifiedChallenge, answer: Answer) -> Value {
    json!({
        "challenge_id": challenge.id(),
        "accepted": answer.accepted,
        "state": state_name(answer.state),
        "denial_reason": answer.denial_reason.map(denial_reason_name),
    })
}

/// What an account's listener tells.
pub(crate) fn news(account: &Account, news: News) -> Value {
    let device_id = account.device_id();
    match news {
        News::Listening => json!({ "event": "listening", "device_id": device_id }),
        News::Asked(asked) => {
            json!({ "event": "asked", "device_id": device_id, "challenge": challenge(&asked) })
        }
        News::Settled(settled) => json!({
            "event": "settled",
            "device_id": device_id,
            "challenge_id": settled.challenge_id,
            "state": state_name(settled.state),
            "denial_reason": settled.denial_reason.map(denial_reason_name),
        }),
        News::Interrupted(error) => with_failure("interrupted", device_id, &Failure::Agent(error)),
    }
}

/// An account's listener has ended.
pub(crate) fn ended(account: &Account, why: &Failure) -> Value {
    with_failure("ended", account.device_id(), why)
}

fn with_failure(event: &str, device_id: &str, why: &Failure) -> Value {
    let mut value = failure(why);
    value["event"] = event.into();
    value["device_id"] = device_id.into();
    value
}

/// A failure. `reason` is the server's, when it refused.
pub(crate) fn failure(failure: &Failure) -> Value {
    let (reason, retry_after) = match failure {
        Failure::Agent(Error::Refused(refusal)) => (Some(&refusal.reason), refusal.retry_after),
        _ => (None, None),
    };
    json!({
        "error": {
            "kind": kind(failure),
            "reason": reason,
            "message": failure.to_string(),
            "retry_after_seconds": retry_after.map(|duration| duration.as_secs()),
        }
    })
}

fn kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::Usage(_) | Failure::Option { .. } => "usage",
        Failure::NoPassphrase(..) => "passphrase",
        Failure::PassphraseFileOpen { .. } | Failure::Read(..) => "file",
        Failure::Agent(error) => match error {
            Error::Link(_) | Error::OfferExpired { .. } => "link",
            Error::Untrusted(_) => "untrusted",
            Error::Refused(_) => "refused",
            Error::Unreachable { .. } => "unreachable",
            Error::Unintelligible { .. } => "unintelligible",
            Error::ChallengeNotFound(_) | Error::AccountNotFound(_) | Error::NoCodes(_) => "not_found",
            Error::MatchCode { .. } | Error::MatchCodeNotAsked => "match_code",
            Error::UserVerificationRequired => "user_verification",
            Error::OtherAccount | Error::SeveralChallenges(_) | Error::Field(_) | Error::Passphrase(_) => {
                "usage"
            }
            Error::State(StateFault::WrongPassphrase { .. } | StateFault::Locked { .. }) => "passphrase",
            Error::CaCertificate(_) | Error::State(_) => "file",
        },
    }
}

/// The enum's name without its prefix, as the server's metadata has it.
pub(crate) fn state_name(state: ChallengeState) -> &'static str {
    without_prefix(state.as_str_name(), "CHALLENGE_STATE_")
}

/// None: a kind that this agent does not know.
fn detail_kind_name(kind: i32) -> Option<&'static str> {
    DetailKind::try_from(kind).ok().map(|kind| without_prefix(kind.as_str_name(), "DETAIL_KIND_"))
}

fn denial_reason_name(reason: DenialReason) -> &'static str {
    without_prefix(reason.as_str_name(), "DENIAL_REASON_")
}

fn purpose_name(purpose: Purpose) -> &'static str {
    without_prefix(purpose.as_str_name(), "PURPOSE_")
}

fn account_state_name(state: AccountState) -> &'static str {
    without_prefix(state.as_str_name(), "ACCOUNT_STATE_")
}

fn push_state_name(state: PushState) -> &'static str {
    without_prefix(state.as_str_name(), "PUSH_STATE_")
}

fn without_prefix(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}
