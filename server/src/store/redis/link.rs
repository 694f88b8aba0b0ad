//! The connection, kept up by a task of its own.
//!
//! While Redis does not answer, nobody waits for it: a call finds the link down and fails at once. Only in the
//! first moments after it broke do calls wait for the new connection, and no operation on the store ever takes
//! longer than the time limit. So a dead Redis holds up no more calls than came within that time.
//!
//! A bounded number of requests is on its way at a time, and only the time that they are on their way says
//! something about the connection: a server that asks for more than Redis can answer must not break it.

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, Pipeline, RedisResult, ScriptInvocation, Value};
use tokio::{
    sync::{Semaphore, SemaphorePermit, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    connection::{Connect, ConnectError, Connection},
    failure::{Failure, breaks_connection, is_unknown},
};

/// How long between two tries to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// Requests on their way at a time; more wait for their turn.
const IN_FLIGHT: usize = 256;

/// The connection, or that there is none.
#[derive(Clone)]
enum State {
    Up { connection: Connection, generation: u64 },
    Down { since: Instant },
}

/// The link to Redis. Dropping it ends the task that keeps it up.
pub(super) struct Link {
    state: watch::Receiver<State>,
    /// The latest connection that was found broken.
    broken: Arc<watch::Sender<u64>>,
    turns: Semaphore,
    time_limit: Duration,
}

/// A connection that may be asked one thing.
struct Turn<'a> {
    connection: Connection,
    generation: u64,
    _permit: SemaphorePermit<'a>,
}

impl Link {
    /// Starts to connect, and waits for what comes of the first try. A Redis that cannot be reached is tried
    /// again for ever; one that must not be used is an error now, and counts as down later.
    pub(super) async fn open(connect: Connect, time_limit: Duration) -> Result<Self, ConnectError> {
        let (state, states) = watch::channel(State::Down { since: Instant::now() });
        let broken = Arc::new(watch::Sender::new(0));
        let (first, tried) = oneshot::channel();
        tokio::spawn(keep_up(connect, state, broken.subscribe(), first));
        match tried.await {
            Ok(Err(error @ ConnectError::Unusable { .. })) => Err(error),
            _ => Ok(Self { state: states, broken, turns: Semaphore::new(IN_FLIGHT), time_limit }),
        }
    }

    /// When a call that begins now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.time_limit
    }

    /// Sends commands, and reads their answers.
    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let mut turn = self.turn(deadline).await?;
        let answer = commands.query_async(&mut turn.connection);
        read(self.judged(turn.generation, deadline, answer).await?)
    }

    /// Runs a script; one that Redis has forgotten is sent again.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let mut turn = self.turn(deadline).await?;
        let answer = script.invoke_async(&mut turn.connection);
        read(self.judged(turn.generation, deadline, answer).await?)
    }

    /// Ends each time that a connection has come up since the last call; at once, if one did before the first.
    pub(super) fn ups(&self) -> Ups {
        Ups { state: self.state.clone(), seen: 0 }
    }

    async fn turn(&self, deadline: Instant) -> Result<Turn<'_>, Failure> {
        // First, so that nobody waits for a turn while there is no connection.
        self.connection(deadline).await?;
        let permit = timeout_at(deadline, self.turns.acquire()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or(Failure::Overloaded)?;
        let (connection, generation) = self.connection(deadline).await?;
        Ok(Turn { connection, generation, _permit: permit })
    }

    /// The connection. One that was found broken a moment ago is not taken again: whoever did would fail at once,
    /// without letting the task run that replaces it.
    async fn connection(&self, deadline: Instant) -> Result<(Connection, u64), Failure> {
        let mut state = self.state.clone();
        let patience = match &*state.borrow() {
            State::Down { since } => deadline.min(*since + self.time_limit),
            State::Up { .. } => deadline,
        };
        let is_up = |state: &State| matches!(state, State::Up { generation, .. } if *generation > *self.broken.borrow());
        let Ok(Ok(up)) = timeout_at(patience, state.wait_for(is_up)).await else { return Err(Failure::Down) };
        match &*up {
            State::Up { connection, generation } => Ok((connection.clone(), *generation)),
            State::Down { .. } => Err(Failure::Down),
        }
    }

    async fn judged(
        &self,
        generation: u64,
        deadline: Instant,
        answer: impl Future<Output = RedisResult<Value>>,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if breaks_connection(&error) {
                    self.is_broken(generation);
                }
                if is_unknown(&error) { Err(Failure::Unknown) } else { Err(Failure::Refused(error)) }
            }
            Err(_) => {
                // One that was left hardly any time says nothing about the connection.
                if began.elapsed() >= self.time_limit / 2 {
                    self.is_broken(generation);
                }
                Err(Failure::Unknown)
            }
        }
    }

    fn is_broken(&self, generation: u64) {
        self.broken.send_if_modified(|broken| {
            let is_news = *broken < generation;
            *broken = generation.max(*broken);
            is_news
        });
    }
}

