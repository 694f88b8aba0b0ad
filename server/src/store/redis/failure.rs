//! Why Redis did not do what it was asked, and what follows from that.

use std::{fmt, io, sync::Arc};

use countersign_domain::record::InvalidRecord;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use rustls::AlertDescription;

use crate::store::StoreError;

/// What went wrong. Callers hear no more than [`StoreError`].
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no connection, and there was none for longer than a call waits.
    Down,
    /// More waits to be sent than can be within the time limit; nothing was done.
    Overloaded,
    /// No answer came in time, or the connection broke: what was asked may have been done.
    Unknown,
    /// Redis said no, and did nothing.
    Refused(RedisError),
    /// What was read is not what a server writes.
    Damaged,
}

impl From<&Failure> for StoreError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Overloaded => Self::Busy,
            _ => Self::Unavailable,
        }
    }
}

impl From<InvalidRecord> for Failure {
    fn from(_: InvalidRecord) -> Self {
        Self::Damaged
    }
}

/// Whether a connection that gave this error must be replaced.
pub(super) fn breaks_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        // Another one has become the master, or this one has been started anew.
        | ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown,
        ) => true,
        // Before version 7 an error inside a script is told in the text of another one.
        ErrorKind::Server(ServerErrorKind::ResponseError) => {
            error.detail().is_some_and(|detail| detail.contains("-READONLY "))
        }
        _ => error.is_unrecoverable_error(),
    }
}

/// Whether what was asked may have been done all the same.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// The error in words and in one line, without any stored value or password.
pub(super) fn described(error: &RedisError) -> String {
    let detail = match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.category().to_owned(),
    };
    let words = match error.code() {
        Some(code) => format!("{code} {detail}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_connection_refusal() => "nothing listens there".to_owned(),
        None if error.kind() == ErrorKind::Parse => {
            "what answers there does not speak as Redis does".to_owned()
        }
        None => match alert(error) {
            Some(AlertDescription::CertificateRequired) => {
                "it asks for a certificate: set redis.certificate_file and redis.private_key_file".to_owned()
            }
            Some(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError),
            ) => format!("it refuses the certificate in redis.certificate_file ({alert:?})"),
            _ => std::error::Error::source(error).map_or(detail, ToString::to_string),
        },
    };
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the other side of TLS did not like.
fn alert(error: &RedisError) -> Option<AlertDescription> {
    // As the library keeps it.
    let kept =
        std::error::Error::source(error)?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    match kept.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("there is no connection to Redis"),
            Self::Overloaded => f.write_str("more is asked of Redis than it answers within the time limit"),
            Self::Unknown => f.write_str("Redis did not answer"),
            Self::Refused(error) => f.write_str(&described(error)),
            Self::Damaged => f.write_str("what is stored in Redis cannot be read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn refusal(reply: &str) -> RedisError {
        match redis::parse_redis_value(format!("-{reply}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error.into(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_replica_is_given_up_also_when_a_script_finds_it_out() {
        let replica = [
            "READONLY You can't write against a read only replica.",
            "READONLY You can't write against a read only replica. script: 6b1b, on @user_script:16.",
            // 6.2 (`luaReplyToRedisReply` and `evalGenericCommand` in scripting.c).
            "ERR Error running script (call to f_6b1b): @user_script:16: @user_script: 16: -READONLY You can't \
             write against a read only replica. ",
        ];
        for reply in replica {
            assert!(breaks_connection(&refusal(reply)), "{reply}");
        }
        for reply in ["ERR unknown command", "OOM command not allowed", "WRONGTYPE Operation against a key"] {
            assert!(!breaks_connection(&refusal(reply)), "{reply}");
        }
    }
}
