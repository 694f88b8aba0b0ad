//! A look at Redis from outside: whether a server would start on it, and what else an operator should know.

use std::{collections::HashMap, time::Duration};

use countersign_domain::UnixTime;
use redis::{Pipeline, RedisResult, cmd};
use tokio::time::timeout;

use super::{
    RedisError, commit,
    config::RedisConfig,
    connection::{ConnectError, Connection},
    failure::described,
    node,
};

/// How long Redis may take to answer what is asked of it here.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What a Redis says of itself that a server would start on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Its clock.
    pub time: UnixTime,
    /// When its append-only file is synced: `always`, `everysec`, `no`. None: there is no such file, or the user may
    /// not ask.
    pub synced: Option<String>,
    /// Whether its last write to the append-only file failed: it takes no writes then.
    pub is_write_failing: bool,
    /// Of the memory that it may take, the hundredths that it has taken. None: it may take all there is.
    pub memory_percent: Option<u64>,
}

/// Connects as a server does at its start, with the same checks, and asks. It leaves two keys of its own, which end
/// after ten seconds.
pub async fn examine(config: &RedisConfig) -> Result<Examination, RedisError> {
    let (_, connect) = node::connect(config).map_err(RedisError::Config)?;
    let mut connection = connect().await?;
    let unreachable = |reason| ConnectError::Unreachable { address: config.address(), reason };
    match timeout(ANSWER_WITHIN, ask(&mut connection)).await {
        Ok(Ok(examination)) => Ok(examination),
        Ok(Err(error)) => Err(unreachable(described(&error)).into()),
        Err(_) => Err(unreachable("no answer in time".to_owned()).into()),
    }
}

async fn ask(connection: &mut Connection) -> RedisResult<Examination> {
    let mut commands = Pipeline::new();
    commands.cmd("TIME").cmd("INFO");
    let (time, info): ((i64, i64), String) = commands.query_async(connection).await?;
    // An ACL may forbid it, and need not allow it: nothing else rests on it.
    let asked: RedisResult<HashMap<String, String>> =
        cmd("CONFIG").arg("GET").arg("appendfsync").query_async(connection).await;
    let fields: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let number = |name| fields.get(name).and_then(|value| value.parse::<u64>().ok());
    let memory = number("maxmemory").filter(|&most| most > 0).zip(number("used_memory"));
    let has_file = fields.get("aof_enabled") == Some(&"1");
    Ok(Examination {
        time: commit::time_of(time),
        synced: asked.ok().and_then(|mut answer| answer.remove("appendfsync")).filter(|_| has_file),
        is_write_failing: has_file
            && fields.get("aof_last_write_status").is_some_and(|&status| status != "ok"),
        memory_percent: memory.map(|(most, used)| used.saturating_mul(100) / most),
    })
}
