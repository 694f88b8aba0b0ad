//! `VerifyCode`: a code in place of an answer by a device.
//!
//! A right code is first used up in the directory, bound to the challenge, and then settles the challenge. The same
//! call again resumes wherever it broke off, and no code is ever accepted for two challenges, whatever becomes of
//! the store of challenges.

use std::sync::Arc;

use countersign_domain::{
    challenge::ChallengeRecord,
    code::CodeFactor,
    id::{ApplicationId, ChallengeId, FactorId, RecoveryId},
    operation::{CodeAnswer, CodeTold, Finding, PreparedSettlement, VerifyCode},
    standing::Holds,
};
use countersign_proto::{
    common::{ChallengeState, DenialReason},
    login::{CodeResult, VerifyCodeRequest, VerifyCodeResponse},
    statement::{ChallengeStatement, SettlementStatement},
};

use super::{
    Login,
    code_factors::{Found, look_for},
    release_recovery::given_back,
    typed_code::TypedCode,
};
use crate::{
    core::Core,
    holds,
    refusal::Refusal,
    settlement,
    store::{
        applications::Application,
        codes::{Consumed, UserCodes},
        devices::UserKey,
    },
};

/// What a code was, and the challenge as it is now.
type Verified = (CodeResult, ChallengeRecord);

impl Login {
    /// Settles a challenge by a code. A wrong one is one try, however many secrets the user has; one that has been
    /// used, or is no code at all, is none. The right one again is accepted again.
    pub async fn verify_code(
        &self,
        application: &Application,
        request: VerifyCodeRequest,
    ) -> Result<VerifyCodeResponse, Refusal> {
        let id: ChallengeId = request.challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let Some(typed) = TypedCode::read(&request.code, request.factor_type)? else {
            let challenge = self.describe(&self.own(application, id).await?).await?;
            return Ok(VerifyCodeResponse {
                result: CodeResult::NotACode.into(),
                challenge: Some(challenge),
            });
        };
        let (core, application) = (Arc::clone(&self.0), application.id);
        let verified =
            self.0.tasks.finish(async move { Verification { core, application, id, typed }.run().await });
        let (result, challenge) = verified.await?;
        let challenge = self.describe(&challenge).await?;
        Ok(VerifyCodeResponse { result: result.into(), challenge: Some(challenge) })
    }
}

/// One code for one challenge.
struct Verification {
    core: Arc<Core>,
    application: ApplicationId,
    id: ChallengeId,
    typed: TypedCode,
}

impl Verification {
    async fn run(self) -> Result<Verified, Refusal> {
        let seen = found(self.core.challenges.read(self.ask(Finding::NotCompared, Holds::default())).await?)?;
        let user = self.user(&seen.challenge)?;
        let codes = self.core.codes.of_user(user.clone()).await?;
        let seen = if codes.holds == Holds::default() {
            seen
        } else {
            // The store of challenges may have lost what the directory still knows.
            found(self.core.challenges.update(self.ask(Finding::NotCompared, codes.holds)).await?)?
        };
        let challenge = *seen.challenge;
        if seen.answer == CodeAnswer::LockedOut {
            if codes.holds.locked_at.is_none() {
                holds::copy_present(&self.core, &user).await;
            }
            return Ok((CodeResult::LockedOut, challenge));
        }
        let found = look_for(&self.core, &user, &codes, &self.typed, self.id).await?;
        match (seen.answer, found) {
            (CodeAnswer::Compare, found) => self.compare(&user, &codes, found, &challenge).await,
            (CodeAnswer::NotPending, found) => Ok(self.after_the_end(&found, challenge)),
            // The kinds are those that the user had then; one that had been used up is told apart all the same.
            (CodeAnswer::NotTaken, Found::Recovery { used_by: Some(_), .. }) => {
                Ok((CodeResult::AlreadyUsed, challenge))
            }
            (answer, _) => Ok((result_of(answer), challenge)),
        }
    }

    /// Whose challenge it is, from what the server signed.
    fn user(&self, challenge: &ChallengeRecord) -> Result<UserKey, Refusal> {
        let signed: Option<ChallengeStatement> = self.core.server_keys.open_own(&challenge.envelope());
        let signed = signed.filter(|signed| {
            signed.challenge_id == self.id.to_string()
                && signed.application_id == self.application.to_string()
        });
        let Some(signed) = signed else {
            tracing::error!(challenge.id = %self.id, "a stored challenge is not what its signature says");
            return Err(Refusal::ChallengeNotFound);
        };
        Ok(UserKey { application: self.application, user_id: signed.user_id })
    }

    async fn compare(
        &self,
        user: &UserKey,
        codes: &UserCodes,
        found: Found,
        challenge: &ChallengeRecord,
    ) -> Result<Verified, Refusal> {
        let (factor, consumed) = match found {
            Found::NoSuchForm => return Ok((CodeResult::NotACode, challenge.clone())),
            Found::Nothing => return self.wrong(user, codes, challenge).await,
            Found::Totp { factor, step, .. } => {
                (factor, self.core.codes.consume_totp(factor.id, step, self.id).await?)
            }
            Found::Recovery { factor, id, used_by } => (factor, self.use_recovery(id, used_by).await?),
        };
        match consumed {
            Consumed::Now | Consumed::Again => self.accept(codes, factor, challenge).await,
            Consumed::Used => Ok((CodeResult::AlreadyUsed, challenge.clone())),
            Consumed::Gone => self.wrong(user, codes, challenge).await,
        }
    }

