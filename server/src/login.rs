//! One login, as its backend sees it: create, await, cancel, redeem.

mod create;
mod redeem;
mod source;
mod view;

use std::sync::Arc;

use countersign_domain::{UnixTime, challenge::ChallengeRecord, id::ChallengeId, operation::Cancel};
use countersign_proto::login;

pub(crate) use create::duration;

use crate::{
    core::{Core, Wait},
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

    /// The challenge once it is settled, or as it is when the wait is over.
    pub async fn wait_for(
        &self,
        application: &Application,
        challenge_id: &str,
        wait: Wait,
    ) -> Result<login::Challenge, Refusal> {
        let id: ChallengeId = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let wait = wait.duration()?;
        let mut is_over = wait.is_zero();
        let mut over = self.0.clock.sleep(wait);
        let registration = self.0.challenge_waiters.register(id);
        loop {
            let woken = registration.woken();
            let challenge = self.own(application, id).await?;
            if !challenge.state.is_pending() || is_over {
                return self.describe(&challenge).await;
            }
            // At the expiry it is read again: the store seals it, and says so.
            tokio::select! {
                () = woken => {}
                () = &mut over => is_over = true,
                () = self.0.clock.sleep_until(challenge.expires_at) => {}
            }
        }
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
