//! One enrolled account, as its device sees it: read it, change it, take leave.

mod change;

use std::sync::Arc;

use countersign_proto::{
    device::{self, AccountState, GetAccountResponse},
    statement::{DeviceProfile, push_target::Target},
};

use crate::{
    call::Caller, core::Core, push::configured::ServedTargets, refusal::Refusal, store::devices::DeviceRow,
};

/// The use cases of `DeviceService` about the device itself.
#[derive(Clone)]
pub struct Accounts {
    core: Arc<Core>,
    served: Arc<ServedTargets>,
}

impl Accounts {
    /// On these foundations; devices may be woken at `served` targets.
    pub fn new(core: Arc<Core>, served: Arc<ServedTargets>) -> Self {
        Self { core, served }
    }

    /// The account, the server's present key and its clock.
    pub async fn get(&self, caller: Caller) -> Result<GetAccountResponse, Refusal> {
        let row = self.core.device_with_key(caller.device, caller.key).await?;
        let now = self.core.clock.now();
        // Only informs; what cannot be written has been logged by the store.
        let _ = self.core.devices.note_seen(row.id, now).await;
        Ok(GetAccountResponse {
            account: Some(self.account(&row).await?),
            server_key: Some(self.core.server_keys.present()?),
            server_time: Some(now.to_wire()),
        })
    }

    /// A target that this server has no key for would never be woken: the device must know at once.
    fn check_push_target(&self, profile: &DeviceProfile) -> Result<(), Refusal> {
        let topics = &self.served.apns_topics;
        match profile.push_target.as_ref().and_then(|target| target.target.as_ref()) {
            None => Ok(()),
            Some(Target::Apns(apns)) if topics.contains(&apns.topic) => Ok(()),
            Some(Target::Apns(_)) => {
                let allowed = if topics.is_empty() {
                    "this server has no [apns] configuration".to_owned()
                } else {
                    format!("configured at this server are {}", topics.join(", "))
                };
                Err(Refusal::field("profile.push_target.apns.topic", format!("is not served: {allowed}")))
            }
            Some(Target::Fcm(_)) if self.served.fcm => Ok(()),
            Some(Target::Fcm(_)) => {
                let problem = "is not served: this server has no [fcm] configuration";
                Err(Refusal::field("profile.push_target.fcm", problem))
            }
        }
    }

    async fn account(&self, row: &DeviceRow) -> Result<device::Account, Refusal> {
        let application = self.core.applications.by_id(row.user.application).await?;
        let application = application.ok_or(Refusal::SIGNATURE)?;
        Ok(describe(row, &application.name, &row.account_name))
    }
}

/// The wire's form of an account.
pub fn describe(row: &DeviceRow, application_name: &str, account_name: &str) -> device::Account {
    let state = if row.bound.is_some() { AccountState::Active } else { AccountState::Confirming };
    device::Account {
        device_id: row.id.to_string(),
        state: state.into(),
        application_name: application_name.to_owned(),
        account_name: account_name.to_owned(),
        device_name: row.name.clone(),
        push_state: row.push_state.into(),
        sequence: row.sequence,
    }
}
