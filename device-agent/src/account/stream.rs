//! A stream of one account: challenges as they come and as they are settled.

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, DenialReason},
    device::{Challenge, SubscribeRequest, SubscribeResponse},
};
use tokio::time::timeout;
use tonic::Streaming;

use super::Account;
use crate::{
    challenge::{self, VerifiedChallenge},
    error::Error,
};

/// A server says every 25 s that the stream is alive. One that is silent for longer is taken for dead.
const SILENCE: Duration = Duration::from_mins(1);

/// An open stream. Dropping it closes it.
pub struct Subscription {
    account: Account,
    events: Streaming<SubscribeResponse>,
}

/// What a stream tells of.
#[derive(Clone, Debug)]
pub enum Event {
    /// This waits for an answer.
    Asked(Box<VerifiedChallenge>),
    /// This can be answered no more.
    Settled(Settled),
    /// Nothing has happened; the stream is alive.
    Alive,
}

/// What a challenge came to. The server's word, not signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// `chl_...`
    pub challenge_id: String,
    /// `Unspecified` when it is a state that this agent does not know.
    pub state: ChallengeState,
    /// With `Denied`.
    pub denial_reason: Option<DenialReason>,
}

impl Account {
    /// Opens a stream. What waits for an answer comes first. It ends after 15 minutes at most: open it again, or let
    /// [`Account::listen`] do that.
    pub async fn subscribe(&self) -> Result<Subscription, Error> {
        let events = self.read(SubscribeRequest {}).await?;
        Ok(Subscription { account: self.clone(), events })
    }
}

impl Subscription {
    /// The next event; none: the server has ended the stream, as it does from time to time.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        let heard = timeout(SILENCE, self.events.message()).await.map_err(|_| self.silent())?;
        let Some(event) = heard.map_err(|status| self.account.failure(&status))? else { return Ok(None) };
        let Some(challenge) = event.challenge else { return Ok(Some(Event::Alive)) };
        // What is over is not shown to be answered, so that nothing rests on it.
        if challenge.state() != ChallengeState::Pending {
            return Ok(Some(Event::Settled(settled(challenge))));
        }
        let verified = self.account.verify(&challenge, None).await?;
        Ok(Some(Event::Asked(Box::new(verified))))
    }

    fn silent(&self) -> Error {
        Error::Unreachable {
            origin: self.account.server().to_owned(),
            problem: "its stream has fallen silent".to_owned(),
        }
    }
}

fn settled(challenge: Challenge) -> Settled {
    Settled {
        state: challenge.state(),
        denial_reason: challenge::known_reason(challenge.denial_reason),
        challenge_id: challenge.challenge_id,
    }
}
