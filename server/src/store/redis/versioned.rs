//! The stored form of a user record: a version, until when it must be kept, the record.
//!
//! The version is new and random at each write, so that a record that was written, or went and came again, never
//! passes for the one that was loaded. The record is there for as long as any challenge of the user, even when
//! it says nothing: every change of a challenge changes the version.

use countersign_domain::{
    UnixTime,
    record::{self, InvalidRecord},
    user::UserRecord,
};

const VERSION_BYTES: usize = 8;
const HEAD_BYTES: usize = VERSION_BYTES + 8;

/// What tells one write of a user record from every other; `None`: there is no record.
pub(super) type Version = Option<[u8; VERSION_BYTES]>;

/// A user record as it was loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct VersionedUser {
    pub(super) version: Version,
    /// The record must not end before.
    pub(super) keep_until: Option<UnixTime>,
    pub(super) record: UserRecord,
}

impl VersionedUser {
    /// Reads what [`Self::encode`] wrote.
    pub(super) fn decode(stored: Option<&[u8]>) -> Result<Self, InvalidRecord> {
        let Some(stored) = stored else { return Ok(Self::default()) };
        let (head, record) = stored.split_first_chunk::<HEAD_BYTES>().ok_or(InvalidRecord::Damaged)?;
        let (version, keep_until) = head.split_first_chunk::<VERSION_BYTES>().expect("16 bytes begin with 8");
        let keep_until = i64::from_be_bytes(keep_until.try_into().expect("16 bytes end with 8"));
        Ok(Self {
            version: Some(*version),
            keep_until: Some(UnixTime::from_millis(keep_until)),
            record: record::decode(record)?,
        })
    }

    /// The stored form.
    pub(super) fn encode(version: [u8; VERSION_BYTES], keep_until: UnixTime, user: &UserRecord) -> Vec<u8> {
        let mut stored = version.to_vec();
        stored.extend(keep_until.as_millis().to_be_bytes());
        stored.extend(record::encode(user));
        stored
    }
}
