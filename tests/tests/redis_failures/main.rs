//! Redis' bad days: what callers of two servers see when it is down, slow, full or forgetful, or when answers and
//! messages of it are lost.
//!
//! At worst that is UNAVAILABLE with `RetryInfo`; never a second outcome; and the same call again gets the outcome.

#[path = "../end_to_end/world/backend.rs"]
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
mod backend;
#[path = "../push/captured_log.rs"]
mod captured_log;
mod clock;
mod clocks_apart;
mod fixture;
mod forgotten;
mod lost_replies;
mod outages;
#[path = "../end_to_end/world/refused.rs"]
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
mod refused;
mod refused_writes;
mod replica;
mod ten_seconds;
mod under_load;
mod wake_ups;

use std::time::Duration;

/// Fails the test when what is waited for does not come. Some of it is ten thousand calls on a busy machine.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(2), future).await.expect("it comes in time")
}
