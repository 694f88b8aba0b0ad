//! `Subscribe`: a device hears of its challenges as they come and as they are settled.
//!
//! A stream keeps no events. It knows what it has told, is woken when something may have changed, and reads once its
//! peer takes more. So a slow reader costs no memory, and the newest state wins.

use std::{pin::Pin, sync::Arc, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, Wakeup},
    id::{ChallengeId, UserTag},
};
use countersign_proto::device;
use tokio::sync::futures::OwnedNotified;

use super::Approval;
use crate::{
    call::Caller, core::Core, device_streams::DeviceStream, random, refusal::Refusal, waiters::Registration,
};

/// After how long without an event an empty one tells that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long a stream lives at least; and how much longer at most (15 minutes in all), so that those that were opened
/// together are not opened again together.
const LIFE: Duration = Duration::from_mins(12);
const LIFE_JITTER_MILLIS: u64 = 3 * 60 * 1000;

/// An open stream of one device.
pub struct Subscription {
    approval: Approval,
    caller: Caller,
    /// Challenges that were told as pending and not yet as settled.
    told: Vec<Told>,
    registration: Registration<UserTag>,
    /// The next wake-up after the last reading began.
    woken: Pin<Box<OwnedNotified>>,
    /// Whether all that was read has been told.
    is_current: bool,
    is_opening: bool,
    has_ended: bool,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: DeviceStream,
}

#[derive(Clone, Copy)]
struct Told {
    id: ChallengeId,
    expires_at: UnixTime,
}

/// What is to be told next.
struct Change {
    challenge: ChallengeRecord,
    /// Whether all that was read has been told with it.
    is_last: bool,
}

/// Whether a stream tells its device of a pending challenge that it has not told of yet. This is the one place where
/// that is decided; what has been told is followed until it is settled. While pushes are held back or blocked, a stream
/// disturbs nobody either: such a challenge can be pulled. So can one that was made before they were blocked, since it
/// is told as blocked then.
fn is_announced(challenge: &ChallengeRecord) -> bool {
    challenge.state.is_pending() && challenge.wakeup == Wakeup::Sending
}

impl Approval {
    /// Opens a stream for the device. One that is not confirmed yet hears nothing; an unknown or revoked one is refused.
    pub async fn subscribe(&self, caller: Caller) -> Result<Subscription, Refusal> {
        let core = &self.0;
        let row = core.device_with_key(caller.device, caller.key).await?;
        // After the key was found to be the device's: nobody else takes its places.
        let place = core.device_streams.take(caller.device).ok_or(Refusal::RateLimited)?;
        // Only informs; what cannot be written has been logged by the store.
        let _ = core.devices.note_seen(row.id, core.clock.now()).await;
        let user = caller.device.user();
        let registration = core.device_waiters.register(user);
        if let Some(wakeups) = &core.wakeups {
            wakeups.watch(user).await?;
        }
        let longer = u64::from_be_bytes(random::bytes(core.random.as_ref())) % LIFE_JITTER_MILLIS;
        Ok(Subscription {
            approval: self.clone(),
            caller,
            told: Vec::new(),
            woken: Box::pin(registration.woken_owned()),
            registration,
            is_current: false,
            is_opening: true,
            has_ended: false,
            over: core.clock.sleep(LIFE + Duration::from_millis(longer)),
            _place: place,
        })
    }
}

