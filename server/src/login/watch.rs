//! `WatchChallenge`: a challenge now, and again after each change, until it is settled.

use std::{pin::Pin, sync::Arc};

use countersign_domain::{UnixTime, challenge::ChallengeRecord, id::ChallengeId};
use countersign_proto::login;
use tokio::sync::futures::OwnedNotified;

use super::Login;
use crate::{refusal::Refusal, store::applications::Application, waiters::Registration};

/// An open stream of one challenge. It ends with the challenge, which lives for ten minutes at most.
pub struct Watch {
    login: Login,
    application: Application,
    id: ChallengeId,
    /// As it was last told, without what only counts down.
    told: Option<login::Challenge>,
    expires_at: UnixTime,
    state: Registration<ChallengeId, ChallengeRecord>,
    deliveries: Registration<ChallengeId>,
    /// The next wake-ups after the last reading began.
    woken: [Pin<Box<OwnedNotified>>; 2],
    is_current: bool,
    has_ended: bool,
}

impl Login {
    /// Begins to watch a challenge of this application.
    pub async fn watch(&self, application: Application, challenge_id: &str) -> Result<Watch, Refusal> {
        let core = &self.0;
        let id: ChallengeId = challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?;
        // What does not exist is refused before anybody is asked to tell of it.
        let expires_at = self.own(&application, id).await?.expires_at;
        let state = core.challenge_waiters.register(id);
        let deliveries = core.delivery_waiters.register(id);
        if let Some(wakeups) = &core.wakeups {
            wakeups.watch(id.user()).await?;
            wakeups.watch_deliveries(id.user()).await?;
        }
        Ok(Watch {
            login: self.clone(),
            application,
            id,
            told: None,
            expires_at,
            woken: [Box::pin(state.woken_owned()), Box::pin(deliveries.woken_owned())],
            state,
            deliveries,
            is_current: false,
            has_ended: false,
        })
    }
}

impl Watch {
    /// Tells nothing more.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

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
            let [state, deliveries] = &mut self.woken;
            tokio::select! {
                () = state => {}
                () = deliveries => {}
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
        self.woken = [Box::pin(self.state.woken_owned()), Box::pin(self.deliveries.woken_owned())];
        let challenge = login.own(&self.application, self.id).await?;
        let described = login.describe(&challenge).await?;
        self.is_current = true;
        let told = login::Challenge { time_left: None, wakeup_retry_after: None, ..described.clone() };
        if self.told.as_ref() == Some(&told) {
            return Ok(None);
        }
        self.told = Some(told);
        self.has_ended = !challenge.state.is_pending();
        Ok(Some(described))
    }
}
