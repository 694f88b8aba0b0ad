//! Codes that a person types on the login page in place of an answer by a device.

use countersign_proto::common::FactorType;
use serde::{Deserialize, Serialize};

use crate::{
    challenge::FactorTag,
    id::{DeviceId, FactorId},
};

/// Wrong codes that deny a challenge.
pub const TRIES: u32 = 5;

/// A kind of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CodeKind {
    /// RFC 6238, of an authenticator app or of an enrolled device.
    Totp,
    /// The one that the person keeps on paper.
    Recovery,
}

/// The codes that may settle a challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// Which kinds: those that the user had and the challenge allows.
    pub kinds: Vec<CodeKind>,
    /// How many were wrong.
    pub wrong: u32,
}

/// A factor whose code was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeFactor {
    /// Which.
    pub id: FactorId,
    /// What a tombstone names it by.
    pub tag: FactorTag,
}

impl CodeKind {
    /// The contract's word for it.
    pub fn to_wire(self) -> FactorType {
        match self {
            Self::Totp => FactorType::Totp,
            Self::Recovery => FactorType::RecoveryCode,
        }
    }
}

impl Codes {
    /// How many more may be wrong.
    pub fn tries_left(&self) -> u32 {
        if self.kinds.is_empty() { 0 } else { TRIES.saturating_sub(self.wrong) }
    }
}

impl CodeFactor {
    /// The kind of its codes.
    pub fn kind(&self) -> CodeKind {
        match self.id {
            FactorId::Totp(_) | FactorId::Device(_) => CodeKind::Totp,
            FactorId::Recovery(_) => CodeKind::Recovery,
        }
    }

    /// The device whose secret it is, when it is one's.
    pub fn device(&self) -> Option<DeviceId> {
        match self.id {
            FactorId::Device(id) => Some(id),
            FactorId::Totp(_) | FactorId::Recovery(_) => None,
        }
    }
}
