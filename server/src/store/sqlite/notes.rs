//! How far wake-ups came, on the way into the database.
//!
//! Whoever notes it does not wait; whoever asks for a challenge's deliveries waits for those that are on their way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_domain::{
    UnixTime,
    id::{ChallengeId, DeviceId},
};
use countersign_proto::login::DeliveryState;
use rusqlite::{Connection, params};

use super::{columns::execute, failure::Outcome, job::Job};
use crate::store::StoreError;

const NOTE: &str = "INSERT INTO deliveries (challenge, device_id, state)
    SELECT sequence, ?2, ?3 FROM challenges WHERE id = ?1
    ON CONFLICT (challenge, device_id) DO UPDATE SET state = excluded.state WHERE state <> ?4";

/// How many notes of each challenge are on their way.
#[derive(Default)]
pub(super) struct Notes(Mutex<HashMap<ChallengeId, usize>>);

/// One note.
struct Note {
    notes: Arc<Notes>,
    challenge: ChallengeId,
    device: DeviceId,
    state: DeliveryState,
}

impl Notes {
    /// A job that writes it.
    pub(super) fn job(
        self: &Arc<Self>,
        challenge: ChallengeId,
        device: DeviceId,
        state: DeliveryState,
    ) -> Box<dyn Job> {
        *self.counts().entry(challenge).or_default() += 1;
        Box::new(Note { notes: Arc::clone(self), challenge, device, state })
    }

    /// Whether some of this challenge are on their way.
    pub(super) fn are_coming(&self, challenge: ChallengeId) -> bool {
        self.counts().contains_key(&challenge)
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<ChallengeId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job for Note {
    fn name(&self) -> &'static str {
        "challenges.note_delivery"
    }

    fn run(&mut self, connection: &Connection, _: UnixTime) -> Outcome<()> {
        let fetched = DeliveryState::Fetched as i32;
        let params = params![self.challenge.to_bytes(), self.device.to_bytes(), self.state as i32, fetched];
        execute(connection, NOTE, params).map(|_| ())
    }

    /// Nobody waits; what went wrong has been logged.
    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}

impl Drop for Note {
    fn drop(&mut self) {
        let mut counts = self.notes.counts();
        if let Some(count) = counts.get_mut(&self.challenge) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.challenge);
            }
        }
    }
}
