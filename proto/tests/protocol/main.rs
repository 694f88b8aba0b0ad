//! The protocol's proof: what every implementation must take and refuse, as tables that the tests run and the
//! vectors under `proto/vectors` are written from.

mod cases;
mod envelopes;
mod fixture;
mod forms;
mod keys;
mod openssl;
mod receipts;
mod trust;
mod vectors;
