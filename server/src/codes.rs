//! Secrets and codes of factors that settle by a code: how they are sealed, opened and tagged.
//!
//! Sealed value and tag are bound to table, application, user and row: at any other place they are worth nothing.

use countersign_domain::{
    challenge::FactorTag,
    id::{FactorId, RecoveryId},
    recovery_code::RecoveryCode,
    totp::{PERIOD_SECONDS, Parameters},
};
use secrecy::SecretSlice;
use zeroize::Zeroizing;

use crate::{
    keyring::{Keyring, OpenError, Place},
    random::Random,
    store::{
        codes::{NewTotp, TotpRow},
        devices::UserKey,
    },
};

const TOTP_SECRET: &str = "totp_secrets.secret";
const RECOVERY_TAG: &str = "recovery_codes.tag";

/// A fresh TOTP secret for the row `id` of this user, sealed; and in the clear, to be shown once.
pub fn new_totp(
    keyring: &Keyring,
    random: &dyn Random,
    user: &UserKey,
    id: FactorId,
    algorithm: countersign_domain::totp::Algorithm,
    digits: u32,
) -> (NewTotp, Zeroizing<Vec<u8>>) {
    let mut secret = Zeroizing::new(vec![0; algorithm.secret_bytes()]);
    random.fill(&mut secret);
    let [application_id, row_id] = [user.application.to_string(), id.to_string()];
    let place =
        Place { kind: TOTP_SECRET, application_id: &application_id, user_id: &user.user_id, row_id: &row_id };
    let sealed = keyring.seal(place, &secret);
    let parameters = Parameters { algorithm, digits, period_seconds: PERIOD_SECONDS };
    (NewTotp { secret: sealed, parameters }, secret)
}

/// Opens a stored TOTP secret of this user.
pub fn open_totp_secret(
    keyring: &Keyring,
    user: &UserKey,
    row: &TotpRow,
) -> Result<SecretSlice<u8>, OpenError> {
    let [application_id, row_id] = [user.application.to_string(), row.id.to_string()];
    let place =
        Place { kind: TOTP_SECRET, application_id: &application_id, user_id: &user.user_id, row_id: &row_id };
    keyring.open(place, &row.secret)
}

/// What is kept of a recovery code of this user, in the row `id`. Compare with
/// [`Tag::matches`](crate::keyring::Tag::matches).
pub fn recovery_tag(
    keyring: &Keyring,
    user: &UserKey,
    id: RecoveryId,
    code: &RecoveryCode,
) -> crate::keyring::Tag<crate::keyring::RecoveryCodeUse> {
    let [application_id, row_id] = [user.application.to_string(), id.to_string()];
    let place = Place {
        kind: RECOVERY_TAG,
        application_id: &application_id,
        user_id: &user.user_id,
        row_id: &row_id,
    };
    keyring.recovery_code_tag(place, code.reveal())
}

/// The tag by which a tombstone names a TOTP secret of an authenticator app or a recovery code. A device's own
/// secret ends with the device, whose tag is another one.
pub fn factor_tag(keyring: &Keyring, factor: FactorId) -> FactorTag {
    FactorTag(keyring.factor_tag(&factor.to_string()).to_bytes())
}
