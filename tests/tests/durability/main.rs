//! What an acknowledged write survives, on each store: the server killed, Redis killed, the power lost.
//!
//! `docs/durability.md` says what follows. With `-- --nocapture` each case prints its figures.

mod disk;
mod killed;
mod ledger;
mod load;
mod power_loss;
mod writes;

use std::time::Duration;

/// Fails the test when what is waited for does not come.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("it comes in time")
}
