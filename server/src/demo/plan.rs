//! The four logins that are played on one phone.

use std::time::Duration;

use countersign_domain::policy::MIN_LIFETIME;
use countersign_proto::{
    common::{ChallengeState, DenialReason},
    login::LoginSource,
};

use super::phone::Choice;

/// What the phone does when nobody is asked, and what a person is asked to try.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Type what the page shows.
    Approve,
    /// It was not Anna.
    Deny,
    /// Approve with other digits.
    WrongCode,
    /// Leave the phone where it is.
    Ignore,
}

impl Plan {
    /// All, in the order in which they are played.
    pub(super) const ALL: [Self; 4] = [Self::Approve, Self::Deny, Self::WrongCode, Self::Ignore];

    /// Its heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Approve => "1. A login that is approved",
            Self::Deny => "2. A login that is denied",
            Self::WrongCode => "3. A login with a wrong match code",
            Self::Ignore => "4. A login that nobody answers",
        }
    }

    /// What a person is asked to do.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Approve => "Anna logs in. Approve it, and type the digits that the login page shows.",
            Self::Deny => "Somebody else has Anna's password. Deny it: that takes no digits.",
            Self::WrongCode => {
                "Anna logs in too, and takes this login of a stranger for hers. So approve it, but with other \
                 digits than these: on her own page she would see others."
            }
            Self::Ignore => "The phone lies in a drawer. 5 s is the shortest lifetime that a login can have.",
        }
    }

    /// Where it comes from: addresses for documentation (RFC 5737).
    pub(super) fn source(self) -> LoginSource {
        let (ip_address, user_agent, location) = match self {
            Self::Approve => (
                "203.0.113.7",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Graz",
            ),
            Self::Deny | Self::WrongCode | Self::Ignore => (
                "198.51.100.23",
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/142.0.0.0 Safari/537.36",
                "Oslo",
            ),
        };
        LoginSource {
            ip_address: ip_address.to_owned(),
            user_agent: user_agent.to_owned(),
            location: location.to_owned(),
        }
    }

    /// None: as the policy says.
    pub(super) fn lifetime(self) -> Option<Duration> {
        (self == Self::Ignore).then_some(MIN_LIFETIME)
    }

    /// The backend's own id of it.
    pub(super) fn attempt_id(self) -> &'static str {
        match self {
            Self::Approve => "attempt-1",
            Self::Deny => "attempt-2",
            Self::WrongCode => "attempt-3",
            Self::Ignore => "attempt-4",
        }
    }

    /// How it ends when it is answered as planned.
    pub(super) fn end(self) -> (ChallengeState, DenialReason) {
        match self {
            Self::Approve => (ChallengeState::Approved, DenialReason::Unspecified),
            Self::Deny => (ChallengeState::Denied, DenialReason::NotMe),
            Self::WrongCode => (ChallengeState::Denied, DenialReason::WrongMatchCode),
            Self::Ignore => (ChallengeState::Expired, DenialReason::Unspecified),
        }
    }

    /// What the phone answers when nobody is asked; none: nothing, and nobody is asked either.
    pub(super) fn choice(self, match_code: &str) -> Option<Choice> {
        match self {
            Self::Approve => Some(Choice::Approve(match_code.to_owned())),
            Self::Deny => Some(Choice::Deny),
            Self::WrongCode => {
                // Each digit its complement to nine: never the same, always of the same length.
                let complement = |digit: u8| char::from(b'0' + (b'9' - digit));
                Some(Choice::Approve(match_code.bytes().map(complement).collect()))
            }
            Self::Ignore => None,
        }
    }
}
