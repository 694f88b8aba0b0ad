//! The API key of a call that waits or streams: nothing is told by it once it is revoked.

use std::sync::Arc;

use tokio::sync::futures::OwnedNotified;

use crate::{
    api_key::ApiKeyId, core::Core, refusal::Refusal, store::applications::Application, waiters::Registration,
};

/// An API key that was found to be good when its call began.
pub struct HeldKey {
    core: Arc<Core>,
    application: Application,
    /// Of its secret, as it is stored.
    tag: [u8; 32],
    registration: Registration<ApiKeyId>,
}

impl HeldKey {
    /// Holds a key of `application`, which has just been looked up and has this stored tag.
    pub fn new(core: &Arc<Core>, application: Application, id: ApiKeyId, tag: [u8; 32]) -> Self {
        let registration = core.api_key_waiters.register(id);
        Self { core: Arc::clone(core), application, tag, registration }
    }

    /// Whose key it is, as it was when the call began.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// Looks the key up again: one indexed read. To be called after all that is told was read, so that no word goes
    /// out that a revocation came before. An error is a refusal of the key, or that it cannot be looked up.
    pub async fn check(&self) -> Result<(), Refusal> {
        let found = self.core.applications.by_key(self.registration.key().as_str().to_owned()).await?;
        match found {
            Some((application, row)) if application.id == self.application.id && row.tag == self.tag => {
                Ok(())
            }
            _ => Err(Refusal::API_KEY),
        }
    }

    /// Ends when the key was seen to be revoked, a second after that at the latest. Counts from the moment this is
    /// called, not first polled.
    pub fn revoked(&self) -> impl Future<Output = ()> + '_ {
        self.registration.woken()
    }

    /// The same, to be kept beside the key.
    pub fn revoked_owned(&self) -> OwnedNotified {
        self.registration.woken_owned()
    }
}
