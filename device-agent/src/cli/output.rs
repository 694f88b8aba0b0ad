//! Prints. A reader that has gone away is no failure of the command: what it asked for is done.

use std::io::{self, Write as _};

use countersign_agent::{AccountState, ChallengeState, PushState, VerifiedChallenge};
use serde_json::Value;

use super::{Failure, json};

/// One line of words.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Labels and values, one a line.
pub(crate) fn lines(lines: &[(&str, String)]) {
    for (label, value) in lines {
        line(&format!("{label:>16}  {value}"));
    }
}

/// Every field of a challenge, and where it stands.
pub(crate) fn challenge(challenge: &VerifiedChallenge) {
    for shown in challenge.shown() {
        // The application's own words are quoted, so that they pass for nothing else.
        let value = if shown.is_detail { format!("> {}", shown.value) } else { shown.value };
        line(&format!("{:>16}  {value}", shown.label));
    }
    if challenge.state() != ChallengeState::Pending {
        line(&format!("{:>16}  no longer open ({})", "State", json::state_name(challenge.state())));
    }
}

/// One line of words beside what was asked for, on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// One JSON value on one line.
pub(crate) fn json(value: &Value) {
    line(&value.to_string());
}

/// A failure, on standard error.
pub(crate) fn failure(as_json: bool, failure: &Failure) {
    let text = if as_json { json::failure(failure).to_string() } else { format!("error: {failure}") };
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where an account stands, in words.
pub(crate) fn account_state(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "in use",
        AccountState::Confirming => {
            "waits for the confirmation code to be typed on the page with the QR code"
        }
        AccountState::Unspecified => "unknown to this agent",
    }
}

/// Whether wake-ups reach a device, in words.
pub(crate) fn push_state(state: PushState) -> &'static str {
    match state {
        PushState::Ok => "go to its push target",
        PushState::Gone => "reach it no more: the push provider says that its target is gone",
        PushState::None => "none: it has no push target, and streams or pulls",
        PushState::Unspecified => "unknown to this agent",
    }
}
