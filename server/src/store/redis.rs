//! Challenges in Redis, for several servers at once.
//!
//! Each operation loads the records and Redis' time in one step, applies the pure function of the domain, and
//! commits by a script that compares the user record's version and the time. Redis' clock is the one clock of
//! all servers. No rule of Countersign stands in a script.

mod challenges;
mod commit;
mod complaints;
mod config;
mod connection;
mod examination;
mod failure;
mod keys;
mod link;
mod message;
mod node;
mod probe;
mod requirements;
mod versioned;
mod wakeups;

use countersign_domain::{UnixTime, id::UserTag, operation::Loaded};
use data_encoding::HEXLOWER;
use redis::Client;

use self::{complaints::Complaints, failure::Failure, keys::Keys, link::Link, versioned::Version};
pub use self::{
    config::{ClientPem, DEFAULT_KEY_PREFIX, DEFAULT_TIME_LIMIT, InvalidRedisConfig, RedisConfig},
    connection::{Connect, ConnectError, Connection},
    examination::{Examination, examine},
};
use super::StoreError;
use crate::random::{self, SharedRandom};

/// Challenges in Redis. Dropping it closes the connections.
pub struct RedisStore {
    link: Link,
    client: Client,
    keys: Keys,
    /// The name of this server's channel, new at each start.
    server: String,
    random: SharedRandom,
    complaints: Complaints,
}

/// What was loaded for one operation.
struct Snapshot {
    user: UserTag,
    version: Version,
    challenges_until: Option<UnixTime>,
    loaded: Loaded,
    /// By Redis' clock.
    now: UnixTime,
}

/// Why the store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The settings.
    #[error("redis.{}: {}", .0.setting, .0.allowed)]
    Config(InvalidRedisConfig),
    /// What answers must not be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl RedisStore {
    /// Connects. A Redis that cannot be reached is no error: the store answers 'unavailable' until it can be.
    /// One that would lose challenges, or refuses this server, is.
    pub async fn open(config: &RedisConfig, random: SharedRandom) -> Result<Self, RedisError> {
        let (client, connect) = node::connect(config).map_err(RedisError::Config)?;
        Self::over(connect, client, config, random).await
    }

    /// [`Self::open`] over connections that `connect` opens, such as those to a Cluster; `client` is where this
    /// server subscribes.
    pub async fn over(
        connect: Connect,
        client: Client,
        config: &RedisConfig,
        random: SharedRandom,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            link: Link::open(connect, config.time_limit).await?,
            client,
            keys: Keys::new(config.key_prefix.clone()),
            server: HEXLOWER.encode(&random::bytes::<8>(random.as_ref())),
            random,
            complaints: Complaints::default(),
        })
    }

    /// Logs what callers do not hear.
    fn told(&self, operation: &'static str, failure: &Failure) -> StoreError {
        self.complaints.log(operation, failure);
        failure.into()
    }
}
