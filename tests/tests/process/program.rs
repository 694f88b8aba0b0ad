//! The program under test as a process.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// The program, built by this package.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign-under-test");

/// How long anything may take that has no reason to take long, on a machine that has much else to do.
const DEADLINE: Duration = Duration::from_mins(1);

/// Fails the test when what is waited for does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it comes in time")
}

/// A directory with a configuration file and a data directory.
pub(crate) struct Place(TempDir);

impl Place {
    /// With a server on a free port of loopback, its data in `data`, and `more` of a configuration.
    pub(crate) fn new(more: &str) -> Self {
        let place = Self::bare();
        let server = "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n";
        place.write("countersign.toml", format!("{server}{more}"));
        place
    }

    /// With nothing in it.
    pub(crate) fn bare() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("data").join("countersign.sqlite")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("it can be written");
        path
    }

    /// The program in this directory, not started yet. It is killed when dropped.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        program(self.0.path(), PROGRAM, arguments)
    }

    /// Runs a command that ends by itself, in this directory.
    pub(crate) async fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ended {
        ended(&mut program(self.0.path(), PROGRAM, arguments)).await
    }

    /// Runs a command about applications or a server with this directory's configuration.
    pub(crate) async fn run_configured(&self, arguments: &[impl AsRef<OsStr>]) -> Ended {
        let configured = ["--config", "countersign.toml"].map(OsStr::new);
        self.run(&arguments.iter().map(AsRef::as_ref).chain(configured).collect::<Vec<_>>()).await
    }

    /// [`Self::run_configured`] with these environment variables.
    pub(crate) async fn run_in(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let arguments = [arguments, &["--config", "countersign.toml"]].concat();
        let mut command = program(self.0.path(), PROGRAM, &arguments);
        ended(command.envs(environment.iter().copied())).await
    }

    /// [`Self::run`] as a user who owns nothing. None where this user cannot become another one: this has then said so.
    /// With a non-empty `CI` in the environment it panics instead.
    pub(crate) async fn run_as_nobody(&self, arguments: &[&str]) -> Option<Ended> {
        if fs::metadata("/proc/self").expect("it is there").uid() != 0 {
            let message = "not root, so what another user is told is NOT tested\n";
            std::io::stderr().write_all(message.as_bytes()).expect("standard error");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{message}");
            return None;
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(self.reachable_program());
        Some(ended(command.args(arguments).current_dir(self.0.path()).kill_on_drop(true)).await)
    }

    /// Lets everybody look into it; what lies in it keeps its own mode.
    pub(crate) fn open_to_all(&self) {
        fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// The program where everybody may run it: a build directory need not be such a place.
    fn reachable_program(&self) -> PathBuf {
        let copy = self.path("countersign");
        fs::copy(PROGRAM, &copy).expect("it is copied");
        copy
    }

    /// Starts the server, and waits until it says that it listens.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    /// [`Self::serve`] with further options.
    pub(crate) async fn serve_with(&self, options: &[&str]) -> Server {
        let arguments = [&["serve", "--config", "countersign.toml"], options].concat();
        Server::start(program(self.0.path(), PROGRAM, &arguments)).await
    }

    /// [`Self::serve_with`] with these environment variables too.
    pub(crate) async fn serve_in(&self, environment: &[(&str, &str)], options: &[&str]) -> Server {
        let arguments = [&["serve", "--config", "countersign.toml"], options].concat();
        let mut command = program(self.0.path(), PROGRAM, &arguments);
        command.envs(environment.iter().copied());
        Server::start(command).await
    }

    /// [`Self::serve`] under strace, which ends with the server and writes to `to`.
    pub(crate) async fn serve_traced(&self, calls: &str, to: &Path) -> Server {
        let to = to.to_str().expect("a path in UTF-8");
        // -D: the server stays this process's child, and the tracer is the grandchild.
        let tracer = ["-D", "-f", "-y", "-x", "-s", "4096", "-e", calls, "-o", to, PROGRAM];
        let arguments = [&tracer[..], &["serve", "--config", "countersign.toml"]].concat();
        Server::start(program(self.0.path(), "strace", &arguments)).await
    }
}

/// Runs what ends by itself, with nothing to read.
pub(crate) async fn ended(command: &mut Command) -> Ended {
    let output = soon(command.stdin(Stdio::null()).output()).await.expect("it can be run");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// `program` in this directory, in an environment that configures nothing.
pub(crate) fn program(
    directory: &Path,
    program: impl AsRef<OsStr>,
    arguments: &[impl AsRef<OsStr>],
) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("COUNTERSIGN_") {
            command.env_remove(variable);
        }
    }
    command.args(arguments).current_dir(directory).kill_on_drop(true);
    command
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it printed; it must have done what was asked, and complained about nothing.
    pub(crate) fn succeeded(self) -> String {
        assert!(self.status.success() && self.stderr.is_empty(), "{self:?}");
        self.stdout
    }

    /// The reason that it gave; it must have failed, and printed nothing else.
    pub(crate) fn failed(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert_eq!(self.stdout, "");
        let reason = self.stderr.strip_prefix("countersign: ").expect("the program's name comes first");
        reason.trim_end().to_owned()
    }
}

/// A server that runs. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// As it told it.
    pub(crate) id: String,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<()>,
    log: watch::Receiver<String>,
}

impl Server {
    async fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be run");
        let (written, log) = watch::channel(String::new());
        let stderr = tokio::spawn(follow(child.stderr.take().expect("a pipe"), written));
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        soon(stdout.read_line(&mut line)).await.expect("a line");
        let Some((address, server_id)) = line
            .trim_end()
            .strip_prefix("countersign listens on ")
            .and_then(|rest| rest.split_once("; server id "))
        else {
            soon(stderr).await.expect("it was read");
            panic!("it does not listen: {line:?} {}", *log.borrow())
        };
        let address = address.parse().expect("an address");
        let id = server_id.to_owned();
        let stdout = tokio::spawn(async move { line + &read(stdout).await });
        Self { child, address, id, stdout, stderr, log }
    }

    /// Waits until its log says this, then or before.
    pub(crate) async fn logged(&self, text: &str) {
        let mut log = self.log.clone();
        let says_so = soon(log.wait_for(|log| log.contains(text))).await;
        assert!(says_so.is_ok(), "the server ended without it: {}", *self.log.borrow());
    }

    /// Sends it a signal, by its name without SIG.
    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = soon(Command::new("kill").args(["-s", name, &id]).status()).await;
        assert!(sent.expect("kill can be run").success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = soon(self.child.wait()).await.expect("it can be waited for");
        let stdout = soon(self.stdout).await.expect("it was read");
        soon(self.stderr).await.expect("it was read");
        let stderr = self.log.borrow().clone();
        Ended { status, stdout, stderr }
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM").await;
        let ended = self.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended
    }
}

/// Puts what is written into `log`, as soon as a line is whole.
async fn follow(pipe: impl AsyncRead + Unpin, log: watch::Sender<String>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = String::new();
    while pipe.read_line(&mut line).await.expect("a pipe of UTF-8 can be read") > 0 {
        log.send_modify(|log| log.push_str(&line));
        line.clear();
    }
}

async fn read(mut pipe: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).await.expect("a pipe can be read");
    String::from_utf8(bytes).expect("it prints UTF-8")
}
