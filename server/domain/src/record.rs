//! The stored form of records: one byte that tells the format, then postcard. Servers of two versions can so
//! run side by side: a newer one reads what an older one wrote, and an older one refuses what it cannot read.

mod format_1;

use serde::{Serialize, de::DeserializeOwned};

use crate::{challenge::ChallengeRecord, user::UserRecord};

/// The present format.
const FORMAT: u8 = 2;

/// What is stored.
pub trait Record: Serialize + DeserializeOwned {
    /// As it was before codes.
    type Format1: DeserializeOwned + Into<Self>;
}

impl Record for ChallengeRecord {
    type Format1 = format_1::Challenge;
}

impl Record for UserRecord {
    type Format1 = format_1::User;
}

/// Bytes that are no record of a known format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// Written by a newer server.
    #[error("the record has format {0}; this server reads formats 1 to {FORMAT}")]
    Format(u8),
    /// Damaged.
    #[error("the record is damaged")]
    Damaged,
}

/// Writes a record.
pub fn encode<T: Record>(record: &T) -> Vec<u8> {
    postcard::to_extend(record, vec![FORMAT]).expect("a record in memory can be written to memory")
}

/// Reads a record.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, InvalidRecord> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => whole(rest),
        Some((1, rest)) => whole::<T::Format1>(rest).map(Into::into),
        Some((&format, _)) => Err(InvalidRecord::Format(format)),
        None => Err(InvalidRecord::Damaged),
    }
}

/// One value, and nothing after it.
fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidRecord> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(InvalidRecord::Damaged),
    }
}
