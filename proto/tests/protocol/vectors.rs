//! The vectors under `proto/vectors`: written from the tables, and checked in both directions.
//!
//! `WRITE_VECTORS=1 cargo test -p countersign-proto --test protocol` writes them anew.

mod check;
mod format;
mod reasons;
mod write;

use std::{fs, path::PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Where the file of that name is.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

/// The file of that name, as it is checked in.
pub(crate) fn file<F: DeserializeOwned>(name: &str) -> F {
    let text = fs::read_to_string(path(name)).expect("the vectors are checked in");
    serde_json::from_str(&text).expect("the form that vectors/README.md describes")
}

/// The accepted statements, for a second opinion on their signatures.
pub(crate) fn accepted_statements() -> Vec<format::AcceptedStatement> {
    file::<format::Statements>("statements.json").accepted
}

pub(crate) use format::unhex;

#[test]
fn what_is_checked_in_is_what_the_tables_say() {
    for (name, expected) in write::all() {
        if std::env::var_os("WRITE_VECTORS").is_some() {
            let text = serde_json::to_string_pretty(&expected).expect("values without maps of odd keys");
            fs::write(path(name), text + "\n").expect("proto/vectors can be written");
        }
        assert!(
            file::<Value>(name) == expected,
            "{name} differs: write the vectors anew (WRITE_VECTORS=1) and read the difference"
        );
    }
}
