//! `Respond`: a device answers, and the first answer wins.
//!
//! The order of the checks is the contract's: the form of the request, the key, the signature, then the
//! look-up, whether the statement fits, and the state last. So only a good signature learns anything, and a
//! malformed approval is an error even when the challenge is settled.

use std::sync::Arc;

use countersign_domain::{
    challenge::{AskedDevice, ChallengeRecord},
    id::{ChallengeId, DeviceId},
    operation::{Decide, DecideOutcome, Fetch},
    state::{Denial, State, Verdict},
};
use countersign_proto::{
    common::{ChallengeState, DenialReason, FactorType},
    device::{RespondRequest, RespondResponse},
    envelope::{self, CheckSignature as _},
    key::VerificationKey,
    statement::{
        self, ChallengeStatement, DecisionStatement, Envelope, SettlementStatement, UserVerification,
    },
};
use prost::Message as _;

use super::Approval;
use crate::{core::Core, holds, refusal::Refusal, settlement, store::devices::UserKey};

/// A decision whose signature holds, of whomever it is.
struct SignedDecision {
    key: VerificationKey,
    envelope: Envelope,
    statement: DecisionStatement,
}

impl Approval {
    /// Settles a challenge by a signed decision. The same answer again is accepted again; every other one is
    /// told the answer that won.
    pub async fn respond(&self, request: RespondRequest) -> Result<RespondResponse, Refusal> {
        let decision = verify(&self.0, &request)?;
        let id = request.challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let (challenge, device) = self.asked(id, &decision).await?;
        let asked = challenge.statement().map_err(|fault| {
            tracing::error!(challenge.id = %id, error = %fault, "a stored challenge cannot be read");
            Refusal::StoreUnavailable
        })?;
        fits(&self.0, &decision.statement, &challenge, &device)?;
        let verdict = verdict(&self.0, &decision.statement, &challenge, &asked)?;
        let decide = decide(&self.0, &decision, &challenge, &device, verdict)?;
        let core = Arc::clone(&self.0);
        self.0.tasks.finish(async move { settle(&core, decide).await }).await
    }
}

impl Approval {
    /// The challenge, and the device that was asked under the key that signed. It is found by the key: what the
    /// statement says of itself is compared only after that.
    async fn asked(
        &self,
        challenge: ChallengeId,
        decision: &SignedDecision,
    ) -> Result<(ChallengeRecord, AskedDevice), Refusal> {
        let core = &self.0;
        let tag_of = |device| core.device_tag(device, &decision.key.to_bytes());
        let fetch = |device| core.challenges.read(Fetch { challenge, device });
        let stated: Option<DeviceId> = decision.statement.device_id.parse().ok();
        if let Some(tag) = stated.map(tag_of)
            && let Some(challenge) = fetch(tag).await?
            && let Some(device) = challenge.asked_device(tag).cloned()
        {
            return Ok((challenge, device));
        }
        let viewed = core.challenges.view(challenge).await?.ok_or(Refusal::ChallengeNotFound)?;
        let held = viewed.asked.into_iter().find(|device| tag_of(device.id) == device.tag);
        let device = held.ok_or(Refusal::ChallengeNotFound)?;
        let challenge = fetch(device.tag).await?.ok_or(Refusal::ChallengeNotFound)?;
        Ok((challenge, device))
    }
}

fn verify(core: &Core, request: &RespondRequest) -> Result<SignedDecision, Refusal> {
    let envelope = request.decision.clone().ok_or_else(|| Refusal::field("decision", "must be given"))?;
    let key = VerificationKey::from_wire(request.public_key.as_ref())?;
    core.server_keys.signatures().check(&envelope, key)?;
    let statement = envelope::read(&envelope)?;
    Ok(SignedDecision { key, envelope, statement })
}

/// Whether the decision is about this very challenge, on this server, by this device.
fn fits(
    core: &Core,
    decision: &DecisionStatement,
    challenge: &ChallengeRecord,
    device: &AskedDevice,
) -> Result<(), Refusal> {
    let differs = if decision.server_id != core.server_keys.server_id() {
        "server_id"
    } else if decision.challenge_id != challenge.id.to_string() {
        "challenge_id"
    } else if decision.device_id != device.id.to_string() {
        "device_id"
    } else if decision.challenge_sha256 != envelope::payload_digest(&challenge.envelope()) {
        "challenge_sha256"
    } else {
        return Ok(());
    };
    Err(Refusal::StatementMismatch(differs))
}

