//! One sequence, on all of them.

use std::sync::Arc;

use countersign::store::{Challenges, sqlite::SqliteStore};
use countersign_domain::{
    UnixTime,
    id::{ChallengeId, UserTag},
    operation::{Loaded, View},
};
use tempfile::TempDir;

use super::{
    call::{Answer, Call},
    memory::{Forgets, Memory},
    party::Party,
    seen::Seen,
    world::{Step, World},
};
use crate::fixture::{Redis, START, TestClock, database, open};

/// SQLite, and Redis with two servers on it, beside the pure functions.
pub(super) struct Run {
    seed: u64,
    clock: TestClock,
    world: World,
    pure: Memory,
    sqlite: Party,
    redis: Party,
    directory: TempDir,
    redis_itself: Redis,
    /// Whether the clock has stepped back before the end of something that had been forgotten. From then on each
    /// store is held to its own memory alone.
    apart: bool,
}

impl Run {
    pub(super) async fn new(seed: u64) -> Self {
        let clock = TestClock::with_redis(START);
        let directory = tempfile::tempdir().expect("a directory");
        let sqlite = opened(&directory, &clock);
        let redis_itself = Redis::server(&clock).await;
        let servers = two_servers(&redis_itself).await;
        let mut run = Self {
            seed,
            world: World::new(seed, &clock),
            pure: Memory::new(Forgets::Nothing),
            sqlite: Party::new(format!("SQLite, seed {seed}"), vec![sqlite], Forgets::AsSqlite),
            redis: Party::new(format!("Redis, seed {seed}"), servers, Forgets::AsRedis),
            clock,
            directory,
            redis_itself,
            apart: false,
        };
        run.begin().await;
        run
    }

    async fn begin(&mut self) {
        let now = self.clock.now();
        for (user, failures) in self.world.nearly_locked() {
            self.pure.begin(user, failures, now);
            self.sqlite.begin(user, failures, now).await;
            self.redis.begin(user, failures, now).await;
        }
    }

    pub(super) async fn step(&mut self, seen: &mut Seen) {
        match self.world.next() {
            Step::One(call) => {
                let server = self.world.choose(2);
                self.take(server, &call, seen).await;
            }
            Step::Race(calls) => self.race(&calls, seen).await,
            Step::Clock(now) => self.set_clock(now, seen).await,
            Step::Restart => self.restart(seen).await,
            Step::Lose => self.lose(seen).await,
        }
    }

    /// Compares all that is there, and what a user would be shown of it.
    pub(super) async fn end(&mut self, seen: &mut Seen) {
        let now = self.clock.now();
        for (user, challenges) in self.world.challenges() {
            self.sqlite.shows_what_it_must(user, &challenges).await;
            self.redis.shows_what_it_must(user, &challenges).await;
            self.shown_alike(user, &challenges, now);
            for id in challenges {
                let view = Call::View(View { challenge: id });
                self.take(0, &view, seen).await;
            }
        }
    }

    async fn take(&mut self, server: usize, call: &Call, seen: &mut Seen) {
        let now = self.clock.now();
        let before = self.pure.load(call.subject());
        let pure = self.pure.take(call, now);
        let sqlite = self.sqlite.take(0, call, now).await;
        let redis = self.redis.take(server, call, now).await;
        self.world.hear(call, &pure);
        self.note(&before, call, &pure, seen);
        self.alike(call, &[pure, sqlite, redis], seen);
    }

    async fn race(&mut self, calls: &[Call], seen: &mut Seen) {
        let now = self.clock.now();
        let is_redis = self.world.choose(3) > 0;
        let raced = if is_redis { &mut self.redis } else { &mut self.sqlite };
        let (order, mut answers) = raced.race(calls, now).await;
        seen.race(calls.len(), if is_redis { "Redis" } else { "SQLite" });
        for n in order {
            let call = &calls[n];
            let raced = std::mem::replace(&mut answers[n], Answer::Revoke);
            let other = if is_redis { &mut self.sqlite } else { &mut self.redis };
            let other = other.take(0, call, now).await;
            let before = self.pure.load(call.subject());
            let pure = self.pure.take(call, now);
            self.world.hear(call, &pure);
            self.note(&before, call, &pure, seen);
            self.alike(call, &[pure, other, raced], seen);
        }
    }

