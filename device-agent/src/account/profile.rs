//! Changing what the server knows of this device: what it tells of itself, its key, or that it goes.
//!
//! Each change has a sequence number above the last one. It is signed and kept before it is sent, and sent again
//! byte for byte until the server has answered, so that a lost answer leaves nothing in doubt.

use countersign_proto::{
    common::ErrorReason,
    device::{self, ChangeDeviceRequest, GetAccountRequest},
    envelope,
    key::VerificationKey,
    statement::{
        DeviceChangeStatement, DeviceProfile, Envelope,
        device_change_statement::{Change, Unenroll},
    },
    statement_form::Statement as _,
};
use prost::Message as _;

use super::{Account, AccountStatus, status_of};
use crate::{
    error::{Distrust, Error},
    state::{Bytes, Record, SecretKey},
};

impl Account {
    /// Sets what is set in `profile` (name, push target, app version, locale) and leaves the rest as it is.
    ///
    /// When the answer is lost, the change stays due: the next [`Account::refresh`] or change sends it first.
    pub async fn change_profile(&self, profile: DeviceProfile) -> Result<AccountStatus, Error> {
        self.repeat_pending_change().await?;
        self.make(&Wanted::Profile(profile)).await?.ok_or_else(|| Distrust::Missing("account").into())
    }

    /// Gives this device a fresh key; the old one signs it over, and is forgotten once the server has answered. What is
    /// pending can be answered with the new key.
    ///
    /// When the answer is lost, both keys are kept: the next call of any kind finds out which one is in force. A
    /// change of key that was due counts as this one.
    pub async fn rotate_key(&self) -> Result<AccountStatus, Error> {
        let was_due = self.record()?.next_key.is_some();
        match self.repeat_pending_change().await? {
            Some(status) if was_due => Ok(status),
            _ => self.make(&Wanted::NewKey).await?.ok_or_else(|| Distrust::Missing("account").into()),
        }
    }

    /// Takes this device away from the account, at the server and here: its keys are removed. What it approved before
    /// and nobody has turned into a session yet lets nobody in.
    ///
    /// When the answer is lost, the goodbye stays due: call it again.
    pub async fn unenroll(&self) -> Result<(), Error> {
        if self.record()?.next_key.is_some() {
            self.repeat_pending_change().await?;
        }
        if !self.is_leaving()? {
            self.repeat_pending_change().await?;
            self.make(&Wanted::Unenroll).await?;
        } else if let Some(change) = self.record()?.pending_change {
            self.send(change).await?;
        }
        Ok(self.agent.store.remove(&self.name)?)
    }

    /// Whether a goodbye waits for its answer.
    fn is_leaving(&self) -> Result<bool, Error> {
        let pending = self.record()?.pending_change;
        Ok(pending.is_some_and(|change| matches!(read_change(&change), Ok(Change::Unenroll(_)))))
    }

    async fn make(&self, wanted: &Wanted) -> Result<Option<AccountStatus>, Error> {
        match self.change(wanted).await {
            // This state is older than the server's, such as one from a backup: the server tells the number.
            Err(error) if error.is_refused(ErrorReason::SequenceUsed) => {
                self.fetch_account().await?;
                self.change(wanted).await
            }
            outcome => outcome,
        }
    }

    /// Sends what has not been acknowledged; none: there is no such change.
    pub(super) async fn repeat_pending_change(&self) -> Result<Option<AccountStatus>, Error> {
        let Some(change) = self.record()?.pending_change else { return Ok(None) };
        self.send(change).await
    }

    async fn change(&self, wanted: &Wanted) -> Result<Option<AccountStatus>, Error> {
        let change = self.update(|record| self.keep_change(record, wanted))?;
        self.send(change).await
    }

