//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// As many streams as can be measured.
pub const MOST_STREAMS: u32 = 12_000;

/// Measures full logins: on the embedded store, on Redis, or on both.
#[derive(Debug, Parser)]
#[command(name = "countersign-load", args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What the processes that it starts of itself are to be.
    #[command(subcommand)]
    pub role: Option<Role>,
    /// What is measured.
    #[command(flatten)]
    pub options: Options,
}

/// Another process of this program. It takes its commands from standard input and ends with it.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Role {
    /// Makes the load.
    #[command(hide = true)]
    Generator,
    /// Stands in for APNs.
    #[command(hide = true)]
    StandIn,
}

/// What is measured.
#[derive(Args, Debug)]
pub struct Options {
    /// Where challenges lie.
    #[arg(long, value_enum, default_value_t = Stores::Both)]
    pub store: Stores,
    /// Logins that become due each second, whether or not those before have ended.
    #[arg(long, value_name = "LOGINS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Logins under way at a time, for the most that the server does.
    #[arg(long, value_name = "LOGINS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1500))]
    pub in_flight: u32,
    /// Users that log in, one after the other.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub users: u32,
    /// Pending challenges, and calls that wait for them, whose memory is measured (0: it is not measured).
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(..=12_000))]
    pub waiters: u32,
    /// Open streams, of devices and then of a backend, whose memory is measured, and how soon each has told of a challenge
    /// or of its end (0: it is not measured).
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_STREAMS)))]
    pub streams: u32,
    /// A Redis that runs on this machine, which gets keys under a prefix of its own. Without it, one is started
    /// on a free port of loopback with appendonly yes and appendfsync everysec.
    #[arg(long, value_name = "URL")]
    pub redis_url: Option<String>,
    /// The server. Without it, `cargo build --release -p countersign` makes one.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Where the data lies while this runs; not in memory. Without it: beside this program.
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
}

/// Which stores are measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stores {
    /// SQLite, in the server.
    Embedded,
    /// Redis.
    Redis,
    /// One after the other.
    Both,
}
