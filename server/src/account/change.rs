//! `ChangeDevice`: what a device tells of itself, a new key, or goodbye.

use countersign_domain::{
    UnixTime,
    id::{DeviceId, FactorId},
    user::Successor,
};
use countersign_proto::{
    device::{self, ChangeDeviceRequest},
    envelope,
    key::VerificationKey,
    statement::{BindingStatement, DeviceChangeStatement, PublicKey, device_change_statement::Change},
    statement_form::Statement as _,
};
use prost::Message as _;

use super::Accounts;
use crate::{
    core::Core,
    refusal::Refusal,
    store::devices::{Bound, ChangeOutcome, DeviceRow, Goodbye, KeyChange, ProfileChange, TombstoneDue},
    users::put_up_tombstone,
};

/// A change whose signatures hold, of whomever it is.
struct Signed {
    device: DeviceId,
    /// The one that the device has.
    key: VerificationKey,
    payload_sha256: [u8; 32],
    server_id: String,
    sequence: u64,
    change: Change,
}

impl Accounts {
    /// Changes name, push target, version or locale; or the key; or takes the device away, then no account is left. The
    /// same payload again gets the same answer; with the key that it ended, for a day.
    pub async fn change(&self, request: ChangeDeviceRequest) -> Result<Option<device::Account>, Refusal> {
        let signed = verify(&self.core, &request)?;
        let accounts = self.clone();
        self.core.tasks.finish(async move { accounts.make(signed).await }).await
    }

    async fn make(&self, signed: Signed) -> Result<Option<device::Account>, Refusal> {
        let core = &self.core;
        let outcome = match core.device_with_key(signed.device, signed.key).await {
            Ok(row) => self.apply(&signed, &row).await?,
            Err(Refusal::CredentialInvalid(_)) => ChangeOutcome::NotFound,
            Err(refusal) => return Err(refusal),
        };
        let row = match outcome {
            ChangeOutcome::Changed(row) => *row,
            ChangeOutcome::SequenceUsed => return Err(Refusal::SequenceUsed),
            ChangeOutcome::KeyKnown => {
                return Err(Refusal::KeyNotAcceptable(
                    "it belongs to a device already; make a new one".into(),
                ));
            }
            // Its key may have ended by this very change.
            ChangeOutcome::NotFound => {
                let ended =
                    core.devices.ended_by(signed.device, signed.key.to_bytes(), signed.payload_sha256);
                ended.await?.ok_or(Refusal::SIGNATURE)?
            }
        };
        if let Some(due) = due(core, &signed, &row) {
            put_up_tombstone(core, due).await?;
        }
        if matches!(signed.change, Change::Unenroll(_)) {
            return Ok(None);
        }
        // Only informs: the change is made.
        let _ = core.devices.note_seen(row.id, core.clock.now()).await;
        self.account(&row).await.map(Some)
    }

    async fn apply(&self, signed: &Signed, row: &DeviceRow) -> Result<ChangeOutcome, Refusal> {
        let core = &self.core;
        if signed.server_id != core.server_keys.server_id() {
            return Err(Refusal::StatementMismatch("server_id"));
        }
        let (device, public_key) = (signed.device, signed.key.to_bytes());
        let (sequence, payload_sha256) = (signed.sequence, signed.payload_sha256);
        match &signed.change {
            Change::Profile(profile) => {
                self.check_push_target(profile)?;
                let profile = profile.clone();
                let change = ProfileChange { device, public_key, sequence, payload_sha256, profile };
                Ok(core.devices.change_profile(change).await?)
            }
            Change::NewKey(key) => {
                let new_key = VerificationKey::from_wire(Some(key))?;
                let bound = rebind(core, row, key, payload_sha256)?;
                let new_key = new_key.to_bytes();
                let change = KeyChange {
                    device,
                    public_key,
                    sequence,
                    payload_sha256,
                    new_key,
                    tag: core.device_tag(device, &public_key),
                    successor: Successor { tag: core.device_tag(device, &new_key), bound_at: bound.at },
                    bound,
                };
                let outcome = core.devices.replace_key(change).await?;
                if matches!(outcome, ChangeOutcome::Changed(_)) {
                    tracing::info!(device.id = %device, "a device changed its key");
                }
                Ok(outcome)
            }
            Change::Unenroll(_) => {
                let _ = confirmed(core, row, "unenroll")?;
                let tag = core.device_tag(device, &public_key);
                let goodbye = Goodbye { device, public_key, sequence, payload_sha256, tag };
                let outcome = core.devices.take_leave(goodbye).await?;
                if matches!(outcome, ChangeOutcome::Changed(_)) {
                    tracing::info!(device.id = %device, "a device said goodbye");
                }
                Ok(outcome)
            }
        }
    }
}

