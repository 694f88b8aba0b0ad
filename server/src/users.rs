//! A user's factors, as the application sees them: list, revoke, forget.

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    id::DeviceId,
    operation::{Cancel, RevokeDevice},
};
use countersign_proto::{
    common::FactorType,
    key::VerificationKey,
    login::{self, GetUserResponse},
    statement::Envelope,
};
use prost::Message as _;

use crate::{
    core::{Core, user_of},
    refusal::Refusal,
    store::{
        StoreError,
        applications::Application,
        devices::{DeviceRow, RevokeOutcome, TombstoneDue, UserKey},
    },
};

/// How often a deletion is begun again when a device came meanwhile.
const ROUNDS: usize = 5;

/// The use cases of `UserService` about factors.
#[derive(Clone)]
pub struct Users(Arc<Core>);

impl Users {
    /// On these foundations.
    pub fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// All about one user. An unknown one has no factors.
    pub async fn get(&self, application: &Application, user_id: &str) -> Result<GetUserResponse, Refusal> {
        let user = user_of(application, user_id)?;
        Ok(GetUserResponse { user: Some(self.describe(user).await?) })
    }

    /// Takes a device away for good. In force everywhere when this returns.
    pub async fn revoke(
        &self,
        application: &Application,
        user_id: &str,
        factor_id: &str,
    ) -> Result<login::User, Refusal> {
        let user = user_of(application, user_id)?;
        let device: DeviceId = factor_id.parse().map_err(|_| Refusal::FactorNotFound)?;
        let core = Arc::clone(&self.0);
        let of_user = user.clone();
        self.0.tasks.finish(async move { revoke(&core, of_user, device).await }).await?;
        self.describe(user).await
    }

    /// Forgets a user: factors, names, pending challenges, and that there were factors.
    pub async fn delete(&self, application: &Application, user_id: &str) -> Result<(), Refusal> {
        let user = user_of(application, user_id)?;
        let application = application.clone();
        let core = Arc::clone(&self.0);
        self.0.tasks.finish(async move { delete(&core, &application, user).await }).await
    }

    async fn describe(&self, user: UserKey) -> Result<login::User, Refusal> {
        let user_id = user.user_id.clone();
        let known = self.0.devices.of_user(user).await?;
        Ok(login::User {
            user_id,
            factors: known.devices.iter().map(factor).collect(),
            had_factors: known.had_factors,
        })
    }
}

/// Puts up the tombstone that is due, wherever challenges lie, and only then calls it done.
pub async fn put_up_tombstone(core: &Core, due: TombstoneDue) -> Result<(), StoreError> {
    core.challenges.update(RevokeDevice { user: due.user, device: due.tag }).await?;
    core.devices.tombstone_stands(due.device).await
}

/// The wire's form of a device as a factor.
pub fn factor(row: &DeviceRow) -> login::Factor {
    let key = VerificationKey::from_bytes(&row.public_key).ok();
    let binding = row.bound.as_ref().and_then(|bound| Envelope::decode(bound.envelope.as_slice()).ok());
    login::Factor {
        factor_id: row.id.to_string(),
        r#type: FactorType::Device.into(),
        name: row.name.clone(),
        created_at: Some(row.created_at.to_wire()),
        last_used_at: row.last_used_at.map(UnixTime::to_wire),
        device: Some(login::Device {
            platform: row.platform.into(),
            app_version: row.app_version.clone(),
            public_key: key.map(VerificationKey::to_wire),
            push_state: row.push_state.into(),
            last_seen_at: row.last_seen_at.map(UnixTime::to_wire),
            binding,
        }),
    }
}

async fn revoke(core: &Core, user: UserKey, device: DeviceId) -> Result<(), Refusal> {
    let row = core.devices.by_id(device).await?.filter(|row| row.user == user);
    let row = row.ok_or(Refusal::FactorNotFound)?;
    let tag = core.device_tag(device, &row.public_key);
    match core.devices.revoke(user, device, row.public_key, tag).await? {
        RevokeOutcome::NotFound => Err(Refusal::FactorNotFound),
        RevokeOutcome::Revoked(due) => {
            put_up_tombstone(core, due).await?;
            tracing::info!(device.id = %device, "a device was revoked");
            Ok(())
        }
    }
}

async fn delete(core: &Core, application: &Application, user: UserKey) -> Result<(), Refusal> {
    let tag = core.ids.user_tag(&user);
    for _ in 0..ROUNDS {
        let now = core.clock.now();
        let devices = core.devices.of_user(user.clone()).await?.devices;
        let due = |row: &DeviceRow| TombstoneDue {
            device: row.id,
            user: tag,
            tag: core.device_tag(row.id, &row.public_key),
            revoked_at: now,
        };
        let due: Vec<_> = devices.iter().map(due).collect();
        if !core.devices.delete_user(user.clone(), due.clone()).await? {
            continue;
        }
        for tombstone in due {
            put_up_tombstone(core, tombstone).await?;
        }
        for challenge in core.challenges.open(tag).await? {
            let cancel = Cancel { challenge, application: application.id };
            if let Some(challenge) = core.challenges.update(cancel).await? {
                core.announce(&challenge);
            }
        }
        return Ok(());
    }
    Err(Refusal::StoreUnavailable)
}
