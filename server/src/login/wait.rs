//! `AwaitChallenge`: waiting for a decision, on whatever server it is made.

use countersign_domain::{challenge::ChallengeRecord, id::ChallengeId};
use countersign_proto::{login, time::UnixTime};

use super::Login;
use crate::{
    core::Wait, held_key::HeldKey, refusal::Refusal, store::applications::Application, waiters::Registration,
};

impl Login {
    /// The challenge once it is settled, or as it is when the wait is over. Refused when the key is revoked meanwhile.
    pub async fn wait_for(
        &self,
        key: &HeldKey,
        challenge_id: &str,
        wait: Wait,
    ) -> Result<login::Challenge, Refusal> {
        let (core, application) = (&self.0, key.application());
        let id: ChallengeId = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        let wait = wait.duration()?;
        let mut is_over = wait.is_zero();
        let mut over = core.clock.sleep(wait);
        let registration = core.challenge_waiters.register(id);
        if let Some(wakeups) = core.wakeups.as_ref().filter(|_| !is_over) {
            wakeups.watch(id.user()).await?;
        }
        let mut known: Option<UnixTime> = None;
        loop {
            let woken = registration.woken();
            let revoked = key.revoked();
            let seen = match known {
                None => self.seen(application, id, is_over).await,
                Some(_) => self.seen_again(key, &registration, id, is_over).await,
            };
            // A store that is away for a moment, or busy, is no answer to somebody who waits anyway.
            let is_busy = matches!(seen, Err(Refusal::RateLimited));
            let expires_at = match (seen, known) {
                (Ok(Seen::Answer(challenge)), _) => return Ok(*challenge),
                (Ok(Seen::Pending { expires_at }), _) => expires_at,
                (Err(Refusal::StoreUnavailable | Refusal::RateLimited), Some(known)) if !is_over => known,
                (Err(refusal), _) => return Err(refusal),
            };
            known = Some(expires_at);
            // At the expiry it is read again: the store seals it, and says so.
            tokio::select! {
                () = woken => {}
                () = revoked => {}
                () = &mut over => is_over = true,
                () = core.expiry(expires_at) => {}
                () = core.less_to_do(is_busy) => {}
                () = core.poll() => {}
            }
        }
    }

    /// Reads the challenge, and puts the answer together if there is one, or if the wait is over.
    async fn seen(&self, application: &Application, id: ChallengeId, is_over: bool) -> Result<Seen, Refusal> {
        let challenge = self.own(application, id).await?;
        if challenge.state.is_pending() && !is_over {
            return Ok(Seen::Pending { expires_at: challenge.expires_at });
        }
        Ok(Seen::Answer(Box::new(self.describe(&challenge).await?)))
    }

    /// What has come meanwhile. The key is looked up last, whatever came of that: who has no good one any more is told
    /// nothing.
    async fn seen_again(
        &self,
        key: &HeldKey,
        registration: &Registration<ChallengeId, ChallengeRecord>,
        id: ChallengeId,
        is_over: bool,
    ) -> Result<Seen, Refusal> {
        let seen = self.handed_over_or_seen(key.application(), registration, id, is_over).await;
        key.check().await?;
        seen
    }

    /// Reads again what was not handed over, in turn with others who do: when something may have been missed all of
    /// them want to.
    async fn handed_over_or_seen(
        &self,
        application: &Application,
        registration: &Registration<ChallengeId, ChallengeRecord>,
        id: ChallengeId,
        is_over: bool,
    ) -> Result<Seen, Refusal> {
        // Whose it is was checked when it was read for the first time.
        if let Some(ended) = registration.end() {
            return Ok(Seen::Answer(Box::new(self.describe(&ended).await?)));
        }
        let turn = async { self.0.turns_to_read_again.acquire().await.ok() };
        // Whose time is over waits no longer.
        let _turn = if is_over { None } else { turn.await };
        match registration.end() {
            Some(ended) => Ok(Seen::Answer(Box::new(self.describe(&ended).await?))),
            None => self.seen(application, id, is_over).await,
        }
    }
}

/// What came of reading.
enum Seen {
    /// Nobody has answered yet.
    Pending { expires_at: UnixTime },
    /// What the caller is told.
    Answer(Box<login::Challenge>),
}
