//! Configuration: a TOML file, the environment over it, the command line over both.
//!
//! Each concern has a section and a struct of its own, and a component is given its section, never the whole.
//! Everything is read, checked and checked against the rest before the server opens anything; key and
//! certificate files too. Nothing is changed by it.
//!
//! Every key can be set as the environment variable `COUNTERSIGN_<SECTION>_<KEY>`, such as
//! `COUNTERSIGN_SERVER_PUBLIC_URL`; a list is separated by commas there. Empty texts and lists stand for
//! 'not set', so that a variable can take back what the file sets.

mod apns;
mod error;
mod fcm;
mod limits;
mod log;
mod redis;
mod server;
mod setting;
mod sources;
mod tls;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use self::sources::Sources;
pub use self::{
    error::{ConfigError, Origin},
    limits::LimitsConfig,
    log::{LogConfig, LogFormat},
    server::ServerConfig,
    tls::{Certificate, TlsConfig},
};
use crate::{
    push::{apns::ApnsConfig, fcm::FcmConfig},
    store::redis::RedisConfig,
};

/// A configuration file that sets nothing: every key with its default, commented out, and what it is for.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// Settings that name a file with a secret in it.
const SECRET_FILES: [(&str, &str); 5] = [
    ("tls", "private_key_file"),
    ("redis", "password_file"),
    ("redis", "private_key_file"),
    ("apns", "private_key_file"),
    ("fcm", "service_account_file"),
];

/// The whole configuration, section by section.
#[derive(Debug)]
pub struct Config {
    /// Where the server listens, keeps its data and is found.
    pub server: ServerConfig,
    /// Who ends TLS, and with what.
    pub tls: TlsConfig,
    /// What one caller may take of the server.
    pub limits: LimitsConfig,
    /// Where challenges lie, when it is not the data directory.
    pub redis: Option<RedisConfig>,
    /// Access to Apple's push service; none when it is not set up.
    pub apns: Option<ApnsConfig>,
    /// Access to Google's push service; none when it is not set up.
    pub fcm: Option<FcmConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Files that hold a secret, each with the setting that names it. The master key's is not among them.
    pub secret_files: Vec<(String, PathBuf)>,
}

/// What the command line sets, in place of file and environment.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--data-dir`, in place of `server.data_dir`.
    pub data_dir: Option<String>,
    /// `--listen`, in place of `server.listen`.
    pub listen: Option<String>,
}

/// Reads and checks the configuration. `environment` is the process's (`std::env::vars_os()`).
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    overrides: Overrides,
) -> Result<Config, ConfigError> {
    let mut sources = Sources::read(file, environment)?;
    sources.add_option("server", "data_dir", overrides.data_dir);
    sources.add_option("server", "listen", overrides.listen);
    let secret_files = sources.paths(&SECRET_FILES);
    let (tls, terminated_by_proxy) = tls::read(sources.section("tls"))?;
    Ok(Config {
        server: server::read(sources.section("server"), &tls, &terminated_by_proxy)?,
        tls,
        limits: limits::read(sources.section("limits"))?,
        redis: redis::read(sources.section("redis"))?,
        apns: apns::read(sources.section("apns"))?,
        fcm: fcm::read(sources.section("fcm"))?,
        log: log::read(sources.section("log"))?,
        secret_files,
    })
}

#[cfg(test)]
mod tests;
