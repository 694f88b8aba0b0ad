//! Tables of what is accepted and refused. The tests assert each line exactly; the vectors are written from
//! the same lines.

pub(crate) mod encodings;
pub(crate) mod envelopes;
pub(crate) mod forms;
pub(crate) mod keys;
pub(crate) mod receipts;

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    key::VerificationKey,
    statement::{
        BindingStatement, CallStatement, ChallengeStatement, DecisionStatement, DeviceChangeStatement,
        EnrollmentStatement, Envelope, OfferStatement, ServerKeyStatement, SettlementStatement,
    },
    statement_form::Statement,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// An envelope, and what must come of opening it as a statement of one kind with one key.
pub(crate) struct StatementCase {
    /// Unique in its table.
    pub(crate) name: String,
    /// The statement's name, as in [`Kind`].
    pub(crate) kind: &'static str,
    /// The name of the key to verify with.
    pub(crate) signer: &'static str,
    /// The name of the key that signs as well, where one takes over.
    pub(crate) second_signer: Option<&'static str>,
    pub(crate) envelope: Envelope,
    /// `None`: it is taken.
    pub(crate) fault: Option<Fault>,
}

/// What is wrong with an envelope.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Exactly this.
    Is(EnvelopeFault),
    /// The value of this field.
    Field(&'static str),
}

impl Fault {
    /// Whether `found` is what was meant.
    pub(crate) fn is(&self, found: &EnvelopeFault) -> bool {
        match self {
            Self::Is(fault) => fault == found,
            Self::Field(field) => matches!(found, EnvelopeFault::Field(fault) if fault.field == *field),
        }
    }
}

/// One kind of statement, for code that learns which only when it runs.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) payload_type: &'static str,
    /// Opens an envelope, and gives the fields as protobuf JSON: null if JSON cannot say them.
    pub(crate) open: fn(&Envelope, VerificationKey) -> Result<Value, EnvelopeFault>,
    /// From protobuf JSON to the payload's bytes.
    pub(crate) encode: fn(Value) -> Vec<u8>,
}

impl Kind {
    fn of<S: Statement + Serialize + DeserializeOwned>() -> Self {
        Self {
            name: S::NAME,
            payload_type: S::PAYLOAD_TYPE,
            open: |envelope, key| {
                let statement: S = envelope::open(envelope, key)?;
                Ok(serde_json::to_value(statement).unwrap_or(Value::Null))
            },
            encode: |fields| {
                serde_json::from_value::<S>(fields).expect("the statement's protobuf JSON").encode_to_vec()
            },
        }
    }

    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Self {
        let mut kinds = Self::all().into_iter();
        kinds.find(|kind| kind.name == name).expect("the name of a statement")
    }

    /// Every kind there is.
    pub(crate) fn all() -> [Self; 9] {
        [
            Self::of::<ServerKeyStatement>(),
            Self::of::<OfferStatement>(),
            Self::of::<EnrollmentStatement>(),
            Self::of::<BindingStatement>(),
            Self::of::<ChallengeStatement>(),
            Self::of::<DecisionStatement>(),
            Self::of::<SettlementStatement>(),
            Self::of::<CallStatement>(),
            Self::of::<DeviceChangeStatement>(),
        ]
    }
}
