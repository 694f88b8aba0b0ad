//! What an operator sees and does of one user by the command line, beside the servers that run.

use std::{sync::Arc, time::Duration};

use countersign_domain::{UnixTime, id::FactorId};
use countersign_proto::login;

use crate::{
    app::{self, StartError},
    clock::SharedClock,
    core::{Core, user_of},
    foundation::{Foundation, FoundationError},
    holds,
    login::Login,
    random::SharedRandom,
    refusal::Refusal,
    store::{applications::Application, redis::RedisConfig, sqlite::Occupants},
    users::{Users, mark_revoked, put_up_tombstone},
};

/// How long a permission to enrol is good.
const ALLOWED_FOR: Duration = Duration::from_hours(24);

/// The operator's use cases of one installation.
pub struct Operator {
    core: Arc<Core>,
    occupants: Occupants,
    unreached: Option<Unreached>,
    /// Of Redis; empty where challenges lie in the data directory.
    address: String,
}

/// Why the challenges that the running servers use are out of this command's reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreached {
    /// The configuration has no Redis; the servers do.
    #[error(
        "the servers that run on this data directory have their challenges in Redis, and this command's \
         configuration does not name it: give it theirs (--config, or COUNTERSIGN_REDIS_URL)"
    )]
    InRedis,
    /// The configuration has a Redis; the server does not.
    #[error(
        "the server that runs on this data directory has its challenges in it, and this command's configuration \
         names a Redis: give it the server's configuration (--config)"
    )]
    InDataDirectory,
    /// Redis does not answer.
    #[error("Redis at {0} does not answer")]
    Away(String),
}

/// Why a command about a user came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The data directory.
    #[error(transparent)]
    Foundation(#[from] FoundationError),
    /// Keys or stores.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Said in the words that a backend would get.
    #[error("{0}")]
    Refused(Refusal),
}

/// What is known of a user.
#[derive(Debug)]
pub struct Known {
    /// Factors in use.
    pub user: login::User,
    /// Challenges that are pending; or why they cannot be seen.
    pub pending: Result<Vec<login::Challenge>, Unreached>,
}

/// What came of a revocation: the directory has it in any case.
#[derive(Debug)]
pub struct Revoked {
    /// What is left.
    pub user: login::User,
    /// Whether pending challenges refuse the factor already. If not, a server sees to it at its next upkeep.
    pub in_force: Result<(), Unreached>,
}

impl Operator {
    /// Beside the servers that run on `foundation`; `redis` is where challenges lie by this command's configuration.
    pub async fn open(
        foundation: &Foundation,
        redis: Option<RedisConfig>,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, OperatorError> {
        let occupants = foundation.occupants()?;
        let unreached = match (occupants, &redis) {
            (Occupants::Sharing, None) => Some(Unreached::InRedis),
            (Occupants::One, Some(_)) => Some(Unreached::InDataDirectory),
            _ => None,
        };
        let address = redis.as_ref().map(RedisConfig::address).unwrap_or_default();
        // What the servers do not use is not touched.
        let redis = redis.filter(|_| unreached.is_none());
        let core = app::core_of_command(foundation, redis, clock, random).await?;
        Ok(Self { core: Arc::new(core), occupants, unreached, address })
    }

    /// All about one user. An unknown one has no factors.
    pub async fn show(&self, application: &Application, user_id: &str) -> Result<Known, OperatorError> {
        let user = self.user(application, user_id).await?;
        let pending = match &self.unreached {
            Some(unreached) => Err(unreached.clone()),
            None => match Login::new(Arc::clone(&self.core)).pending(application, user_id).await {
                Err(Refusal::StoreUnavailable) => Err(self.away()),
                pending => Ok(pending?),
            },
        };
        Ok(Known { user, pending })
    }

    /// Takes a factor away for good, as `RevokeFactor` does.
    pub async fn revoke(
        &self,
        application: &Application,
        user_id: &str,
        factor_id: &str,
    ) -> Result<Revoked, OperatorError> {
        let user = user_of(application, user_id)?;
        let factor: FactorId = factor_id.parse().map_err(|_| Refusal::FactorNotFound)?;
        let due = mark_revoked(&self.core, user, factor).await?;
        let in_force = match (&self.unreached, self.occupants) {
            (Some(unreached), _) => Err(unreached.clone()),
            // Nobody answers a challenge now, and wherever the next server has them: it puts up the tombstone
            // before it listens.
            (None, Occupants::Nobody) => Ok(()),
            (None, _) => put_up_tombstone(&self.core, due).await.map_err(|_| self.away()),
        };
        Ok(Revoked { user: self.user(application, user_id).await?, in_force })
    }

    /// Lets codes and pushes through again, as `UnlockUser` does. Everywhere when this returns; nothing is changed where
    /// the challenges cannot be reached.
    pub async fn unlock(
        &self,
        application: &Application,
        user_id: &str,
    ) -> Result<Result<login::User, Unreached>, OperatorError> {
        let user = user_of(application, user_id)?;
        if let Some(unreached) = &self.unreached {
            return Ok(Err(unreached.clone()));
        }
        if holds::lift(&self.core, user).await.is_err() {
            return Ok(Err(self.away()));
        }
        Ok(Ok(self.user(application, user_id).await?))
    }

    /// Lets a user complete one enrolment without an approval that is begun within `ALLOWED_FOR`. Returns its end.
    pub async fn allow_enrollment(
        &self,
        application: &Application,
        user_id: &str,
    ) -> Result<UnixTime, OperatorError> {
        let user = user_of(application, user_id)?;
        let until = self.core.clock.now().plus(ALLOWED_FOR);
        self.core.allowances.allow_enrollment(user, until).await.map_err(Refusal::from)?;
        Ok(until)
    }

    fn away(&self) -> Unreached {
        Unreached::Away(self.address.clone())
    }

    async fn user(&self, application: &Application, user_id: &str) -> Result<login::User, OperatorError> {
        let known = Users::new(Arc::clone(&self.core)).get(application, user_id).await?;
        Ok(known.user.unwrap_or_default())
    }
}

impl From<Refusal> for OperatorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
