//! One device's wake-up, from the first attempt to its end.

use std::{sync::Arc, time::Duration};

use countersign_proto::{login::DeliveryState, statement::push_target::Target, time::UnixTime};
use tokio::sync::watch;

use super::{Context, Wanted, back_off};
use crate::push::{Outcome, WakeUp};

/// Why a delivery ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its challenge is settled.
    Settled,
    /// The server ends.
    ShuttingDown,
    /// It was one too many.
    Full,
}

/// One device's wake-up.
pub(super) struct Delivery {
    pub(super) context: Arc<Context>,
    pub(super) wake_up: WakeUp,
    pub(super) target: Target,
}

/// What came of it.
enum End {
    Accepted,
    Settled,
    Gone { reason: String, since: Option<UnixTime> },
    Failed { reason: String },
}

/// What ended a wait.
enum Event<T> {
    Came(T),
    Stopped(Stop),
    Expired,
}

impl Delivery {
    /// Runs until the device is woken, or cannot be, or need not be.
    pub(super) async fn run(self, mut stop: watch::Receiver<Option<Stop>>) {
        let mut attempts = 0;
        let end = self.attempts(&mut stop, &mut attempts).await;
        self.tell(end, attempts).await;
    }

    async fn attempts(&self, stop: &mut watch::Receiver<Option<Stop>>, attempts: &mut u32) -> End {
        let Some(channel) = self.context.channels.to(&self.target) else {
            return End::Failed { reason: "the push provider of this device is not configured".to_owned() };
        };
        let mut last = "no answer yet".to_owned();
        loop {
            let attempt = async {
                *attempts += 1;
                channel.send(&self.target, &self.wake_up).await
            };
            let outcome = match self.or_end(stop, attempt).await {
                Event::Came(outcome) => outcome,
                Event::Stopped(cause) => return stopped(cause, &last),
                Event::Expired => return expired(&last),
            };
            let after = match outcome {
                Outcome::Accepted => return End::Accepted,
                Outcome::TargetGone { reason, since } => return End::Gone { reason, since },
                Outcome::Misconfigured { reason } | Outcome::Unknown { reason } => {
                    return End::Failed { reason };
                }
                Outcome::Retry { after, reason } => {
                    last = reason;
                    after
                }
            };
            if let Some(end) = self.until_next_attempt(stop, *attempts, after, &last).await {
                return end;
            }
        }
    }

    /// Waits for the next attempt, and asks whether it is still wanted: much may have happened since the last one. While
    /// the store does not say, nobody is woken. `Some`: there is no next attempt.
    async fn until_next_attempt(
        &self,
        stop: &mut watch::Receiver<Option<Stop>>,
        attempts: u32,
        mut after: Option<Duration>,
        last: &str,
    ) -> Option<End> {
        for waits in attempts.. {
            let wanted = match self.back_off(stop, waits, after.take()).await {
                Event::Came(()) => {
                    self.or_end(stop, self.context.log.is_wanted(&self.wake_up.challenge_id)).await
                }
                Event::Stopped(cause) => Event::Stopped(cause),
                Event::Expired => Event::Expired,
            };
            match wanted {
                Event::Came(Wanted::Yes) => return None,
                Event::Came(Wanted::Settled) => return Some(End::Settled),
                Event::Came(Wanted::Blocked) => return Some(blocked(last)),
                Event::Came(Wanted::Unknown) => {}
                Event::Stopped(cause) => return Some(stopped(cause, last)),
                Event::Expired => return Some(expired(last)),
            }
        }
        None
    }

    /// Waits for the next attempt; says so at once when that would come too late.
    async fn back_off(
        &self,
        stop: &mut watch::Receiver<Option<Stop>>,
        attempts: u32,
        after: Option<Duration>,
    ) -> Event<()> {
        let clock = &self.context.clock;
        let next = clock.now().plus(back_off::wait(attempts, after, self.context.random.as_ref()));
        if next >= self.wake_up.expires_at {
            return Event::Expired;
        }
        self.or_end(stop, clock.sleep_until(next)).await
    }

    /// Waits for `future`, but no longer than it serves.
    async fn or_end<T>(
        &self,
        stop: &mut watch::Receiver<Option<Stop>>,
        future: impl Future<Output = T>,
    ) -> Event<T> {
        let expiry = self.context.clock.sleep_until(self.wake_up.expires_at);
        tokio::select! {
            biased;
            cause = stopping(stop) => Event::Stopped(cause),
            () = expiry => Event::Expired,
            came = future => Event::Came(came),
        }
    }

    async fn tell(&self, end: End, attempts: u32) {
        let WakeUp { challenge_id, device_id, .. } = &self.wake_up;
        let log = &self.context.log;
        match end {
            End::Settled => {}
            End::Accepted => {
                tracing::debug!(
                    push.challenge_id = challenge_id,
                    push.device_id = device_id,
                    push.attempts = attempts,
                    "push accepted"
                );
                log.note(challenge_id, device_id, DeliveryState::Accepted).await;
            }
            End::Gone { reason, since } => {
                tracing::warn!(
                    push.challenge_id = challenge_id,
                    push.device_id = device_id,
                    push.attempts = attempts,
                    push.reason = reason,
                    "device not woken: its push target is gone"
                );
                log.note(challenge_id, device_id, DeliveryState::Failed).await;
                log.target_gone(device_id, &self.target, since).await;
            }
            End::Failed { reason } => {
                tracing::warn!(
                    push.challenge_id = challenge_id,
                    push.device_id = device_id,
                    push.attempts = attempts,
                    push.reason = reason,
                    "device not woken"
                );
                log.note(challenge_id, device_id, DeliveryState::Failed).await;
            }
        }
    }
}

/// The cause, once there is one.
async fn stopping(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    let cause = stop.wait_for(Option::is_some).await.ok().and_then(|cause| *cause);
    match cause {
        Some(cause) => cause,
        // The books have closed without a word: nobody stops it any more.
        None => std::future::pending().await,
    }
}

fn stopped(cause: Stop, last: &str) -> End {
    match cause {
        Stop::Settled => End::Settled,
        Stop::ShuttingDown => End::Failed { reason: format!("the server shuts down; before that: {last}") },
        Stop::Full => End::Failed { reason: "too many pushes are waiting already".to_owned() },
    }
}

fn blocked(last: &str) -> End {
    End::Failed {
        reason: format!("the person has said 'it was not me' of another challenge; before that: {last}"),
    }
}

fn expired(last: &str) -> End {
    End::Failed { reason: format!("the challenge ends before the next attempt; the last one: {last}") }
}
