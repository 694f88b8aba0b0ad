//! What the generator is told, and what it tells: one line of JSON each.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::percentiles::Percentiles;

/// What the generator is to do. It does one thing at a time and answers each.
#[derive(Debug, Serialize, Deserialize)]
pub enum Command {
    /// Connect, and enrol so many users with a device each. First of all.
    Enroll(Target),
    /// Make a call that does next to nothing, from so many tasks at once.
    Call {
        /// Which.
        method: Method,
        /// Calls at a time.
        in_flight: u32,
        /// For so long.
        seconds: u32,
    },
    /// Log users in, one after the other.
    LogIn(Load),
    /// Log users in by the TOTP codes of their devices, each as often as codes of a secret count at once.
    LogInByCode {
        /// Logins under way at a time.
        logins: u32,
    },
    /// Make a challenge that nobody answers for each user.
    Ask,
    /// Wait for each of these challenges; answered when the calls have been sent.
    Wait,
    /// Open so many `WatchChallenge` on each of these challenges, all from one address; answered when each has told that
    /// it is pending.
    Watch {
        /// Streams.
        of_challenge: u32,
    },
    /// Withdraw these challenges; answered when all calls that wait and all streams that watch have told so.
    Withdraw,
    /// Have every other of these challenges approved by its device, and withdraw the others; answered as for `Withdraw`.
    SettleInTurn {
        /// At this server.
        at: SocketAddr,
    },
    /// Open so many streams of each device; answered when all are open.
    Subscribe {
        /// Streams.
        of_device: u32,
    },
    /// Make a challenge for each user; answered when each stream has told of it, and is closed.
    Announce,
}

/// Whom the generator talks to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The server's address.
    pub server: SocketAddr,
    /// Where the stand-in for APNs tells of pushes. None: devices have no push target.
    pub wakes: Option<SocketAddr>,
    /// Of the login backend.
    pub api_key: String,
    /// How many users.
    pub users: u32,
}

/// A call that does next to nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Method {
    /// `grpc.health.v1.Health/Check`: the wire alone.
    Health,
    /// `GetApplication`: the wire, the API key, and one read of the directory.
    Application,
}

/// How logins come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Load {
    /// So many become due each second, whether or not those before have ended.
    Rate {
        /// Logins.
        per_second: u32,
        /// For so long.
        seconds: u32,
    },
    /// So many are under way at all times.
    InFlight {
        /// Logins.
        logins: u32,
        /// For so long.
        seconds: u32,
    },
}

/// What came of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What was done: users enrolled, calls, logins, challenges, streams.
    pub done: u32,
    /// From the first beginning to the last end.
    pub took: Duration,
    /// Logins that did not end as they should.
    pub failed: u32,
    /// Why the first of them failed.
    pub failure: Option<String>,
    /// Of each login, from when it was due until it was redeemed.
    pub whole: Percentiles,
    /// Of each login, from the answer to `CreateChallenge` to the one to `AwaitChallenge`.
    pub decided: Percentiles,
}

impl Report {
    /// Of something other than logins.
    pub fn done(done: u32, took: Duration) -> Self {
        let (whole, decided) = (Percentiles::default(), Percentiles::default());
        Self { done, took, failed: 0, failure: None, whole, decided }
    }

    /// How many were done in a second.
    pub fn per_second(&self) -> f64 {
        f64::from(self.done) / self.took.as_secs_f64()
    }
}
