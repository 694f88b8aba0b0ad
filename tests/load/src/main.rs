//! `cargo run --release -p countersign-load -- --help` says what it takes.

use std::process::ExitCode;

use clap::Parser as _;
use countersign_load::{
    Failure, benchmark, generator,
    options::{Arguments, Role},
    stand_in,
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = tokio::select! {
        ended = run(arguments) => ended,
        // What was started ends when it is dropped.
        interrupted = interrupted() => interrupted.and(Err("interrupted".into())),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("countersign-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.role {
        None => benchmark::run(&arguments.options).await,
        Some(Role::Generator) => generator::run().await,
        Some(Role::StandIn) => stand_in::run().await,
    }
}

async fn interrupted() -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
