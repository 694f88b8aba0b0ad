//! Tests over real sockets: the server's parts and the whole, against the stand-ins.

mod api_keys;
mod apns;
mod attempts;
mod captured_log;
mod device_calls;
mod dispatch;
mod enrollment;
mod key_rollover;
mod login;
mod refusals;
mod revocation;
mod tampering;
mod users;
mod wire;
mod world;
