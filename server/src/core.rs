//! What every use case works with, and the few steps that several share.

mod waiting;

use std::{sync::Arc, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, FactorTag},
    enrollment::State,
    id::{ChallengeId, DeviceId, EnrollmentId, UserTag},
};
use countersign_proto::{
    key::VerificationKey,
    login::DeliveryState,
    statement::{BindingStatement, Envelope},
};
use prost::Message as _;
use tokio::sync::Semaphore;

use crate::{
    api_key::ApiKeyId,
    clock::SharedClock,
    device_streams::DeviceStreams,
    ids::Ids,
    keyring::Keyring,
    push::dispatch::Dispatcher,
    random::SharedRandom,
    refusal::Refusal,
    server_keys::{NoValidKey, ServerKeys},
    store::{
        Allowances, Applications, Challenges, Codes, Devices, Enrollments, HoldCopies, Wakeups,
        applications::Application,
        devices::{DeviceRow, UserKey},
    },
    tasks::Tasks,
    waiters::Waiters,
};

/// How long a call waits where it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(25);
/// How long a call may wait.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// A call is answered that long before its caller gives up.
const ANSWER_BEFORE_DEADLINE: Duration = Duration::from_secs(1);

/// What use cases work with.
pub struct Core {
    /// The time.
    pub clock: SharedClock,
    /// Randomness.
    pub random: SharedRandom,
    /// The master key's subkeys.
    pub keyring: Arc<Keyring>,
    /// Makes ids.
    pub ids: Ids,
    /// Signs.
    pub server_keys: ServerKeys,
    /// Short-lived state.
    pub challenges: Arc<dyn Challenges>,
    /// Challenges of the time before they moved to where they lie now: nobody asks for them any more.
    pub challenges_left_behind: Option<Arc<dyn Challenges>>,
    /// What other servers tell, where several share the challenges.
    pub wakeups: Option<Arc<dyn Wakeups>>,
    /// Login backends.
    pub applications: Arc<dyn Applications>,
    /// Users' devices.
    pub devices: Arc<dyn Devices>,
    /// Factors that settle by a code.
    pub codes: Arc<dyn Codes>,
    /// An operator's permissions to enrol.
    pub allowances: Arc<dyn Allowances>,
    /// Lock and block, as far as they were copied.
    pub hold_copies: Arc<dyn HoldCopies>,
    /// Enrolments under way.
    pub enrollments: Arc<dyn Enrollments>,
    /// Who waits for a challenge, and is handed it when it is pending no more.
    pub challenge_waiters: Arc<Waiters<ChallengeId, ChallengeRecord>>,
    /// Streams of a user's devices, which wait for whatever concerns them.
    pub device_waiters: Arc<Waiters<UserTag>>,
    /// Who waits for how far the wake-ups for a challenge come.
    pub delivery_waiters: Arc<Waiters<ChallengeId>>,
    /// Who waits or streams with an API key, and wants to know when it is revoked.
    pub api_key_waiters: Arc<Waiters<ApiKeyId>>,
    /// How many streams each device has.
    pub device_streams: Arc<DeviceStreams>,
    /// Of those who wait for a challenge, so many read it again at a time.
    pub turns_to_read_again: Semaphore,
    /// Of the streams, so many read again at a time: there may be far more of them.
    pub turns_of_streams: Semaphore,
    /// Who waits for an enrolment.
    pub enrollment_waiters: Arc<Waiters<EnrollmentId>>,
    /// Wakes devices.
    pub dispatcher: Dispatcher,
    /// Runs what must be finished once begun.
    pub tasks: Tasks,
}

/// How long a call wants to wait, and may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// As asked; `None`: 25 s.
    pub asked: Option<Duration>,
    /// How long its caller waits for the answer.
    pub deadline: Option<Duration>,
}

