//! Listening for good: a stream that is opened again whenever it ends.

use std::{collections::BTreeSet, time::Duration};

use countersign_proto::common::{ChallengeState, ErrorReason};

use super::{
    Account,
    stream::{Event, Settled},
};
use crate::{challenge::VerifiedChallenge, error::Error};

/// How long until the first try after a failure; each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that becomes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What somebody hears who listens.
#[derive(Debug)]
pub enum News {
    /// The stream is open. What waits for an answer comes next.
    Listening,
    /// This waits for an answer. Told once, however often the stream is opened again.
    Asked(Box<VerifiedChallenge>),
    /// What was told as asked can be answered no more.
    Settled(Settled),
    /// The stream broke, or could not be opened. It will be opened again in a while.
    Interrupted(Error),
}

/// Somebody who listens, over the ends of single streams.
struct Listener<'a> {
    account: &'a Account,
    /// Told as asked and not yet as settled.
    asked: BTreeSet<String>,
    /// In a row.
    failures: u32,
    tell: &'a mut (dyn FnMut(News) + Send),
}

impl Account {
    /// Listens until that makes no sense any more, and returns why: the server knows this device no more
    /// (`CREDENTIAL_INVALID`), is not to be trusted, or speaks another language. After a drain, a failure on the way or
    /// an end without a word the stream is opened again.
    pub async fn listen(&self, tell: &mut (dyn FnMut(News) + Send)) -> Error {
        let mut listener = Listener { account: self, asked: BTreeSet::new(), failures: 0, tell };
        loop {
            let Err(error) = listener.listen_once().await else { continue };
            if !may_pass(&error) {
                return error;
            }
            let pause = listener.pause(&error);
            (listener.tell)(News::Interrupted(error));
            self.agent.clock.sleep(pause).await;
        }
    }
}

impl Listener<'_> {
    /// Listens to one stream to its end.
    async fn listen_once(&mut self) -> Result<(), Error> {
        let mut stream = self.account.subscribe().await?;
        (self.tell)(News::Listening);
        self.catch_up().await?;
        let mut was_alive = false;
        while let Some(event) = stream.next().await? {
            (was_alive, self.failures) = (true, 0);
            match event {
                Event::Asked(challenge) if self.asked.insert(challenge.id().to_owned()) => {
                    (self.tell)(News::Asked(challenge));
                }
                Event::Settled(settled) => self.settle(settled),
                Event::Asked(_) | Event::Alive => {}
            }
        }
        if was_alive {
            return Ok(());
        }
        // A server that does so with every stream is not asked without a pause.
        let origin = self.account.server().to_owned();
        Err(Error::Unreachable { origin, problem: "its stream ended at once".to_owned() })
    }

    /// A new stream says nothing of what was settled before it was opened.
    async fn catch_up(&mut self) -> Result<(), Error> {
        for challenge_id in self.asked.clone() {
            let (state, denial_reason) = match self.account.challenge(&challenge_id).await {
                Ok(challenge) if challenge.state() == ChallengeState::Pending => continue,
                Ok(challenge) => (challenge.state(), challenge.denial_reason()),
                // Too old to be read, or signed by a key that counts no more: over in any case.
                Err(Error::ChallengeNotFound(_) | Error::Untrusted(_)) => (ChallengeState::Unspecified, None),
                Err(error) => return Err(error),
            };
            self.settle(Settled { challenge_id, state, denial_reason });
        }
        Ok(())
    }

    fn settle(&mut self, settled: Settled) {
        if self.asked.remove(&settled.challenge_id) {
            (self.tell)(News::Settled(settled));
        }
    }

    /// How long to wait after one more failure: longer each time, as long as the server asks for, and a little by
    /// chance, so that not all devices come back at once.
    fn pause(&mut self, error: &Error) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5));
        self.failures += 1;
        let asked_for = match error {
            Error::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let pause = doubled.min(LONGEST_PAUSE).max(asked_for);
        pause.mul_f64(1.0 + self.account.agent.share())
    }
}

/// Whether the same may go well in a while.
fn may_pass(error: &Error) -> bool {
    const PASSING: [ErrorReason; 5] = [
        ErrorReason::RateLimited,
        ErrorReason::StoreUnavailable,
        ErrorReason::ShuttingDown,
        ErrorReason::ServerClock,
        ErrorReason::ClockSkew,
    ];
    match error {
        Error::Unreachable { .. } => true,
        Error::Refused(refusal) => PASSING.iter().any(|reason| refusal.is(*reason)),
        _ => false,
    }
}
