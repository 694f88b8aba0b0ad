//! What is wrong with an installation, or soon will be, and what to do about it.
//!
//! Each check looks at one thing, beside a running server, and changes nothing. (Redis is asked as a server asks it at
//! its start: two keys of its own stay for ten seconds. APNs is asked with the provider token that servers share: one
//! that has run out is renewed, as a server would.)

mod certificate;
mod clock;
mod data_directory;
mod database;
mod file_system;
mod keys;
mod push;
mod redis;
mod settings;

use crate::{
    clock::SharedClock,
    config::{Config, ConfigError},
    random::SharedRandom,
    store::redis::{Examination, RedisError, examine as examine_redis},
};

/// What the checks look at.
pub struct Installation {
    /// As a server would read it.
    pub config: Config,
    /// This machine's clock.
    pub clock: SharedClock,
    /// Nothing secret is made of it.
    pub random: SharedRandom,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is so.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What helps: a command, or a setting.
    pub fix: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and should be seen to.
    Warning,
    /// It does not work, or is not safe.
    Problem,
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The check's name.
    pub check: &'static str,
    /// None: all is well.
    pub findings: Vec<Finding>,
}

impl Finding {
    fn warning(what: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), why, fix: fix.into() }
    }

    fn problem(what: impl Into<String>, why: &'static str, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Problem, what: what.into(), why, fix: fix.into() }
    }
}

/// Makes all checks, in the order in which they are told. A new check is a file beside the others and a line here.
pub async fn examine(installation: &Installation) -> Vec<Checked> {
    // Both are asked by more than one check.
    let redis = asked_redis(&installation.config).await;
    let push = push::asked(installation).await;
    [
        ("settings", settings::check(installation)),
        ("clock", clock::check(installation, redis.as_ref(), &push)),
        ("data directory", data_directory::check(installation)),
        ("database", database::check(installation)),
        ("redis", redis::check(redis.as_ref())),
        ("keys", keys::check(installation)),
        ("certificate", certificate::check(installation)),
        ("push", push::check(installation, &push)),
    ]
    .map(|(check, findings)| Checked { check, findings })
    .into()
}

/// A number and what is counted, such as `1 problem` or `2 problems`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What there is to say of a configuration that no server starts with.
pub fn of_config(error: &ConfigError) -> Vec<Checked> {
    let fix = match error {
        ConfigError::File { .. } => {
            "give --config the file that the servers have, and run this as the server's user (`sudo -u countersign ...`)"
        }
        ConfigError::Syntax { .. } | ConfigError::Unknown { .. } | ConfigError::Value { .. } => {
            "set what is named there to what is allowed; `countersign config` prints every setting with what it is for"
        }
    };
    let finding = Finding::problem(
        error.to_string(),
        "no server starts with this configuration, and nothing else can be checked without it",
        fix,
    );
    vec![Checked { check: "settings", findings: vec![finding] }]
}

async fn asked_redis(config: &Config) -> Option<Result<Examination, RedisError>> {
    match &config.redis {
        Some(redis) => Some(examine_redis(redis).await),
        None => None,
    }
}
