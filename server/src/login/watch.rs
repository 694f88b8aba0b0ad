//! `WatchChallenge`: a challenge now, and again after each change, until it is settled.

use std::{pin::Pin, sync::Arc};

use countersign_domain::{UnixTime, challenge::ChallengeRecord, id::ChallengeId};
use countersign_proto::login;
use tokio::sync::futures::OwnedNotified;

use super::Login;
use crate::{held_key::HeldKey, refusal::Refusal, waiters::Registration};

/// An open stream of one challenge. It ends with the challenge, which lives for ten minutes at most, and when its API key
/// is revoked.
pub struct Watch {
    login: Login,
    key: HeldKey,
    id: ChallengeId,
    /// As it was last told, without what only counts down.
    told: Option<login::Challenge>,
    expires_at: UnixTime,
    state: Registration<ChallengeId, ChallengeRecord>,
    deliveries: Registration<ChallengeId>,
    /// The next wake-ups after the last reading began.
    woken: [Pin<Box<OwnedNotified>>; 3],
    is_current: bool,
    has_ended: bool,
}

impl Login {
    /// Begins to watch a challenge of the application whose key it is.
    pub async fn watch(&self, key: HeldKey, challenge_id: &str) -> Result<Watch, Refusal> {
        let core = &self.0;
        let id: ChallengeId = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        // What does not exist is refused before anybody is asked to tell of it.
        let expires_at = self.own(key.application(), id).await?.expires_at;
        let state = core.challenge_waiters.register(id);
        let deliveries = core.delivery_waiters.register(id);
        if let Some(wakeups) = &core.wakeups {
            wakeups.watch(id.user()).await?;
            wakeups.watch_deliveries(id.user()).await?;
        }
        Ok(Watch {
            login: self.clone(),
            id,
            told: None,
            expires_at,
            woken: woken(&state, &deliveries, &key),
            key,
            state,
            deliveries,
            is_current: false,
            has_ended: false,
        })
    }
}

impl Watch {
    /// The challenge once it differs from what was told. Ends once it was told as settled.
    pub async fn next(&mut self) -> Option<Result<login::Challenge, Refusal>> {
        if self.has_ended {
            return None;
        }
        let core = Arc::clone(&self.login.0);
        loop {
            let mut is_busy = false;
            if !self.is_current {
                match Box::pin(self.read()).await {
                    Ok(None) => {}
                    Ok(Some(challenge)) => return Some(Ok(challenge)),
                    // A store that is away for a moment, or busy, is no end for somebody who waits anyway.
                    Err(Refusal::StoreUnavailable) if self.told.is_some() => {}
                    Err(Refusal::RateLimited) if self.told.is_some() => is_busy = true,
                    Err(refusal) => {
                        self.has_ended = true;
                        return Some(Err(refusal));
                    }
                }
            }
            let [state, deliveries, revoked] = &mut self.woken;
            tokio::select! {
                () = state => {}
                () = deliveries => {}
                () = revoked => {}
                () = core.expiry(self.expires_at) => {}
                () = core.less_to_do(is_busy) => {}
                () = core.poll() => {}
            }
            self.is_current = false;
        }
    }

    /// Reads the challenge, in turn with others, and tells it if it is not what was told.
    async fn read(&mut self) -> Result<Option<login::Challenge>, Refusal> {
        let login = self.login.clone();
        let _turn = login.0.turns_of_streams.acquire().await;
        self.woken = woken(&self.state, &self.deliveries, &self.key);
        let seen = self.seen().await;
        // Last of all, and whatever came of it: who has no good key any more is told nothing.
        self.key.check().await?;
        let (challenge, is_pending) = seen?;
        self.is_current = true;
        let told = login::Challenge { time_left: None, wakeup_retry_after: None, ..challenge.clone() };
        if self.told.as_ref() == Some(&told) {
            return Ok(None);
        }
        self.told = Some(told);
        self.has_ended = !is_pending;
        Ok(Some(challenge))
    }

    async fn seen(&self) -> Result<(login::Challenge, bool), Refusal> {
        let challenge = self.login.own(self.key.application(), self.id).await?;
        Ok((self.login.describe(&challenge).await?, challenge.state.is_pending()))
    }
}

/// What ends at the next wake-ups of each kind.
fn woken(
    state: &Registration<ChallengeId, ChallengeRecord>,
    deliveries: &Registration<ChallengeId>,
    key: &HeldKey,
) -> [Pin<Box<OwnedNotified>>; 3] {
    [state.woken_owned(), deliveries.woken_owned(), key.revoked_owned()].map(Box::pin)
}
