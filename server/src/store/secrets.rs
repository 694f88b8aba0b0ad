//! What the installation itself keeps: sealed values, and the server keys.

use countersign_domain::UnixTime;

use super::StoreFuture;

/// A server key: sealed private half, and what the root signed about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKeyRow {
    /// Counts up.
    pub version: u64,
    /// The private key, sealed under the master key.
    pub sealed_key: Vec<u8>,
    /// An encoded `Envelope` with a `ServerKeyStatement`.
    pub statement: Vec<u8>,
    /// Valid from.
    pub not_before: UnixTime,
    /// Valid until.
    pub not_after: UnixTime,
}

/// Sealed values by name, and server keys by version.
pub trait Secrets: Send + Sync {
    /// A sealed value.
    fn sealed(&self, name: &'static str) -> StoreFuture<'_, Option<Vec<u8>>>;

    /// Stores a sealed value if there is none of this name. Returns the one that stands.
    fn put_if_absent(&self, name: &'static str, sealed: Vec<u8>) -> StoreFuture<'_, Vec<u8>>;

    /// Stores a sealed value in place of `old`. `false`: another one stands there.
    fn replace(&self, name: &'static str, old: Option<Vec<u8>>, new: Vec<u8>) -> StoreFuture<'_, bool>;

    /// All server keys, lowest version first.
    fn server_keys(&self) -> StoreFuture<'_, Vec<ServerKeyRow>>;

    /// Adds a server key. `false`: the version exists.
    fn add_server_key(&self, key: ServerKeyRow) -> StoreFuture<'_, bool>;
}
