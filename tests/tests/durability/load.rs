//! A process that writes, and says so after each acknowledgement, until it is killed or its store is away.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign::{
    clock::SystemClock,
    random::SystemRandom,
    store::{
        Challenges,
        redis::{RedisConfig, RedisStore},
        sqlite::{Options, SqliteStore},
    },
};
use countersign_test_peers::{RedisServer, stop_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinSet,
    time::Instant,
};

use crate::{
    ledger::{Acknowledged, Ledger},
    soon,
    writes::{Person, Step},
};

/// Tells the process that writes which store it is to write to.
const STORE: &str = "COUNTERSIGN_TEST_LOAD_STORE";
/// People who write at the same time.
const WORKERS: usize = 32;

/// Where challenges lie.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In this SQLite file.
    Embedded(PathBuf),
    /// In the Redis of this URL.
    Redis(String),
}

impl Place {
    /// In a data directory.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self::Embedded(directory.join("countersign.sqlite"))
    }

    /// In a running Redis.
    pub(crate) fn in_redis(redis: &RedisServer) -> Self {
        Self::Redis(redis.url())
    }

    /// Opens the store, as the server does.
    pub(crate) async fn open(&self) -> Arc<dyn Challenges> {
        match self {
            Self::Embedded(path) => {
                let store = SqliteStore::open(path, Arc::new(SystemClock), Options::default());
                Arc::new(store.expect("the database opens"))
            }
            Self::Redis(url) => {
                let config = RedisConfig::of_url(url.as_str());
                let store = RedisStore::open(&config, Arc::new(SystemRandom)).await;
                Arc::new(store.expect("this Redis can be used"))
            }
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Embedded(path) => path.to_str().expect("a path in UTF-8").to_owned(),
            Self::Redis(url) => url.clone(),
        }
    }

    fn of_text(text: &str) -> Self {
        if text.starts_with("redis://") { Self::Redis(text.to_owned()) } else { Self::Embedded(text.into()) }
    }
}

/// Runs in a process of its own, which the tests start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writer() {
    let Ok(place) = std::env::var(STORE) else { return };
    let store = Place::of_text(&place).open().await;
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        workers.spawn(async move { while write_for(&next, &store).await {} });
    }
    workers.join_all().await;
}

/// Whether all was acknowledged.
async fn write_for(next: &AtomicU64, store: &Arc<dyn Challenges>) -> bool {
    let person = Person(next.fetch_add(1, Ordering::Relaxed));
    for step in Step::ALL.into_iter().filter(|step| person.takes(*step)) {
        if person.write(step, store).await.is_err() {
            return false;
        }
        let line = format!("acknowledged {} {}\n", person.0, step as u8);
        // Not by a macro, whose output the test harness may keep for itself. A line that short is written whole.
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            return false;
        }
    }
    true
}

/// The process that writes, with what it has been told. It is killed when dropped.
pub(crate) struct Load {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    ledger: Ledger,
}

impl Load {
    /// Lets it loose on a store.
    pub(crate) fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("the path of the tests"))
            .args(["--exact", "load::writer", "--nocapture", "--test-threads=1"])
            .env(STORE, place.to_text())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it can be run");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines, ledger: Ledger::default() }
    }

    /// Lets it write until enough is acknowledged.
    pub(crate) async fn until(&mut self, enough: impl Fn(&Ledger) -> bool) {
        while !enough(&self.ledger) {
            assert!(self.read().await, "it ended by itself: {:?}", soon(self.child.wait()).await);
        }
    }

    /// Kills it (SIGKILL). What it had been told counts, also what has not been read here yet.
    pub(crate) async fn killed(mut self) -> Ledger {
        soon(self.child.kill()).await.expect("it ran until now");
        self.ended().await
    }

    /// Stops it in its tracks, and returns when it stands.
    pub(crate) async fn stop(&self) {
        let id = self.child.id().expect("it runs");
        soon(stop_process(id)).await.expect("it can be stopped");
    }

    /// Waits until it has given up, since its store is away, and returns all that was acknowledged.
    pub(crate) async fn ended(mut self) -> Ledger {
        while self.read().await {}
        self.ledger
    }

    /// Reads a line; false after the last one.
    async fn read(&mut self) -> bool {
        let Some(line) = soon(self.lines.next_line()).await.expect("it is text") else { return false };
        // The test harness writes lines of its own.
        if let Some(acknowledged) = parsed(&line) {
            self.ledger.add(acknowledged);
        }
        true
    }
}

fn parsed(line: &str) -> Option<Acknowledged> {
    let (person, step) = line.split_once("acknowledged ")?.1.split_once(' ')?;
    let step: usize = step.parse().expect("a number");
    let person = Person(person.parse().expect("a number"));
    Some(Acknowledged { person, step: Step::ALL[step], at: Instant::now() })
}
