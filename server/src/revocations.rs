//! Revocations that another process made: the command line, which has nobody here to tell.
//!
//! What a revoked key or device is told is looked at each time. This is for those who wait and are told nothing: they
//! are to hear that it is over, and not to keep a place. It costs one read for each API key that somebody waits with
//! and one of a table that is mostly empty, however many wait.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use crate::core::Core;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Wakes who waits with what was revoked. Runs until it is dropped.
pub async fn heed(core: &Core) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        heed_keys(core).await;
        heed_devices(core).await;
    }
}

async fn heed_keys(core: &Core) {
    for key in core.api_key_waiters.awaited() {
        match core.applications.by_key(key.as_str().to_owned()).await {
            Ok(Some(_)) => {}
            Ok(None) => core.api_key_waiters.wake(key),
            // The store has logged why it cannot be read; the next look is soon.
            Err(_) => return,
        }
        // A read does not wait for anything: with many keys, others would.
        yield_now().await;
    }
}

/// The command line leaves the tombstone due, and so does who could not put it up: upkeep takes it from there.
async fn heed_devices(core: &Core) {
    let due = core.devices.tombstones_due().await.unwrap_or_default();
    for user in due.iter().map(|due| due.user).collect::<BTreeSet<_>>() {
        core.device_waiters.wake(user);
    }
}
