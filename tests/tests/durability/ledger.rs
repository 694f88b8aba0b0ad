//! What was acknowledged, and what of it is there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use countersign::store::Challenges;
use tokio::time::Instant;

use crate::writes::{Person, Step};

/// An acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) person: Person,
    pub(crate) step: Step,
    /// When it was heard of here.
    pub(crate) at: Instant,
}

/// All acknowledgements, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<Acknowledged>);

/// What was acknowledged and is gone.
#[derive(Debug)]
pub(crate) struct Loss {
    /// How much was acknowledged.
    pub(crate) of: usize,
    pub(crate) lost: Vec<Acknowledged>,
    last: Option<Instant>,
}

impl Ledger {
    pub(crate) fn add(&mut self, acknowledged: Acknowledged) {
        self.0.push(acknowledged);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How long ago the first came.
    pub(crate) fn has_gone_on_for(&self, duration: Duration) -> bool {
        self.0.first().is_some_and(|first| first.at.elapsed() >= duration)
    }

    /// Looks for everything. What nobody was told of may be there or not, but must be what was written.
    pub(crate) async fn compare(&self, store: &Arc<dyn Challenges>) -> Loss {
        /// More than were written for when it ended.
        const UNDER_WAY: u64 = 64;
        let mut found: BTreeMap<Person, BTreeSet<Step>> = BTreeMap::new();
        let newest = self.0.iter().map(|acknowledged| acknowledged.person.0).max().unwrap_or(0);
        for person in (0..=newest + UNDER_WAY).map(Person) {
            found.insert(person, person.found(store).await.into_iter().collect());
        }
        let is_gone =
            |acknowledged: &&Acknowledged| !found[&acknowledged.person].contains(&acknowledged.step);
        let lost = self.0.iter().filter(is_gone).copied().collect();
        // And it goes on.
        let another = Person(u64::MAX);
        for step in Step::ALL.into_iter().filter(|step| another.takes(*step)) {
            another.write(step, store).await.expect("the store takes writes");
        }
        Loss { of: self.len(), lost, last: self.0.last().map(|acknowledged| acknowledged.at) }
    }
}

impl Loss {
    /// Tells whoever runs the tests with `--nocapture`.
    pub(crate) fn print(&self, what: &str) {
        let (lost, of, age) = (self.lost.len(), self.of, self.age().as_millis());
        println!("{what}: {lost} of {of} acknowledged writes lost, none older than {age} ms");
    }

    /// Fails the test if anything is lost.
    pub(crate) fn is_none(&self, what: &str) {
        self.print(what);
        assert!(self.lost.is_empty(), "{what}: such as {:?}", self.lost[0]);
    }

    /// How long before the last acknowledgement the oldest came that is lost.
    pub(crate) fn age(&self) -> Duration {
        let oldest = self.lost.iter().map(|lost| lost.at).min();
        let age = oldest.zip(self.last).map(|(oldest, last)| last.duration_since(oldest));
        age.unwrap_or_default()
    }
}
