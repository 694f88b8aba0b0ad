//! Challenges and user records.

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ChallengeId, DeviceId, UserTag},
    operation::{Loaded, Lookup, Subject},
    record,
};
use countersign_proto::login::DeliveryState;
use redis::Pipeline;
use tokio::time::Instant;

use super::{
    RedisStore, Snapshot,
    commit::{self, WRITTEN},
    failure::Failure,
    versioned::VersionedUser,
};
use crate::{
    random,
    store::{
        StoreFuture,
        challenges::{Apply, Challenges},
    },
};

/// The field that says that a device fetched the challenge, beside the one of its other states.
const FETCHED: u8 = b'f';

impl Challenges for RedisStore {
    fn commit(&self, subject: Subject, apply: Apply) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let mut in_doubt = false;
            let committed = self.committed(subject, apply, &mut in_doubt).await;
            committed.map_err(|failure| {
                // Overload says that nothing was done.
                let failure = if in_doubt { Failure::Unknown } else { failure };
                self.told("challenges.commit", &failure)
            })
        })
    }

    fn load(&self, subject: Subject) -> StoreFuture<'_, (Loaded, UnixTime)> {
        Box::pin(async move {
            let snapshot = self.loaded(subject, self.link.deadline()).await;
            let snapshot = snapshot.map_err(|failure| self.told("challenges.load", &failure))?;
            Ok((snapshot.loaded, snapshot.now))
        })
    }

    fn open(&self, user: UserTag) -> StoreFuture<'_, Vec<ChallengeId>> {
        Box::pin(async move {
            let (loaded, _) = self.load(Subject { user, challenge: Lookup::None }).await?;
            Ok(loaded.user.open.iter().rev().map(|open| open.id).collect())
        })
    }

    fn note_delivery(
        &self,
        challenge: ChallengeId,
        device: DeviceId,
        state: DeliveryState,
    ) -> StoreFuture<'_, ()> {
        let key = self.keys.deliveries(challenge);
        let mut field = device.to_bytes().to_vec();
        if state == DeliveryState::Fetched {
            field.push(FETCHED);
        }
        let mut commands = Pipeline::new();
        commands.hset(&key, field, state as i32).ignore();
        commands
            .pexpire(&key, i64::try_from(commit::longest_life().as_millis()).unwrap_or(i64::MAX))
            .ignore();
        commands.smembers(self.keys.watching_deliveries(challenge.user()));
        Box::pin(async move {
            let noted: Result<(Vec<String>,), _> = self.asked(&commands).await;
            let (watching,) = noted.map_err(|failure| self.told("challenges.note_delivery", &failure))?;
            self.tell_of_delivery(&watching, challenge).await;
            Ok(())
        })
    }

    fn deliveries(&self, challenge: ChallengeId) -> StoreFuture<'_, Vec<(DeviceId, DeliveryState)>> {
        let mut commands = Pipeline::new();
        commands.exists(self.keys.challenge(challenge)).hgetall(self.keys.deliveries(challenge));
        Box::pin(async move {
            let (exists, noted): (bool, Vec<(Vec<u8>, i32)>) = self
                .asked(&commands)
                .await
                .map_err(|failure| self.told("challenges.deliveries", &failure))?;
            let noted = if exists { merged(&noted) } else { Some(Vec::new()) };
            noted.ok_or_else(|| self.told("challenges.deliveries", &Failure::Damaged))
        })
    }

    fn time(&self) -> StoreFuture<'_, UnixTime> {
        let mut commands = Pipeline::new();
        commands.cmd("TIME");
        Box::pin(async move {
            let time: Result<((i64, i64),), _> = self.asked(&commands).await;
            time.map(|(time,)| commit::time_of(time))
                .map_err(|failure| self.told("challenges.time", &failure))
        })
    }

    /// Every key ends by itself.
    fn clean(&self) -> StoreFuture<'_, usize> {
        Box::pin(std::future::ready(Ok(0)))
    }
}

