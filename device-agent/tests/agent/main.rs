//! The agent against a server on a real loopback socket whose answers are scripted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod answers;
mod calls;
mod codes;
mod command_line;
mod command_line_listening;
mod enrollment;
mod listening;
mod profile;
mod script;
mod server;
mod server_keys;
mod tls;
mod trust;
