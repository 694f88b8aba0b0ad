//! What the machine does at best, measured beside the rest: figures of another machine, or of a busy hour, can be
//! compared by their ratio to these.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use countersign_proto::{
    envelope,
    key::{SigningKey, VerificationKey},
    statement::{CallStatement, Envelope},
};

use crate::{Failure, percentiles::Percentiles, redis::Redis};

/// How often each thing is done.
const TIMES: u32 = 500;
const PAGE_BYTES: usize = 4096;

/// Overwrites one page of a file in `directory` and syncs its data, as a commit of the database does.
pub fn synced_page(directory: &Path) -> Result<Percentiles, Failure> {
    let path = directory.join("floor");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    let mut took = Vec::new();
    for number in 0..=TIMES {
        let began = Instant::now();
        file.write_all_at(&[number.to_le_bytes()[0]; PAGE_BYTES], 0)?;
        file.sync_data()?;
        // The first one makes the file longer.
        if number > 0 {
            took.push(began.elapsed());
        }
    }
    std::fs::remove_file(path)?;
    Ok(Percentiles::of(took))
}

/// `PING`s, one after the other.
pub async fn pings(redis: &mut Redis) -> Result<Percentiles, Failure> {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        took.push(redis.ping().await?);
    }
    Ok(Percentiles::of(took))
}

/// How long it takes to sign a small statement, and to verify it.
pub fn signature() -> Result<(Duration, Duration), Failure> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = VerificationKey::of(&key);
    let statement = CallStatement { method: "/floor".to_owned(), ..CallStatement::default() };
    let began = Instant::now();
    let signed: Vec<Envelope> = (0..TIMES).map(|_| envelope::sign(&statement, &key)).collect();
    let signing = began.elapsed() / TIMES;
    let began = Instant::now();
    signed.iter().try_for_each(|envelope| envelope::verify(envelope, public))?;
    Ok((signing, began.elapsed() / TIMES))
}
