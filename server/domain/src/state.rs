//! The state machine of a challenge.
//!
//! ```text
//! Pending ──settle───> Approved ──redeem──> Approved, redeemed_at set
//!    │  └───settle───> Denied (not_me, mistake, wrong_match_code; too_many_codes)
//!    ├──────cancel───> Cancelled
//!    ├───supersede───> Superseded
//!    └──────expire───> Expired
//! ```
//!
//! Only `Pending` moves; the first answer wins, and every later event is told the state that stands.

use countersign_proto::{
    common::{ChallengeState, DenialReason},
    time::UnixTime,
};
use serde::{Deserialize, Serialize};

use crate::{
    code::CodeFactor,
    id::{DeviceId, FactorId},
};

/// Where a challenge stands, and what belongs to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nobody has answered yet.
    Pending,
    /// A device or a code let it in.
    Approved {
        /// By what.
        settled: Settled,
        /// When it was first turned into a session. Only informs.
        redeemed_at: Option<UnixTime>,
        /// Whether somebody has been told that its time to be redeemed is over. It stays over then, wherever
        /// the clock steps.
        is_over: bool,
    },
    /// A device kept it out, or the person typed a wrong match code, or too many wrong codes.
    Denied {
        /// Why.
        reason: Denial,
        /// By what.
        settled: Settled,
    },
    /// The application withdrew it.
    Cancelled,
    /// A newer challenge took its place.
    Superseded,
    /// Its time ran out.
    Expired,
}

/// What settled a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// By what.
    pub by: SettledBy,
    /// By the server's clock.
    pub settled_at: UnixTime,
    /// The server's settlement: an encoded `Envelope`.
    pub settlement: Vec<u8>,
}

/// Who or what settled a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettledBy {
    /// A device that was asked.
    Device {
        /// Which.
        id: DeviceId,
        /// Its decision: an encoded `Envelope`, as received.
        decision: Vec<u8>,
    },
    /// A code that was right.
    Code(CodeFactor),
    /// The server by itself, after too many wrong codes.
    Server,
}

impl Settled {
    /// The device that settled it, when one did.
    pub fn device(&self) -> Option<DeviceId> {
        match &self.by {
            SettledBy::Device { id, .. } => Some(*id),
            SettledBy::Code(_) | SettledBy::Server => None,
        }
    }
}

/// Why a challenge is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Denial {
    /// 'It was not me.'
    NotMe,
    /// 'I did this, but do not want it.'
    Mistake,
    /// The match code typed on the device was wrong.
    WrongMatchCode,
    /// Too many codes were wrong.
    TooManyCodes,
}

/// What a device's decision says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Let it in, with the match code right, wrong, or none asked for.
    Approve {
        /// Whether the match code is the one on the login page (true where none was asked for).
        match_code_is_right: bool,
    },
    /// 'It was not me.'
    DenyNotMe,
    /// 'I did this, but do not want it.'
    DenyMistake,
}

/// What can happen to a challenge, but for redeeming it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A device that was asked has answered.
    Settle(Verdict, Settled),
    /// A code was right.
    AcceptCode(Settled),
    /// One code too many was wrong.
    RefuseCodes(Settled),
    /// The application withdraws it.
    Cancel,
    /// A newer one takes its place.
    Supersede,
    /// Its time is over.
    Expire,
}

/// Nothing moved: the challenge was settled before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlreadySettled(pub State);

impl State {
    /// The state after `event`, or the one that stands.
    pub fn after(self, event: Event) -> Result<Self, AlreadySettled> {
        if self != Self::Pending {
            return Err(AlreadySettled(self));
        }
        Ok(match event {
            Event::Settle(verdict, settled) => match verdict.outcome() {
                Ok(()) => Self::Approved { settled, redeemed_at: None, is_over: false },
                Err(reason) => Self::Denied { reason, settled },
            },
            Event::AcceptCode(settled) => Self::Approved { settled, redeemed_at: None, is_over: false },
            Event::RefuseCodes(settled) => Self::Denied { reason: Denial::TooManyCodes, settled },
            Event::Cancel => Self::Cancelled,
            Event::Supersede => Self::Superseded,
            Event::Expire => Self::Expired,
        })
    }

    /// Whether nobody has answered yet.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending)
    }

    /// Whether `verdict` of `device` is the answer that won, so that its sender's success is repeated. After
    /// a wrong match code no answer is: there is one try.
    pub fn is_answer_of(&self, device: DeviceId, verdict: Verdict) -> bool {
        match self {
            Self::Approved { settled, .. } => {
                settled.device() == Some(device) && matches!(verdict, Verdict::Approve { .. })
            }
            Self::Denied { reason: Denial::NotMe, settled } => {
                settled.device() == Some(device) && verdict == Verdict::DenyNotMe
            }
            Self::Denied { reason: Denial::Mistake, settled } => {
                settled.device() == Some(device) && verdict == Verdict::DenyMistake
            }
            _ => false,
        }
    }

    /// Whether a code of this factor let it in.
    pub fn is_approved_by(&self, factor: FactorId) -> bool {
        matches!(self, Self::Approved { settled: Settled { by: SettledBy::Code(code), .. }, .. } if code.id == factor)
    }

    /// What settled it, when a factor or the server did.
    pub fn settled(&self) -> Option<&Settled> {
        match self {
            Self::Approved { settled, .. } | Self::Denied { settled, .. } => Some(settled),
            _ => None,
        }
    }

    /// The contract's word for it.
    pub fn to_wire(&self) -> ChallengeState {
        match self {
            Self::Pending => ChallengeState::Pending,
            Self::Approved { .. } => ChallengeState::Approved,
            Self::Denied { .. } => ChallengeState::Denied,
            Self::Cancelled => ChallengeState::Cancelled,
            Self::Superseded => ChallengeState::Superseded,
            Self::Expired => ChallengeState::Expired,
        }
    }

    /// The contract's word for why it was denied; `UNSPECIFIED` when it was not.
    pub fn denial_to_wire(&self) -> DenialReason {
        match self {
            Self::Denied { reason, .. } => reason.to_wire(),
            _ => DenialReason::Unspecified,
        }
    }
}