    /// Signs a change and keeps it as due.
    fn keep_change(&self, record: &mut Record, wanted: &Wanted) -> Result<Bytes, Error> {
        let key = record.secret_key.signing_key();
        let (change, next_key) = match wanted {
            Wanted::Profile(profile) => (Change::Profile(profile.clone()), None),
            Wanted::NewKey => {
                let next = SecretKey::generate(self.agent.store.random());
                (Change::NewKey(VerificationKey::of(&next.signing_key()).to_wire()), Some(next))
            }
            Wanted::Unenroll => (Change::Unenroll(Unenroll {}), None),
        };
        let statement = DeviceChangeStatement {
            server_id: self.identity.server_id.clone(),
            device_id: self.identity.device_id.clone(),
            sequence: record.sequence.saturating_add(1),
            change: Some(change),
        };
        statement.check()?;
        let signed = match &next_key {
            Some(next) => envelope::sign_with_both(&statement, &key, &next.signing_key()),
            None => envelope::sign(&statement, &key),
        };
        // Before it leaves the device.
        record.next_key = next_key;
        record.sequence = statement.sequence;
        let change = Bytes(signed.encode_to_vec());
        record.pending_change = Some(change.clone());
        Ok(change)
    }

    /// None: the device has taken leave.
    async fn send(&self, change: Bytes) -> Result<Option<AccountStatus>, Error> {
        let key = VerificationKey::of(&self.record()?.secret_key.signing_key());
        let signed = Envelope::decode(change.0.as_slice())
            .map_err(|_| Distrust::Missing("change in the state file"))?;
        let request = ChangeDeviceRequest { public_key: Some(key.to_wire()), change: Some(signed) };
        let outcome = self.client.clone().change_device(request).await;
        let answer = match outcome.map_err(|status| self.failure(&status)) {
            Ok(answer) => answer.into_inner(),
            Err(error) => {
                if error.is_refused(ErrorReason::CredentialInvalid)
                    && let Some(account) = self.with_next_key().await?
                {
                    return self.settle(&change, &account).map(Some);
                }
                if is_final(&error) {
                    self.update(|record| {
                        forget(record, &change);
                        Ok(())
                    })?;
                }
                return Err(error);
            }
        };
        if matches!(read_change(&change)?, Change::Unenroll(_)) {
            return Ok(None);
        }
        self.settle(&change, self.checked(answer.account.as_ref())?).map(Some)
    }

    /// The account, if the next key is the one in force: the change was made longer ago than its answer is told.
    async fn with_next_key(&self) -> Result<Option<device::Account>, Error> {
        let mut record = self.record()?;
        if record.next_key.is_none() {
            return Ok(None);
        }
        record.adopt_next_key();
        match self.read_with(GetAccountRequest {}, &record).await {
            Ok(answer) => Ok(Some(self.checked(answer.account.as_ref())?.clone())),
            Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The change is made.
    fn settle(&self, change: &Bytes, account: &device::Account) -> Result<AccountStatus, Error> {
        self.update(|record| {
            if record.pending_change.as_ref() == Some(change) {
                record.pending_change = None;
                record.adopt_next_key();
            }
            record.keep_account(account);
            Ok(())
        })?;
        Ok(status_of(account))
    }
}

/// What to change.
enum Wanted {
    Profile(DeviceProfile),
    NewKey,
    Unenroll,
}

/// What a kept change says.
fn read_change(change: &Bytes) -> Result<Change, Distrust> {
    let missing = Distrust::Missing("change in the state file");
    let signed = Envelope::decode(change.0.as_slice()).ok();
    let statement = signed.and_then(|signed| envelope::read::<DeviceChangeStatement>(&signed).ok());
    statement.and_then(|statement| statement.change).ok_or(missing)
}

/// Another process may have put a newer change in its place meanwhile.
fn forget(record: &mut Record, change: &Bytes) {
    if record.pending_change.take_if(|pending| pending == change).is_some() {
        record.next_key = None;
    }
}

/// Whether the same statement again would meet the same no.
fn is_final(error: &Error) -> bool {
    let Error::Refused(refusal) = error else { return false };
    ![ErrorReason::RateLimited, ErrorReason::StoreUnavailable, ErrorReason::ShuttingDown]
        .iter()
        .any(|reason| refusal.is(*reason))
}
