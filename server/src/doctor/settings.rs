//! Values that are allowed and risky.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Finding, Installation};
use crate::config::{Config, TlsConfig};

pub(super) fn check(installation: &Installation) -> Vec<Finding> {
    let config = &installation.config;
    let secrets = config.secret_files.iter().filter_map(|(setting, path)| exposed_file(setting, path));
    [proxy(config), redis_in_the_clear(config), forgetful_redis(config), key_beside_data(config)]
        .into_iter()
        .flatten()
        .chain(secrets)
        .collect()
}

fn proxy(config: &Config) -> Option<Finding> {
    let is_open =
        matches!(config.tls, TlsConfig::TerminatedByProxy) && !config.server.listen.ip().is_loopback();
    is_open.then(|| {
        Finding::warning(
            format!("tls.terminated_by_proxy is true and server.listen is {}", config.server.listen),
            "whoever reaches this address past the proxy reads API keys and names in the clear",
            "set server.listen to a loopback address, or let a firewall admit the proxy only",
        )
    })
}

fn redis_in_the_clear(config: &Config) -> Option<Finding> {
    let redis = config.redis.as_ref().filter(|redis| redis.crosses_a_network_in_the_clear())?;
    Some(Finding::warning(
        format!("redis.url names {} without TLS", redis.address()),
        "whoever is on the way reads names and addresses, and Redis' password",
        "begin redis.url with rediss:// and set redis.ca_file, with tls-port set in redis.conf",
    ))
}

fn forgetful_redis(config: &Config) -> Option<Finding> {
    let is_allowed = config.redis.as_ref().is_some_and(|redis| redis.allow_without_append_only_file);
    is_allowed.then(|| {
        Finding::warning(
            "redis.allow_without_append_only_file is true",
            "a restart of Redis may lose every challenge and revocation under way",
            "set `appendonly yes` in redis.conf and take the setting away",
        )
    })
}

fn key_beside_data(config: &Config) -> Option<Finding> {
    let is_within = config.server.master_key_file.starts_with(&config.server.data_dir);
    is_within.then(|| {
        let key = config.server.master_key_file.display();
        Finding::warning(
            format!("the master key {key} lies in the data directory"),
            "whoever gets a copy of the directory, such as a backup, has the key to all that is sealed in it",
            format!(
                "move it while no server runs, such as `mv {key} /etc/countersign/master.key`, and set \
                     server.master_key_file"
            ),
        )
    })
}

fn exposed_file(setting: &str, path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0).then(|| {
        let path = path.display();
        Finding::warning(
            format!("{path}, which {setting} names, has mode {mode:04o}"),
            "every user of this machine can use the secret in it",
            format!("run `chmod o= {path}`"),
        )
    })
}