    /// Each has been held to its own memory; as long as nobody misses anything, they are also the same.
    fn alike(&self, call: &Call, answers: &[Answer; 3], seen: &mut Seen) {
        if !self.apart {
            assert_eq!(answers[0], answers[1], "seed {}: {call:?}", self.seed);
            assert_eq!(answers[0], answers[2], "seed {}: {call:?}", self.seed);
        }
        for answer in answers {
            seen.answer(call, answer);
        }
    }

    /// What of keys and copies has occurred that no answer shows by itself.
    fn note(&self, before: &Loaded, call: &Call, answer: &Answer, seen: &mut Seen) {
        let after = self.pure.load(call.subject()).user;
        if let Some((challenge, key)) = call.speaker() {
            let is_replaced = after.is_over(key) && !after.is_revoked(key);
            let was_asked = self.world.was_asked(challenge, key);
            seen.key(was_asked, is_replaced && before.challenge.is_some(), answer);
        }
        if let Some(copy) = call.copy() {
            seen.copy(copy, before.user.standing.holds(), after.standing.holds(), answer);
        }
    }

    fn shown_alike(&self, user: UserTag, challenges: &[ChallengeId], now: UnixTime) {
        if !self.apart {
            let shown = |memory: &Memory| memory.shown(user, challenges, now);
            assert_eq!(shown(&self.pure), shown(&self.sqlite.memory), "seed {}", self.seed);
            assert_eq!(shown(&self.pure), shown(&self.redis.memory), "seed {}", self.seed);
        }
    }

    /// What is over is forgotten at once, so that all know of the same when the clock steps back.
    async fn set_clock(&mut self, now: UnixTime, seen: &mut Seen) {
        let before = self.clock.now();
        self.clock.set(now);
        self.sqlite.servers[0].clean().await.expect("an answer");
        self.redis_itself.keys('*').await;
        for memory in [&mut self.pure, &mut self.sqlite.memory, &mut self.redis.memory] {
            memory.forget(now);
            self.apart |= memory.misses_something(now);
        }
        seen.clock(before, now, self.apart);
        for (user, challenges) in self.world.challenges() {
            self.sqlite.shows_what_it_must(user, &challenges).await;
            self.redis.shows_what_it_must(user, &challenges).await;
            self.shown_alike(user, &challenges, now);
        }
    }

    /// All of them lose everything; the world and its directory go on.
    async fn lose(&mut self, seen: &mut Seen) {
        self.redis_itself.flush().await;
        self.sqlite.servers.clear();
        self.directory = tempfile::tempdir().expect("a directory");
        self.sqlite.servers = vec![opened(&self.directory, &self.clock)];
        for memory in [&mut self.pure, &mut self.sqlite.memory, &mut self.redis.memory] {
            memory.lose();
        }
        self.world.lose();
        self.apart = false;
        seen.note("everything lost");
    }

    async fn restart(&mut self, seen: &mut Seen) {
        match self.world.choose(3) {
            0 => {
                self.redis_itself.restart().await;
                self.redis.servers = two_servers(&self.redis_itself).await;
                seen.note("Redis and both servers started again");
            }
            1 => {
                let server = self.world.choose(2);
                self.redis.servers[server] = self.redis_itself.store().await;
                seen.note("one of two servers on Redis started again");
            }
            _ => {
                self.sqlite.servers.clear();
                self.sqlite.servers = vec![opened(&self.directory, &self.clock)];
                seen.note("SQLite opened again");
            }
        }
    }
}

fn opened(directory: &TempDir, clock: &TestClock) -> Arc<dyn Challenges> {
    let store: SqliteStore = open(&database(directory), clock.of_this_process());
    Arc::new(store)
}

async fn two_servers(redis: &Redis) -> Vec<Arc<dyn Challenges>> {
    vec![redis.store().await, redis.store().await]
}
