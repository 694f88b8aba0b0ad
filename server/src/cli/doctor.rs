//! `countersign doctor`.

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use serde_json::json;

use super::{CommandResult, ConfigArgs};
use crate::{
    clock::SystemClock,
    doctor::{self, Checked, Finding, Installation, Severity, counted},
    random::SystemRandom,
};

/// Options of `doctor`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 when there is no problem (there may be warnings), 1 when there is one. Run it as \
    the server's user and with the server's configuration."
)]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print a JSON object: `healthy`, and `checks` with their `findings` (`severity`, `what`, `why`, `fix`).
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn run(self) -> CommandResult {
        let checks = match self.config.load(None) {
            Ok(config) => {
                let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
                doctor::examine(&Installation { config, clock, random }).await
            }
            Err(error) => doctor::of_config(&error),
        };
        let findings = || checks.iter().flat_map(|checked| &checked.findings);
        let is_healthy = findings().all(|finding| finding.severity < Severity::Problem);
        if self.json {
            println!(
                "{}",
                json!({ "healthy": is_healthy, "checks": checks.iter().map(as_json).collect::<Vec<_>>() })
            );
        } else {
            for checked in &checks {
                print(checked);
            }
            let count = |severity| {
                let found = findings().filter(|finding| finding.severity == severity).count();
                counted(found.try_into().unwrap_or(u64::MAX), name(severity))
            };
            println!("{}, {}", count(Severity::Problem), count(Severity::Warning));
        }
        Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(checked: &Checked) {
    if checked.findings.is_empty() {
        println!("ok       {}", checked.check);
    }
    for Finding { severity, what, why, fix } in &checked.findings {
        println!("{:8} {}: {what}", name(*severity).to_uppercase(), checked.check);
        println!("         why: {why}");
        println!("         fix: {fix}");
    }
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

fn as_json(checked: &Checked) -> serde_json::Value {
    let finding = |Finding { severity, what, why, fix }: &Finding| json!({ "severity": name(*severity), "what": what, "why": why, "fix": fix });
    json!({ "check": checked.check, "findings": checked.findings.iter().map(finding).collect::<Vec<_>>() })
}
