//! Everything that a login needs, each in a process of its own.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

use crate::{
    Failure, clock,
    command::{Command as Order, Report, Target},
    directory,
    options::{MOST_STREAMS, Options},
    process::{Machine, Usage},
    redis::Redis,
    role::RoleProcess,
    stand_in::{StandIn, TOPIC},
};

/// How long a server may take to start.
const START: Duration = Duration::from_mins(1);
/// The server is at rest when it used no more than [`REST_CPU`] in so long.
const REST: Duration = Duration::from_millis(500);
const REST_CPU: Duration = Duration::from_millis(10);
/// How long it may take until then.
const REST_PATIENCE: Duration = Duration::from_secs(30);

/// A server with all around it. All processes end, and the directory goes, when it is dropped.
pub struct Installation {
    server: Child,
    generator: RoleProcess,
    stand_in: RoleProcess,
    /// If challenges lie there.
    pub redis: Option<Redis>,
    directory: TempDir,
}

/// Who is enrolled, with a device each.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// Whether the devices have a push target.
    pub are_woken: bool,
}

/// What each process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usages {
    /// The server.
    pub server: Usage,
    /// Redis; zero without one.
    pub redis: Usage,
    /// The generator.
    pub generator: Usage,
    /// The stand-in for APNs.
    pub stand_in: Usage,
    /// All processes of the machine.
    pub machine: Machine,
}

impl Usages {
    /// What nobody of these has used: in parts of the whole machine, 0 to 1.
    pub fn others(&self) -> f64 {
        let known = [self.server, self.redis, self.generator, self.stand_in].map(|usage| usage.cpu);
        let others = self.machine.busy.saturating_sub(known.iter().sum());
        others.as_secs_f64() / self.machine.all.as_secs_f64()
    }
}

impl Installation {
    /// Starts all, and enrols so many users.
    pub async fn start(
        program: &Path,
        options: &Options,
        on_redis: bool,
        users: Users,
    ) -> Result<Self, Failure> {
        let directory = directory::create(options.directory.as_deref())?;
        let mut stand_in = RoleProcess::start("stand-in")?;
        let apple: StandIn = stand_in.told().await?;
        configure(directory.path(), &apple)?;
        let redis = match &options.redis_url {
            _ if !on_redis => None,
            Some(url) => Some(Redis::running(url).await?),
            None => Some(Redis::start(directory.path()).await?),
        };
        let program = Program { file: program, directory: directory.path(), redis: redis.as_ref() };
        let api_key = program.create_application().await?;
        let (server, address) = program.serve().await?;
        let mut generator = RoleProcess::start("generator")?;
        let wakes = users.are_woken.then_some(apple.wakes);
        let target = Target { server: address, wakes, api_key, users: users.count };
        let enrolled: Result<Report, _> = generator.ask(&Order::Enroll(target)).await;
        let mut installation = Self { server, generator, stand_in, redis, directory };
        let enrolled = installation.or_log(enrolled)?;
        eprintln!("enrolled {} devices, {:.0} a second", enrolled.done, enrolled.per_second());
        installation.at_rest().await?;
        Ok(installation)
    }

    /// Has the generator do something.
    pub async fn order(&mut self, order: Order) -> Result<Report, Failure> {
        let done = self.generator.ask(&order).await;
        self.or_log(done)
    }

    /// Has the generator do something, and tells what each process used meanwhile, and holds at the end.
    pub async fn measured(&mut self, order: Order) -> Result<(Report, Usages), Failure> {
        let before = self.usages()?;
        let report = self.order(order).await?;
        let after = self.usages()?;
        let used = |before: Usage, after: Usage| Usage { cpu: after.cpu.saturating_sub(before.cpu), ..after };
        let used = Usages {
            server: used(before.server, after.server),
            redis: used(before.redis, after.redis),
            generator: used(before.generator, after.generator),
            stand_in: used(before.stand_in, after.stand_in),
            machine: Machine {
                all: after.machine.all.saturating_sub(before.machine.all),
                busy: after.machine.busy.saturating_sub(before.machine.busy),
            },
        };
        Ok((report, used))
    }

    /// Waits until the server holds no more memory than before. With many streams open it never rests: it tells each that
    /// it is alive, and on Redis looks for what it may have missed.
    pub async fn grown(&mut self) -> Result<Usage, Failure> {
        let until = Instant::now() + REST_PATIENCE;
        let mut before = self.usages()?.server;
        loop {
            clock::pause(REST).await;
            let now = self.usages()?.server;
            if now.resident_bytes <= before.resident_bytes + before.resident_bytes / 1000 {
                return Ok(now);
            }
            if Instant::now() > until {
                return Err("the server's memory grows on and on".into());
            }
            before = now;
        }
    }

