//! A whole installation over real sockets, against the stand-ins. Challenges lie in the data directory.

#[path = "suite.rs"]
mod suite;

use suite::{soon, world};

const STORE: world::Store = world::Store::Embedded;
