//! What is asked of the store in Redis alone.

mod cluster;
mod commit_time;
mod connections;
mod declared_keys;
mod key_lives;
mod listening;
mod login;
mod malformed;
mod monitor;
mod permissions;
mod scripts;