    /// Waits until the server has nothing more to do.
    pub async fn at_rest(&mut self) -> Result<Usage, Failure> {
        let until = Instant::now() + REST_PATIENCE;
        let mut before = self.usages()?.server;
        loop {
            clock::pause(REST).await;
            let now = self.usages()?.server;
            if now.cpu.saturating_sub(before.cpu) <= REST_CPU {
                return Ok(now);
            }
            if Instant::now() > until {
                return Err("the server comes to no rest".into());
            }
            before = now;
        }
    }

    /// Bytes in use where challenges lie: in the pages of the database, or in Redis.
    pub async fn stored_bytes(&mut self) -> Result<u64, Failure> {
        if let Some(redis) = &mut self.redis {
            return redis.used_memory().await;
        }
        let file = self.data_directory().join("countersign.sqlite");
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let pragma = |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok(u64::try_from((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)?)
    }

    /// Where the server's database lies.
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn usages(&self) -> Result<Usages, Failure> {
        Ok(Usages {
            server: Usage::of(self.server.id().ok_or("the server has ended")?)?,
            redis: self.redis.as_ref().map(Redis::usage).transpose()?.unwrap_or_default(),
            generator: Usage::of(self.generator.id()?)?,
            stand_in: Usage::of(self.stand_in.id()?)?,
            machine: Machine::now()?,
        })
    }

    /// With the last that the server said, if it failed.
    fn or_log<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        outcome.map_err(|failure| format!("{failure}; {}", log_of(self.directory.path())).into())
    }
}

/// How the server's program is run.
struct Program<'a> {
    file: &'a Path,
    directory: &'a Path,
    redis: Option<&'a Redis>,
}

impl Program<'_> {
    async fn create_application(&self) -> Result<String, Failure> {
        let mut create = self.command(&["app", "create", "Load", "--json"]);
        let created = create.stdin(Stdio::null()).output().await?;
        if !created.status.success() {
            return Err(String::from_utf8_lossy(&created.stderr).into());
        }
        let created: Value = serde_json::from_slice(&created.stdout)?;
        Ok(created["api_key"].as_str().ok_or("no API key")?.to_owned())
    }

    /// Starts the server; its address.
    async fn serve(&self) -> Result<(Child, SocketAddr), Failure> {
        let log = File::create(log_file(self.directory))?;
        let mut command = self.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut server = command.spawn()?;
        let mut output = BufReader::new(server.stdout.take().ok_or("no pipe")?);
        let mut line = String::new();
        timeout(START, output.read_line(&mut line)).await.map_err(|_| "the server does not start")??;
        let address = line.strip_prefix("countersign listens on ").and_then(|rest| rest.split(';').next());
        let address = address.ok_or_else(|| format!("it does not start; {}", log_of(self.directory)))?;
        let address = address.parse()?;
        // Whatever else it prints is not to stop it.
        tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
        Ok((server, address))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.file);
        // The environment of whoever runs this configures nothing.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("COUNTERSIGN_") {
                command.env_remove(variable);
            }
        }
        if let Some(redis) = self.redis {
            command.env("COUNTERSIGN_REDIS_URL", &redis.url);
        }
        command.args(arguments).args(["--config", "countersign.toml"]);
        command.current_dir(self.directory).kill_on_drop(true);
        command
    }
}

/// Writes a configuration as an operator would, with all in `directory` (an absolute path) and the log as it comes;
/// its file.
pub fn configure(directory: &Path, apple: &StandIn) -> Result<PathBuf, Failure> {
    let (key, authority) = (directory.join("apns.p8"), directory.join("apns-ca.pem"));
    fs::write(&key, &apple.private_key_pem)?;
    fs::write(&authority, &apple.ca_pem)?;
    let settings = json!({
        "server": { "listen": "127.0.0.1:0", "data_dir": directory.join("data") },
        // One backend watches as many challenges from one address.
        "limits": { "open_streams_per_address": MOST_STREAMS },
        "apns": {
            "private_key_file": key,
            "key_id": apple.key_id,
            "team_id": apple.team_id,
            "topics": [TOPIC],
            "production_url": apple.base_url,
            "sandbox_url": apple.base_url,
            "ca_file": authority,
        },
    });
    let file = directory.join("countersign.toml");
    fs::write(&file, toml::to_string(&settings)?)?;
    Ok(file)
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

fn log_of(directory: &Path) -> String {
    const LINES: usize = 5;
    let log = fs::read_to_string(log_file(directory)).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    format!("the server's log ends:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
}
