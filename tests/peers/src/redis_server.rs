//! A real Redis server.

mod options;
mod tls;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;
use tokio::net::TcpStream;

pub use self::options::RedisOptions;
use crate::{
    availability::redis_is_available,
    process::{self, Process, StartError, command_that_dies_with_us},
    resp::{RespConnection, Value},
};

/// How many ports are tried, each of which another program may take between its choice and its use.
const ATTEMPTS: usize = 5;

/// A running `redis-server` on a free port of the loopback interface. It is killed when dropped, and also
/// when the test's process is.
///
/// It writes an append-only file, which it leaves to the operating system to bring to the disk: what was
/// written outlives [`Self::kill`].
pub struct RedisServer {
    options: RedisOptions,
    ports: Ports,
    // Declared before the directory, so that the server ends first.
    process: Mutex<Option<Process>>,
    directory: Directory,
    ca_pem: Option<String>,
}

#[derive(Clone, Copy)]
struct Ports {
    clients: u16,
    bus: u16,
}

enum Directory {
    Own(TempDir),
    Given(PathBuf),
}

impl RedisServer {
    /// Whether `redis-server` is installed. Tests ask [`crate::redis_or_skip`].
    pub fn available() -> bool {
        redis_is_available()
    }

    /// Starts the usual server. Must be called inside a tokio runtime.
    pub async fn start() -> io::Result<Self> {
        Self::options().start().await
    }

    /// For a server that differs from the usual one.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    async fn start_with(options: RedisOptions) -> io::Result<Self> {
        let directory = match &options.directory {
            Some(path) => Directory::Given(path.canonicalize()?),
            None => Directory::Own(tempfile::Builder::new().prefix("redis-").tempdir()?),
        };
        let ca_pem = options.tls.then(|| tls::make(directory.path())).transpose()?;
        let mut written = String::new();
        for _ in 0..ATTEMPTS {
            let ports = Ports::free()?;
            match start_process(&options, ports, directory.path()).await {
                Ok(process) => {
                    let process = Mutex::new(Some(process));
                    return Ok(Self { options, ports, process, directory, ca_pem });
                }
                Err(StartError::Io(error)) => return Err(error),
                Err(StartError::NotReady(text)) => written = text,
            }
            if !is_port_taken(&written) {
                break;
            }
        }
        Err(not_ready(&written))
    }

    /// Where it listens, such as `redis://127.0.0.1:41234`, or `rediss://localhost:41234` with TLS.
    pub fn url(&self) -> String {
        match self.ca_pem {
            Some(_) => format!("rediss://localhost:{}", self.port()),
            None => format!("redis://127.0.0.1:{}", self.port()),
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.clients
    }

    pub(crate) fn bus_port(&self) -> u16 {
        self.ports.bus
    }

    /// The process; none after [`Self::kill`].
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// Where its data and its configuration are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The certificate, in PEM, that the server's own is to be checked with; none without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The file that holds [`Self::ca_pem`].
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.ca_pem.as_ref().map(|_| self.directory().join(tls::CA_FILE))
    }

    /// The files of a certificate of the same authority, and of its private key, for a client that the server asks
    /// for one (`tls-auth-clients yes`); none without TLS.
    pub fn client_files(&self) -> Option<[PathBuf; 2]> {
        self.ca_pem.as_ref().map(|_| tls::CLIENT_FILES.map(|name| self.directory().join(name)))
    }

    /// Returns when the server has written `text` to its log, since it was started last. Panics if it ends before.
    pub async fn logged(&self, text: &str) {
        let written = self.process().as_ref().map(Process::written);
        let mut written = written.expect("the Redis server runs");
        let is_told = written.wait_for(|written| written.contains(text)).await.is_ok();
        assert!(is_told, "the Redis server ended without: {text}");
    }

    /// Kills it (SIGKILL), and returns when it is gone. Nothing happens if it does not run.
    pub fn kill(&self) {
        *self.process() = None;
    }

    /// Starts it again on the same port and the same data, after killing it if it runs. Must be called inside
    /// a tokio runtime.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill();
        match start_process(&self.options, self.ports, self.directory()).await {
            Ok(process) => *self.process() = Some(process),
            Err(StartError::Io(error)) => return Err(error),
            Err(StartError::NotReady(written)) => return Err(not_ready(&written)),
        }
        Ok(())
    }

    /// Stops it in its tracks (SIGSTOP), and returns when it stands: connections stay, nothing is answered.
    pub async fn stop_signal(&self) -> io::Result<()> {
        process::stop(self.running()?).await
    }

    /// Lets it go on after [`Self::stop_signal`] (SIGCONT).
    pub fn continue_signal(&self) -> io::Result<()> {
        process::go_on(self.running()?)
    }

    /// Opens a connection as the user `default`.
    pub async fn connect(&self) -> io::Result<RespConnection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).await?;
        stream.set_nodelay(true)?;
        let mut connection = match &self.ca_pem {
            Some(ca_pem) => RespConnection::over(tls::connect(stream, ca_pem).await?),
            None => RespConnection::over(stream),
        };
        if let Some(password) = &self.options.default_user_password
            && let Value::Error(error) = connection.command(&["AUTH", password]).await?
        {
            return Err(io::Error::other(error));
        }
        Ok(connection)
    }

    /// Sends `command` on a connection of its own, as the user `default`. An answer may be [`Value::Error`].
    pub async fn command(&self, command: &[&str]) -> io::Result<Value> {
        self.connect().await?.command(command).await
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> io::Result<u32> {
        self.pid().ok_or_else(|| io::Error::other("the Redis server does not run"))
    }
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

impl Ports {
    /// Two that nothing listens on at the moment.
    fn free() -> io::Result<Self> {
        let clients = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let bus = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { clients: clients.local_addr()?.port(), bus: bus.local_addr()?.port() })
    }
}

async fn start_process(
    options: &RedisOptions,
    ports: Ports,
    directory: &Path,
) -> Result<Process, StartError> {
    const CONFIG: &str = "redis.conf";
    fs::write(directory.join(CONFIG), options.config(ports.clients, ports.bus)).map_err(StartError::Io)?;
    let mut command = command_that_dies_with_us("redis-server");
    command.arg(CONFIG).current_dir(directory);
    if let Some(clock) = &options.clock {
        clock.rule(&mut command);
    }
    Process::start(command, "Ready to accept connections").await
}

fn is_port_taken(written: &str) -> bool {
    written.contains("Address already in use")
}

fn not_ready(written: &str) -> io::Error {
    io::Error::other(format!("redis-server did not start; it wrote:\n{written}"))
}
