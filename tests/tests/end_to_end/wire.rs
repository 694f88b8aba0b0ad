//! The accept loop: each limit is exceeded over a raw socket while another connection is served undisturbed.

mod bystander;
mod calls;
mod connections;
mod descriptors;
mod drain;
mod http1;
mod http2;
mod languages;
mod logins;
mod raw;
mod reflection;
mod running;
mod tls;

use std::time::Duration;

use tokio::time::timeout;

/// What an event may take at most before a test calls it missing: far more than any limit under test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A limit that a test waits for: long enough for who keeps it, on a busy machine too.
const SHORT: Duration = Duration::from_millis(500);

/// Waits for an event.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.expect("it happens in time")
}
