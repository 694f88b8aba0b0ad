//! One login, as its backend sees it: create, await, verify a code, cancel, redeem.

mod code_factors;
mod create;
mod redeem;
mod release_recovery;
mod source;
mod typed_code;
mod verify_code;
mod view;
mod wait;
mod watch;

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::ChallengeId,
    operation::{Cancel, View},
};
use countersign_proto::login;

pub(crate) use create::duration;
pub(crate) use redeem::receipt_of;
pub use watch::Watch;

use crate::{
    core::{Core, user_of},
    refusal::Refusal,
    store::applications::Application,
};

/// The use cases of `LoginService`. Every call is of one application, and nothing crosses to another.
#[derive(Clone)]
pub struct Login(Arc<Core>);

impl Login {
    /// On these foundations.
    pub fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// Withdraws a challenge; what is settled stays.
    pub async fn cancel(
        &self,
        application: &Application,
        challenge_id: &str,
    ) -> Result<login::Challenge, Refusal> {
        let challenge = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let cancel = Cancel { challenge, application: application.id };
        let core = Arc::clone(&self.0);
        let cancelled = self.0.tasks.finish(async move {
            let outcome = core.challenges.update(cancel).await;
            if let Ok(Some(challenge)) = &outcome {
                core.announce(challenge);
            }
            outcome
        });
        let challenge = cancelled.await?.ok_or(Refusal::ChallengeNotFound)?;
        self.describe(&challenge).await
    }

    /// A user's pending challenges, newest first, with how far their wake-ups came. Writes nothing.
    pub async fn pending(
        &self,
        application: &Application,
        user_id: &str,
    ) -> Result<Vec<login::Challenge>, Refusal> {
        let user = self.0.ids.user_tag(&user_of(application, user_id)?);
        let mut pending = Vec::new();
        for id in self.0.challenges.open(user).await? {
            let challenge = self.0.challenges.preview(&View { challenge: id }).await?;
            let is_own = |challenge: &ChallengeRecord| challenge.application_id == application.id;
            if let Some(challenge) = challenge.filter(|c| is_own(c) && c.state.is_pending()) {
                pending.push(self.describe(&challenge).await?);
            }
        }
        Ok(pending)
    }

    /// Who the caller is, and what its receipts are checked against.
    pub fn application(&self, application: &Application) -> login::GetApplicationResponse {
        login::GetApplicationResponse {
            application_id: application.id.to_string(),
            name: application.name.clone(),
            policy: Some(application.policy.to_wire()),
            server_id: self.0.server_keys.server_id().to_owned(),
            server_time: Some(self.0.clock.now().to_wire()),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    async fn own(&self, application: &Application, id: ChallengeId) -> Result<ChallengeRecord, Refusal> {
        let challenge = self.0.challenges.view(id).await?;
        challenge.filter(|c| c.application_id == application.id).ok_or(Refusal::ChallengeNotFound)
    }

    async fn describe(&self, challenge: &ChallengeRecord) -> Result<login::Challenge, Refusal> {
        let deliveries = self.0.challenges.deliveries(challenge.id).await?;
        Ok(view::challenge(challenge, &deliveries, self.now()))
    }

    fn now(&self) -> UnixTime {
        self.0.clock.now()
    }
}