impl Denial {
    /// The contract's word for it.
    pub fn to_wire(self) -> DenialReason {
        match self {
            Self::NotMe => DenialReason::NotMe,
            Self::Mistake => DenialReason::Mistake,
            Self::WrongMatchCode => DenialReason::WrongMatchCode,
            Self::TooManyCodes => DenialReason::TooManyCodes,
        }
    }
}

impl Verdict {
    /// What the verdict makes of a pending challenge: approved, or denied and why.
    pub fn outcome(self) -> Result<(), Denial> {
        match self {
            Self::Approve { match_code_is_right: true } => Ok(()),
            Self::Approve { match_code_is_right: false } => Err(Denial::WrongMatchCode),
            Self::DenyNotMe => Err(Denial::NotMe),
            Self::DenyMistake => Err(Denial::Mistake),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::FactorTag;

    fn device(n: u64) -> DeviceId {
        DeviceId::new(7, n)
    }

    fn settled(n: u64) -> Settled {
        let settled_at = UnixTime::from_millis(1000);
        let by = SettledBy::Device { id: device(n), decision: vec![1] };
        Settled { by, settled_at, settlement: vec![2] }
    }

    fn by_code() -> Settled {
        let code = CodeFactor { id: FactorId::Device(device(1)), tag: FactorTag([1; 32]) };
        Settled { by: SettledBy::Code(code), ..settled(1) }
    }

    fn by_server() -> Settled {
        Settled { by: SettledBy::Server, ..settled(1) }
    }

    const VERDICTS: [Verdict; 4] = [
        Verdict::Approve { match_code_is_right: true },
        Verdict::Approve { match_code_is_right: false },
        Verdict::DenyNotMe,
        Verdict::DenyMistake,
    ];

    fn events() -> Vec<Event> {
        let mut events = vec![Event::Cancel, Event::Supersede, Event::Expire];
        events.extend(VERDICTS.map(|verdict| Event::Settle(verdict, settled(1))));
        events.extend([Event::AcceptCode(by_code()), Event::RefuseCodes(by_server())]);
        events
    }

    fn settled_states() -> Vec<State> {
        let mut states = vec![State::Cancelled, State::Superseded, State::Expired];
        for redeemed_at in [None, Some(UnixTime::from_millis(2000))] {
            for is_over in [false, true] {
                states.push(State::Approved { settled: settled(1), redeemed_at, is_over });
            }
        }
        for reason in [Denial::NotMe, Denial::Mistake, Denial::WrongMatchCode] {
            states.push(State::Denied { reason, settled: settled(1) });
        }
        states.push(State::Approved { settled: by_code(), redeemed_at: None, is_over: false });
        states.push(State::Denied { reason: Denial::TooManyCodes, settled: by_server() });
        states
    }

    #[test]
    fn pending_takes_every_event() {
        let after = |event| State::Pending.after(event).expect("pending moves");
        assert_eq!(after(Event::Cancel), State::Cancelled);
        assert_eq!(after(Event::Supersede), State::Superseded);
        assert_eq!(after(Event::Expire), State::Expired);
        let by = |verdict| after(Event::Settle(verdict, settled(1)));
        let denied = |reason| State::Denied { reason, settled: settled(1) };
        assert_eq!(
            by(VERDICTS[0]),
            State::Approved { settled: settled(1), redeemed_at: None, is_over: false }
        );
        assert_eq!(by(VERDICTS[1]), denied(Denial::WrongMatchCode));
        assert_eq!(by(VERDICTS[2]), denied(Denial::NotMe));
        assert_eq!(by(VERDICTS[3]), denied(Denial::Mistake));
        let accepted = State::Approved { settled: by_code(), redeemed_at: None, is_over: false };
        assert_eq!(after(Event::AcceptCode(by_code())), accepted);
        let refused = State::Denied { reason: Denial::TooManyCodes, settled: by_server() };
        assert_eq!(after(Event::RefuseCodes(by_server())), refused);
    }

    #[test]
    fn every_settled_state_stands_against_every_event() {
        for state in settled_states() {
            for event in events() {
                assert_eq!(state.clone().after(event), Err(AlreadySettled(state.clone())));
            }
        }
    }

    #[test]
    fn only_the_same_answer_of_the_same_device_is_the_one_that_won() {
        for verdict in VERDICTS {
            let state = State::Pending.after(Event::Settle(verdict, settled(1))).expect("pending moves");
            for again in VERDICTS {
                let approves = |v| matches!(v, Verdict::Approve { .. });
                let is_same = verdict == again || approves(verdict) && approves(again);
                let had_one_try = verdict == VERDICTS[1];
                assert_eq!(state.is_answer_of(device(1), again), is_same && !had_one_try);
                assert!(!state.is_answer_of(device(2), again));
            }
        }
        let by_code = State::Approved { settled: by_code(), redeemed_at: None, is_over: false };
        assert!(by_code.is_approved_by(FactorId::Device(device(1))));
        assert!(!by_code.is_approved_by(FactorId::Device(device(2))));
        for state in [State::Pending, State::Cancelled, State::Superseded, State::Expired, by_code] {
            for verdict in VERDICTS {
                assert!(!state.is_answer_of(device(1), verdict));
            }
        }
    }
}
