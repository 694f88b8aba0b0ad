//! The same tests with challenges in Redis: two servers share a data directory, and successive calls go to them in
//! turn.

mod left_behind;
#[path = "suite.rs"]
mod suite;
mod two_servers;

use suite::{soon, world};

const STORE: world::Store = world::Store::Redis;
