//! What holds wherever challenges lie: these tests run on each store, as the fixture in `world` starts it.

mod api_keys;
mod attempts;
mod codes;
mod device_calls;
mod enrollment;
mod factors;
mod key_rollover;
mod login;
mod operator;
mod refusals;
mod revocation;
pub(crate) mod soon;
mod streams;
mod tampering;
mod users;
mod wire;
pub(crate) mod world;
