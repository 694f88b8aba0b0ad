//! What is measured, in which order.

use std::time::Duration;

use crate::{
    Failure,
    command::{Command, Load, Method, Report},
    floor,
    installation::{Installation, Usages, Users},
    options::{Options, Stores},
    percentiles::Percentiles,
    program, table,
};

/// Tasks that call at once while the floor is measured, and for how many seconds.
const FLOOR_IN_FLIGHT: u32 = 32;
const FLOOR_SECONDS: u32 = 3;
/// Logins before the first that counts: connections, the provider token, the database's pages.
const WARM_UP: Load = Load::InFlight { logins: 32, seconds: 3 };

/// All that was measured of one store.
#[derive(Debug)]
pub struct Measured {
    /// As it is headed in the table.
    pub store: &'static str,
    /// At the fixed rate.
    pub at_rate: (Report, Usages),
    /// With many logins under way at all times.
    pub at_most: (Report, Usages),
    /// By TOTP codes, as many under way, for as long as there are codes.
    pub by_code: (Report, Usages),
    /// Of calls that do next to nothing: how many, and what the server used.
    pub health: (Report, Usages),
    /// The same of `GetApplication`.
    pub application: (Report, Usages),
    /// A page of the data directory, written and synced.
    pub synced_page: Percentiles,
    /// Redis' round trip.
    pub ping: Option<Percentiles>,
    /// To sign a statement, and to verify one.
    pub signature: (Duration, Duration),
    /// If it was asked for.
    pub memory: Option<Memory>,
    /// Of devices, if it was asked for.
    pub streams: Option<Streams>,
    /// Of a backend, if it was asked for.
    pub watches: Option<Streams>,
}

/// What many open streams take and do.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// How many there were.
    pub count: u32,
    /// Of one stream: in the server's process.
    pub bytes: u64,
    /// From the first `CreateChallenge`, or `CancelChallenge`, one for each stream, to the event that the last stream
    /// received.
    pub told_in: Duration,
    /// What each process used for that.
    pub used: Usages,
}

/// What many pending challenges and calls that wait take, each.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// How many there were.
    pub count: u32,
    /// Of one pending challenge: in the pages of the database, or in Redis.
    pub stored_bytes: u64,
    /// Of one pending challenge: in the server's process.
    pub challenge_bytes: u64,
    /// Of one call that waits: in the server's process.
    pub waiter_bytes: u64,
    /// From the first `CancelChallenge` to the last answer to who waited.
    pub woken_in: Duration,
}

/// Measures what the options ask for, and prints it.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let program = program::server(options.server.as_deref()).await?;
    let stores: &[_] = match options.store {
        Stores::Embedded => &[false],
        Stores::Redis => &[true],
        Stores::Both => &[false, true],
    };
    let mut all = Vec::new();
    for &on_redis in stores {
        let mut installation = Installation::start(&program, options, on_redis, woken(options.users)).await?;
        let measured = logins(&mut installation, options).await?;
        drop(installation);
        // On a server of its own: what it leaves behind is not to be counted to the logins.
        let memory = match options.waiters {
            0 => None,
            waiters => {
                let mut installation =
                    Installation::start(&program, options, on_redis, woken(waiters)).await?;
                Some(memory(&mut installation, waiters).await?)
            }
        };
        let (streams, watches) = match options.streams {
            0 => (None, None),
            count => {
                let users = Users { count, are_woken: false };
                let mut installation = Installation::start(&program, options, on_redis, users).await?;
                let streams = streams(&mut installation, count).await?;
                drop(installation);
                let mut installation = Installation::start(&program, options, on_redis, users).await?;
                (Some(streams), Some(watches(&mut installation, count).await?))
            }
        };
        all.push(Measured { memory, streams, watches, ..measured });
    }
    print!("{}", table::of(&all, options));
    Ok(())
}

fn woken(count: u32) -> Users {
    Users { count, are_woken: true }
}

async fn logins(installation: &mut Installation, options: &Options) -> Result<Measured, Failure> {
    let &Options { rate: per_second, seconds, in_flight: logins, .. } = options;
    let synced_page = floor::synced_page(&installation.data_directory())?;
    let ping = match &mut installation.redis {
        Some(redis) => Some(floor::pings(redis).await?),
        None => None,
    };
    let call = |method| Command::Call { method, in_flight: FLOOR_IN_FLIGHT, seconds: FLOOR_SECONDS };
    let health = installation.measured(call(Method::Health)).await?;
    let application = installation.measured(call(Method::Application)).await?;
    warm_up(installation).await?;
    installation.at_rest().await?;
    let at_rate = installation.measured(Command::LogIn(Load::Rate { per_second, seconds })).await?;
    let at_most = installation.measured(Command::LogIn(Load::InFlight { logins, seconds })).await?;
    let by_code = installation.measured(Command::LogInByCode { logins }).await?;
    Ok(Measured {
        store: if installation.redis.is_some() { "Redis" } else { "embedded" },
        at_rate,
        at_most,
        by_code,
        health,
        application,
        synced_page,
        ping,
        signature: floor::signature()?,
        memory: None,
        streams: None,
        watches: None,
    })
}

/// Logs in before the first login that counts, and finds out a server that leaves Redis alone: its figures would
/// be the embedded store's.
async fn warm_up(installation: &mut Installation) -> Result<(), Failure> {
    let before = match &mut installation.redis {
        Some(redis) => Some(redis.commands().await?),
        None => None,
    };
    let logged_in = installation.order(Command::LogIn(WARM_UP)).await?;
    if let (Some(before), Some(redis)) = (before, &mut installation.redis)
        && redis.commands().await? < before + u64::from(logged_in.done)
    {
        return Err("the server sends nothing to Redis: it does not know COUNTERSIGN_REDIS_URL".into());
    }
    Ok(())
}

async fn memory(installation: &mut Installation, count: u32) -> Result<Memory, Failure> {
    let stored = installation.stored_bytes().await?;
    let idle = installation.at_rest().await?.resident_bytes;
    installation.order(Command::Ask).await?;
    let asked = installation.at_rest().await?.resident_bytes;
    let stored_after = installation.stored_bytes().await?;
    installation.order(Command::Wait).await?;
    let waiting = installation.at_rest().await?.resident_bytes;
    let withdrawn = installation.order(Command::Withdraw).await?;
    let each = |before: u64, after: u64| after.saturating_sub(before) / u64::from(count);
    Ok(Memory {
        count,
        stored_bytes: each(stored, stored_after),
        challenge_bytes: each(idle, asked),
        waiter_bytes: each(asked, waiting),
        woken_in: withdrawn.took,
    })
}

async fn streams(installation: &mut Installation, count: u32) -> Result<Streams, Failure> {
    let idle = installation.at_rest().await?.resident_bytes;
    installation.order(Command::Subscribe { of_device: 1 }).await?;
    let open = installation.grown().await?.resident_bytes;
    let (told, used) = installation.measured(Command::Announce).await?;
    let bytes = open.saturating_sub(idle) / u64::from(count);
    Ok(Streams { count, bytes, told_in: told.took, used })
}

async fn watches(installation: &mut Installation, count: u32) -> Result<Streams, Failure> {
    installation.order(Command::Ask).await?;
    let asked = installation.at_rest().await?.resident_bytes;
    installation.order(Command::Watch { of_challenge: 1 }).await?;
    let open = installation.grown().await?.resident_bytes;
    let (told, used) = installation.measured(Command::Withdraw).await?;
    let bytes = open.saturating_sub(asked) / u64::from(count);
    Ok(Streams { count, bytes, told_in: told.took, used })
}
