//! Work that a caller who hangs up must not cut off.

use std::{future::Future, panic};

use tokio_util::task::TaskTracker;

/// Where use cases run what must be finished once it is begun.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// Runs `work` in a task of its own and waits for it; should the caller go away, it runs on.
    pub async fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.0.spawn(work).await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // Nobody aborts these tasks; only a runtime that is being dropped does.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Starts `work` and does not wait for it.
    pub fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }

    /// Ends when all that was begun is finished.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
