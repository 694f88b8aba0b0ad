//! Making applications and their API keys, as `countersign app` does, beside a running server or before its first
//! start.

use std::sync::Arc;

use countersign_domain::policy::Policy;
use countersign_proto::{statement_form::MAX_NAME_CHARS, text};
use secrecy::SecretString;

use crate::{
    api_key::ApiKey,
    clock::Clock,
    foundation::Foundation,
    ids::{Ids, IdsError},
    random::SharedRandom,
    store::{
        Applications as _, StoreError,
        applications::{ApiKeyRow, Application},
    },
};

/// An application, and its first API key: shown to whoever made it, and kept nowhere.
pub struct NewApplication {
    /// As it is stored.
    pub application: Application,
    /// What its backend authenticates with.
    pub api_key: SecretString,
}

/// Why an application was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Too long, empty, or with characters that could deceive.
    #[error("the name {0}")]
    Name(text::TextFault),
    /// Names are unique.
    #[error("there is an application of this name already; `countersign app list` shows them")]
    NameTaken,
    /// The key of ids.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a key was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddKeyError {
    /// The application is not there any more.
    #[error("the application is gone; `countersign app list` shows those that there are")]
    Gone,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds an API key to an application; those that it has stay in force. Returns the key: it is kept nowhere.
pub async fn add_key(
    foundation: &Foundation,
    application: &Application,
    random: SharedRandom,
) -> Result<ApiKey, AddKeyError> {
    let Foundation { store, keyring, .. } = foundation;
    let key = ApiKey::generate(random.as_ref());
    let tag = key.tag(keyring, &application.id.to_string()).to_bytes();
    let row = ApiKeyRow { id: key.id().to_owned(), tag };
    if store.add_key(application.id, row).await? { Ok(key) } else { Err(AddKeyError::Gone) }
}

/// Makes an application with the default policy and one API key.
pub async fn create(
    foundation: &Foundation,
    name: String,
    clock: &dyn Clock,
    random: SharedRandom,
) -> Result<NewApplication, CreateError> {
    text::check_required(&name, MAX_NAME_CHARS).map_err(CreateError::Name)?;
    let Foundation { store, keyring, .. } = foundation;
    let key = ApiKey::generate(random.as_ref());
    let ids = Ids::open(Arc::clone(store) as _, keyring, random).await?;
    let application =
        Application { id: ids.application(), name, policy: Policy::default(), created_at: clock.now() };
    let tag = key.tag(keyring, &application.id.to_string()).to_bytes();
    let row = ApiKeyRow { id: key.id().to_owned(), tag };
    if !store.create(application.clone(), row).await? {
        return Err(CreateError::NameTaken);
    }
    Ok(NewApplication { application, api_key: key.reveal() })
}
