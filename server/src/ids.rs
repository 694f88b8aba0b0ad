//! What names users without naming persons: the key of user tags, which belongs to the installation for good.

use std::sync::Arc;

use countersign_domain::id::{
    ApplicationId, ChallengeId, DeviceId, EnrollmentId, OtpId, RecoveryId, UserTag,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

use crate::{
    keyring::{Keyring, OpenError, Place},
    random::{self, SharedRandom},
    store::{Secrets, StoreError, devices::UserKey},
};

/// The name under which the sealed key is kept.
pub const NAME: &str = "user_tag_key";
/// Where it is sealed.
pub const PLACE: Place<'static> = Place { kind: NAME, application_id: "", user_id: "", row_id: "" };

/// Makes ids.
pub struct Ids {
    key: SecretSlice<u8>,
    random: SharedRandom,
}

/// Why ids cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdsError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key is another one, or the database was tampered with.
    #[error("the installation's id key cannot be opened: {0}")]
    Sealed(#[from] OpenError),
}

impl Ids {
    /// Opens the key; makes it at the first start.
    pub async fn open(
        secrets: Arc<dyn Secrets>,
        keyring: &Keyring,
        random: SharedRandom,
    ) -> Result<Self, IdsError> {
        let fresh = keyring.seal(PLACE, &random::bytes::<32>(random.as_ref()));
        let sealed = match secrets.sealed(NAME).await? {
            Some(sealed) => sealed,
            None => secrets.put_if_absent(NAME, fresh).await?,
        };
        Ok(Self { key: keyring.open(PLACE, &sealed)?, random })
    }

    /// The tag of a user: the first 64 bits of HMAC-SHA-256 over application and user.
    pub fn user_tag(&self, user: &UserKey) -> UserTag {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("HMAC takes a key of any length");
        // An application id has a fixed length, so the two cannot run into each other.
        mac.update(user.application.to_string().as_bytes());
        mac.update(user.user_id.as_bytes());
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = <[u8; 32]>::from(mac.finalize().into_bytes());
        UserTag(u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]))
    }

    /// A new challenge of this user.
    pub fn challenge(&self, user: UserTag) -> ChallengeId {
        ChallengeId::new(user.0, self.random())
    }

    /// A new device of this user.
    pub fn device(&self, user: UserTag) -> DeviceId {
        DeviceId::new(user.0, self.random())
    }

    /// A new TOTP secret of this user.
    pub fn otp(&self, user: UserTag) -> OtpId {
        OtpId::new(user.0, self.random())
    }

    /// A new recovery code of this user.
    pub fn recovery(&self, user: UserTag) -> RecoveryId {
        RecoveryId::new(user.0, self.random())
    }

    /// A new enrolment.
    pub fn enrollment(&self) -> EnrollmentId {
        EnrollmentId::new(self.random(), self.random())
    }

    /// A new application.
    pub fn application(&self) -> ApplicationId {
        ApplicationId::new(self.random(), self.random())
    }

    fn random(&self) -> u64 {
        u64::from_be_bytes(random::bytes(self.random.as_ref()))
    }
}
