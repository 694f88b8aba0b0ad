//! What a provider thinks of the credentials, learnt from a push that no device gets.

use countersign_proto::{statement::push_target::Target, time::UnixTime};

use super::{Outcome, WakeUp};

/// One question to one server of a provider: a push to a token that no device has. Nothing is shown to anybody. A provider
/// that blames the token alone has taken the credentials.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Whom the push was for; nobody has it.
    pub target: Target,
    /// The server, and for what it was asked there.
    pub place: String,
    /// What pushes to real devices would come to; none: the credentials are good there.
    pub fault: Option<Outcome>,
    /// The two clocks, if the provider told its own.
    pub clocks: Option<Clocks>,
}

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// This machine's.
    pub own: UnixTime,
    /// The provider's, in whole seconds.
    pub provider: UnixTime,
}

impl Clocks {
    pub(super) fn of(own: UnixTime, provider: Option<UnixTime>) -> Option<Self> {
        provider.map(|provider| Self { own, provider })
    }
}

/// A wake-up for nobody, which ends `now`: a provider has no time to keep it for.
pub(super) fn wake_up(now: UnixTime) -> WakeUp {
    WakeUp { challenge_id: "chl_none".to_owned(), device_id: "dev_none".to_owned(), expires_at: now }
}