/// Only now, since the library tells a value of another kind by the same error as broken protocol: what somebody
/// stored says nothing about the connection.
fn read<T: FromRedisValue>(answer: Value) -> Result<T, Failure> {
    T::from_redis_value(answer).map_err(|_| Failure::Damaged)
}

/// Tells of each connection that has come up.
pub(super) struct Ups {
    state: watch::Receiver<State>,
    seen: u64,
}

impl Ups {
    /// Ends once a connection is up that was not there the last time.
    pub(super) async fn next(&mut self) {
        let seen = self.seen;
        let is_new = |state: &State| matches!(state, State::Up { generation, .. } if *generation > seen);
        if let Ok(state) = self.state.wait_for(is_new).await
            && let State::Up { generation, .. } = &*state
        {
            self.seen = *generation;
            return;
        }
        // The task that keeps the link up has ended, so no other connection comes.
        std::future::pending::<()>().await;
    }
}

/// Connects, and connects again when the connection is found broken, until nobody holds the link any more.
async fn keep_up(
    connect: Connect,
    state: watch::Sender<State>,
    mut broken: watch::Receiver<u64>,
    first: oneshot::Sender<Result<(), ConnectError>>,
) {
    let mut first = Some(first);
    let mut outage = Outage::default();
    let mut generation = 0;
    loop {
        match connect().await {
            Ok(connection) => {
                generation += 1;
                state.send_replace(State::Up { connection, generation });
                outage.ended();
                if let Some(first) = first.take() {
                    let _ = first.send(Ok(()));
                }
                // An error: nobody holds the link any more.
                if broken.wait_for(|broken| *broken >= generation).await.is_err() {
                    return;
                }
                state.send_replace(State::Down { since: Instant::now() });
                tracing::warn!("the connection to Redis broke; connecting again");
                outage.begins();
            }
            Err(error) => {
                if let Some(first) = first.take() {
                    let is_final = matches!(error, ConnectError::Unusable { .. });
                    let _ = first.send(Err(error.clone()));
                    // Whoever opened the link has been told, and ends.
                    if is_final {
                        return;
                    }
                }
                outage.goes_on(&error);
                if timeout(PAUSE, state.closed()).await.is_ok() {
                    return;
                }
            }
        }
    }
}

/// A time in which there is no connection: logged at its beginning, for each reason once, and at its end. Reasons may
/// alternate: who is refused by TLS learns why only if he reads before he writes.
#[derive(Default)]
struct Outage {
    began: Option<Instant>,
    told: Vec<ConnectError>,
}

impl Outage {
    fn begins(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    fn goes_on(&mut self, error: &ConnectError) {
        self.begins();
        if !self.told.contains(error) {
            tracing::error!(error = %error, "challenges cannot be reached: calls that need them are refused");
            self.told.push(error.clone());
        }
    }

    fn ended(&mut self) {
        if let Some(began) = self.began.take() {
            tracing::info!(redis.outage_seconds = began.elapsed().as_secs(), "Redis answers");
        }
        self.told.clear();
    }
}
