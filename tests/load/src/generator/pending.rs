//! Challenges that nobody answers, and calls that wait for them.

use std::{net::Ipv4Addr, sync::Arc};

use countersign_proto::common::ChallengeState;
use tokio::{task::JoinSet, time::Instant};

use super::{User, backend::Backend, connections::connect};
use crate::{
    Failure,
    command::{Report, Target},
};

/// Calls under way at a time while challenges are made and withdrawn.
const AT_A_TIME: usize = 64;
/// On one connection: the default of `limits.streams_per_connection`.
pub(super) const CALLS_OF_CONNECTION: usize = 1000;
/// From one address the server takes 4096 calls, and as many streams, at a time.
pub(super) const CONNECTIONS_OF_ADDRESS: usize = 4;

/// What is pending, and who waits for it.
#[derive(Default)]
pub(super) struct Pending {
    challenges: Vec<String>,
    waiting: JoinSet<Result<ChallengeState, Failure>>,
}

impl Pending {
    /// Asks each user's device once.
    pub(super) async fn ask(&mut self, backend: &Backend, users: &[Arc<User>]) -> Result<Report, Failure> {
        let began = Instant::now();
        let calls = users.iter().map(|user| {
            let (backend, user) = (backend.clone(), Arc::clone(user));
            async move { Ok(backend.create(&user.id, "pending").await?.challenge_id) }
        });
        self.challenges = all(calls).await?;
        Ok(self.report(began))
    }

    /// Waits for each of them, from as many addresses as the server's limits ask for.
    pub(super) async fn wait(&mut self, target: &Target) -> Result<Report, Failure> {
        let began = Instant::now();
        let backend = Backend::connect(target).await?;
        for (number, some) in self.challenges.chunks(CALLS_OF_CONNECTION).enumerate() {
            let address = u8::try_from(2 + number / CONNECTIONS_OF_ADDRESS)?;
            let channel = connect(target.server, Ipv4Addr::new(127, 0, 0, address)).await?;
            for challenge_id in some {
                let (backend, channel) = (backend.clone(), channel.clone());
                let challenge_id = challenge_id.clone();
                self.waiting.spawn(async move { backend.settled_on(channel, &challenge_id).await });
            }
        }
        Ok(self.report(began))
    }

    /// Withdraws each of them. Everybody who waited must hear of it.
    pub(super) async fn withdraw(&mut self, backend: &Backend) -> Result<Report, Failure> {
        let began = Instant::now();
        let calls = self.challenges.iter().cloned().map(|challenge_id| {
            let backend = backend.clone();
            async move { backend.cancel(&challenge_id).await }
        });
        all(calls).await?;
        while let Some(ended) = self.waiting.join_next().await {
            let state = ended??;
            if state != ChallengeState::Cancelled {
                return Err(format!("a waiter was told {}", state.as_str_name()).into());
            }
        }
        Ok(self.report(began))
    }

    fn report(&self, began: Instant) -> Report {
        Report::done(u32::try_from(self.challenges.len()).unwrap_or(u32::MAX), began.elapsed())
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