impl Subscription {
    /// The next event: a challenge that is new or has been settled; without one, that the stream is alive. Ends when
    /// its life is over, or with a refusal when the device is no more.
    pub async fn next(&mut self) -> Option<Result<Option<device::Challenge>, Refusal>> {
        if self.has_ended {
            return None;
        }
        let core = Arc::clone(&self.approval.0);
        let mut heartbeat = core.clock.sleep(HEARTBEAT);
        let mut is_due = false;
        loop {
            let mut is_busy = false;
            if !self.is_current {
                let read = Box::pin(self.read()).await;
                let is_opening = std::mem::take(&mut self.is_opening);
                match read {
                    Ok(None) => {}
                    Ok(event) => return Some(Ok(event)),
                    // A store that is away for a moment, or busy, is no end for somebody who waits anyway.
                    Err(Refusal::StoreUnavailable) if !is_opening => {}
                    Err(Refusal::RateLimited) if !is_opening => is_busy = true,
                    Err(refusal) => {
                        self.has_ended = true;
                        return Some(Err(refusal));
                    }
                }
            }
            // Only now: a revoked device is not told even that.
            if is_due {
                return Some(Ok(None));
            }
            let soonest = self.told.iter().map(|told| told.expires_at).min();
            tokio::select! {
                () = &mut self.woken => {}
                () = &mut self.over => {
                    self.has_ended = true;
                    return None;
                }
                () = &mut heartbeat => is_due = true,
                () = expiry(&core, soonest) => {}
                () = core.less_to_do(is_busy) => {}
                () = core.poll() => watch_again(&core, self.caller.device.user()).await,
            }
            self.is_current = false;
        }
    }

    /// Reads what there is, and takes the first change that has not been told. The device itself is read last, whatever
    /// came of that: nothing goes out to one that was revoked meanwhile, and its stream ends.
    async fn read(&mut self) -> Result<Option<device::Challenge>, Refusal> {
        let core = Arc::clone(&self.approval.0);
        let _turn = core.turns_of_streams.acquire().await;
        self.woken = Box::pin(self.registration.woken_owned());
        let change = self.change().await;
        core.device_with_key(self.caller.device, self.caller.key).await?;
        let Some(Change { challenge, is_last }) = change? else {
            self.is_current = true;
            return Ok(None);
        };
        if challenge.state.is_pending() {
            core.note_fetched(challenge.id, self.caller.device).await;
            self.told.push(Told { id: challenge.id, expires_at: challenge.expires_at });
        } else {
            self.told.retain(|told| told.id != challenge.id);
        }
        self.is_current = is_last;
        Ok(Some(self.approval.describe(&challenge)))
    }

    /// The first change that has not been told. What is neither there nor news any more is forgotten.
    async fn change(&mut self) -> Result<Option<Change>, Refusal> {
        let core = Arc::clone(&self.approval.0);
        let open = core.challenges.open(self.caller.device.user()).await?;
        let mut candidates = self.candidates(&open, core.clock.now());
        while let Some(id) = candidates.pop() {
            let Some(challenge) = self.approval.look(id, self.caller).await? else {
                self.told.retain(|told| told.id != id);
                continue;
            };
            let was_told = self.told.iter().any(|told| told.id == id);
            let is_pending = challenge.state.is_pending();
            let is_news = if was_told { !is_pending } else { is_announced(&challenge) };
            if is_news {
                return Ok(Some(Change { challenge, is_last: candidates.is_empty() }));
            }
        }
        Ok(None)
    }

    /// Challenges that may have changed since they were told, or are new: the last is looked at first. What has been
    /// settled is told before what is new, which may have taken its place.
    fn candidates(&self, open: &[ChallengeId], now: UnixTime) -> Vec<ChallengeId> {
        let is_told = |id: &ChallengeId| self.told.iter().any(|told| told.id == *id);
        let over = |told: &&Told| !open.contains(&told.id) || told.expires_at <= now;
        // `open` has the newest first: the oldest is told first.
        let new = open.iter().filter(|id| !is_told(id)).copied();
        new.chain(self.told.iter().filter(over).map(|told| told.id)).collect()
    }
}

/// Whom to tell may have been forgotten.
async fn watch_again(core: &Core, user: UserTag) {
    if let Some(wakeups) = &core.wakeups {
        // The store has logged why, if it cannot be done; the next poll tries again.
        let _ = wakeups.watch(user).await;
    }
}

async fn expiry(core: &Core, soonest: Option<UnixTime>) {
    match soonest {
        Some(expires_at) => core.expiry(expires_at).await,
        None => std::future::pending().await,
    }
}
