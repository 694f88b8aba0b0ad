//! What servers on the same Redis tell each other, as text. One that does not know a message passes over it, so that
//! servers of two versions can run side by side.

use countersign_domain::id::{ChallengeId, UserTag};

use crate::store::wakeups::Wakeup;

const DEVICES: &str = "devices:";
const DELIVERY: &str = "delivery:";

/// This challenge is pending no more.
pub(super) fn of_end(challenge: ChallengeId) -> String {
    challenge.to_string()
}

/// This user's devices have a new challenge, or one of them was revoked.
pub(super) fn of_devices(user: UserTag) -> String {
    format!("{DEVICES}{:016x}", user.0)
}

/// A wake-up for this challenge has come farther.
pub(super) fn of_delivery(challenge: ChallengeId) -> String {
    format!("{DELIVERY}{challenge}")
}

/// What a message tells; none: nothing that this server knows.
pub(super) fn read(message: &[u8]) -> Option<Wakeup> {
    let text = std::str::from_utf8(message).ok()?;
    if let Some(user) = text.strip_prefix(DEVICES) {
        return u64::from_str_radix(user, 16).ok().map(|tag| Wakeup::Devices(UserTag(tag)));
    }
    match text.strip_prefix(DELIVERY) {
        Some(challenge) => challenge.parse().ok().map(Wakeup::Delivery),
        None => text.parse().ok().map(Wakeup::Ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_anything_else_is_passed_over() {
        let challenge = ChallengeId::new(u64::MAX - 1, 7);
        let user = challenge.user();
        for (message, wakeup) in [
            (of_end(challenge), Wakeup::Ended(challenge)),
            (of_devices(user), Wakeup::Devices(user)),
            (of_delivery(challenge), Wakeup::Delivery(challenge)),
        ] {
            assert_eq!(read(message.as_bytes()), Some(wakeup), "{message}");
        }
        for message in ["", "news:1", "devices:x", "delivery:dev_1"] {
            assert_eq!(read(message.as_bytes()), None, "{message}");
        }
    }
}
