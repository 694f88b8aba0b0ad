//! The server's keys: a root that vouches, and the keys that sign challenges, offers, bindings and settlements.
//!
//! The root signs nothing but server keys. A key is followed by the next version 90 days before it ends; the
//! new one is valid from two minutes after it was made, and signs from then on.

mod remembered;

use std::{
    sync::{Arc, RwLock},
    time::Duration,
};

use countersign_domain::UnixTime;
use countersign_proto::{
    envelope::{self, CheckSignature},
    key::{SigningKey, VerificationKey},
    statement::{Envelope, ServerKeyStatement},
    statement_form::Statement,
};
use prost::Message as _;
use secrecy::ExposeSecret as _;

use self::remembered::Remembered;
use crate::{
    clock::SharedClock,
    keyring::{Keyring, OpenError, Place},
    random::{self, SharedRandom},
    store::{Secrets, StoreError, secrets::ServerKeyRow},
};

/// How long a key is valid.
const LIFETIME: Duration = Duration::from_hours(365 * 24);
/// How long before its end the next one is made.
const RENEW_BEFORE: Duration = Duration::from_hours(90 * 24);
/// How long after it was made a key signs, so that every server and device has read it by then.
const LEAD: Duration = Duration::from_mins(2);
/// How far the first key's validity reaches back: a clock that is set back must not leave the server mute.
const FIRST_REACHES_BACK: Duration = Duration::from_hours(24);

/// The name under which the sealed root key is kept.
pub const ROOT: &str = "root_key";

/// The server's identity, and the keys that sign in its name.
pub struct ServerKeys {
    root: VerificationKey,
    server_id: String,
    keys: RwLock<Arc<Vec<ActiveKey>>>,
    remembered: Remembered,
    secrets: Arc<dyn Secrets>,
    keyring: Arc<Keyring>,
    clock: SharedClock,
    random: SharedRandom,
}

struct ActiveKey {
    version: u64,
    key: SigningKey,
    verification: VerificationKey,
    keyid: String,
    statement: Envelope,
    not_before: UnixTime,
    not_after: UnixTime,
}

impl ActiveKey {
    fn info(&self) -> ServerKeyInfo {
        let Self { version, keyid, not_before, not_after, .. } = self;
        ServerKeyInfo {
            version: *version,
            keyid: keyid.clone(),
            not_before: *not_before,
            not_after: *not_after,
        }
    }

    /// Whether the envelope says that this key signed it. The server's own signatures always say so.
    fn is_named_by(&self, envelope: &Envelope) -> bool {
        envelope.signatures.iter().any(|signature| signature.keyid == self.keyid)
    }
}

/// What may be told of a server key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKeyInfo {
    /// Counts up.
    pub version: u64,
    /// RFC 7638 thumbprint, which its signatures carry as `keyid`.
    pub keyid: String,
    /// It signs from then on, unless a higher version does.
    pub not_before: UnixTime,
    /// It is valid until then (exclusive).
    pub not_after: UnixTime,
}

/// What came of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// This version was made. It signs from its `not_before` on.
    Made(ServerKeyInfo),
    /// This version was made before, and does not sign yet: nothing was done.
    UnderWay(ServerKeyInfo),
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerKeyError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is another one, or the database was tampered with.
    #[error("the server's keys cannot be opened: {0}")]
    Sealed(#[from] OpenError),
    /// What was sealed is no key.
    #[error("the server's keys are damaged")]
    Damaged,
}

/// No key is valid at the time to be signed: the clock is far off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server key is valid now: the machine's clock is far off")]
pub struct NoValidKey;

