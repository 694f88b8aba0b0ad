//! Streams: what a device hears by `Subscribe`, and a backend by `WatchChallenge`.

mod ends;
mod limits;
mod subscribing;
mod watching;

use countersign_proto::{common::ChallengeState, device};

/// What a device was told.
fn told(challenge: &device::Challenge) -> (&str, ChallengeState) {
    (&challenge.challenge_id, challenge.state())
}
