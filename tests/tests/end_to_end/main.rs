//! Tests over real sockets: the server's parts and the whole, against the stand-ins. Challenges lie in the data
//! directory.

mod apns;
mod captured_log;
mod dispatch;
#[path = "suite.rs"]
mod suite;

use suite::{soon, world};

const STORE: world::Store = world::Store::Embedded;