fn verify(core: &Core, request: &ChangeDeviceRequest) -> Result<Signed, Refusal> {
    let signed = request.change.as_ref().ok_or_else(|| Refusal::field("change", "must be given"))?;
    let key = VerificationKey::from_wire(request.public_key.as_ref())?;
    let new_key = DeviceChangeStatement::new_key(&signed.payload);
    if new_key.is_some_and(|key| {
        VerificationKey::from_wire(Some(&key)).is_ok_and(|key| core.server_keys.is_own(key))
    }) {
        return Err(Refusal::KeyNotAcceptable("it is a key of the server".into()));
    }
    let statement: DeviceChangeStatement = envelope::open(signed, key)?;
    Ok(Signed {
        device: statement.device_id.parse().map_err(|_| Refusal::SIGNATURE)?,
        key,
        payload_sha256: envelope::payload_digest(signed),
        server_id: statement.server_id,
        sequence: statement.sequence,
        change: statement.change.ok_or_else(|| Refusal::field("change", "must be given"))?,
    })
}

/// What the server signed of a device that is in use. One that is not confirmed has nothing to hand over, and its page
/// compares the key that it came with.
fn confirmed(core: &Core, row: &DeviceRow, change: &'static str) -> Result<BindingStatement, Refusal> {
    let unconfirmed = || Refusal::field(change, "is for a device that is confirmed: end the enrolment first");
    row.bound.as_ref().ok_or_else(unconfirmed)?;
    core.binding(row).ok_or(Refusal::SIGNATURE)
}

/// Signs that the new key is the device's from now on. Whose device it is, is taken from what is signed of the old one.
fn rebind(core: &Core, row: &DeviceRow, key: &PublicKey, source_sha256: [u8; 32]) -> Result<Bound, Refusal> {
    let before = confirmed(core, row, "new_key")?;
    let now = core.clock.now();
    let binding = BindingStatement {
        public_key: Some(key.clone()),
        source_sha256: source_sha256.to_vec(),
        bound_at: Some(now.to_wire()),
        ..before
    };
    Ok(Bound { at: now, envelope: core.server_keys.sign(&binding, now)?.encode_to_vec() })
}

/// The tombstone that must stand before the change is acknowledged, by whichever call it was made.
fn due(core: &Core, signed: &Signed, row: &DeviceRow) -> Option<TombstoneDue> {
    let successor = match &signed.change {
        Change::Profile(_) => return None,
        Change::Unenroll(_) => None,
        Change::NewKey(key) => {
            let new_key = VerificationKey::from_wire(Some(key)).ok()?.to_bytes();
            // A key that has been replaced in its turn: the latest binding is later than this one.
            let bound_at = row.bound.as_ref().map_or(UnixTime::default(), |bound| bound.at);
            Some(Successor { tag: core.device_tag(row.id, &new_key), bound_at })
        }
    };
    Some(TombstoneDue {
        factor: FactorId::Device(row.id),
        user: row.id.user(),
        tag: core.device_tag(row.id, &signed.key.to_bytes()),
        successor,
        revoked_at: core.clock.now(),
    })
}
