//! The stored form of a user record: a version, until when any of the user's challenges can be read, the record.
//!
//! The version is new and random at each write, so that a record that was written, or went and came again, never
//! passes for the one that was loaded. The record is there for as long as any challenge of the user, even when
//! it says nothing: every change of a challenge changes the version. It does not list a challenge that has been settled,
//! so the latest end of them all stands beside it, which only ever grows. What the record itself says may end earlier
//! than it did: a success clears the failures that were to be remembered for 400 days.
//!
//! That a record is absent is no version. So none ends before everybody has given up who may have found none when it
//! was written: see [`commit::keep_until`](super::commit::keep_until).

use countersign_domain::{
    UnixTime,
    record::{self, InvalidRecord},
    user::UserRecord,
};

const VERSION_BYTES: usize = 8;
const HEAD_BYTES: usize = VERSION_BYTES + 8;
/// Stands for the end of a user's challenges who has none.
const NO_CHALLENGE: UnixTime = UnixTime::from_millis(0);

/// What tells one write of a user record from every other; `None`: there is no record.
pub(super) type Version = Option<[u8; VERSION_BYTES]>;

/// A user record as it was loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct VersionedUser {
    pub(super) version: Version,
    /// The latest end of any challenge, listed or not. (A version of the server that kept more here wrote a later time:
    /// its records live longer.)
    pub(super) challenges_until: Option<UnixTime>,
    pub(super) record: UserRecord,
}

impl VersionedUser {
    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(stored: Option<&[u8]>) -> Result<Self, InvalidRecord> {
        let Some(stored) = stored else { return Ok(Self::default()) };
        let (head, record) = stored.split_first_chunk::<HEAD_BYTES>().ok_or(InvalidRecord::Damaged)?;
        let (version, until) = head.split_first_chunk::<VERSION_BYTES>().expect("16 bytes begin with 8");
        let until = i64::from_be_bytes(until.try_into().expect("16 bytes end with 8"));
        Ok(Self {
            version: Some(*version),
            challenges_until: Some(UnixTime::from_millis(until)).filter(|until| *until != NO_CHALLENGE),
            record: record::decode(record)?,
        })
    }

    /// The stored form.
    pub(super) fn encode(
        version: [u8; VERSION_BYTES],
        challenges_until: Option<UnixTime>,
        user: &UserRecord,
    ) -> Vec<u8> {
        let mut stored = version.to_vec();
        stored.extend(challenges_until.unwrap_or(NO_CHALLENGE).as_millis().to_be_bytes());
        stored.extend(record::encode(user));
        stored
    }
}
