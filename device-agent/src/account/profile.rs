//! Changing what the server knows of this device.
//!
//! Each change has a sequence number above the last one. It is signed and kept before it is sent, and sent again
//! byte for byte until the server has answered, so that a lost answer leaves nothing in doubt.

use countersign_proto::{
    common::ErrorReason,
    device::ChangeDeviceRequest,
    envelope,
    key::VerificationKey,
    statement::{DeviceChangeStatement, DeviceProfile, Envelope, device_change_statement::Change},
    statement_form::Statement as _,
};
use prost::Message as _;

use super::{Account, AccountStatus, status_of};
use crate::{
    error::{Distrust, Error},
    state::{Bytes, Record},
};

impl Account {
    /// Sets what is set in `profile` (name, push target, app version, locale) and leaves the rest as it is.
    ///
    /// When the answer is lost, the change stays due: the next [`Account::refresh`] or change sends it first.
    pub async fn change_profile(&self, profile: DeviceProfile) -> Result<AccountStatus, Error> {
        self.repeat_pending_change().await?;
        match self.change(profile.clone()).await {
            // This state is older than the server's, such as one from a backup: the server tells the number.
            Err(error) if error.is_refused(ErrorReason::SequenceUsed) => {
                self.fetch_account().await?;
                self.change(profile).await
            }
            outcome => outcome,
        }
    }

    /// Sends what has not been acknowledged; none: there is no such change.
    pub(super) async fn repeat_pending_change(&self) -> Result<Option<AccountStatus>, Error> {
        let Some(change) = self.record()?.pending_change else { return Ok(None) };
        self.send(change).await.map(Some)
    }

    async fn change(&self, profile: DeviceProfile) -> Result<AccountStatus, Error> {
        let change = self.update(|record| self.keep_change(record, profile))?;
        self.send(change).await
    }

    /// Signs a change and keeps it as due.
    fn keep_change(&self, record: &mut Record, profile: DeviceProfile) -> Result<Bytes, Error> {
        let statement = DeviceChangeStatement {
            server_id: self.identity.server_id.clone(),
            device_id: self.identity.device_id.clone(),
            sequence: record.sequence.saturating_add(1),
            change: Some(Change::Profile(profile)),
        };
        statement.check()?;
        let signed = envelope::sign(&statement, &record.secret_key.signing_key());
        record.sequence = statement.sequence;
        let change = Bytes(signed.encode_to_vec());
        record.pending_change = Some(change.clone());
        Ok(change)
    }

    async fn send(&self, change: Bytes) -> Result<AccountStatus, Error> {
        let key = VerificationKey::of(&self.record()?.secret_key.signing_key());
        let signed = Envelope::decode(change.0.as_slice())
            .map_err(|_| Distrust::Missing("change in the state file"))?;
        let request = ChangeDeviceRequest { public_key: Some(key.to_wire()), change: Some(signed) };
        let outcome = self.client.clone().change_device(request).await;
        let answer = match outcome.map_err(|status| self.failure(&status)) {
            Ok(answer) => answer.into_inner(),
            Err(error) => {
                if is_final(&error) {
                    self.update(|record| {
                        forget(record, &change);
                        Ok(())
                    })?;
                }
                return Err(error);
            }
        };
        let account = self.checked(answer.account.as_ref())?;
        self.update(|record| {
            forget(record, &change);
            record.keep_account(account);
            Ok(())
        })?;
        Ok(status_of(account))
    }
}

/// Another process may have put a newer change in its place meanwhile.
fn forget(record: &mut Record, change: &Bytes) {
    record.pending_change.take_if(|pending| pending == change);
}

/// Whether the same statement again would meet the same no.
fn is_final(error: &Error) -> bool {
    let Error::Refused(refusal) = error else { return false };
    ![ErrorReason::RateLimited, ErrorReason::StoreUnavailable, ErrorReason::ShuttingDown]
        .iter()
        .any(|reason| refusal.is(*reason))
}