impl Wait {
    /// How long to wait.
    pub fn duration(self) -> Result<Duration, Refusal> {
        let wait = self.asked.unwrap_or(DEFAULT_WAIT);
        if wait > MAX_WAIT {
            return Err(Refusal::field("wait", "must be 0 to 60 s"));
        }
        let answer_within = self.deadline.map(|left| left.saturating_sub(ANSWER_BEFORE_DEADLINE));
        Ok(answer_within.map_or(wait, |left| wait.min(left)))
    }
}

impl Core {
    /// The tag that a device of this id has with this key.
    pub fn device_tag(&self, device: DeviceId, public_key: &[u8; 32]) -> FactorTag {
        FactorTag(self.keyring.device_tag(&device.to_string(), public_key).to_bytes())
    }

    /// Reads `device`, if it is in use under `key`, or waits to be confirmed.
    pub async fn device_with_key(
        &self,
        device: DeviceId,
        key: VerificationKey,
    ) -> Result<DeviceRow, Refusal> {
        let row = self.devices.by_id(device).await?;
        let row = row.filter(|row| row.revoked_at.is_none() && row.public_key == key.to_bytes());
        let row = row.ok_or(Refusal::SIGNATURE)?;
        if row.bound.is_none() && !self.enrollments.of_device(device).await?.is_some_and(State::is_open) {
            return Err(Refusal::SIGNATURE);
        }
        Ok(row)
    }

    /// Whether the server signed that this device and key are this user's, since when: whatever else stands in
    /// the store can only refuse.
    pub fn is_bound(&self, row: &DeviceRow) -> bool {
        self.binding(row).is_some()
    }

    /// What the server signed of this device, if that is what stands in its row.
    pub fn binding(&self, row: &DeviceRow) -> Option<BindingStatement> {
        let bound = row.bound.as_ref()?;
        let envelope = Envelope::decode(bound.envelope.as_slice()).unwrap_or_default();
        let binding: Option<BindingStatement> = self.server_keys.open_own(&envelope);
        binding.filter(|binding| {
            binding.device_id == row.id.to_string()
                && binding.application_id == row.user.application.to_string()
                && binding.user_id == row.user.user_id
                && binding.public_key.as_ref().is_some_and(|key| key.key == row.public_key)
                && UnixTime::from_wire(binding.bound_at.as_ref()) == Ok(bound.at)
        })
    }

    /// Whoever waits for a challenge has it as it ended, and its devices are woken no more. Only for what is in
    /// the store: a waiter must not hear what a crash can still undo.
    pub fn announce(&self, challenge: &ChallengeRecord) {
        if !challenge.state.is_pending() {
            self.dispatcher.settled(&challenge.id.to_string());
            self.challenge_waiters.hand(challenge.id, challenge);
            self.device_waiters.wake(challenge.id.user());
        }
    }

    /// Like [`Self::announce`], of a challenge that is known to be pending no more, but not what became of it:
    /// whoever waits for it reads it again.
    pub fn announce_end_of(&self, challenge: ChallengeId) {
        self.dispatcher.settled(&challenge.to_string());
        self.challenge_waiters.wake(challenge);
        self.device_waiters.wake(challenge.user());
    }

    /// Notes that a device has fetched a challenge. Only informs; what cannot be written has been logged by the
    /// store.
    pub async fn note_fetched(&self, challenge: ChallengeId, device: DeviceId) {
        let _ = self.challenges.note_delivery(challenge, device, DeliveryState::Fetched).await;
        self.delivery_waiters.wake(challenge);
    }
}

/// A user of this application.
pub fn user_of(application: &Application, user_id: &str) -> Result<UserKey, Refusal> {
    countersign_proto::statement_form::user_id(user_id)?;
    Ok(UserKey { application: application.id, user_id: user_id.to_owned() })
}

impl From<NoValidKey> for Refusal {
    fn from(error: NoValidKey) -> Self {
        tracing::error!(error = %error, "cannot sign");
        Self::ServerClock
    }
}
