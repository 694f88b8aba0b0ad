//! The command line.
//!
//! Exit status: 0 when it did what was asked, 1 when it could not (the reason is on stderr), 2 for a wrong
//! command line.

#![expect(clippy::doc_markdown, reason = "the command line prints it as it stands")]

mod app;
mod backup;
mod data;
mod doctor;
pub(crate) mod log;
mod push;
mod receipt;
mod serve;
mod server_key;
mod user;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigError, Overrides};

/// Push login you can run yourself.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: gRPC, gRPC-Web, health, reflection and the pairing page on one port.
    Serve(serve::Serve),
    /// Print the configuration's defaults, commented; save it as a file and give it to `serve --config`.
    Config,
    /// Create, list and change applications (login backends). Works beside a running server.
    #[command(subcommand)]
    App(app::App),
    /// See what is known of a user, revoke factors, unlock, permit an enrolment. Works beside running servers.
    #[command(subcommand)]
    User(user::User),
    /// List the keys that sign in the server's name, and replace the present one. Works beside running servers.
    #[command(subcommand)]
    ServerKey(server_key::ServerKey),
    /// Check clock, stores, keys, certificate and push, and say what helps. Changes nothing; works beside servers.
    Doctor(doctor::Doctor),
    /// Copy the database into a file, beside running servers; the master key is not in it.
    Backup(backup::Backup),
    /// Test whether wake-ups reach a device.
    #[command(subcommand)]
    Push(push::Push),
    /// Check receipts, with no server at hand.
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// See logins approved, denied and expired, on a server of its own that is gone afterwards.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Demo),
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
struct ConfigArgs {
    /// Configuration file (TOML); `countersign config` prints one.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Directory of the database, in place of server.data_dir.
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<String>,
}

impl ConfigArgs {
    fn load(self, listen: Option<String>) -> Result<Config, ConfigError> {
        let Self { config, data_dir } = self;
        config::load(config.as_deref(), std::env::vars_os(), Overrides { data_dir, listen })
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // reqwest and whatever else asks for the process-wide provider gets this one. It fails only when one is
    // installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => serve.run().await,
            Command::Config => {
                print!("{}", config::DEFAULT);
                Ok(ExitCode::SUCCESS)
            }
            Command::App(app) => app.run().await,
            Command::User(user) => user.run().await,
            Command::Push(push) => push.run().await,
            Command::ServerKey(server_key) => server_key.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Backup(backup) => backup.run(),
            Command::Receipt(receipt) => receipt.run(),
            #[cfg(feature = "demo")]
            Command::Demo(demo) => demo.run().await,
        }
    });
    result.unwrap_or_else(|error| failed(error.as_ref()))
}

/// What a command came to.
pub(crate) type CommandResult = Result<ExitCode, Box<dyn std::error::Error>>;

fn failed(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    // Where the terminal has been closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "countersign: {error}");
    ExitCode::FAILURE
}
