//! The word that the server is going away.

use tokio::sync::watch;

/// A switch that is thrown once, and that everybody who holds a clone can await: the accept loop to drain,
/// handlers that wait to answer `SHUTTING_DOWN` instead.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// A switch that is not yet thrown.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Throws it. Again does nothing.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Ends once it was thrown, at once when it was thrown before.
    pub async fn begun(&self) {
        let mut begun = self.0.subscribe();
        // It cannot fail: the sender lives in `self`.
        let _ = begun.wait_for(|begun| *begun).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
