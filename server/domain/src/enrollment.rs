//! The state machine of an enrolment.
//!
//! ```text
//! Pending ──take──> Confirming ──right code──> Completed
//!    │  └─take, no confirmation wanted──────────────^
//!    │                  └──third wrong code──> Failed
//!    ├── supersede (also from Confirming) ──> Superseded
//!    └── expire    (also from Confirming) ──> Expired
//! ```
//!
//! That of an authenticator app begins with `AwaitingTotp`, which goes on as `Confirming` does.

use countersign_proto::{login::EnrollmentState, time::UnixTime};

/// How long an enrolment is open.
pub const LIFETIME: std::time::Duration = std::time::Duration::from_mins(10);
/// Wrong confirmation codes that end an enrolment.
pub const TRIES: u32 = 3;

/// Where an enrolment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No device has come yet.
    Pending,
    /// A device has taken the link; its code is awaited.
    Confirming {
        /// Wrong codes so far.
        wrong_codes: u32,
    },
    /// The first code of an authenticator app is awaited.
    AwaitingTotp {
        /// Wrong codes so far.
        wrong_codes: u32,
    },
    /// The factor is the user's.
    Completed,
    /// Its time ran out.
    Expired,
    /// A newer one took its place, a factor was revoked, the user's first factor came another way, or what it
    /// rested on was used up.
    Superseded,
    /// Too many wrong codes.
    Failed,
}

/// What can happen to an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device takes the link.
    Take {
        /// Whether the page must type the device's code.
        confirmation_wanted: bool,
    },
    /// The page typed a code.
    Confirm {
        /// Whether it is the device's or the app's.
        code_is_right: bool,
    },
    /// A newer one takes its place.
    Supersede,
    /// Its time is over.
    Expire,
}

impl State {
    /// The state after `event`; the same one where the event changes nothing.
    #[must_use]
    pub fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Pending, Event::Take { confirmation_wanted: true }) => Self::Confirming { wrong_codes: 0 },
            (Self::Pending, Event::Take { confirmation_wanted: false })
            | (Self::Confirming { .. } | Self::AwaitingTotp { .. }, Event::Confirm { code_is_right: true }) => {
                Self::Completed
            }
            (Self::Confirming { wrong_codes }, Event::Confirm { code_is_right: false }) => {
                if wrong_codes + 1 < TRIES {
                    Self::Confirming { wrong_codes: wrong_codes + 1 }
                } else {
                    Self::Failed
                }
            }
            (Self::AwaitingTotp { wrong_codes }, Event::Confirm { code_is_right: false }) => {
                if wrong_codes + 1 < TRIES {
                    Self::AwaitingTotp { wrong_codes: wrong_codes + 1 }
                } else {
                    Self::Failed
                }
            }
            (open, Event::Supersede) if open.is_open() => Self::Superseded,
            (open, Event::Expire) if open.is_open() => Self::Expired,
            _ => self,
        }
    }

    /// The state with its expiry sealed, should its time be over at `now`.
    #[must_use]
    pub fn at(self, now: UnixTime, expires_at: UnixTime) -> Self {
        if now >= expires_at { self.after(Event::Expire) } else { self }
    }

    /// Whether it still waits for something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Confirming { .. } | Self::AwaitingTotp { .. })
    }

    /// The contract's word for it.
    pub fn to_wire(self) -> EnrollmentState {
        match self {
            Self::Pending | Self::AwaitingTotp { .. } => EnrollmentState::Pending,
            Self::Confirming { .. } => EnrollmentState::Confirming,
            Self::Completed => EnrollmentState::Completed,
            Self::Expired => EnrollmentState::Expired,
            Self::Superseded => EnrollmentState::Superseded,
            Self::Failed => EnrollmentState::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKE: Event = Event::Take { confirmation_wanted: true };
    const TAKE_UNCONFIRMED: Event = Event::Take { confirmation_wanted: false };
    const RIGHT: Event = Event::Confirm { code_is_right: true };
    const WRONG: Event = Event::Confirm { code_is_right: false };
    const EVENTS: [Event; 6] = [TAKE, TAKE_UNCONFIRMED, RIGHT, WRONG, Event::Supersede, Event::Expire];

    #[test]
    fn pending_waits_for_a_device() {
        let after = EVENTS.map(|event| State::Pending.after(event));
        let confirming = State::Confirming { wrong_codes: 0 };
        assert_eq!(
            after,
            [confirming, State::Completed, State::Pending, State::Pending, State::Superseded, State::Expired]
        );
    }

    #[test]
    fn confirming_takes_the_right_code_or_three_wrong_ones() {
        for wrong_codes in 0..TRIES {
            let state = State::Confirming { wrong_codes };
            let after_wrong = if wrong_codes == TRIES - 1 {
                State::Failed
            } else {
                State::Confirming { wrong_codes: wrong_codes + 1 }
            };
            assert_eq!(
                EVENTS.map(|event| state.after(event)),
                [state, state, State::Completed, after_wrong, State::Superseded, State::Expired]
            );
        }
    }

    #[test]
    fn an_authenticator_app_has_three_tries_and_no_link() {
        for wrong_codes in 0..TRIES {
            let state = State::AwaitingTotp { wrong_codes };
            let after_wrong = if wrong_codes == TRIES - 1 {
                State::Failed
            } else {
                State::AwaitingTotp { wrong_codes: wrong_codes + 1 }
            };
            assert_eq!(
                EVENTS.map(|event| state.after(event)),
                [state, state, State::Completed, after_wrong, State::Superseded, State::Expired]
            );
        }
    }

    #[test]
    fn what_has_ended_stays() {
        for state in [State::Completed, State::Expired, State::Superseded, State::Failed] {
            assert_eq!(EVENTS.map(|event| state.after(event)), [state; 6]);
            assert!(!state.is_open());
        }
    }

    #[test]
    fn expiry_is_sealed_on_sight() {
        let [before, at] = [999, 1000].map(UnixTime::from_millis);
        assert_eq!(State::Pending.at(before, at), State::Pending);
        assert_eq!(State::Pending.at(at, at), State::Expired);
        assert_eq!(State::Completed.at(at, at), State::Completed);
    }
}
