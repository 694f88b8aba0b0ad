//! Which factor of a user a typed code belongs to.

use countersign_domain::{
    code::CodeFactor,
    id::{ChallengeId, FactorId, RecoveryId},
    recovery_code::RecoveryCode,
};
use secrecy::ExposeSecret as _;

use super::typed_code::TypedCode;
use crate::{
    codes::{factor_tag, open_totp_secret, recovery_tag},
    core::Core,
    refusal::Refusal,
    store::{
        codes::{AcceptedStep, TotpRow, UserCodes},
        devices::UserKey,
    },
};

/// Whose a code is.
pub(super) enum Found {
    /// No factor's, and none has codes of this form.
    NoSuchForm,
    /// No factor's.
    Nothing,
    /// A TOTP secret's, at this step.
    Totp {
        /// The secret.
        factor: CodeFactor,
        /// The step.
        step: u64,
        /// The last one of the secret that was accepted.
        accepted: Option<AcceptedStep>,
    },
    /// The recovery code that was issued last.
    Recovery {
        /// The code.
        factor: CodeFactor,
        /// Its id.
        id: RecoveryId,
        /// The challenge that it was used for.
        used_by: Option<ChallengeId>,
    },
}

/// Compares a code with every factor that it may belong to.
pub(super) async fn look_for(
    core: &Core,
    user: &UserKey,
    codes: &UserCodes,
    typed: &TypedCode,
    challenge: ChallengeId,
) -> Result<Found, Refusal> {
    match typed {
        TypedCode::Totp(digits) => totp(core, user, codes, digits, challenge).await,
        TypedCode::Recovery(paper) => Ok(recovery(core, user, codes, paper)),
    }
}

fn recovery(core: &Core, user: &UserKey, codes: &UserCodes, paper: &RecoveryCode) -> Found {
    match &codes.recovery {
        Some(row) if recovery_tag(&core.keyring, user, row.id, paper).matches(&row.tag) => {
            let id = FactorId::Recovery(row.id);
            let factor = CodeFactor { id, tag: factor_tag(&core.keyring, id) };
            Found::Recovery { factor, id: row.id, used_by: row.used_by }
        }
        _ => Found::Nothing,
    }
}

async fn totp(
    core: &Core,
    user: &UserKey,
    codes: &UserCodes,
    digits: &str,
    challenge: ChallengeId,
) -> Result<Found, Refusal> {
    let (id, step, accepted) = match matching(core, user, codes, digits, challenge)? {
        Matching::One { id, step, accepted } => (id, step, accepted),
        Matching::None => return Ok(Found::Nothing),
        Matching::NoneOfThisForm => return Ok(Found::NoSuchForm),
    };
    Ok(match tag(core, id).await? {
        Some(tag) => Found::Totp { factor: CodeFactor { id, tag }, step, accepted },
        None => Found::Nothing,
    })
}

/// Which secret a code is of.
enum Matching {
    One { id: FactorId, step: u64, accepted: Option<AcceptedStep> },
    None,
    NoneOfThisForm,
}

/// All are compared, so that the time it takes does not tell which it was.
fn matching(
    core: &Core,
    user: &UserKey,
    codes: &UserCodes,
    digits: &str,
    challenge: ChallengeId,
) -> Result<Matching, Refusal> {
    let mut matching = Matching::NoneOfThisForm;
    for row in codes.totp.iter().filter(|row| row.digits as usize == digits.len()) {
        matching = match (step(core, user, row, digits, challenge)?, matching) {
            (Some(step), _) => Matching::One { id: row.id, step, accepted: row.accepted },
            (None, Matching::NoneOfThisForm) => Matching::None,
            (None, found) => found,
        };
    }
    Ok(matching)
}

/// The step of this secret that the code is of: one of those that count now, or the one that was accepted for this
/// very challenge.
fn step(
    core: &Core,
    user: &UserKey,
    row: &TotpRow,
    digits: &str,
    challenge: ChallengeId,
) -> Result<Option<u64>, Refusal> {
    let secret = open_totp_secret(&core.keyring, user, row).map_err(|error| {
        tracing::error!(factor.id = %row.id, error = %error, "a stored TOTP secret cannot be opened");
        Refusal::StoreUnavailable
    })?;
    let (parameters, secret) = (row.parameters(), secret.expose_secret());
    let accepted = row.accepted.filter(|accepted| accepted.by == Some(challenge));
    let again = accepted.filter(|accepted| parameters.is_code_of_step(secret, digits, accepted.step));
    Ok(again.map(|accepted| accepted.step).or(parameters.matching_step(secret, digits, core.clock.now())))
}

/// What a tombstone names the factor by. `None`: the device has gone meanwhile, or the server never bound it.
async fn tag(core: &Core, id: FactorId) -> Result<Option<countersign_domain::challenge::FactorTag>, Refusal> {
    let FactorId::Device(device) = id else { return Ok(Some(factor_tag(&core.keyring, id))) };
    let row = core.devices.by_id(device).await?;
    Ok(row.filter(|row| core.is_bound(row)).map(|row| core.device_tag(device, &row.public_key)))
}