impl RedisStore {
    /// Loads, applies and commits until nothing came in between.
    ///
    /// A commit is looked for whose answer is lost, or that another one came before: a Cluster's client sends a
    /// commit again by itself, which then finds that it was done. If the record that is loaded next has the
    /// version that was to be written, it happened. If it has another, the operation is applied to what there is
    /// now, and answers the same question the same way.
    ///
    /// `in_doubt`: whether a commit was sent whose answer never came.
    async fn committed(
        &self,
        subject: Subject,
        mut apply: Apply,
        in_doubt: &mut bool,
    ) -> Result<(), Failure> {
        let deadline = self.link.deadline();
        let mut tried = None;
        loop {
            let snapshot = self.loaded(subject, deadline).await?;
            if tried.is_some() && tried == snapshot.version {
                return Ok(());
            }
            let writes = apply(snapshot.loaded.clone(), snapshot.now);
            if writes.is_empty() {
                return Ok(());
            }
            let version = random::bytes(self.random.as_ref());
            let call = commit::invocation(&self.keys, &snapshot, &writes, version);
            match self.link.script(&call, deadline).await {
                Ok(WRITTEN) => return Ok(()),
                Ok(_) => {}
                Err(Failure::Unknown) if Instant::now() < deadline => *in_doubt = true,
                Err(failure) => return Err(failure),
            }
            tried = Some(version);
        }
    }

    /// What there is, and Redis' time. That only reads, so it is asked again, on a new connection, for as long as
    /// there is time.
    async fn loaded(&self, subject: Subject, deadline: Instant) -> Result<Snapshot, Failure> {
        loop {
            match self.snapshot(subject, deadline).await {
                Err(Failure::Unknown) if Instant::now() < deadline => {}
                snapshot => return snapshot,
            }
        }
    }

    async fn snapshot(&self, subject: Subject, deadline: Instant) -> Result<Snapshot, Failure> {
        let Subject { user, challenge } = subject;
        let (id, second) = match challenge {
            Lookup::None => (None, None),
            Lookup::Id(id) => (Some(id), Some(self.keys.challenge(id))),
            Lookup::Attempt(attempt) => (None, Some(self.keys.attempt(user, attempt))),
        };
        let mut commands = Pipeline::new();
        commands.cmd("MGET").arg(self.keys.user(user)).arg(second).cmd("TIME");
        let (mut found, time): (Vec<Option<Vec<u8>>>, (i64, i64)) =
            self.link.pipeline(&commands, deadline).await?;
        let second = found.get_mut(1).and_then(Option::take);
        let stored = match (id, second) {
            (Some(_), stored) => stored,
            (None, Some(id)) => self.stored_challenge(&id, deadline).await?,
            (None, None) => None,
        };
        let challenge = stored.map(|stored| record::decode::<ChallengeRecord>(&stored)).transpose()?;
        // Another user's would be written without a look at the version of his record.
        if challenge.as_ref().is_some_and(|challenge: &ChallengeRecord| challenge.id.user() != user) {
            return Err(Failure::Damaged);
        }
        let VersionedUser { version, challenges_until, record } =
            VersionedUser::decode(found.first().and_then(Option::as_deref))?;
        let loaded = Loaded { user: record, challenge };
        Ok(Snapshot { user, version, challenges_until, loaded, now: commit::time_of(time) })
    }

    /// The challenge that an attempt led to, read after the user record: had it been settled in between, the
    /// commit would find another version.
    async fn stored_challenge(&self, id: &[u8], deadline: Instant) -> Result<Option<Vec<u8>>, Failure> {
        let id = ChallengeId::from_bytes(id.try_into().map_err(|_| Failure::Damaged)?);
        let mut commands = Pipeline::new();
        commands.get(self.keys.challenge(id));
        let (stored,) = self.link.pipeline(&commands, deadline).await?;
        Ok(stored)
    }

    async fn asked<T: redis::FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        self.link.pipeline(commands, self.link.deadline()).await
    }
}

/// By device, in their order; that it was fetched wins.
fn merged(noted: &[(Vec<u8>, i32)]) -> Option<Vec<(DeviceId, DeliveryState)>> {
    let mut merged = std::collections::BTreeMap::new();
    for (field, state) in noted {
        let (device, rest) = field.split_first_chunk::<16>()?;
        let state = DeliveryState::try_from(*state).ok()?;
        let known = merged.entry(DeviceId::from_bytes(*device)).or_insert(state);
        if !rest.is_empty() {
            *known = state;
        }
    }
    Some(merged.into_iter().collect())
}
