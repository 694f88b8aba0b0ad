//! The benchmark: full logins, from `CreateChallenge` to `RedeemChallenge`, against a server in a process of its
//! own.
//!
//! ```text
//!   main ──starts, reads /proc──> countersign serve ──pushes──> stand-in for APNs
//!     │                             ^            (redis-server)      │
//!     └──commands, reports──> generator <──────────wakes─────────────┘
//! ```
//!
//! Each box is a process, so that the time that one takes is not counted as another's. The generator and the
//! stand-in are this program again, under another subcommand. docs/benchmark.md says what each figure means.

pub mod benchmark;
pub mod clock;
pub mod command;
pub mod directory;
pub mod floor;
pub mod generator;
pub mod installation;
pub mod options;
pub mod percentiles;
pub mod process;
pub mod program;
pub mod redis;
pub mod role;
pub mod stand_in;
pub mod table;

/// A benchmark has nobody who could mend what went wrong: a failure is only told.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
