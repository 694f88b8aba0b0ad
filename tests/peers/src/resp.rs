//! A small client of Redis' protocol, RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::{fmt::Write, io};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Nil,
    /// A status, such as `OK`.
    Simple(String),
    /// A refusal, such as `NOAUTH Authentication required.`
    Error(String),
    /// A number.
    Integer(i64),
    /// Any bytes.
    Bulk(Vec<u8>),
    /// Several values.
    Array(Vec<Value>),
}

impl Value {
    /// The text of a status, an error, a number or of bytes; none for the rest, and for bytes that are no
    /// UTF-8.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Simple(text) | Self::Error(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Bulk(bytes) => String::from_utf8(bytes.clone()).ok(),
            Self::Nil | Self::Array(_) => None,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection to a server.
pub struct RespConnection {
    stream: BufReader<Box<dyn Stream>>,
}

impl RespConnection {
    pub(crate) fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { stream: BufReader::new(Box::new(stream)) }
    }

    /// Sends `command` and waits for its answer, which may be [`Value::Error`].
    pub async fn command(&mut self, command: &[&str]) -> io::Result<Value> {
        let mut request = format!("*{}\r\n", command.len());
        for argument in command {
            write!(request, "${}\r\n{argument}\r\n", argument.len()).expect("a string takes all");
        }
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await?;
        self.read_value().await
    }

    /// Waits for what the server sends next by itself, as after `MONITOR` or `SUBSCRIBE`.
    pub async fn next(&mut self) -> io::Result<Value> {
        self.read_value().await
    }

    async fn read_value(&mut self) -> io::Result<Value> {
        let line = self.read_line().await?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| malformed(&line))?;
        match kind {
            "+" => Ok(Value::Simple(rest.to_owned())),
            "-" => Ok(Value::Error(rest.to_owned())),
            ":" => Ok(Value::Integer(number(rest)?)),
            "$" => self.read_bulk(number(rest)?).await,
            "*" => self.read_array(number(rest)?).await,
            _ => Err(malformed(&line)),
        }
    }

    async fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let line = line.strip_suffix("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(line.to_owned())
    }

    async fn read_bulk(&mut self, length: i64) -> io::Result<Value> {
        let Ok(length) = usize::try_from(length) else { return Ok(Value::Nil) };
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        Ok(Value::Bulk(bytes))
    }

    async fn read_array(&mut self, length: i64) -> io::Result<Value> {
        if length < 0 {
            return Ok(Value::Nil);
        }
        let mut values = Vec::new();
        for _ in 0..length {
            values.push(Box::pin(self.read_value()).await?);
        }
        Ok(Value::Array(values))
    }
}

fn number(text: &str) -> io::Result<i64> {
    text.parse().map_err(|_| malformed(text))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {line:?}"))
}
