//! When logins begin, and what came of them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Generator, codes::AT_ONCE};
use crate::{
    Failure,
    command::{Load, Report},
    percentiles::Percentiles,
};

/// Of one login: from when it was due to its end, and until the login page knew.
type Outcome = Result<(Duration, Duration), Failure>;

/// Logs users in as `load` says.
pub(super) async fn log_in(generator: &Generator, load: Load) -> Report {
    let began = Instant::now();
    let outcomes = match load {
        Load::Rate { per_second, seconds } => at_rate(generator, per_second, seconds).await,
        Load::InFlight { logins, seconds } => in_flight(generator, logins, seconds).await,
    };
    report(outcomes, began.elapsed())
}

/// An open loop: each login is due at its time, however late those before it are, and what it waits from then
/// on counts as its own. So a server that stalls is not asked less, and cannot hide it.
async fn at_rate(generator: &Generator, per_second: u32, seconds: u32) -> Vec<Outcome> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for number in 0..per_second * seconds {
        let due = began + Duration::from_secs(1) * number / per_second;
        sleep_until(due).await;
        tasks.spawn(login(generator, due));
        while let Some(ended) = tasks.try_join_next() {
            outcomes.push(ended.unwrap_or_else(|panic| Err(panic.into())));
        }
    }
    while let Some(ended) = tasks.join_next().await {
        outcomes.push(ended.unwrap_or_else(|panic| Err(panic.into())));
    }
    outcomes
}

/// A closed loop: whoever has logged in makes room for the next.
async fn in_flight(generator: &Generator, logins: u32, seconds: u32) -> Vec<Outcome> {
    let until = Instant::now() + Duration::from_secs(1) * seconds;
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for _ in 0..logins {
        tasks.spawn(login(generator, Instant::now()));
    }
    while let Some(ended) = tasks.join_next().await {
        outcomes.push(ended.unwrap_or_else(|panic| Err(panic.into())));
        if Instant::now() < until {
            tasks.spawn(login(generator, Instant::now()));
        }
    }
    outcomes
}

/// Logs users in by the codes of their devices, so many at a time: each user as often as codes count at once.
pub(super) async fn log_in_by_code(generator: &Generator, logins: u32) -> Report {
    let began = Instant::now();
    let users = generator.users.iter().cycle().take(generator.users.len() * AT_ONCE as usize);
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for user in users {
        if tasks.len() == logins as usize
            && let Some(ended) = tasks.join_next().await
        {
            outcomes.push(ended.unwrap_or_else(|panic| Err(panic.into())));
        }
        let number = generator.begun.fetch_add(1, Ordering::Relaxed);
        let (user, backend, due) = (Arc::clone(user), generator.backend.clone(), Instant::now());
        tasks.spawn(async move {
            let decided = user.log_in_by_code(&backend, &format!("attempt-{number}")).await?;
            Ok((due.elapsed(), decided))
        });
    }
    while let Some(ended) = tasks.join_next().await {
        outcomes.push(ended.unwrap_or_else(|panic| Err(panic.into())));
    }
    report(outcomes, began.elapsed())
}

/// The next user's login.
fn login(generator: &Generator, due: Instant) -> impl Future<Output = Outcome> + Send + 'static {
    let number = generator.begun.fetch_add(1, Ordering::Relaxed);
    let user = Arc::clone(&generator.users[number as usize % generator.users.len()]);
    let backend = generator.backend.clone();
    async move {
        let decided = user.log_in(&backend, &format!("attempt-{number}")).await?;
        Ok((due.elapsed(), decided))
    }
}

fn report(outcomes: Vec<Outcome>, took: Duration) -> Report {
    let (mut wholes, mut decisions, mut failed, mut failure) = (Vec::new(), Vec::new(), 0, None);
    for outcome in outcomes {
        match outcome {
            Ok((whole, decided)) => {
                wholes.push(whole);
                decisions.push(decided);
            }
            Err(error) => {
                failed += 1;
                failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
    let done = u32::try_from(wholes.len()).unwrap_or(u32::MAX);
    let (whole, decided) = (Percentiles::of(wholes), Percentiles::of(decisions));
    Report { done, took, failed, failure, whole, decided }
}
