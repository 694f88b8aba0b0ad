//! Each rule of each statement's fields: what is just allowed, and what is just not.

mod approval;
mod enrollment;
mod settlement;

use countersign_proto::{envelope, statement_form::Statement};

use super::{Fault, StatementCase};
use crate::fixture::key;

/// A good statement, and its variants.
struct Table<S> {
    good: S,
    signer: &'static str,
    cases: Vec<StatementCase>,
}

impl<S: Statement + Clone> Table<S> {
    fn new(what: &str, good: S, signer: &'static str) -> Self {
        Self { good, signer, cases: Vec::new() }.takes(what, |_| ())
    }

    fn takes(self, what: &str, change: impl Fn(&mut S)) -> Self {
        self.with(format!("{}: {what}", S::NAME), None, change)
    }

    fn refuses(self, field: &'static str, what: &str, change: impl Fn(&mut S)) -> Self {
        self.with(format!("{}.{field}: {what}", S::NAME), Some(Fault::Field(field)), change)
    }

    fn with(mut self, name: String, fault: Option<Fault>, change: impl Fn(&mut S)) -> Self {
        let mut statement = self.good.clone();
        change(&mut statement);
        let envelope = envelope::sign(&statement, &key(self.signer));
        self.cases.push(StatementCase { name, kind: S::NAME, signer: self.signer, envelope, fault });
        self
    }
}

/// Every line of every table.
pub(crate) fn cases() -> Vec<StatementCase> {
    [enrollment::cases(), approval::cases(), settlement::cases()].into_iter().flatten().collect()
}
