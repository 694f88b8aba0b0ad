//! What the server does by itself: finishes what broke in between, forgets what is over, renews its keys.

use std::{sync::Arc, time::Duration};

use crate::{core::Core, store::StoreError, users::put_up_tombstone};

/// How often. Server keys are read again as often, so that a new one is known before it signs.
const EVERY: Duration = Duration::from_mins(1);

/// How far the clocks of this machine and of the store may lie apart before the operator is told. Beyond 2 s no
/// challenge can be created.
const CLOCKS_WITHIN: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub async fn run(core: Arc<Core>) {
    loop {
        core.clock.sleep(EVERY).await;
        once(&core).await;
    }
}

/// Does each of its works once. Whatever fails is tried again at the next round; the stores have logged why.
pub async fn once(core: &Core) {
    let _ = finish_revocations(core).await;
    let _ = forget(core).await;
    let _ = compare_clocks(core).await;
    if let Err(error) = core.server_keys.renew().await {
        tracing::error!(error = %error, "cannot renew the server keys");
    }
}

/// Puts up the tombstones that are still due: after a crash, or because the command line left it to the servers to call
/// them done. One that cannot be put up holds up no other.
pub async fn finish_revocations(core: &Core) -> Result<(), StoreError> {
    for due in core.devices.tombstones_due().await? {
        let factor = due.factor;
        if let Err(error) = put_up_tombstone(core, due).await {
            tracing::error!(factor.id = %factor, error = %error, "cannot finish a revocation; trying again later");
        }
    }
    Ok(())
}

/// Tells the operator when the store's clock, by which challenges expire, is another one than this machine's.
pub async fn compare_clocks(core: &Core) -> Result<(), StoreError> {
    let store = core.challenges.time().await?;
    let own = core.clock.now();
    let apart = store.since(own).max(own.since(store));
    if apart > CLOCKS_WITHIN {
        tracing::warn!(
            clock.own = %own,
            clock.store = %store,
            clock.seconds_apart = apart.as_secs_f64(),
            "this machine's clock and Redis' differ: beyond 2 s no challenge can be created; see to it that \
             both keep time (NTP)"
        );
    }
    Ok(())
}

async fn forget(core: &Core) -> Result<(), StoreError> {
    while core.challenges.clean().await? > 0 {}
    if let Some(left_behind) = &core.challenges_left_behind {
        while left_behind.clean().await? > 0 {}
    }
    while core.enrollments.clean().await? > 0 {}
    while core.hold_copies.clean().await? > 0 {}
    Ok(())
}
