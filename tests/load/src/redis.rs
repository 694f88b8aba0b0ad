//! Redis: one that runs, or one of our own.

use std::{net::Ipv4Addr, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, timeout},
};

use crate::{Failure, clock, process::Usage};

/// How long a Redis of our own may take to start.
const START: Duration = Duration::from_secs(20);
/// Between two tries to reach it.
const AGAIN: Duration = Duration::from_millis(50);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A Redis that answers.
pub struct Redis {
    /// What the server is configured with.
    pub url: String,
    connection: BufReader<TcpStream>,
    process_id: u32,
    /// Killed when dropped, if it is ours.
    _child: Option<Child>,
}

impl Redis {
    /// Starts one that keeps its files in `directory`.
    pub async fn start(directory: &Path) -> Result<Self, Failure> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning", "--dir"])
            .arg(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("redis-server: {error}"))?;
        let url = format!("redis://127.0.0.1:{port}");
        let until = Instant::now() + START;
        loop {
            match Self::connect(&url).await {
                Ok(redis) => return Ok(Self { _child: Some(child), ..redis }),
                Err(failure) if Instant::now() >= until => return Err(failure),
                Err(_) => clock::pause(AGAIN).await,
            }
        }
    }

    /// The one at `url`, which must run on this machine, or its use of it cannot be read.
    pub async fn running(url: &str) -> Result<Self, Failure> {
        Self::connect(url).await
    }

    async fn connect(url: &str) -> Result<Self, Failure> {
        const FORM: &str = "--redis-url must be redis://[[user]:password@]host[:port][/database]";
        let rest = url.strip_prefix("redis://").ok_or(FORM)?;
        let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(c, rest)| (Some(c), rest));
        let address = rest.split('/').next().unwrap_or_default();
        let stream = match address.rsplit_once(':') {
            Some((host, port)) => TcpStream::connect((host, port.parse().map_err(|_| FORM)?)).await?,
            None => TcpStream::connect((address, 6379)).await?,
        };
        stream.set_nodelay(true)?;
        let connection = BufReader::new(stream);
        let mut redis = Self { url: url.to_owned(), connection, process_id: 0, _child: None };
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').ok_or(FORM)?;
            let user = if user.is_empty() { "default" } else { user };
            redis.command(&["AUTH", user, password]).await?;
        }
        redis.process_id = redis.info("server", "process_id").await?.try_into()?;
        Ok(redis)
    }

    /// What its process has used so far.
    pub fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.process_id)
    }

    /// Bytes of all that it holds.
    pub async fn used_memory(&mut self) -> Result<u64, Failure> {
        self.info("memory", "used_memory").await
    }

    /// How many commands it has been sent so far.
    pub async fn commands(&mut self) -> Result<u64, Failure> {
        self.info("stats", "total_commands_processed").await
    }

    /// One `PING`, there and back.
    pub async fn ping(&mut self) -> Result<Duration, Failure> {
        let began = Instant::now();
        self.command(&["PING"]).await?;
        Ok(began.elapsed())
    }

    async fn info(&mut self, section: &str, field: &str) -> Result<u64, Failure> {
        let info = self.command(&["INFO", section]).await?;
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(name, _)| *name == field).ok_or("INFO is not as expected")?;
        Ok(value.trim().parse()?)
    }

    /// Sends a command whose answer is a simple or a bulk string (the protocol RESP2).
    async fn command(&mut self, words: &[&str]) -> Result<String, Failure> {
        let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
        let request = format!("*{}\r\n{}", words.len(), words.iter().map(bulk).collect::<String>());
        self.connection.write_all(request.as_bytes()).await?;
        timeout(ANSWER, self.answer()).await.map_err(|_| "Redis does not answer")?
    }

    async fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.connection.read_line(&mut line).await?;
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+", text)) => Ok(text.to_owned()),
            Some(("$", length)) => {
                let mut text = vec![0; length.parse::<usize>()? + 2];
                self.connection.read_exact(&mut text).await?;
                Ok(String::from_utf8(text)?.trim_end().to_owned())
            }
            _ => Err(format!("Redis answers: {line}").into()),
        }
    }
}
