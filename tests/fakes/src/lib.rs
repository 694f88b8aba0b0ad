//! Stand-ins for push providers, over real TLS and HTTP/2 on loopback: for the tests, and for
//! `countersign demo`.

pub mod apns;
pub mod fcm;
mod stand_in;

pub use stand_in::{Answer, ConnectionFault, Request, StandIn};
