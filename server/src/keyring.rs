//! What the server's master key is for: sealing secrets, tagging what must not be forged, deriving codes.
//!
//! The 32-byte master key lies in a file of its own, outside the database. Each use has a subkey of its own
//! (HKDF-SHA-256, RFC 5869), and each has a type of its own, so that no tag or code can stand in for another.
//! Who reads the database can use nothing of it, and who writes it can mint nothing and move nothing: every
//! tag (HMAC-SHA-256) and every sealed value is bound to its [`Place`].

mod master_key;
mod place;
mod sealing;
mod subkey;

use std::path::Path;

use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

pub use self::{
    master_key::KeyringError,
    place::Place,
    sealing::OpenError,
    subkey::{Digits, KeyUse, Tag},
};
use self::{master_key::MasterKey, sealing::SealingKey, subkey::Subkey};
use crate::random::SharedRandom;

/// How many digits a [`ConfirmationCode`] has, and a [`MatchCode`] at most.
pub const CODE_DIGITS: usize = 6;

/// Marks tags of API keys.
pub enum ApiKeyUse {}
/// Marks tags of enrolment tokens.
pub enum TokenUse {}
/// Marks tags of the backends' login attempts.
pub enum AttemptUse {}
/// Marks tags of devices.
pub enum DeviceUse {}
/// Marks tags of factors that settle by a code.
pub enum FactorUse {}
/// Marks tags of recovery codes.
pub enum RecoveryCodeUse {}
/// Marks match codes.
pub enum MatchCodeUse {}
/// Marks confirmation codes.
pub enum ConfirmationCodeUse {}

// What follows `countersign/1/` is written down for good: another text is another key.
impl KeyUse for ApiKeyUse {
    const INFO: &'static str = "countersign/1/api-key";
}
impl KeyUse for TokenUse {
    const INFO: &'static str = "countersign/1/enrollment-token";
}
impl KeyUse for AttemptUse {
    const INFO: &'static str = "countersign/1/attempt";
}
impl KeyUse for DeviceUse {
    const INFO: &'static str = "countersign/1/device";
}
impl KeyUse for FactorUse {
    const INFO: &'static str = "countersign/1/factor";
}
impl KeyUse for RecoveryCodeUse {
    const INFO: &'static str = "countersign/1/recovery-code";
}
impl KeyUse for MatchCodeUse {
    const INFO: &'static str = "countersign/1/match-code";
}
impl KeyUse for ConfirmationCodeUse {
    const INFO: &'static str = "countersign/1/confirmation-code";
}

/// The digits that the login page shows and the person types on the device.
pub type MatchCode = Digits<MatchCodeUse>;
/// The digits that a device shows at enrolment and the person types on the page.
pub type ConfirmationCode = Digits<ConfirmationCodeUse>;

/// All subkeys of one master key. They are wiped from memory when it is dropped.
pub struct Keyring {
    sealing: SealingKey,
    api_key: Subkey<ApiKeyUse>,
    token: Subkey<TokenUse>,
    attempt: Subkey<AttemptUse>,
    device: Subkey<DeviceUse>,
    factor: Subkey<FactorUse>,
    recovery_code: Subkey<RecoveryCodeUse>,
    match_code: Subkey<MatchCodeUse>,
    confirmation_code: Subkey<ConfirmationCodeUse>,
    random: SharedRandom,
}

impl Keyring {
    /// Reads the master key from the file at `path`. At a `first_start`, when nothing rests on a master key
    /// yet, a missing file is made (mode 0600, synced to the disk); later a missing file is an error.
    pub fn load_or_create(
        path: &Path,
        random: SharedRandom,
        first_start: bool,
    ) -> Result<Self, KeyringError> {
        let master_key = master_key::load_or_create(path, random.as_ref(), first_start)?;
        Ok(Self::new(&master_key, random))
    }

    fn new(master_key: &MasterKey, random: SharedRandom) -> Self {
        // The master key is uniformly random already, so a salt would add nothing (RFC 5869, section 3.1).
        let hkdf = Hkdf::<Sha256>::new(None, master_key.expose_secret());
        Self {
            sealing: SealingKey::derive(&hkdf),
            api_key: Subkey::derive(&hkdf),
            token: Subkey::derive(&hkdf),
            attempt: Subkey::derive(&hkdf),
            device: Subkey::derive(&hkdf),
            factor: Subkey::derive(&hkdf),
            recovery_code: Subkey::derive(&hkdf),
            match_code: Subkey::derive(&hkdf),
            confirmation_code: Subkey::derive(&hkdf),
            random,
        }
    }

    /// Encrypts `plaintext` so that it opens at `place` only. 41 bytes longer than the plaintext.
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8]) -> Vec<u8> {
        self.sealing.seal(self.random.as_ref(), place, plaintext)
    }

    /// Decrypts what was sealed at `place` under this master key.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        self.sealing.open(place, sealed)
    }

    /// What is kept of an API key's secret part; `place` is the application's row of that key.
    pub fn api_key_tag(&self, place: Place<'_>, secret: &str) -> Tag<ApiKeyUse> {
        let [kind, application, user, row] = place.parts();
        self.api_key.tag(&[kind, application, user, row, secret.as_bytes()])
    }

    /// Finds an enrolment by its token alone. It cannot cover the row that it leads to, so it proves nothing:
    /// the signed offer in that row names its token, and must be compared as well.
    pub fn token_tag(&self, token: &str) -> Tag<TokenUse> {
        self.token.tag(&[token.as_bytes()])
    }

    /// Finds the challenge of a backend's login attempt, within its application and user.
    pub fn attempt_tag(&self, application_id: &str, user_id: &str, attempt_id: &str) -> Tag<AttemptUse> {
        self.attempt.tag(&[application_id.as_bytes(), user_id.as_bytes(), attempt_id.as_bytes()])
    }

    /// Proves in a challenge's record that this device with this key was asked. A device id says of which
    /// application and user it is, for it is never given twice.
    pub fn device_tag(&self, device_id: &str, public_key: &[u8; 32]) -> Tag<DeviceUse> {
        self.device.tag(&[device_id.as_bytes(), public_key])
    }

    /// Names a factor that settles by a code in a user's record. Its id says of which application and user it is.
    pub fn factor_tag(&self, factor_id: &str) -> Tag<FactorUse> {
        self.factor.tag(&[factor_id.as_bytes()])
    }

    /// What is kept of a recovery code; `place` is the row of that code.
    pub fn recovery_code_tag(&self, place: Place<'_>, code: &str) -> Tag<RecoveryCodeUse> {
        let [kind, application, user, row] = place.parts();
        self.recovery_code.tag(&[kind, application, user, row, code.as_bytes()])
    }

    /// The first `digits` (at most [`CODE_DIGITS`]) of a challenge's six. They are stored nowhere.
    pub fn match_code(&self, challenge_id: &str, digits: usize) -> MatchCode {
        self.match_code.digits(&[challenge_id.as_bytes()], digits.min(CODE_DIGITS))
    }

    /// The six digits that confirm that the device with this key answered this enrolment.
    pub fn confirmation_code(&self, enrollment_id: &str, public_key: &[u8; 32]) -> ConfirmationCode {
        self.confirmation_code.digits(&[enrollment_id.as_bytes(), public_key], CODE_DIGITS)
    }
}

#[cfg(test)]
mod tests;
