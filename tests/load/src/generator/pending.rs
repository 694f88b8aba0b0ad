//! Challenges that nobody answers at first, and who waits for them.

use std::{net::Ipv4Addr, sync::Arc};

use countersign_proto::{common::ChallengeState, login::WatchChallengeResponse};
use tokio::{task::JoinSet, time::Instant};
use tonic::Streaming;

use super::{
    User,
    backend::{Asked, Backend},
    connections::{Connections, connect},
};
use crate::{
    Failure,
    command::{Report, Target},
};

/// Calls under way at a time while challenges are made and settled.
const AT_A_TIME: usize = 64;
/// On one connection: the default of `limits.streams_per_connection`.
pub(super) const CALLS_OF_CONNECTION: usize = 1000;
/// From one address the server takes 4096 calls, and as many streams if `limits.open_streams_per_address` does not say
/// otherwise, at a time.
pub(super) const CONNECTIONS_OF_ADDRESS: usize = 4;

/// What is pending, and who waits for it.
#[derive(Default)]
pub(super) struct Pending {
    /// How often all were asked: it names the attempts.
    asked: u32,
    /// In the order of their users.
    challenges: Arc<[Asked]>,
    /// Each tells the number of its challenge, and what became of it.
    waiting: JoinSet<Result<(usize, ChallengeState), Failure>>,
}

impl Pending {
    /// Asks each user's device once.
    pub(super) async fn ask(&mut self, backend: &Backend, users: &[Arc<User>]) -> Result<Report, Failure> {
        let began = Instant::now();
        self.asked += 1;
        let attempt_id = format!("pending-{}", self.asked);
        let calls = users.iter().enumerate().map(|(number, user)| {
            let (backend, user, attempt_id) = (backend.clone(), Arc::clone(user), attempt_id.clone());
            async move { Ok((number, backend.create(&user.id, &attempt_id).await?)) }
        });
        let mut asked = all(calls).await?;
        asked.sort_unstable_by_key(|(number, _)| *number);
        self.challenges = asked.into_iter().map(|(_, asked)| asked).collect();
        Ok(report(self.challenges.len(), began))
    }

    /// Waits for each of them, from as many addresses as the server's limits ask for.
    pub(super) async fn wait(&mut self, target: &Target) -> Result<Report, Failure> {
        let began = Instant::now();
        let backend = Backend::connect(target).await?;
        let numbers: Vec<_> = (0..self.challenges.len()).collect();
        for (nth, some) in numbers.chunks(CALLS_OF_CONNECTION).enumerate() {
            let address = u8::try_from(2 + nth / CONNECTIONS_OF_ADDRESS)?;
            let channel = connect(target.server, Ipv4Addr::new(127, 0, 0, address)).await?;
            for &number in some {
                let (backend, channel) = (backend.clone(), channel.clone());
                let challenges = Arc::clone(&self.challenges);
                self.waiting.spawn(async move {
                    let challenge_id = &challenges[number].challenge_id;
                    Ok((number, backend.settled_on(channel, challenge_id).await?))
                });
            }
        }
        Ok(report(numbers.len(), began))
    }

    /// Watches each of them by so many streams, on as few connections as the server's limits ask for and from one address,
    /// as a backend does.
    pub(super) async fn watch(
        &mut self,
        target: &Target,
        backend: &Backend,
        of_challenge: u32,
    ) -> Result<Report, Failure> {
        let began = Instant::now();
        let numbers: Vec<_> = (0..of_challenge).flat_map(|_| 0..self.challenges.len()).collect();
        for some in numbers.chunks(CALLS_OF_CONNECTION) {
            let channel = connect(target.server, Ipv4Addr::LOCALHOST).await?;
            let calls = some.iter().map(|&number| {
                let (backend, channel) = (backend.clone(), channel.clone());
                let challenges = Arc::clone(&self.challenges);
                async move {
                    let mut changes = backend.watch(channel, &challenges[number].challenge_id).await?;
                    match next(&mut changes).await? {
                        ChallengeState::Pending => Ok((number, changes)),
                        other => Err(format!("a stream began with {}", other.as_str_name()).into()),
                    }
                }
            });
            for (number, changes) in all(calls).await? {
                self.waiting.spawn(async move { Ok((number, settled(changes).await?)) });
            }
        }
        Ok(report(numbers.len(), began))
    }

