//! One Redis: how a connection to it is opened, and proven to be fit.

use std::{sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, ServerErrorKind, cmd};
use tokio::time::timeout;

use super::{
    commit,
    config::{InvalidRedisConfig, RedisConfig},
    connection::{Connect, ConnectError, Connection},
    failure::{breaks_connection, described},
    keys::Keys,
    probe, requirements,
};

/// How long connecting may take, with all checks.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What opens connections to the Redis of `config`.
pub(super) fn connect(config: &RedisConfig) -> Result<(Client, Connect), InvalidRedisConfig> {
    let client = config.client()?;
    let node = Arc::new(Node {
        client: client.clone(),
        address: config.address(),
        keys: Keys::new(config.key_prefix.clone()),
        allow_without_append_only_file: config.allow_without_append_only_file,
    });
    let connect: Connect = Box::new(move || {
        let node = Arc::clone(&node);
        Box::pin(async move { node.connect().await })
    });
    Ok((client, connect))
}

struct Node {
    client: Client,
    address: String,
    keys: Keys,
    allow_without_append_only_file: bool,
}

impl Node {
    async fn connect(&self) -> Result<Connection, ConnectError> {
        match timeout(CONNECT_WITHIN, self.prepared()).await {
            Ok(connection) => connection,
            Err(_) => Err(self.unreachable("no answer in time".to_owned())),
        }
    }

    async fn prepared(&self) -> Result<Connection, ConnectError> {
        // The link has time limits of its own.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| self.refused(&error))?;
        let info: String =
            cmd("INFO").query_async(&mut connection).await.map_err(|error| self.refused(&error))?;
        if requirements::is_loading(&info) {
            return Err(self.unreachable("it is still reading its data".to_owned()));
        }
        requirements::check(&info, self.allow_without_append_only_file)
            .map_err(|unfit| self.unusable(unfit.to_string()))?;
        commit::script().load_async(&mut connection).await.map_err(|error| self.refused(&error))?;
        match probe::run(&mut connection, &self.keys).await {
            // Full memory or a full disk: reading goes on, so the connection is of use.
            Err(error) if breaks_connection(&error) || is_no_permission(&error) => Err(self.refused(&error)),
            _ => Ok(Connection::new(connection)),
        }
    }

    /// A password or a permission does not get right by itself; all else may.
    fn refused(&self, error: &RedisError) -> ConnectError {
        match error.kind() {
            ErrorKind::AuthenticationFailed => self.unusable(wrong_password(error)),
            _ if is_no_permission(error) => self.unusable(format!(
                "its user may not do what is needed: {}: `countersign config` has the ACL rules",
                described(error)
            )),
            ErrorKind::Extension if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
                self.unusable(wrong_password(error))
            }
            _ if error.detail().is_some_and(|detail| detail.contains("DB index is out of range")) => self
                .unusable(
                    "it has no database of this number: set redis.database to one that it has".to_owned(),
                ),
            _ => self.unreachable(described(error)),
        }
    }

    fn unreachable(&self, reason: String) -> ConnectError {
        ConnectError::Unreachable { address: self.address.clone(), reason }
    }

    fn unusable(&self, reason: String) -> ConnectError {
        ConnectError::Unusable { address: self.address.clone(), reason }
    }
}

fn wrong_password(error: &RedisError) -> String {
    format!(
        "it refuses user and password: {}: set them in redis.url, or with redis.username and redis.password_file",
        described(error).trim_end_matches('.')
    )
}

/// Whether the ACL forbids it. What it forbids inside a script is told as an error of the script, in words that
/// differ by version (`scriptCall` in script.c).
fn is_no_permission(error: &RedisError) -> bool {
    let in_script = ["NOPERM", "ACL failure", "The user executing the script can't"];
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        || error.detail().is_some_and(|detail| in_script.iter().any(|words| detail.contains(words)))
}
