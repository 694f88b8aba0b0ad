//! A store, and what it must have.

use std::sync::Arc;

use countersign::store::Challenges;
use countersign_domain::{
    UnixTime,
    id::{ChallengeId, UserTag},
    operation::{Loaded, Lookup, Subject},
};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    call::{Answer, Call},
    memory::{Forgets, Memory, having_failed},
};

/// A store with all servers on it, and the memory that it is held to.
pub(super) struct Party {
    /// Which, and in which sequence, to be told with a failure.
    name: String,
    pub(super) servers: Vec<Arc<dyn Challenges>>,
    pub(super) memory: Memory,
}

impl Party {
    pub(super) fn new(name: String, servers: Vec<Arc<dyn Challenges>>, forgets: Forgets) -> Self {
        Self { name, servers, memory: Memory::new(forgets) }
    }

    /// A user is there who has had so many wrong codes in a row.
    pub(super) async fn begin(&mut self, user: UserTag, failures: u32, now: UnixTime) {
        self.memory.begin(user, failures, now);
        let subject = Subject { user, challenge: Lookup::None };
        let begin = Box::new(move |_, now| having_failed(failures, now));
        self.servers[0].commit(subject, begin).await.expect("an answer");
        self.has_what_it_must(&[subject]).await;
    }

    /// Lets one happen, by the server of this number.
    pub(super) async fn take(&mut self, server: usize, call: &Call, now: UnixTime) -> Answer {
        let expected = self.memory.take(call, now);
        let servers = &self.servers;
        let answer = call.clone().ask(&servers[server % servers.len()]).await;
        assert_eq!(answer, expected, "{}: {call:?}", self.name);
        self.has_what_it_must(&[call.subject()]).await;
        answer
    }

    /// Lets all happen at once. Returns an order of them that comes to the same, and their answers.
    pub(super) async fn race(&mut self, calls: &[Call], now: UnixTime) -> (Vec<usize>, Vec<Answer>) {
        let answers = self.at_once(calls).await;
        let subjects = subjects(calls);
        let loaded = self.loaded(&subjects).await;
        for order in orders(calls.len()) {
            let mut memory = self.memory.clone();
            let is_told = |&n: &usize| memory.take(&calls[n], now) == answers[n];
            if order.iter().all(is_told) && loaded == in_memory(&memory, &subjects) {
                self.memory = memory;
                return (order, answers);
            }
        }
        let name = &self.name;
        panic!("{name}: no order of\n{calls:#?}\nanswers\n{answers:#?}\nand leaves\n{loaded:#?}");
    }

    /// Compares what is stored.
    pub(super) async fn has_what_it_must(&self, subjects: &[Subject]) {
        assert_eq!(self.loaded(subjects).await, in_memory(&self.memory, subjects), "{}", self.name);
    }

    /// Compares what can be seen of a user, by whoever reads it.
    pub(super) async fn shows_what_it_must(&self, user: UserTag, challenges: &[ChallengeId]) {
        assert_eq!(self.servers[0].open(user).await, Ok(self.memory.open(user)), "{}", self.name);
        let subject = |id: &ChallengeId| Subject { user, challenge: Lookup::Id(*id) };
        self.has_what_it_must(&challenges.iter().map(subject).collect::<Vec<_>>()).await;
    }

    async fn at_once(&self, calls: &[Call]) -> Vec<Answer> {
        let start = Arc::new(Barrier::new(calls.len()));
        let mut racers = JoinSet::new();
        for (n, call) in calls.iter().cloned().enumerate() {
            let (start, server) = (start.clone(), self.servers[n % self.servers.len()].clone());
            racers.spawn(async move {
                start.wait().await;
                (n, call.ask(&server).await)
            });
        }
        let mut answers = racers.join_all().await;
        answers.sort_by_key(|(n, _)| *n);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn loaded(&self, subjects: &[Subject]) -> Vec<Loaded> {
        let mut all = Vec::new();
        for subject in subjects {
            all.push(self.servers[0].load(*subject).await.expect("an answer").0);
        }
        all
    }
}

fn in_memory(memory: &Memory, subjects: &[Subject]) -> Vec<Loaded> {
    subjects.iter().map(|subject| memory.load(*subject)).collect()
}

fn subjects(calls: &[Call]) -> Vec<Subject> {
    calls.iter().map(Call::subject).collect()
}

/// Every order of the first `n` numbers, their own first.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: Vec<usize>| {
        (0..n).rev().map(move |place| {
            let mut order = order.clone();
            order.insert(place, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert).collect()
}
