//! The command line on the agent library. `docs/agent.md` describes its JSON and its exit codes.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

/// One worker beside the main thread: a connection is kept alive while the person is asked something.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    cli::run(cli::Arguments::parse()).await
}
