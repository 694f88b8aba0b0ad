//! The pure functions, SQLite and Redis, driven with the same random sequences: every answer and every record
//! must be the same.
//!
//! A sequence is made of calls, of calls at once, of clocks that step forward and back, of restarts, and of stores that
//! lose everything; then what the directory was told of lock and block must stand. Of calls
//! at once, to two servers on Redis or to SQLite, the answers must be those of some order of the pure functions,
//! one after the other; the others are then given that order.
//!
//! The sequences are the same at each run.

mod call;
mod directory;
mod memory;
mod party;
mod random;
mod run;
mod seen;
mod world;

use countersign_test_peers::redis_or_skip;
use tokio::task::JoinSet;

use self::{run::Run, seen::Seen};

/// Sequences.
const RUNS: u64 = 40;
/// Steps of each.
const STEPS: usize = 60;
/// Sequences at a time, as each mostly waits for disks and Redis.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_redis_and_the_pure_functions_answer_alike() {
    if !redis_or_skip() {
        return;
    }
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE {
        tasks.spawn(async move {
            let mut seen = Seen::default();
            for seed in (first as u64..RUNS).step_by(AT_ONCE) {
                let mut run = Run::new(seed).await;
                for _ in 0..STEPS {
                    run.step(&mut seen).await;
                }
                run.end(&mut seen).await;
            }
            seen
        });
    }
    let mut seen = Seen::default();
    for more in tasks.join_all().await {
        seen.add(more);
    }
    seen.is_complete();
}
