//! The embedded store's writer: what it does when too much, or something bad, waits for it.

use std::{
    future::Future,
    io::{self, Write},
    pin::{Pin, pin},
    sync::{Arc, Mutex, mpsc},
    task::Poll,
};

use countersign::{
    clock::ManualClock,
    store::{
        Challenges, Secrets, StoreError, StoreFuture,
        sqlite::{Options, SqliteStore},
    },
};
use countersign_domain::{
    id::UserTag,
    operation::{Lookup, Subject, Writes},
};
use tokio::sync::oneshot;

use crate::fixture::{START, database, open};

const NOBODY: Subject = Subject { user: UserTag(0), challenge: Lookup::None };

fn store(queue: usize) -> SqliteStore {
    let options = Options { queue, ..Options::default() };
    SqliteStore::open_in_memory(Arc::new(ManualClock::new(START)), options).expect("a store in memory")
}

/// Holds the writer in an operation until it is released.
async fn hold(
    store: &Arc<SqliteStore>,
) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>) {
    let (release, released) = mpsc::channel();
    let (runs, is_running) = oneshot::channel();
    let mut runs = Some(runs);
    let apply = move |_, _| {
        // The second call, after a roll-back, does not wait.
        if let Some(runs) = runs.take() {
            let _ = runs.send(());
            let _ = released.recv();
        }
        Writes::default()
    };
    let store = Arc::clone(store);
    let held = tokio::spawn(async move { store.commit(NOBODY, Box::new(apply)).await });
    is_running.await.expect("the writer runs it");
    (release, held)
}

/// Puts a call into the queue. Says what came of it, should it not have to wait.
async fn queue<T>(mut call: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn panics(store: &SqliteStore) -> StoreFuture<'_, ()> {
    store.commit(NOBODY, Box::new(|_, _| panic!("an operation with a mistake (this test makes it)")))
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_does_nothing() {
    let store = Arc::new(store(1));
    let (release, held) = hold(&store).await;
    let mut waiting = pin!(store.replace("waiting", None, vec![1]));
    assert_eq!(queue(waiting.as_mut()).await, None);
    let mut refused = pin!(store.replace("refused", None, vec![2]));
    assert_eq!(queue(refused.as_mut()).await, Some(Err(StoreError::Busy)));
    release.send(()).expect("the writer waits");
    assert_eq!(held.await.expect("no panic"), Ok(()));
    assert_eq!(waiting.await, Ok(true));
    assert_eq!(store.sealed("waiting").await, Ok(Some(vec![1])));
    assert_eq!(store.sealed("refused").await, Ok(None));
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_nothing_half_done() {
    let store = Arc::new(store(8));
    let (release, held) = hold(&store).await;
    {
        let mut gone = pin!(store.replace("gone", None, vec![1]));
        assert_eq!(queue(gone.as_mut()).await, None);
    }
    release.send(()).expect("the writer waits");
    assert_eq!(held.await.expect("no panic"), Ok(()));
    assert_eq!(store.sealed("gone").await, Ok(Some(vec![1])));
}

#[tokio::test]
async fn an_operation_with_a_mistake_is_refused_alone() {
    let store = Arc::new(store(8));
    let (release, held) = hold(&store).await;
    // All three wait, and so come into one transaction.
    let (mut before, mut bad, mut after) = (
        pin!(store.replace("before", None, vec![1])),
        pin!(panics(&store)),
        pin!(store.replace("after", None, vec![2])),
    );
    assert_eq!(queue(before.as_mut()).await, None);
    assert_eq!(queue(bad.as_mut()).await, None);
    assert_eq!(queue(after.as_mut()).await, None);
    release.send(()).expect("the writer waits");
    assert_eq!(held.await.expect("no panic"), Ok(()));
    assert_eq!(before.await, Ok(true));
    assert_eq!(bad.await, Err(StoreError::Unavailable));
    assert_eq!(after.await, Ok(true));
    assert_eq!(store.sealed("before").await, Ok(Some(vec![1])));
    assert_eq!(store.sealed("after").await, Ok(Some(vec![2])));
}

/// What all tests of this process have logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics while holding it").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_damaged_record_is_refused_logged_once_and_changes_nothing() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&database(&directory), &ManualClock::new(START));
    let beside = rusqlite::Connection::open(database(&directory)).expect("the database");
    let damage = "INSERT INTO users (tag, keep_until, record) VALUES (0, 0, x'01ff')";
    beside.execute(damage, []).expect("a row");
    let untouched = |_, _| panic!("it is not called with what cannot be read");
    assert_eq!(store.commit(NOBODY, Box::new(untouched)).await, Err(StoreError::Unavailable));
    assert_eq!(store.load(NOBODY).await, Err(StoreError::Unavailable));
    assert_eq!(store.ping().await, Ok(()));
    let record: Vec<u8> =
        beside.query_row("SELECT record FROM users", [], |row| row.get(0)).expect("the row");
    assert_eq!(record, [1, 0xff]);
    let log = String::from_utf8(log.0.lock().expect("nobody panics while holding it").clone()).expect("text");
    let logged: Vec<_> = log.lines().filter(|line| line.contains("cannot read a record")).collect();
    assert_eq!(logged.len(), 2, "{log}");
    for (line, operation) in logged.into_iter().zip(["challenges.commit", "challenges.load"]) {
        assert!(line.contains("ERROR") && line.contains(&format!("store.operation={operation:?}")), "{line}");
    }
}