    /// Withdraws each of them. Everybody who waited must hear of it.
    pub(super) async fn withdraw(&mut self, backend: &Backend) -> Result<Report, Failure> {
        let began = Instant::now();
        let numbers = 0..self.challenges.len();
        let calls = numbers.map(|number| {
            let (backend, challenges) = (backend.clone(), Arc::clone(&self.challenges));
            async move { backend.cancel(&challenges[number].challenge_id).await }
        });
        all(calls).await?;
        self.heard(began, |_| ChallengeState::Cancelled).await
    }

    /// Has every other of them approved by its device, and withdraws the others, at this server. Everybody who waited
    /// must hear of it.
    pub(super) async fn settle_in_turn(
        &mut self,
        target: &Target,
        users: &[Arc<User>],
    ) -> Result<Report, Failure> {
        let began = Instant::now();
        let is_approved = |number: usize| number.is_multiple_of(2);
        let backend = Backend::connect(target).await?;
        let devices = Connections::open(target.server).await?;
        let calls = users.iter().cloned().enumerate().map(|(number, user)| {
            let (backend, devices) = (backend.clone(), devices.clone());
            let challenges = Arc::clone(&self.challenges);
            async move {
                let Asked { challenge_id, match_code } = &challenges[number];
                if !is_approved(number) {
                    return backend.cancel(challenge_id).await;
                }
                let shown = user.device.challenge_on(devices.next(), challenge_id).await?;
                user.device.approve_on(devices.next(), challenge_id, &shown, match_code).await
            }
        });
        all(calls).await?;
        let ended_as = |number| {
            if is_approved(number) { ChallengeState::Approved } else { ChallengeState::Cancelled }
        };
        self.heard(began, ended_as).await
    }

    /// Waits until everybody who waited was told how it ended.
    async fn heard(
        &mut self,
        began: Instant,
        ended_as: impl Fn(usize) -> ChallengeState,
    ) -> Result<Report, Failure> {
        let mut told = 0;
        while let Some(ended) = self.waiting.join_next().await {
            let (number, state) = ended??;
            if state != ended_as(number) {
                return Err(format!("who waited was told {}", state.as_str_name()).into());
            }
            told += 1;
        }
        Ok(report(told, began))
    }
}

fn report(done: usize, began: Instant) -> Report {
    Report::done(u32::try_from(done).unwrap_or(u32::MAX), began.elapsed())
}

/// The next state that a stream tells.
async fn next(changes: &mut Streaming<WatchChallengeResponse>) -> Result<ChallengeState, Failure> {
    let change = changes.message().await?.ok_or("a stream has ended")?;
    Ok(change.challenge.ok_or("no challenge")?.state())
}

/// How a challenge ended. The stream must end with it, or there would be more to come.
async fn settled(mut changes: Streaming<WatchChallengeResponse>) -> Result<ChallengeState, Failure> {
    loop {
        match next(&mut changes).await? {
            // A delivery has come farther.
            ChallengeState::Pending => {}
            settled => {
                let more = changes.message().await?;
                return if more.is_none() { Ok(settled) } else { Err("a stream goes on".into()) };
            }
        }
    }
}

/// Makes all calls, some at a time.
pub(super) async fn all<T: Send + 'static>(
    calls: impl Iterator<Item = impl Future<Output = Result<T, Failure>> + Send + 'static>,
) -> Result<Vec<T>, Failure> {
    let mut done = Vec::new();
    let mut tasks = JoinSet::new();
    for call in calls {
        if tasks.len() == AT_A_TIME
            && let Some(ended) = tasks.join_next().await
        {
            done.push(ended??);
        }
        tasks.spawn(call);
    }
    while let Some(ended) = tasks.join_next().await {
        done.push(ended??);
    }
    Ok(done)
}
