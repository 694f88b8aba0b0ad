//! How long a test waits for an event at most.

use std::time::Duration;

/// What is waited for comes, or the test fails.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes in time")
}
