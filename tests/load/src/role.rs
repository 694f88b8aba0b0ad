//! Processes that this program starts of itself.

use std::process::Stdio;

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::Failure;

/// A process that takes lines of JSON and answers each with one. It is killed when dropped, and ends by itself
/// when its standard input does.
pub struct RoleProcess {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl RoleProcess {
    /// Starts this program with `subcommand`.
    pub fn start(subcommand: &str) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(subcommand).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or("no pipe")?;
        let output = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
        Ok(Self { child, input, output })
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| "a process of the benchmark has ended".into())
    }

    /// Tells it something, and waits for what it answers.
    pub async fn ask<T: DeserializeOwned>(&mut self, command: &impl Serialize) -> Result<T, Failure> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.told().await
    }

    /// Waits for what it tells.
    pub async fn told<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let line = self.output.next_line().await?.ok_or("a process of the benchmark has ended")?;
        let told: Result<T, String> = serde_json::from_str(&line)?;
        told.map_err(Failure::from)
    }
}

/// Tells whoever started this process something.
pub fn tell(told: &Result<impl Serialize, String>) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(told)?);
    Ok(())
}
