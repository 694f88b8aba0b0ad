//! Fetching challenges, and answering them.

use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    device::{Challenge, GetChallengeRequest, ListChallengesRequest, RespondRequest},
    envelope,
    key::VerificationKey,
    statement::UserVerification,
    statement_form::Statement as _,
};

use super::Account;
use crate::{
    answer::{self, Answer, Choice, Denial},
    challenge::{self, VerifiedChallenge},
    error::{Distrust, Error},
};

impl Account {
    /// What waits for an answer, newest first, each verified. One that does not hold fails the whole: a server
    /// that sent it is not to be trusted with the others.
    pub async fn pending(&self) -> Result<Vec<VerifiedChallenge>, Error> {
        let answer = self.read(ListChallengesRequest {}).await?;
        let mut verified = Vec::with_capacity(answer.challenges.len());
        for challenge in &answer.challenges {
            verified.push(self.verify(challenge, None).await?);
        }
        Ok(verified)
    }

    /// One challenge, pending or settled, verified.
    pub async fn challenge(&self, challenge_id: &str) -> Result<VerifiedChallenge, Error> {
        let request = GetChallengeRequest { challenge_id: challenge_id.to_owned() };
        let answer = self.read(request).await.map_err(|error| not_found(error, challenge_id))?;
        let challenge = answer.challenge.ok_or(Distrust::Missing("challenge"))?;
        self.verify(&challenge, Some(challenge_id)).await
    }

    /// Lets it in. `match_code` is what the person typed: exactly as many digits as are asked for, empty when none
    /// are. A match code of another form is an error here and uses no try; a wrong one denies the challenge.
    ///
    /// The same approval may be sent again when its answer was lost.
    pub async fn approve(
        &self,
        challenge: &VerifiedChallenge,
        match_code: &str,
        user_verification: UserVerification,
    ) -> Result<Answer, Error> {
        answer::check_form(challenge, match_code, user_verification)?;
        self.approve_as_typed(challenge, match_code, user_verification).await
    }

    /// [`Account::approve`] without the check of form on this side: what a careless device would send.
    pub async fn approve_as_typed(
        &self,
        challenge: &VerifiedChallenge,
        match_code: &str,
        user_verification: UserVerification,
    ) -> Result<Answer, Error> {
        self.respond(challenge, &Choice::Approve { match_code, user_verification }).await
    }

    /// Keeps it out. Needs no match code.
    pub async fn deny(&self, challenge: &VerifiedChallenge, reason: Denial) -> Result<Answer, Error> {
        self.respond(challenge, &Choice::Deny(reason)).await
    }

    async fn respond(&self, challenge: &VerifiedChallenge, verdict: &Choice<'_>) -> Result<Answer, Error> {
        if challenge.device_id != self.identity.device_id {
            return Err(Error::OtherAccount);
        }
        let record = self.record()?;
        let now = record.server_time(self.agent.clock.now());
        let decision = answer::decision(challenge, verdict, now);
        decision.check()?;
        let key = record.secret_key.signing_key();
        let request = RespondRequest {
            challenge_id: challenge.id().to_owned(),
            public_key: Some(VerificationKey::of(&key).to_wire()),
            decision: Some(envelope::sign(&decision, &key)),
        };
        let answer = self.client.clone().respond(request).await;
        let answer = answer.map_err(|status| not_found(self.failure(&status), challenge.id()))?.into_inner();
        Ok(Answer {
            accepted: answer.accepted,
            state: ChallengeState::try_from(answer.state).unwrap_or_default(),
            denial_reason: challenge::known_reason(answer.denial_reason),
        })
    }

    /// Verifies; when the key is not known the server is asked for its present one, once.
    pub(super) async fn verify(
        &self,
        challenge: &Challenge,
        wanted: Option<&str>,
    ) -> Result<VerifiedChallenge, Error> {
        match self.verify_with_known_keys(challenge, wanted) {
            Err(Error::Untrusted(Distrust::ServerKeyUnknown)) => {
                self.fetch_account().await?;
                self.verify_with_known_keys(challenge, wanted)
            }
            outcome => outcome,
        }
    }

    fn verify_with_known_keys(
        &self,
        challenge: &Challenge,
        wanted: Option<&str>,
    ) -> Result<VerifiedChallenge, Error> {
        let record = self.record()?;
        let keys = self.server_keys(&record)?;
        // Whether a key is over is not for the server's clock alone to say: it could turn back time for a key that
        // was stolen and replaced.
        let device_time = self.agent.clock.now();
        let now = record.server_time(device_time).max(device_time);
        Ok(challenge::verify(challenge, wanted, &self.identity, &keys, now)?)
    }
}

fn not_found(error: Error, challenge_id: &str) -> Error {
    if error.is_refused(ErrorReason::ChallengeNotFound) {
        Error::ChallengeNotFound(challenge_id.to_owned())
    } else {
        error
    }
}
