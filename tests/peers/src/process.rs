//! A program that ends with whoever started it.

use std::{
    fs, io,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe,
    sync::{oneshot, watch},
    time::timeout,
};

use crate::availability::runs;

/// How long a program may take until it is ready. A loaded machine is slow, a healthy one takes milliseconds.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running program. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it has written so far.
    written: watch::Receiver<String>,
}

/// Why a program is not running.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It could not be started at all.
    Io(io::Error),
    /// It ended, or took too long, before it was ready. This is what it had written.
    NotReady(String),
}

impl Process {
    /// Starts `command`, and waits until it has written a line that contains `ready`.
    pub(crate) async fn start(mut command: Command, ready: &str) -> Result<Self, StartError> {
        // Standard error would be this process' own otherwise, held open by a program that outlives it.
        let (output, writer) = io::pipe().map_err(StartError::Io)?;
        command.stdin(Stdio::null()).stderr(writer.try_clone().map_err(StartError::Io)?).stdout(writer);
        let child = spawn(command).await.map_err(StartError::Io)?;
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(StartError::Io)?;
        let (lines, written) = watch::channel(String::new());
        // To its end: a full pipe would stop the program.
        tokio::spawn(follow(BufReader::new(output), lines));
        let process = Self { child, written };
        match timeout(READY_WITHIN, process.writes(ready)).await {
            Ok(true) => Ok(process),
            Ok(false) | Err(_) => Err(StartError::NotReady(process.written.borrow().clone())),
        }
    }

    /// What it writes from its start on.
    pub(crate) fn written(&self) -> watch::Receiver<String> {
        self.written.clone()
    }

    /// Returns when it has written `text`, or has ended: whether it did.
    async fn writes(&self, text: &str) -> bool {
        self.written().wait_for(|written| written.contains(text)).await.is_ok()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command for `program` that is killed with this process, however this process ends, where util-linux
/// has brought `setpriv`.
pub(crate) fn command_that_dies_with_us(program: &str) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    if !*SETPRIV.get_or_init(|| runs("setpriv")) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

struct Order {
    command: Command,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command` from a thread that lives as long as this process. The kernel takes the thread for the
/// parent whose death is told (`PR_SET_PDEATHSIG(2const)`), and a test's thread ends with its test, which
/// may share a server with others.
async fn spawn(command: Command) -> io::Result<Child> {
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| {
        let (orders, ordered) = channel();
        std::thread::spawn(move || start_all(&ordered));
        orders
    });
    let (started, start) = oneshot::channel();
    orders.send(Order { command, started }).expect("the thread never ends");
    start.await.expect("the thread answers each order")
}

fn start_all(orders: &Receiver<Order>) {
    for mut order in orders {
        if let Err(Ok(mut unwanted)) = order.started.send(order.command.spawn()) {
            let _ = unwanted.kill();
            let _ = unwanted.wait();
        }
    }
}

/// Notes what the program writes, as soon as a line is whole, until it ends.
async fn follow(mut output: BufReader<pipe::Receiver>, log: watch::Sender<String>) {
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        log.send_modify(|written| written.push_str(&String::from_utf8_lossy(&line)));
        line.clear();
    }
}

/// Stops the program `id` in its tracks (SIGSTOP), and returns when all its threads stand. None of them is in a
/// call to the system then, such as a sync. Fails when that takes longer than half a minute.
pub async fn stop(id: u32) -> io::Result<()> {
    signal(id, "STOP")?;
    // A signal is sent before it is heeded, and there is no event for that but to whoever waits for the
    // child, which takes unsafe code.
    let stopped = async {
        while !stands(id)? {
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    timeout(READY_WITHIN, stopped).await.map_err(io::Error::from)?
}

/// Lets the program `id` go on.
pub(crate) fn go_on(id: u32) -> io::Result<()> {
    signal(id, "CONT")
}

/// Whether all threads of the program `id` are stopped.
fn stands(id: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let status = fs::read_to_string(thread?.path().join("stat"))?;
        // `id (name) state ...`, where the name may hold anything; proc_pid_stat(5).
        if !status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn signal(id: u32, name: &str) -> io::Result<()> {
    // The shell's own `kill`: the program of that name is not installed everywhere.
    let script = format!("kill -{name} {id}");
    let status = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).status()?;
    status.success().then_some(()).ok_or_else(|| io::Error::other(format!("{script}: {status}")))
}
