//! Whose word a receipt rests on.

use crate::statement::{BindingStatement, DecisionStatement};

/// What stands behind a settlement.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a receipt is checked and read, and not kept in numbers")]
pub enum Proof {
    /// A device signed the answer, with a key that the server bound to the user.
    Device {
        /// What it answered.
        decision: DecisionStatement,
        /// Whose key it was.
        binding: BindingStatement,
    },
    /// The server's word alone: a code was right, or too many were wrong. The settlement tells which, and of
    /// which factor the code was.
    Server,
}

impl Proof {
    /// What the device answered, where one did.
    pub fn decision(&self) -> Option<&DecisionStatement> {
        match self {
            Self::Device { decision, .. } => Some(decision),
            Self::Server => None,
        }
    }

    /// Whose key it was, where a device answered.
    pub fn binding(&self) -> Option<&BindingStatement> {
        match self {
            Self::Device { binding, .. } => Some(binding),
            Self::Server => None,
        }
    }
}
