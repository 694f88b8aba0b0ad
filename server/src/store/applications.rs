//! Applications and their API keys.

use countersign_domain::{UnixTime, id::ApplicationId, policy::Policy};

use super::StoreFuture;

/// A login backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Shown to people; unique.
    pub name: String,
    /// What holds where a request says nothing.
    pub policy: Policy,
    /// When it was made.
    pub created_at: UnixTime,
}

/// The key of an application: what a store keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// What stands between `csk_` and the secret.
    pub id: String,
    /// HMAC of the secret.
    pub tag: [u8; 32],
}

/// Applications and their API keys.
pub trait Applications: Send + Sync {
    /// Adds an application with its first key. `false`: the name is taken. Again, with the same ids and key:
    /// `true`.
    fn create(&self, application: Application, key: ApiKeyRow) -> StoreFuture<'_, bool>;

    /// Replaces the policy if it is still `old`. `false`: there is no such application, or it has changed.
    fn set_policy(&self, name: String, old: Policy, new: Policy) -> StoreFuture<'_, bool>;

    /// All, by name.
    fn list(&self) -> StoreFuture<'_, Vec<Application>>;

    /// The application of this id.
    fn by_id(&self, id: ApplicationId) -> StoreFuture<'_, Option<Application>>;

    /// Adds a key beside those that the application has. `false`: there is no such application.
    fn add_key(&self, application: ApplicationId, key: ApiKeyRow) -> StoreFuture<'_, bool>;

    /// The ids of an application's keys, in the order in which they were added.
    fn key_ids(&self, application: ApplicationId) -> StoreFuture<'_, Vec<String>>;

    /// Takes a key away: no server finds it from then on. `false`: the application has no such key.
    fn remove_key(&self, application: ApplicationId, key_id: String) -> StoreFuture<'_, bool>;

    /// The application that a key belongs to, and the key.
    fn by_key(&self, key_id: String) -> StoreFuture<'_, Option<(Application, ApiKeyRow)>>;
}
