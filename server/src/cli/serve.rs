//! `countersign serve`.

mod service_manager;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::service_manager::{State, tell};
use super::{CommandResult, ConfigArgs, log};
use crate::{app::App, clock::SystemClock, random::SystemRandom};

/// Options of `serve`.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
    /// IP address and port, in place of server.listen.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self) -> CommandResult {
        let config = self.config.load(self.listen)?;
        log::install(&config.log);
        // Before the port binds, so that whoever sees it bound can rely on a clean end.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::start(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
        let address = app.address();
        // Where nobody reads it any more it is told to nobody: that is no reason to serve nobody.
        let _ = writeln!(io::stdout(), "countersign listens on {address}; server id {}", app.server_id());
        tell(State::Ready);
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "ending"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "ending"),
        }
        tell(State::Stopping);
        app.shutdown();
        app.ended().await;
        Ok(ExitCode::SUCCESS)
    }
}
