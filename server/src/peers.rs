//! What other servers on the same challenges tell this one.

use std::sync::Arc;

use countersign_domain::id::ChallengeId;

use crate::{core::Core, store::wakeups::Wakeup};

/// Passes on what other servers tell, to whoever waits here and to the pushes that are under way here. Runs until
/// it is dropped.
pub async fn listen(core: &Arc<Core>) {
    let Some(wakeups) = &core.wakeups else { return std::future::pending().await };
    let tell = |wakeup| match wakeup {
        Wakeup::Ended(challenge) => ended(core, challenge),
        Wakeup::Devices(user) => core.device_waiters.wake(user),
        Wakeup::Delivery(challenge) => core.delivery_waiters.wake(challenge),
        Wakeup::Gap => {
            core.challenge_waiters.wake_all();
            core.device_waiters.wake_all();
            core.delivery_waiters.wake_all();
        }
    };
    wakeups.listen(&tell).await;
}

/// Waiters read it themselves. Pushes stop only once it has been read that it is so: a message proves nothing.
fn ended(core: &Arc<Core>, challenge: ChallengeId) {
    core.challenge_waiters.wake(challenge);
    core.device_waiters.wake(challenge.user());
    if core.dispatcher.is_waking(&challenge.to_string()) {
        let core = Arc::clone(core);
        core.tasks.clone().start(async move {
            // The store has logged why, if it cannot be read; pushes end with the challenge in any case.
            if let Ok(Some(record)) = core.challenges.view(challenge).await {
                core.announce(&record);
            }
        });
    }
}
