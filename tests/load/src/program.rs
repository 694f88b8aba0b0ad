//! The server's program.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::Failure;

/// The program to measure: the one that was given, or the release build of this workspace.
pub async fn server(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if cfg!(debug_assertions) {
        return Err(
            "a debug build would measure itself: run `cargo run --release -p countersign-load`".into()
        );
    }
    if let Some(given) = given {
        return std::path::absolute(given).map_err(|error| format!("{}: {error}", given.display()).into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "--locked", "--package", "countersign", "--bin", "countersign"]);
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).kill_on_drop(true).status().await?;
    if !status.success() {
        return Err("the server could not be built".into());
    }
    let program = std::env::current_exe()?.with_file_name("countersign");
    if program.is_file() { Ok(program) } else { Err(format!("{} is missing", program.display()).into()) }
}