    /// Uses the recovery code up. One that was used for a challenge which something else settled is given back first.
    async fn use_recovery(&self, id: RecoveryId, used_by: Option<ChallengeId>) -> Result<Consumed, Refusal> {
        if let Some(other) = used_by.filter(|other| *other != self.id) {
            given_back(&self.core, id, other).await?;
        }
        Ok(self.core.codes.consume_recovery(id, self.id).await?)
    }

    async fn accept(
        &self,
        codes: &UserCodes,
        factor: CodeFactor,
        challenge: &ChallengeRecord,
    ) -> Result<Verified, Refusal> {
        let settlement = self.sign(
            challenge,
            SettlementStatement {
                state: ChallengeState::Approved.into(),
                factor_type: factor.kind().to_wire().into(),
                factor_id: factor.id.to_string(),
                ..SettlementStatement::default()
            },
        )?;
        let accept = self.ask(Finding::Right(factor, settlement), codes.holds);
        let told = found(self.core.challenges.update(accept).await?)?;
        let challenge = *told.challenge;
        let noted = match (told.answer, factor.id) {
            (CodeAnswer::Accepted, FactorId::Recovery(id)) => {
                self.core.codes.accept_recovery(id, self.id).await.map(drop)
            }
            _ => Ok(()),
        };
        // Only now, when it is safe: a waiter must not hear what a crash can still undo. But whatever became of the note:
        // it is settled, and a redemption notes it as well.
        self.core.announce(&challenge);
        noted?;
        if told.answer == CodeAnswer::Accepted {
            tracing::info!(challenge.id = %self.id, factor.id = %factor.id, "a code settled a challenge");
            if let Some(settled) = challenge.state.settled() {
                // Only informs; the store has logged why, if it cannot.
                let _ = self.core.codes.note_used(factor.id, settled.settled_at).await;
            }
            return Ok((CodeResult::Accepted, challenge));
        }
        // The same code in another call was faster.
        if challenge.state.is_approved_by(factor.id) {
            return Ok((CodeResult::Accepted, challenge));
        }
        // Whoever meets it gives it back, should it end otherwise; while it is pending the same code may settle it yet.
        if let FactorId::Recovery(id) = factor.id
            && !challenge.state.is_pending()
        {
            self.core.codes.release_recovery(id, self.id).await?;
        }
        Ok((result_of(told.answer), challenge))
    }

    async fn wrong(
        &self,
        user: &UserKey,
        codes: &UserCodes,
        challenge: &ChallengeRecord,
    ) -> Result<Verified, Refusal> {
        let settlement = self.sign(
            challenge,
            SettlementStatement {
                state: ChallengeState::Denied.into(),
                denial_reason: DenialReason::TooManyCodes.into(),
                ..SettlementStatement::default()
            },
        )?;
        let wrong = self.ask(Finding::Wrong(settlement), codes.holds);
        let told = found(self.core.challenges.update(wrong).await?)?;
        let challenge = *told.challenge;
        if let CodeAnswer::Wrong { holds } = told.answer {
            if holds.locked_at.is_some() {
                tracing::warn!(challenge.id = %self.id, "too many wrong codes in a row: the user's codes are locked");
            }
            if !challenge.state.is_pending() {
                tracing::warn!(challenge.id = %self.id, "too many wrong codes: the challenge is denied");
            }
            holds::copy(&self.core, user, holds).await;
        }
        self.core.announce(&challenge);
        Ok((result_of(told.answer), challenge))
    }

    /// The code that settled it is accepted again.
    fn after_the_end(&self, found: &Found, challenge: ChallengeRecord) -> Verified {
        self.core.announce(&challenge);
        let is_same = match found {
            Found::Totp { factor, step, accepted } => {
                let by_this = accepted.filter(|accepted| accepted.by == Some(self.id));
                challenge.state.is_approved_by(factor.id)
                    && by_this.is_some_and(|accepted| accepted.step == *step)
            }
            Found::Recovery { factor, used_by, .. } => {
                challenge.state.is_approved_by(factor.id) && *used_by == Some(self.id)
            }
            Found::NoSuchForm | Found::Nothing => false,
        };
        (if is_same { CodeResult::Accepted } else { CodeResult::NotPending }, challenge)
    }

    fn ask(&self, finding: Finding, copy: Holds) -> VerifyCode {
        let (challenge, application, kind) = (self.id, self.application, self.typed.kind());
        VerifyCode { challenge, application, kind, finding, copy }
    }

    fn sign(
        &self,
        challenge: &ChallengeRecord,
        unsigned: SettlementStatement,
    ) -> Result<PreparedSettlement, Refusal> {
        let at = self.core.clock.now().max(challenge.created_at);
        Ok(settlement::sign(&self.core, challenge, unsigned, at)?)
    }
}

fn found(told: Option<CodeTold>) -> Result<CodeTold, Refusal> {
    told.ok_or(Refusal::ChallengeNotFound)
}

fn result_of(answer: CodeAnswer) -> CodeResult {
    match answer {
        CodeAnswer::NotPending => CodeResult::NotPending,
        CodeAnswer::LockedOut => CodeResult::LockedOut,
        CodeAnswer::NotTaken | CodeAnswer::Compare => CodeResult::NotACode,
        CodeAnswer::Wrong { .. } => CodeResult::Wrong,
        CodeAnswer::Accepted => CodeResult::Accepted,
    }
}
