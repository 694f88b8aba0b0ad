//! A challenge, as its devices see it: list, read, answer.

mod respond;
mod subscribe;

use std::sync::Arc;

use countersign_domain::{challenge::ChallengeRecord, id::ChallengeId, operation::Fetch};
use countersign_proto::device;

pub use self::subscribe::Subscription;
use crate::{call::Caller, core::Core, refusal::Refusal};

/// How many challenges are listed at most.
const MAX_LISTED: usize = 10;

/// The use cases of `DeviceService` about challenges.
#[derive(Clone)]
pub struct Approval(Arc<Core>);

impl Approval {
    /// On these foundations.
    pub fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// What is pending for this device, newest first. Empty for whoever is no device.
    pub async fn list(&self, caller: Caller) -> Result<Vec<device::Challenge>, Refusal> {
        let mut listed = Vec::new();
        for id in self.0.challenges.open(caller.device.user()).await? {
            if listed.len() == MAX_LISTED {
                break;
            }
            match self.fetch(id, caller).await? {
                Some(challenge) if challenge.state.is_pending() => listed.push(self.describe(&challenge)),
                _ => {}
            }
        }
        Ok(listed)
    }

    /// One challenge that this device was asked, pending or settled.
    pub async fn get(&self, caller: Caller, challenge_id: &str) -> Result<device::Challenge, Refusal> {
        let id = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let challenge = self.fetch(id, caller).await?.ok_or(Refusal::ChallengeNotFound)?;
        Ok(self.describe(&challenge))
    }

    /// Reads a challenge for the caller, and notes that it did while it can still be answered.
    async fn fetch(
        &self,
        challenge: ChallengeId,
        caller: Caller,
    ) -> Result<Option<ChallengeRecord>, Refusal> {
        let challenge = self.look(challenge, caller).await?;
        if let Some(challenge) = challenge.as_ref().filter(|challenge| challenge.state.is_pending()) {
            self.0.note_fetched(challenge.id, caller.device).await;
        }
        Ok(challenge)
    }

    /// Reads a challenge for the caller, who is not told of it yet.
    async fn look(&self, challenge: ChallengeId, caller: Caller) -> Result<Option<ChallengeRecord>, Refusal> {
        let fetch = Fetch { challenge, device: caller.tag(&self.0) };
        let challenge = self.0.challenges.read(fetch).await?;
        if let Some(challenge) = &challenge {
            self.0.announce(challenge);
        }
        Ok(challenge)
    }

    fn describe(&self, challenge: &ChallengeRecord) -> device::Challenge {
        let now = self.0.clock.now();
        device::Challenge {
            challenge_id: challenge.id.to_string(),
            envelope: Some(challenge.envelope()),
            state: challenge.state.to_wire().into(),
            denial_reason: challenge.state.denial_to_wire().into(),
            time_left: challenge.state.is_pending().then(|| challenge.expires_at.since(now).into()),
        }
    }
}
