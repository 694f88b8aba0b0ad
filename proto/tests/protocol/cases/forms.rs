//! Each rule of each statement's fields: what is just allowed, and what is just not.

mod approval;
mod enrollment;
mod settlement;

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    statement::Envelope,
    statement_form::Statement,
};

use super::{Fault, StatementCase};
use crate::fixture::key;

/// A good statement, and its variants.
struct Table<S> {
    good: S,
    signer: &'static str,
    second_signer: Option<&'static str>,
    cases: Vec<StatementCase>,
}

impl<S: Statement + Clone> Table<S> {
    fn new(what: &str, good: S, signer: &'static str) -> Self {
        Self { good, signer, second_signer: None, cases: Vec::new() }.takes(what, |_| ())
    }

    /// A statement that brings the key `second_signer`, which signs it as well.
    fn of_two(what: &str, good: S, signer: &'static str, second_signer: &'static str) -> Self {
        Self { good, signer, second_signer: Some(second_signer), cases: Vec::new() }.takes(what, |_| ())
    }

    fn takes(self, what: &str, change: impl Fn(&mut S)) -> Self {
        self.with(format!("{}: {what}", S::NAME), None, change)
    }

    fn refuses(self, field: &'static str, what: &str, change: impl Fn(&mut S)) -> Self {
        self.with(format!("{}.{field}: {what}", S::NAME), Some(Fault::Field(field)), change)
    }

    fn with(self, name: String, fault: Option<Fault>, change: impl Fn(&mut S)) -> Self {
        let mut statement = self.good.clone();
        change(&mut statement);
        let envelope = match self.second_signer {
            None => envelope::sign(&statement, &key(self.signer)),
            Some(second) => envelope::sign_with_both(&statement, &key(self.signer), &key(second)),
        };
        self.push(name, envelope, fault)
    }

    /// The good statement in an envelope that does not hold.
    fn refuses_envelope(self, what: &str, fault: EnvelopeFault, change: impl Fn(&mut Envelope)) -> Self {
        let mut envelope = self.cases[0].envelope.clone();
        change(&mut envelope);
        self.push(format!("{}: {what}", S::NAME), envelope, Some(Fault::Is(fault)))
    }

    fn push(mut self, name: String, envelope: Envelope, fault: Option<Fault>) -> Self {
        let (signer, second_signer) = (self.signer, self.second_signer);
        self.cases.push(StatementCase { name, kind: S::NAME, signer, second_signer, envelope, fault });
        self
    }
}

/// Every line of every table.
pub(crate) fn cases() -> Vec<StatementCase> {
    [enrollment::cases(), approval::cases(), settlement::cases()].into_iter().flatten().collect()
}
