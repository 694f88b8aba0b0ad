//! A connection that many use at once, of whatever kind.

use std::{future::Future, pin::Pin};

use redis::{Cmd, Pipeline, RedisFuture, Value, aio::ConnectionLike};

/// What opens a connection, proven to be fit for use.
pub type Connect =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>> + Send + Sync>;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// It cannot be reached, or does not answer: trying again may help.
    #[error("Redis at {address} does not answer: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system or Redis says.
        reason: String,
    },
    /// It answers, and must not be used as it is.
    #[error("Redis at {address} cannot be used: {reason}")]
    Unusable {
        /// Host and port.
        address: String,
        /// What is wrong, and what would help.
        reason: String,
    },
}

/// A connection to one Redis, or to a Cluster. Clones share it.
pub struct Connection(Box<dyn Shared>);

/// What can be shared and asked.
trait Shared: ConnectionLike + Send + Sync {
    fn share(&self) -> Box<dyn Shared>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Shared for C {
    fn share(&self) -> Box<dyn Shared> {
        Box::new(self.clone())
    }
}

impl Connection {
    /// Wraps a connection whose clones share one socket.
    pub fn new(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self(Box::new(connection))
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self(self.0.share())
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(cmd, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}
