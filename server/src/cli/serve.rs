//! `countersign serve`.

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

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
        println!("countersign listens on {address}; server id {}", app.server_id());
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "ending"),
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "ending"),
        }
        app.shutdown();
        app.ended().await;
        Ok(ExitCode::SUCCESS)
    }
}
