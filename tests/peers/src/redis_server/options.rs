//! How a Redis server is to be started.

use std::{io, path::PathBuf};

use super::RedisServer;
use crate::ManualRedisClock;

/// What a server that is to be started differs in from the usual one.
#[derive(Default)]
#[must_use = "nothing runs before start()"]
pub struct RedisOptions {
    pub(super) clock: Option<ManualRedisClock>,
    pub(super) directory: Option<PathBuf>,
    pub(super) tls: bool,
    pub(super) cluster: bool,
    pub(super) default_user_password: Option<String>,
    directives: Vec<String>,
}

impl RedisOptions {
    /// Starts the server, and waits until it takes connections. Must be called inside a tokio runtime.
    pub async fn start(self) -> io::Result<RedisServer> {
        RedisServer::start_with(self).await
    }

    /// The server's time of day is that of `clock`.
    pub fn clock(mut self, clock: &ManualRedisClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Adds a line to the configuration, such as `("maxmemory", "1mb")`; it takes the place of a usual one. The
    /// value is written as it is: words that belong together need quotes.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.directives.push(format!("{name} {value}"));
        self
    }

    /// The server speaks TLS only, with a certificate for localhost and 127.0.0.1 of its own authority:
    /// [`RedisServer::ca_pem`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// There is an ACL user `name` with `password` and `rules`, such as `~* +@all`. The user `default` stays
    /// beside it and needs no password, unless it is given one in the same way.
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        if name == "default" {
            self.default_user_password = Some(password.to_owned());
        }
        let password = quoted(&format!(">{password}"));
        self.directives.push(format!("user {name} on {password} {rules}"));
        self
    }

    /// The server's data are in `path`, which stays when the server ends. Without it they are in a temporary
    /// directory.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// The server is a node of a cluster, yet without slots.
    pub(crate) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// The configuration file, for a server that listens on `port`, and on `bus_port` for its cluster.
    pub(super) fn config(&self, port: u16, bus_port: u16) -> String {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "save \"\"".to_owned(),
            "appendonly yes".to_owned(),
            "appendfsync no".to_owned(),
            "enable-debug-command local".to_owned(),
        ];
        if self.tls {
            lines.extend(["port 0".to_owned(), format!("tls-port {port}")]);
            lines.extend(super::tls::DIRECTIVES.map(str::to_owned));
        } else {
            lines.push(format!("port {port}"));
        }
        if self.cluster {
            lines.extend(["cluster-enabled yes".to_owned(), format!("cluster-port {bus_port}")]);
        }
        // In Redis the last line of a name holds.
        lines.extend(self.directives.iter().cloned());
        lines.join("\n") + "\n"
    }
}

/// As one word of Redis' configuration file.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
