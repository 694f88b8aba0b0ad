//! The stored form of records: one byte that tells the format, then postcard. Servers of two versions can so
//! run side by side.

use serde::{Serialize, de::DeserializeOwned};

/// The present format.
const FORMAT: u8 = 1;

/// Bytes that are no record of a known format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// Written by a newer server.
    #[error("the record has format {0}; this server reads format {FORMAT}")]
    Format(u8),
    /// Damaged.
    #[error("the record is damaged")]
    Damaged,
}

/// Writes a record.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    postcard::to_extend(record, vec![FORMAT]).expect("a record in memory can be written to memory")
}

/// Reads a record.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidRecord> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => match postcard::take_from_bytes(rest) {
            Ok((record, [])) => Ok(record),
            _ => Err(InvalidRecord::Damaged),
        },
        Some((&format, _)) => Err(InvalidRecord::Format(format)),
        None => Err(InvalidRecord::Damaged),
    }
}
