//! Records as they were before codes: read, never written. What they hold was settled by devices, and woken.
#![expect(clippy::struct_field_names, reason = "the fields are those of the stored form")]

use serde::Deserialize;

use crate::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    code::Codes,
    id::{ApplicationId, ChallengeId, DeviceId},
    standing::Standing,
    state::{self, Denial, SettledBy},
    user::{self, OpenChallenge, UserRecord},
};

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct User {
    open: Vec<OpenChallenge>,
    tombstones: Vec<Tombstone>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Tombstone {
    tag: FactorTag,
    until: UnixTime,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Challenge {
    id: ChallengeId,
    application_id: ApplicationId,
    request_sha256: [u8; 32],
    created_at: UnixTime,
    expires_at: UnixTime,
    challenge: Vec<u8>,
    asked: Vec<AskedDevice>,
    state: State,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum State {
    Pending,
    Approved { settled: Settled, redeemed_at: Option<UnixTime>, is_over: bool },
    Denied { reason: Denial, settled: Settled },
    Cancelled,
    Superseded,
    Expired,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Settled {
    device_id: DeviceId,
    settled_at: UnixTime,
    decision: Vec<u8>,
    settlement: Vec<u8>,
}

impl From<User> for UserRecord {
    fn from(old: User) -> Self {
        let tombstones = old.tombstones.into_iter().map(|old| user::Tombstone {
            tag: old.tag,
            successor: None,
            until: old.until,
        });
        Self { open: old.open, tombstones: tombstones.collect(), standing: Standing::default() }
    }
}

impl From<Challenge> for ChallengeRecord {
    fn from(old: Challenge) -> Self {
        Self {
            id: old.id,
            application_id: old.application_id,
            request_sha256: old.request_sha256,
            created_at: old.created_at,
            expires_at: old.expires_at,
            challenge: old.challenge,
            asked: old.asked,
            codes: Codes::default(),
            wakeup: Wakeup::Sending,
            state: old.state.into(),
        }
    }
}

impl From<State> for state::State {
    fn from(old: State) -> Self {
        match old {
            State::Pending => Self::Pending,
            State::Approved { settled, redeemed_at, is_over } => {
                Self::Approved { settled: settled.into(), redeemed_at, is_over }
            }
            State::Denied { reason, settled } => Self::Denied { reason, settled: settled.into() },
            State::Cancelled => Self::Cancelled,
            State::Superseded => Self::Superseded,
            State::Expired => Self::Expired,
        }
    }
}

impl From<Settled> for state::Settled {
    fn from(old: Settled) -> Self {
        let by = SettledBy::Device { id: old.device_id, decision: old.decision };
        Self { by, settled_at: old.settled_at, settlement: old.settlement }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, decode};

    fn written<T: serde::Serialize>(old: &T) -> Vec<u8> {
        postcard::to_extend(old, vec![1]).expect("it is in memory")
    }

    fn read<T: Record>(bytes: &[u8]) -> T {
        decode(bytes).expect("a record of the first format")
    }

    #[test]
    fn a_record_of_the_first_format_is_read_as_what_it_said() {
        let at = UnixTime::from_millis(1_795_000_000_000);
        let settled = || Settled {
            device_id: DeviceId::new(7, 1),
            settled_at: at,
            decision: vec![1],
            settlement: vec![2],
        };
        let challenge = |state| Challenge {
            id: ChallengeId::new(7, 1),
            application_id: ApplicationId::new(1, 1),
            request_sha256: [1; 32],
            created_at: at,
            expires_at: at,
            challenge: vec![3],
            asked: Vec::new(),
            state,
        };
        let new = state::Settled::from(settled());
        assert_eq!(new.device(), Some(DeviceId::new(7, 1)));
        for (old, new) in [
            (State::Pending, state::State::Pending),
            (State::Cancelled, state::State::Cancelled),
            (State::Superseded, state::State::Superseded),
            (State::Expired, state::State::Expired),
            (
                State::Approved { settled: settled(), redeemed_at: Some(at), is_over: false },
                state::State::Approved { settled: new.clone(), redeemed_at: Some(at), is_over: false },
            ),
            (
                State::Denied { reason: Denial::NotMe, settled: settled() },
                state::State::Denied { reason: Denial::NotMe, settled: new },
            ),
        ] {
            let record: ChallengeRecord = read(&written(&challenge(old)));
            assert_eq!((record.state, record.codes.kinds.len()), (new, 0));
        }
        let open = vec![OpenChallenge { id: ChallengeId::new(7, 1), expires_at: at, is_over: false }];
        let tombstones = vec![Tombstone { tag: FactorTag([9; 32]), until: at }];
        let user: UserRecord = read(&written(&User { open: open.clone(), tombstones }));
        let stands = user::Tombstone { tag: FactorTag([9; 32]), successor: None, until: at };
        assert_eq!((user.open, user.tombstones, user.standing), (open, vec![stands], Standing::default()));
    }
}