/// What the decision says, once it has all that the challenge asks for. A match code that is none is no try.
fn verdict(
    core: &Core,
    decision: &DecisionStatement,
    challenge: &ChallengeRecord,
    asked: &ChallengeStatement,
) -> Result<Verdict, Refusal> {
    if decision.verdict() != statement::Verdict::Approve {
        return Ok(match decision.denial_reason() {
            DenialReason::NotMe => Verdict::DenyNotMe,
            _ => Verdict::DenyMistake,
        });
    }
    let digits = asked.match_code_digits as usize;
    let typed = &decision.match_code;
    if typed.len() != digits || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::MatchCodeRequired(match digits {
            0 => "this challenge asks for no match code: leave it empty".to_owned(),
            _ => format!("type the {digits} digits that the login page shows; this was no try"),
        }));
    }
    if asked.user_verification_required && decision.user_verification() == UserVerification::None {
        return Err(Refusal::UserVerificationRequired);
    }
    let match_code_is_right =
        digits == 0 || core.keyring.match_code(&challenge.id.to_string(), digits).matches(typed);
    Ok(Verdict::Approve { match_code_is_right })
}

/// The operation, with the settlement signed beforehand and the means to sign it anew.
fn decide(
    core: &Arc<Core>,
    decision: &SignedDecision,
    challenge: &ChallengeRecord,
    device: &AskedDevice,
    verdict: Verdict,
) -> Result<Decide, Refusal> {
    let (state, denial_reason) = match verdict.outcome() {
        Ok(()) => (ChallengeState::Approved, DenialReason::Unspecified),
        Err(denial) => (ChallengeState::Denied, denial.to_wire()),
    };
    let unsigned = SettlementStatement {
        state: state.into(),
        denial_reason: denial_reason.into(),
        factor_type: FactorType::Device.into(),
        factor_id: device.id.to_string(),
        decision_sha256: envelope::payload_digest(&decision.envelope).to_vec(),
        ..SettlementStatement::default()
    };
    let at = core.clock.now().max(challenge.created_at).max(device.bound_at);
    let settlement = settlement::sign(core, challenge, unsigned, at)?;
    Ok(Decide {
        challenge: challenge.id,
        device: device.tag,
        verdict,
        decision: decision.envelope.encode_to_vec(),
        settlement: settlement.signed,
        sign: settlement.sign,
    })
}

async fn settle(core: &Core, decide: Decide) -> Result<RespondResponse, Refusal> {
    let outcome = core.challenges.update(decide).await?;
    let DecideOutcome::Settled { accepted, first, challenge } = outcome else {
        return Err(Refusal::ChallengeNotFound);
    };
    // Only now, when it is safe: a waiter must not hear what a crash can still undo.
    core.announce(&challenge);
    if first {
        copy_holds(core, &challenge).await;
        tell_watchers_of_block(core, &challenge).await;
    }
    let settled = challenge.state.settled().filter(|_| first);
    if let Some((device, settled_at)) =
        settled.and_then(|settled| Some((settled.device()?, settled.settled_at)))
    {
        tracing::info!(
            challenge.id = %challenge.id,
            challenge.state = challenge.state.to_wire().as_str_name(),
            challenge.denial_reason = challenge.state.denial_to_wire().as_str_name(),
            device.id = %device,
            "a device settled a challenge"
        );
        // Only informs; the store logs why, if it cannot.
        let _ = core.devices.note_used(device, settled_at).await;
    }
    Ok(RespondResponse {
        accepted,
        state: challenge.state.to_wire().into(),
        denial_reason: challenge.state.denial_to_wire().into(),
    })
}

/// 'It was not me' and the last of too many wrong match codes outlive the store of challenges.
async fn copy_holds(core: &Core, challenge: &ChallengeRecord) {
    if let State::Denied { reason: Denial::NotMe | Denial::WrongMatchCode, .. } = challenge.state
        && let Ok(statement) = challenge.statement()
    {
        let user = UserKey { application: challenge.application_id, user_id: statement.user_id };
        holds::copy_present(core, &user).await;
    }
}

/// 'It was not me' changes what is told of the user's other challenges too, which are woken for no more. Only informs: on
/// other servers they are read again after a while.
async fn tell_watchers_of_block(core: &Core, challenge: &ChallengeRecord) {
    if let State::Denied { reason: Denial::NotMe, .. } = challenge.state {
        for id in core.challenges.open(challenge.id.user()).await.unwrap_or_default() {
            core.delivery_waiters.wake(id);
        }
    }
}
