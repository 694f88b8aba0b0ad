//! What was told of one challenge.

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, Wakeup},
    code::{CodeFactor, Codes},
    id::DeviceId,
    standing::Holds,
    state::{Event, Settled, SettledBy, State, Verdict},
};

use super::devices::Devices;
use crate::fixture::{code_settlement, settlement};

/// A challenge as it was made, and what was told of it since.
pub(crate) struct Told {
    pub(crate) made: ChallengeRecord,
    /// The attempt that asked.
    pub(crate) attempt: u8,
    /// Its end, once somebody has been told; without `redeemed_at`.
    pub(crate) end: Option<State>,
    /// The answer that settled it.
    pub(crate) winner: Option<Winner>,
    /// Wrong codes so far.
    pub(crate) wrong_codes: u32,
    /// Whether somebody asked at or past its expiry.
    pub(crate) was_seen_over: bool,
    pub(crate) redeemed_at: Option<UnixTime>,
    /// Whether somebody was told that it is too late to redeem it.
    pub(crate) was_too_late: bool,
    /// The latest time on the clock since it was made.
    pub(crate) latest: UnixTime,
}

/// What settled a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Winner {
    /// The answer of a device, with a key that was bound then.
    Device { device: DeviceId, verdict: Verdict, bound_at: UnixTime },
    /// A code of this factor.
    Code(CodeFactor),
    /// One wrong code too many.
    WrongCodes,
}

impl Told {
    pub(crate) fn new(made: ChallengeRecord, attempt: u8, now: UnixTime) -> Self {
        let (end, winner, redeemed_at) = (None, None, None);
        Self {
            made,
            attempt,
            end,
            winner,
            wrong_codes: 0,
            was_seen_over: false,
            redeemed_at,
            was_too_late: false,
            latest: now,
        }
    }

    /// Somebody asked.
    pub(crate) fn see(&mut self, now: UnixTime) {
        self.was_seen_over |= now >= self.made.expires_at;
    }

    /// Somebody asked and was told.
    pub(crate) fn hear(&mut self, record: &ChallengeRecord, now: UnixTime, devices: &Devices, holds: Holds) {
        self.see(now);
        self.agrees_with(record, now, devices, holds);
        if !record.state.is_pending() {
            self.end = Some(bare(&record.state));
        }
    }

    /// It was told that this call ended it.
    pub(crate) fn end_with(&mut self, end: State) {
        assert_eq!(self.end, None, "it ended twice");
        assert_eq!(self.winner, None, "it ended twice");
        self.end = Some(end);
    }

    /// It was told that this answer settled it.
    pub(crate) fn win(&mut self, winner: Winner, record: &ChallengeRecord, now: UnixTime) {
        assert!(!self.was_seen_over && now < self.made.expires_at, "it was settled after its end");
        self.end_with(bare(&record.state));
        self.winner = Some(winner);
    }

    pub(crate) fn is_approved(&self) -> bool {
        matches!(self.end, Some(State::Approved { .. }))
    }

    /// Asserts that what is told at `now` contradicts nothing that was told before, names devices under the keys that
    /// they have, takes codes unless they are locked, and wakes nobody while pushes are blocked.
    pub(crate) fn agrees_with(
        &self,
        record: &ChallengeRecord,
        now: UnixTime,
        devices: &Devices,
        holds: Holds,
    ) {
        devices.are_named(record, &self.made);
        let kinds = if holds.locked_at.is_some() { Vec::new() } else { self.made.codes.kinds.clone() };
        let codes = Codes { kinds, wrong: self.wrong_codes };
        let wakeup = match self.made.wakeup {
            Wakeup::Sending if record.state.is_pending() && holds.push_blocked_at.is_some() => {
                Wakeup::Blocked
            }
            wakeup => wakeup,
        };
        let expected = ChallengeRecord { codes, wakeup, asked: record.asked.clone(), ..self.made.clone() };
        assert_eq!(ChallengeRecord { state: State::Pending, ..record.clone() }, expected);
        if let Some(end) = &self.end {
            assert_eq!(&bare(&record.state), end, "two outcomes");
        }
        match &record.state {
            State::Pending => {
                assert!(!self.was_seen_over && now < self.made.expires_at, "pending after its expiry");
            }
            State::Expired => {
                assert!(self.latest >= self.made.expires_at, "expired before its time");
            }
            // It was pushed out, or fell off the list when it could no longer be read.
            State::Superseded => {
                assert!(self.end.is_some() || self.latest >= self.made.readable_until(), "by what?");
            }
            State::Cancelled => assert!(self.end.is_some(), "nobody cancelled it"),
            State::Approved { settled, redeemed_at, .. } => {
                assert_eq!(*redeemed_at, self.redeemed_at);
                self.agrees_with_settled(&record.state, settled);
            }
            State::Denied { settled, .. } => self.agrees_with_settled(&record.state, settled),
        }
    }

    fn agrees_with_settled(&self, state: &State, settled: &Settled) {
        let winner = self.winner.expect("nobody answered");
        let (event, signed) = match winner {
            Winner::Device { verdict, .. } => {
                (Event::Settle(verdict, settled.clone()), settlement(verdict, settled.settled_at))
            }
            Winner::Code(factor) => {
                assert_eq!(settled.by, SettledBy::Code(factor));
                (Event::AcceptCode(settled.clone()), code_settlement(true, settled.settled_at))
            }
            Winner::WrongCodes => {
                assert_eq!((&settled.by, self.wrong_codes), (&SettledBy::Server, 5));
                (Event::RefuseCodes(settled.clone()), code_settlement(false, settled.settled_at))
            }
        };
        let made_by = State::Pending.after(event).expect("pending moves");
        assert_eq!(bare(state), made_by, "it is not what the answer made of it");
        if let Winner::Device { device, bound_at, .. } = winner {
            assert_eq!(settled.device(), Some(device));
            assert!(bound_at <= settled.settled_at, "settled before its key was bound");
        }
        assert!(self.made.created_at <= settled.settled_at, "settled before it was asked");
        assert!(settled.settled_at < self.made.expires_at, "settled after its end");
        assert_eq!(settled.settlement, signed, "the signature says otherwise");
    }
}

/// The state without what only informs.
fn bare(state: &State) -> State {
    match state {
        State::Approved { settled, .. } => {
            State::Approved { settled: settled.clone(), redeemed_at: None, is_over: false }
        }
        other => other.clone(),
    }
}