impl ServerKeys {
    /// Opens the keys; at the first start makes the root and the first server key.
    pub async fn open(
        secrets: Arc<dyn Secrets>,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, ServerKeyError> {
        let fresh = keyring.seal(place(ROOT, ""), &random::bytes::<32>(random.as_ref()));
        let sealed = match secrets.sealed(ROOT).await? {
            Some(sealed) => sealed,
            None => secrets.put_if_absent(ROOT, fresh).await?,
        };
        let root_key = open_key(&keyring, place(ROOT, ""), &sealed)?;
        let root = VerificationKey::of(&root_key);
        let keys = Self {
            root,
            server_id: root.thumbprint(),
            keys: RwLock::default(),
            remembered: Remembered::default(),
            secrets,
            keyring,
            clock,
            random,
        };
        keys.renew().await?;
        Ok(keys)
    }

    /// The root key's thumbprint: what devices and backends pin.
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// The root key.
    pub fn root(&self) -> VerificationKey {
        self.root
    }

    /// Signs with the key that signs at `at`.
    pub fn sign<S: Statement>(&self, statement: &S, at: UnixTime) -> Result<Envelope, NoValidKey> {
        let keys = self.snapshot();
        let key = signing_at(&keys, at).ok_or(NoValidKey)?;
        let signed = envelope::sign(statement, &key.key);
        self.remembered.signed(&signed, key.verification);
        Ok(signed)
    }

    /// The root's statement about the key that signs now.
    pub fn present(&self) -> Result<Envelope, NoValidKey> {
        let keys = self.snapshot();
        Ok(signing_at(&keys, self.clock.now()).ok_or(NoValidKey)?.statement.clone())
    }

    /// The root's statements about the keys that signed `envelopes`, lowest version first, each once.
    pub fn statements_for(&self, envelopes: &[&Envelope]) -> Vec<Envelope> {
        let signed = |key: &&ActiveKey| envelopes.iter().any(|envelope| key.is_named_by(envelope));
        self.snapshot().iter().filter(signed).map(|key| key.statement.clone()).collect()
    }

    /// Opens what one of the server's own keys signed.
    pub fn open_own<S: Statement>(&self, signed: &Envelope) -> Option<S> {
        let keys = self.snapshot();
        let key = keys.iter().find(|key| key.is_named_by(signed))?.verification;
        self.remembered.check(signed, key).and_then(|()| envelope::read(signed)).ok()
    }

    /// Checks signatures, and remembers those that are good.
    pub fn signatures(&self) -> &impl CheckSignature {
        &self.remembered
    }

    /// Whether `key` is one of the server's own.
    pub fn is_own(&self, key: VerificationKey) -> bool {
        key == self.root || self.snapshot().iter().any(|own| own.verification == key)
    }

    /// Reads the keys again, and makes the next one when it is due. Another process may do the same: one of
    /// them adds the version, the other reads it.
    pub async fn renew(&self) -> Result<(), ServerKeyError> {
        self.read().await?;
        let now = self.clock.now();
        let newest = self.snapshot().last().map(|key| (key.version, key.not_before, key.not_after));
        let (version, not_before) = match newest {
            None => (1, now.minus(FIRST_REACHES_BACK)),
            // The newest must be in force, or about to be, and stay so: devices refuse a lower version than they
            // have seen. One that was made while the clock was years off is followed by another.
            Some((_, not_before, not_after))
                if not_before <= now.plus(LEAD) && now.plus(RENEW_BEFORE) < not_after =>
            {
                return Ok(());
            }
            Some((version, ..)) => (version + 1, now.plus(LEAD)),
        };
        if self.add(version, not_before).await? {
            tracing::info!(server_key.version = version, "made a server key");
        }
        self.read().await
    }

    /// Makes the next version now, whatever is left of the present one. Servers read it within a minute, and sign
    /// with it from its `not_before` on, two minutes ahead. What was signed before still verifies.
    pub async fn rotate(&self) -> Result<Rotation, ServerKeyError> {
        self.renew().await?;
        let now = self.clock.now();
        let newest = self.newest()?;
        if now < newest.not_before {
            return Ok(Rotation::UnderWay(newest));
        }
        let is_ours = self.add(newest.version + 1, now.plus(LEAD)).await?;
        self.read().await?;
        let newest = self.newest()?;
        // Otherwise another process has made one at the same moment, which serves as well.
        Ok(if is_ours { Rotation::Made(newest) } else { Rotation::UnderWay(newest) })
    }

    /// All keys, the lowest version first.
    pub fn list(&self) -> Vec<ServerKeyInfo> {
        self.snapshot().iter().map(ActiveKey::info).collect()
    }

    /// The version that signs now.
    pub fn signing(&self) -> Option<u64> {
        Some(signing_at(&self.snapshot(), self.clock.now())?.version)
    }

    fn newest(&self) -> Result<ServerKeyInfo, ServerKeyError> {
        self.list().pop().ok_or(ServerKeyError::Damaged)
    }

    async fn add(&self, version: u64, not_before: UnixTime) -> Result<bool, ServerKeyError> {
        let secret = random::bytes::<32>(self.random.as_ref());
        let key = SigningKey::from_bytes(&secret);
        let not_after = not_before.plus(LIFETIME);
        let statement = ServerKeyStatement {
            server_id: self.server_id.clone(),
            version,
            public_key: Some(VerificationKey::of(&key).to_wire()),
            not_before: Some(not_before.to_wire()),
            not_after: Some(not_after.to_wire()),
        };
        // The root's private half is in memory for this signature only.
        let sealed = self.secrets.sealed(ROOT).await?.ok_or(ServerKeyError::Damaged)?;
        let root = open_key(&self.keyring, place(ROOT, ""), &sealed)?;
        let row = ServerKeyRow {
            version,
            sealed_key: self.keyring.seal(place("server_key", &version.to_string()), &secret),
            statement: envelope::sign(&statement, &root).encode_to_vec(),
            not_before,
            not_after,
        };
        Ok(self.secrets.add_server_key(row).await?)
    }

    async fn read(&self) -> Result<(), ServerKeyError> {
        let rows = self.secrets.server_keys().await?;
        let keys: Result<Vec<_>, _> = rows.iter().map(|row| active(&self.keyring, self.root, row)).collect();
        *self.keys.write().expect("nobody panics while holding it") = Arc::new(keys?);
        Ok(())
    }

    fn snapshot(&self) -> Arc<Vec<ActiveKey>> {
        Arc::clone(&self.keys.read().expect("nobody panics while holding it"))
    }
}

/// Opens keys as they are stored, and makes none: what a look from outside needs. `sealed_root`: as
/// [`Secrets::sealed`] has it under `root_key`.
pub fn inspect(
    keyring: &Keyring,
    sealed_root: &[u8],
    rows: &[ServerKeyRow],
) -> Result<Vec<ServerKeyInfo>, ServerKeyError> {
    let root = VerificationKey::of(&open_key(keyring, place(ROOT, ""), sealed_root)?);
    rows.iter().map(|row| Ok(active(keyring, root, row)?.info())).collect()
}

/// Only what the root signed about this very key is used: the row's own columns are not trusted.
fn active(keyring: &Keyring, root: VerificationKey, row: &ServerKeyRow) -> Result<ActiveKey, ServerKeyError> {
    let key = open_key(keyring, place("server_key", &row.version.to_string()), &row.sealed_key)?;
    let statement = Envelope::decode(row.statement.as_slice()).map_err(|_| ServerKeyError::Damaged)?;
    let vouched =
        countersign_proto::trust::ServerKey::open(&statement, root).map_err(|_| ServerKeyError::Damaged)?;
    let verification = VerificationKey::of(&key);
    if vouched.key != verification {
        return Err(ServerKeyError::Damaged);
    }
    let (version, not_before, not_after) = (vouched.version, vouched.not_before, vouched.not_after);
    let keyid = verification.thumbprint();
    Ok(ActiveKey { version, key, verification, keyid, statement, not_before, not_after })
}

/// The highest version that is valid at `at`.
fn signing_at(keys: &[ActiveKey], at: UnixTime) -> Option<&ActiveKey> {
    keys.iter().rev().find(|key| key.not_before <= at && at < key.not_after)
}

fn open_key(keyring: &Keyring, place: Place<'_>, sealed: &[u8]) -> Result<SigningKey, ServerKeyError> {
    let secret = keyring.open(place, sealed)?;
    let secret: &[u8; 32] = secret.expose_secret().try_into().map_err(|_| ServerKeyError::Damaged)?;
    Ok(SigningKey::from_bytes(secret))
}

fn place<'a>(kind: &'static str, row_id: &'a str) -> Place<'a> {
    Place { kind, application_id: "", user_id: "", row_id }
}
