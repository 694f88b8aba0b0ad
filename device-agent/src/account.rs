//! One enrolled account.

mod challenges;
mod code;
mod listen;
mod profile;
mod stream;

use std::fmt;

use countersign_proto::{
    common::PushState,
    device::{self, AccountState, GetAccountRequest, GetAccountResponse},
    statement_form::MAX_DEVICE_NAME_CHARS,
    text,
    time::UnixTime,
};

pub use self::code::OneTimeCode;
pub use self::{
    listen::News,
    stream::{Event, Settled, Subscription},
};
use crate::{
    agent::Agent,
    call::{Caller, Read},
    connection::Client,
    error::{Distrust, Error},
    refusal,
    server_keys::ServerKeys,
    state::{Identity, Record, StateFault},
};

/// An account with its key. Cloning it is cheap, and clones share one connection, which is made when it is
/// first needed.
///
/// What changes (server keys, clock offset, sequence) is read from the state directory for each call, so that
/// several processes agree.
#[derive(Clone)]
pub struct Account {
    agent: Agent,
    name: String,
    identity: Identity,
    client: Client,
}

/// An account as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Whether it can answer challenges yet. `Unspecified`: a state that this agent does not know.
    pub state: AccountState,
    /// Whether wake-ups reach it.
    pub push_state: PushState,
    /// As last set.
    pub device_name: String,
}

impl Account {
    /// The account that the file `name` holds; none while the enrolment has not been answered.
    pub(crate) fn open(agent: &Agent, name: String) -> Result<Option<Self>, Error> {
        let Some(record) = agent.store.read(&name)? else { return Ok(None) };
        let identity = record
            .identity()
            .map_err(|problem| StateFault::Damaged { path: agent.store.path(&name), problem })?;
        let Some(identity) = identity else { return Ok(None) };
        let client = agent.client(&identity.origin)?;
        Ok(Some(Self { agent: agent.clone(), name, identity, client }))
    }

    /// `dev_...`: names the account on this device.
    pub fn device_id(&self) -> &str {
        &self.identity.device_id
    }

    /// Where the server is: scheme, host and port.
    pub fn server(&self) -> &str {
        &self.identity.origin
    }

    /// The pinned server.
    pub fn server_id(&self) -> &str {
        &self.identity.server_id
    }

    /// `app_...`
    pub fn application_id(&self) -> &str {
        &self.identity.application_id
    }

    /// From the offer that was accepted.
    pub fn application_name(&self) -> &str {
        &self.identity.application_name
    }

    /// The application's own id of the person.
    pub fn user_id(&self) -> &str {
        &self.identity.user_id
    }

    /// From the offer that was accepted.
    pub fn account_name(&self) -> &str {
        &self.identity.account_name
    }

    /// This device's name as it was last heard from the server. Asks nobody.
    pub fn device_name(&self) -> Result<String, Error> {
        Ok(self.record()?.device_name().to_owned())
    }

    /// Asks how the account stands, and takes over a newer server key and the server's clock. Call it at start.
    ///
    /// A change of the profile that has not been acknowledged yet is sent again.
    pub async fn refresh(&self) -> Result<AccountStatus, Error> {
        let status = self.fetch_account().await?;
        Ok(self.repeat_pending_change().await?.unwrap_or(status))
    }

    async fn fetch_account(&self) -> Result<AccountStatus, Error> {
        let answer = self.read(GetAccountRequest {}).await?;
        let account = self.checked(answer.account.as_ref())?;
        self.update(|record| self.keep_answer(record, account, &answer))?;
        Ok(status_of(account))
    }

    /// Every answer about the account must be about this device.
    fn checked<'a>(&self, account: Option<&'a device::Account>) -> Result<&'a device::Account, Distrust> {
        let account = account.ok_or(Distrust::Missing("account"))?;
        if account.device_id == self.identity.device_id { Ok(account) } else { Err(Distrust::OtherDevice) }
    }

    fn keep_answer(
        &self,
        record: &mut Record,
        account: &device::Account,
        answer: &GetAccountResponse,
    ) -> Result<(), Error> {
        let device_time = self.agent.clock.now();
        if let Ok(server_time) = UnixTime::from_wire(answer.server_time.as_ref()) {
            record.keep_server_time(server_time, device_time);
        }
        let statement = answer.server_key.as_ref().ok_or(Distrust::Missing("server key"))?;
        let mut keys = record.server_keys(self.identity.root)?;
        keys.take(statement, self.identity.root, record.server_time(device_time))?;
        record.keep_server_keys(&keys);
        record.keep_account(account);
        Ok(())
    }

    /// Makes a call that only reads. When the server says that only the time was wrong, the offset to its clock
    /// is kept and the call made once more.
    async fn read<R: Read>(&self, request: R) -> Result<R::Reply, Error> {
        if self.record()?.next_key.is_some() {
            // Only the server knows which key is in force.
            self.repeat_pending_change().await?;
        }
        self.read_with(request, &self.record()?).await
    }

    /// [`Self::read`] with the key of this `record`.
    async fn read_with<R: Read>(&self, request: R, record: &Record) -> Result<R::Reply, Error> {
        let now = record.server_time(self.agent.clock.now());
        let status = match self.read_at(request.clone(), record, now).await {
            Ok(reply) => return Ok(reply),
            Err(status) => status,
        };
        let Some(server_time) = refusal::server_time_of_clock_skew(&status) else {
            return Err(self.failure(&status));
        };
        self.update(|record| {
            record.keep_server_time(server_time, self.agent.clock.now());
            Ok(())
        })?;
        self.read_at(request, record, server_time).await.map_err(|status| self.failure(&status))
    }

    async fn read_at<R: Read>(
        &self,
        request: R,
        record: &Record,
        now: UnixTime,
    ) -> Result<R::Reply, tonic::Status> {
        let caller = Caller {
            server_id: &self.identity.server_id,
            device_id: &self.identity.device_id,
            key: record.secret_key.signing_key(),
        };
        let request = caller.signed(request, now);
        R::send(&mut self.client.clone(), request).await.map(tonic::Response::into_inner)
    }

    fn failure(&self, status: &tonic::Status) -> Error {
        refusal::error(&self.identity.origin, status)
    }

    fn gone(&self) -> Error {
        Error::AccountNotFound(self.identity.device_id.clone())
    }

    fn record(&self) -> Result<Record, Error> {
        self.agent.store.read(&self.name)?.ok_or_else(|| self.gone())
    }

    fn update<T>(&self, change: impl FnOnce(&mut Record) -> Result<T, Error>) -> Result<T, Error> {
        self.agent.store.update(&self.name, change)?.ok_or_else(|| self.gone())
    }

    fn server_keys(&self, record: &Record) -> Result<ServerKeys, Error> {
        Ok(record.server_keys(self.identity.root)?)
    }
}

fn status_of(account: &device::Account) -> AccountStatus {
    AccountStatus {
        state: account.state(),
        push_state: account.push_state(),
        device_name: text::sanitized(&account.device_name, MAX_DEVICE_NAME_CHARS),
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("identity", &self.identity).finish_non_exhaustive()
    }
}
