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
    store::{
        applications::Application,
        redis::RedisConfig,
        sqlite::{DataDirectory, Occupants},
    },
    users::{Users, commit_tombstone, mark_revoked},
};

/// How long a permission to enrol is good.
const ALLOWED_FOR: Duration = Duration::from_hours(24);

/// The operator's use cases of one installation.
pub struct Operator {
    core: Arc<Core>,
    directory: DataDirectory,
    unreached: Option<Unreached>,
    /// Of the Redis that this command's configuration names.
    address: Option<String>,
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
    /// Servers with another configuration have been started while the command ran.
    #[error("the servers that run on this data directory have changed meanwhile: run the command again")]
    Changed,
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
    /// Nobody of this id has ever had a factor.
    #[error(
        "{application} knows no user {user_id:?} who has or had a factor: {consequence}; `countersign user show \
         {application:?} {user_id:?}` has all that is known, and an id counts as the backend spells it"
    )]
    Unknown {
        /// Its name.
        application: String,
        /// As it was given.
        user_id: String,
        /// What follows for the command.
        consequence: &'static str,
    },
}

/// What is known of a user.
#[derive(Debug)]
pub struct Known {
    /// Factors in use.
    pub user: login::User,
    /// Challenges that are pending; or why they cannot be seen.
    pub pending: Result<Vec<login::Challenge>, Unreached>,
}

/// What stood in the way of a user before it was lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlocked {
    /// Codes were locked.
    pub codes: bool,
    /// Pushes were blocked or held back.
    pub pushes: bool,
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
        let directory = foundation.directory().clone();
        let unreached = unreached(directory.occupants().map_err(FoundationError::from)?, redis.is_some());
        let address = redis.as_ref().map(RedisConfig::address);
        // What the servers do not use is not touched.
        let redis = redis.filter(|_| unreached.is_none());
        let core = app::core_of_command(foundation, redis, clock, random).await?;
        Ok(Self { core: Arc::new(core), directory, unreached, address })
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
        // Only now: a server that has taken the directory by this moment may have looked for what is due before this was.
        let in_force = match self.directory.occupants().map_err(FoundationError::from)? {
            // Nobody answers a challenge now, and the next server, wherever it has them, puts up the tombstone before
            // it listens.
            Occupants::Nobody => Ok(()),
            occupants => match self.unreached_by(occupants) {
                Some(unreached) => Err(unreached),
                None => commit_tombstone(&self.core, due).await.map_err(|_| self.away()),
            },
        };
        Ok(Revoked { user: self.user(application, user_id).await?, in_force })
    }

    /// Lets codes and pushes through again, as `UnlockUser` does. Everywhere when this returns; nothing is changed where
    /// the challenges cannot be reached. A user who never had a factor is refused: nothing can stand in the way of one.
    pub async fn unlock(
        &self,
        application: &Application,
        user_id: &str,
    ) -> Result<Result<Unlocked, Unreached>, OperatorError> {
        let user = user_of(application, user_id)?;
        if let Some(unreached) = &self.unreached {
            return Ok(Err(unreached.clone()));
        }
        let before = self.user(application, user_id).await?;
        let stood = Unlocked {
            codes: before.locked_at.is_some(),
            pushes: before.push_blocked_at.is_some() || before.push_held_back_until.is_some(),
        };
        if !before.had_factors && !stood.codes && !stood.pushes {
            return Err(unknown(application, user_id, "there is nothing to unlock"));
        }
        if holds::lift(&self.core, user).await.is_err() {
            return Ok(Err(self.away()));
        }
        // A server that has started meanwhile, by another configuration, has what stands in the way where it was not lifted.
        Ok(match self.directory.occupants().map_err(FoundationError::from)? {
            Occupants::Nobody => Ok(stood),
            occupants => self.unreached_by(occupants).map_or(Ok(stood), Err),
        })
    }

    /// Lets a user complete one enrolment without an approval that is begun within `ALLOWED_FOR`. Returns its end. A user
    /// who never had a factor is refused: the first one needs no permission.
    pub async fn allow_enrollment(
        &self,
        application: &Application,
        user_id: &str,
    ) -> Result<UnixTime, OperatorError> {
        let user = user_of(application, user_id)?;
        if !self.user(application, user_id).await?.had_factors {
            return Err(unknown(application, user_id, "a first factor needs no permission"));
        }
        let until = self.core.clock.now().plus(ALLOWED_FOR);
        self.core.allowances.allow_enrollment(user, until).await.map_err(Refusal::from)?;
        Ok(until)
    }

    /// Why the challenges of the servers that run now are out of reach, if they are.
    fn unreached_by(&self, occupants: Occupants) -> Option<Unreached> {
        let is_configured = self.address.is_some();
        // Not opened where it was of no use to the servers that ran then.
        let is_missing = is_configured && self.core.wakeups.is_none();
        unreached(occupants, is_configured).or_else(|| is_missing.then_some(Unreached::Changed))
    }

    fn away(&self) -> Unreached {
        Unreached::Away(self.address.clone().unwrap_or_default())
    }

    async fn user(&self, application: &Application, user_id: &str) -> Result<login::User, OperatorError> {
        let known = Users::new(Arc::clone(&self.core)).get(application, user_id).await?;
        Ok(known.user.unwrap_or_default())
    }
}

/// Why the challenges of those servers are out of reach of a command whose configuration has them in Redis, or has not.
fn unreached(occupants: Occupants, is_in_redis: bool) -> Option<Unreached> {
    match (occupants, is_in_redis) {
        (Occupants::Sharing, false) => Some(Unreached::InRedis),
        (Occupants::One, true) => Some(Unreached::InDataDirectory),
        _ => None,
    }
}

fn unknown(application: &Application, user_id: &str, consequence: &'static str) -> OperatorError {
    let (application, user_id) = (application.name.clone(), user_id.to_owned());
    OperatorError::Unknown { application, user_id, consequence }
}

impl From<Refusal> for OperatorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
