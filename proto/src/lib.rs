//! Countersign's wire contract and what is signed in it.
//!
//! The types are generated from the .proto files beside this crate ([`login`] for backends, [`device`] for
//! devices, [`statement`] for what is signed, [`common`] for words of both). Around them stands what every
//! implementation must agree on, described in `docs/protocol.md`: [`key`]s and their thumbprints,
//! [`envelope`]s, the closed [`statement_form`] of what is signed, the [`trust`] from the root key to server
//! keys, [`receipt`]s, pairing [`link`]s and the rules of shown [`text`].
//!
//! Features: `client` and `server` add the gRPC code of the services; without them the crate has no I/O.

pub mod envelope;
mod generated;
pub mod key;
pub mod link;
pub mod receipt;
mod redacted;
pub mod statement_form;
pub mod text;
pub mod time;
pub mod trust;

pub use generated::countersign::{
    common::v1 as common, device::v1 as device, login::v1 as login, statement::v1 as statement,
};

/// The contract as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
