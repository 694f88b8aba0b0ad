//! A user's factors, as the application sees them: list, revoke, forget; and the recovery code.

mod factor;
mod issue_recovery;

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    id::{DeviceId, FactorId},
    operation::{Cancel, ReplaceKey, RevokeFactor, Stand, Unlock},
    standing::Holds,
};
use countersign_proto::login::{self, GetUserResponse};

use self::factor::recovery_factor;
pub use self::factor::{device_factor, totp_factor};
use crate::{
    codes::factor_tag,
    core::{Core, user_of},
    holds,
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

    /// Takes a factor away for good. In force everywhere when this returns.
    pub async fn revoke(
        &self,
        application: &Application,
        user_id: &str,
        factor_id: &str,
    ) -> Result<login::User, Refusal> {
        let user = user_of(application, user_id)?;
        let factor: FactorId = factor_id.parse().map_err(|_| Refusal::FactorNotFound)?;
        let core = Arc::clone(&self.0);
        let of_user = user.clone();
        self.0.tasks.finish(async move { revoke(&core, of_user, factor).await }).await?;
        self.describe(user).await
    }

    /// Lets pushes and codes through again after 'it was not me' or too many failures. In force everywhere when this
    /// returns; again, the same.
    pub async fn unlock(&self, application: &Application, user_id: &str) -> Result<login::User, Refusal> {
        let user = user_of(application, user_id)?;
        let core = Arc::clone(&self.0);
        let of_user = user.clone();
        self.0.tasks.finish(async move { holds::lift(&core, of_user).await }).await?;
        tracing::info!(application.id = %application.id, "a user was unlocked");
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
        let known = self.0.devices.of_user(user.clone()).await?;
        let codes = self.0.codes.of_user(user.clone()).await?;
        // A device's own secret is shown as the device.
        let totp = codes.totp.iter().filter(|totp| matches!(totp.id, FactorId::Totp(_)));
        let recovery = codes.recovery.iter().filter(|code| code.used_by.is_none());
        let factors = known.devices.iter().map(device_factor);
        // The store of challenges may be away, which it has logged, or have lost what the directory still knows.
        let stand = Stand { user: self.0.ids.user_tag(&user) };
        let mut standing = self.0.challenges.read(stand).await.unwrap_or_default();
        standing.heed(codes.holds);
        Ok(login::User {
            user_id,
            factors: factors.chain(totp.map(totp_factor)).chain(recovery.map(recovery_factor)).collect(),
            had_factors: known.had_factors,
            locked_at: standing.locked_at.map(UnixTime::to_wire),
            push_blocked_at: standing.push_blocked_at.map(UnixTime::to_wire),
            push_held_back_until: standing.held_back_until.map(UnixTime::to_wire),
        })
    }
}

/// Puts up the tombstone that is due, wherever challenges lie, and only then calls it done.
pub async fn put_up_tombstone(core: &Core, due: TombstoneDue) -> Result<(), StoreError> {
    let tag = due.tag;
    commit_tombstone(core, due).await?;
    core.devices.tombstone_stands(tag).await
}

/// [`put_up_tombstone`], but it stays due: for a process beside the servers, which cannot wake those who wait there. They
/// see that it is due, and one of them calls it done.
pub async fn commit_tombstone(core: &Core, due: TombstoneDue) -> Result<(), StoreError> {
    match due.successor {
        None => core.challenges.update(RevokeFactor { user: due.user, factor: due.tag }).await?,
        Some(successor) => {
            core.challenges.update(ReplaceKey { user: due.user, device: due.tag, successor }).await?;
        }
    }
    core.device_waiters.wake(due.user);
    Ok(())
}

async fn revoke(core: &Core, user: UserKey, factor: FactorId) -> Result<(), Refusal> {
    let due = mark_revoked(core, user, factor).await?;
    Ok(put_up_tombstone(core, due).await?)
}

/// Revokes a factor in the directory, where its tombstone is due from then on: no new challenge asks it, and no
/// approval by it is redeemed. Challenges that are pending take its answers until the tombstone stands.
pub async fn mark_revoked(core: &Core, user: UserKey, factor: FactorId) -> Result<TombstoneDue, Refusal> {
    let outcome = match factor {
        FactorId::Device(device) => revoke_device(core, user, device).await?,
        FactorId::Totp(_) | FactorId::Recovery(_) => {
            core.codes.revoke(user, factor, factor_tag(&core.keyring, factor)).await?
        }
    };
    match outcome {
        RevokeOutcome::NotFound => Err(Refusal::FactorNotFound),
        RevokeOutcome::Revoked(due) => {
            tracing::info!(factor.id = %factor, "a factor was revoked");
            Ok(due)
        }
    }
}

async fn revoke_device(core: &Core, user: UserKey, device: DeviceId) -> Result<RevokeOutcome, Refusal> {
    let mut known = None;
    loop {
        let row = core.devices.by_id(device).await?.filter(|row| row.user == user);
        let row = row.ok_or(Refusal::FactorNotFound)?;
        let tag = core.device_tag(device, &row.public_key);
        match core.devices.revoke(user.clone(), device, row.public_key, tag).await? {
            // It changed its key meanwhile.
            RevokeOutcome::NotFound if known != Some(row.public_key) => known = Some(row.public_key),
            outcome => return Ok(outcome),
        }
    }
}

async fn delete(core: &Core, application: &Application, user: UserKey) -> Result<(), Refusal> {
    let tag = core.ids.user_tag(&user);
    for _ in 0..ROUNDS {
        let now = core.clock.now();
        let devices = core.devices.of_user(user.clone()).await?.devices;
        let codes = core.codes.of_user(user.clone()).await?;
        let due =
            |factor, mark| TombstoneDue { factor, user: tag, tag: mark, successor: None, revoked_at: now };
        let of_device =
            |row: &DeviceRow| due(FactorId::Device(row.id), core.device_tag(row.id, &row.public_key));
        let totp = codes.totp.iter().map(|row| row.id).filter(|id| matches!(id, FactorId::Totp(_)));
        let recovery = codes.recovery.iter().map(|row| FactorId::Recovery(row.id));
        let of_codes = totp.chain(recovery).map(|id| due(id, factor_tag(&core.keyring, id)));
        let due: Vec<_> = devices.iter().map(of_device).chain(of_codes).collect();
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
        core.challenges.update(Unlock { user: tag, copy: Holds::default() }).await?;
        return Ok(());
    }
    Err(Refusal::StoreUnavailable)
}
