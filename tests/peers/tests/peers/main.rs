//! The peers keep what they promise.

mod clock;
mod cluster;
mod proxy;
mod server;

use std::{future::Future, time::Duration};

use countersign_test_peers::Value;

/// Nothing here takes a second, but for a cluster.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("it happens within a minute")
}

async fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    tokio::select! { biased; _ = future => false, () = std::future::ready(()) => true }
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}
