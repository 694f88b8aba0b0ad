//! The time of day of a Redis server, moved by a test.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tempfile::TempDir;

const SOURCE: &str = include_str!("manual_clock.c");
const LIBRARY: &str = "manual_clock.so";
const TIME: &str = "time";

/// A clock that stands still until it is set. Clones are the same clock; several servers may follow it.
///
/// libfaketime does the same for most programs, but deadlocks in Redis with jemalloc.
#[derive(Clone)]
pub struct ManualRedisClock {
    shared: Arc<Shared>,
}

struct Shared {
    /// Holds the library that is loaded into the server, and the file that it reads the time from.
    directory: TempDir,
    time: Mutex<File>,
}

impl ManualRedisClock {
    /// A clock that stands at `millis` since the Unix epoch. The first one in a process compiles the library
    /// that is loaded into Redis, with `cc`.
    pub fn new(millis: i64) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("manual-redis-clock-").tempdir()?;
        fs::write(directory.path().join(LIBRARY), library()?)?;
        let time = Mutex::new(File::create(directory.path().join(TIME))?);
        let clock = Self { shared: Arc::new(Shared { directory, time }) };
        clock.set(millis);
        Ok(clock)
    }

    /// Moves the clock to `millis` since the Unix epoch. A running server sees it at once.
    pub fn set(&self, millis: i64) {
        let micros = (millis * 1000).to_ne_bytes();
        let time = self.shared.time.lock().unwrap_or_else(PoisonError::into_inner);
        for offset in [0, 8] {
            time.write_all_at(&micros, offset).expect("the clock's file is open and takes 16 bytes");
        }
    }

    /// Makes the program that `command` starts follow this clock.
    pub(crate) fn rule(&self, command: &mut Command) {
        let directory = self.shared.directory.path();
        command.env("LD_PRELOAD", directory.join(LIBRARY)).env("MANUAL_CLOCK_FILE", directory.join(TIME));
    }
}

/// The compiled library. Its bytes are kept, not its file: nothing would remove that when the process ends.
fn library() -> io::Result<&'static [u8]> {
    static COMPILED: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| compile().map_err(|error| error.to_string()));
    compiled.as_deref().map_err(|error| io::Error::other(error.clone()))
}

fn compile() -> io::Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("manual_clock.c");
    let library = directory.path().join(LIBRARY);
    fs::write(&source, SOURCE)?;
    run_compiler(&source, &library)?;
    fs::read(library)
}

fn run_compiler(source: &Path, library: &Path) -> io::Result<()> {
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .args([library, source])
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("cc failed: {}", String::from_utf8_lossy(&output.stderr))))
}
