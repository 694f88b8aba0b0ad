//! A server that hears of what others do.

use std::{sync::Arc, time::Duration};

use countersign::store::{Wakeups as _, redis::RedisStore, wakeups::Wakeup};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

/// What is not heard by then is not heard at all.
const WITHIN: Duration = Duration::from_secs(30);

/// What a store hears.
pub(super) struct Heard(UnboundedReceiver<Wakeup>);

impl Heard {
    /// From when `store` listens, for as long as the test runs.
    pub(super) async fn by(store: &Arc<RedisStore>) -> Self {
        let (told, heard) = unbounded_channel();
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let tell = move |wakeup| {
                // Nobody listens any more once the test is over.
                let _ = told.send(wakeup);
            };
            store.listen(&tell).await;
        });
        let mut heard = Self(heard);
        // One of the connection, one of the subscription.
        for _ in 0..2 {
            assert_eq!(heard.next().await, Wakeup::Gap);
        }
        heard
    }

    pub(super) async fn next(&mut self) -> Wakeup {
        let heard = timeout(WITHIN, self.0.recv()).await;
        heard.expect("a wake-up in time").expect("the store listens")
    }
}
