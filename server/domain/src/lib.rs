//! Countersign's rules, without I/O, clock or randomness.
//!
//! Whatever changes about one user is a pure function of what is stored and the time:
//!
//! ```text
//! (user record, challenge record, now) -> (outcome, records to write)
//! ```
//!
//! [`operation`] holds one such function for each thing that can happen; a store loads, calls and commits.
//! [`state`] is the state machine of a challenge, [`enrollment`] that of an enrolment; [`standing`] counts what a
//! user did wrong or left unanswered.

pub mod challenge;
pub mod code;
pub mod enrollment;
pub mod id;
pub mod operation;
pub mod policy;
pub mod record;
pub mod recovery_code;
pub mod standing;
pub mod state;
pub mod totp;
pub mod user;

pub use countersign_proto::time::UnixTime;
