//! The server, put together: everything is opened and proven before the port binds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    clock::SharedClock,
    config::{Config, LimitsConfig, ServerConfig, TlsConfig},
    core::Core,
    device_streams::DeviceStreams,
    enrollment::Origins,
    foundation::{Foundation, FoundationError, Opener},
    grpc,
    ids::{Ids, IdsError},
    peers,
    push::{
        configured::{self, InvalidPushConfig, ServedTargets},
        dispatch::{Channels, Dispatcher},
        records::{SealedProviderTokens, StoredDeliveries},
    },
    random::SharedRandom,
    revocations,
    server_keys::{ServerKeyError, ServerKeys},
    store::{
        Challenges, Devices, Secrets, StoreError, Wakeups,
        redis::{RedisConfig, RedisError, RedisStore},
        sqlite::DirectoryLock,
    },
    tasks::Tasks,
    upkeep, web,
    wire::{self, Limits, Shutdown},
};

/// How long pushes may go on once the calls have ended: a provider that is away holds up no restart.
const DRAIN_PUSHES: Duration = Duration::from_secs(2);

/// Of the time that ending may take, what is kept for finishing what the calls have begun.
const RESERVE: Duration = Duration::from_secs(2);

/// hyper reads no HTTP/1 head with less.
const LEAST_HTTP1_HEAD_BYTES: usize = 8192;

/// Of those who wait for a challenge, so many read it again at a time.
const TURNS_TO_READ_AGAIN: usize = 256;

/// A server that is up.
pub struct App {
    address: SocketAddr,
    origin: String,
    server_id: String,
    shutdown: Shutdown,
    serving: JoinHandle<()>,
}

/// Why the server did not start. Each names what is wrong and what would help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory, master key or database.
    #[error(transparent)]
    Foundation(#[from] FoundationError),
    /// The server's keys.
    #[error(transparent)]
    ServerKeys(#[from] ServerKeyError),
    /// The installation's id key.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// The store does not answer.
    #[error("the database does not answer: see the log")]
    Store(#[from] StoreError),
    /// Redis refuses this server, or would lose challenges.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The push providers' settings.
    #[error(transparent)]
    Push(#[from] InvalidPushConfig),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl App {
    /// Opens everything, then binds and serves.
    pub async fn start(config: Config, clock: SharedClock, random: SharedRandom) -> Result<Self, StartError> {
        let behind_proxy = matches!(config.tls, TlsConfig::TerminatedByProxy);
        let limits = wire_limits(&config.limits, behind_proxy);
        Self::start_within(limits, config, clock, random).await
    }

    /// [`Self::start`], with these limits of connections and calls in place of those that follow from `config`.
    pub async fn start_within(
        wire_limits: Limits,
        config: Config,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, StartError> {
        let wire_limits = Limits { long_lived: &grpc::STREAMS, ..wire_limits };
        let Config { server, tls, limits, redis, apns, fcm, .. } = config;
        let is_sharing = redis.is_some();
        let mut foundation = foundation(&server, is_sharing, &clock, &random).await?;
        foundation.store.ping().await?;
        let served = ServedTargets::of(apns.as_ref(), fcm.as_ref());
        let tokens = SealedProviderTokens::of(&foundation);
        let channels = configured::channels(apns.as_ref(), fcm.as_ref(), Arc::new(tokens), &clock)?;
        let challenges = ChallengeStore::open(redis, &foundation, &random).await?;
        let core = Arc::new(
            core(
                &foundation,
                challenges,
                channels,
                limits.open_streams_per_device as usize,
                clock,
                Arc::clone(&random),
            )
            .await?,
        );
        if is_sharing {
            foundation.share()?;
        }
        // What cannot be finished while Redis is away is finished once it answers.
        match upkeep::finish_revocations(&core).await {
            Err(_) if core.wakeups.is_some() => {}
            finished => finished?,
        }
        // Only tells; the store has logged why, if it cannot.
        let _ = upkeep::compare_clocks(&core).await;

        let listen = |source| StartError::Listen { address: server.listen, source };
        let listener = TcpListener::bind(server.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let origins = Origins { page: server.public_origin(address), api: server.api_url };
        let origin = origins.page.clone();
        let shutdown = Shutdown::new();
        let served = Arc::new(served);
        let settings = grpc::Settings { origins, served, message_bytes: limits.message_bytes as usize };
        let services = grpc::services(&core, settings, &shutdown).await;
        let router = wire::router(services, web::routes(), &wire_limits, &shutdown);
        let tls = match tls {
            TlsConfig::Certificate(certificate) => Some(certificate.config),
            TlsConfig::Off | TlsConfig::TerminatedByProxy => None,
        };
        let server_id = core.server_keys.server_id().to_owned();
        tracing::info!(
            server.address = %address,
            server.id = %server_id,
            server.origin = %origin,
            "listening"
        );
        let serving =
            Serving { core, lock: foundation.lock, shutdown: shutdown.clone(), drain: limits.drain };
        let serving = tokio::spawn(async move {
            let drained = wire::serve(listener, tls, router, wire_limits, serving.shutdown.clone(), random);
            serving.run(drained).await;
        });
        Ok(Self { address, origin, server_id, shutdown, serving })
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where pairing links lead.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What devices and backends pin.
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// Begins to end: waiting calls are told, calls in flight finish, 20 s at most.
    pub fn shutdown(&self) {
        self.shutdown.begin();
    }

    /// Ends when the server has.
    pub async fn ended(self) {
        if let Err(error) = self.serving.await
            && error.is_panic()
        {
            tracing::error!("the server's main task panicked");
        }
    }
}

/// What must live and end with the listener.
struct Serving {
    core: Arc<Core>,
    lock: Option<DirectoryLock>,
    shutdown: Shutdown,
    /// How long ending may take, all in all.
    drain: Duration,
}

impl Serving {
    /// Serves until the drain is over, then lets what was begun come to its end, and lets go of the data
    /// directory last.
    async fn run(self, serve: impl Future<Output = wire::Drained>) {
        let served = async {
            let began = async {
                self.shutdown.begun().await;
                Instant::now()
            };
            tokio::join!(serve, began)
        };
        let (drained, began) = tokio::select! {
            served = served => served,
            () = upkeep::run(Arc::clone(&self.core)) => return,
            () = peers::listen(&self.core) => return,
            () = revocations::heed(&self.core) => return,
        };
        // What is cut here is at worst a commit whose caller hears nothing and asks again, or a push.
        let rest = async {
            self.core.tasks.finished().await;
            self.core.dispatcher.drain(DRAIN_PUSHES).await;
        };
        if timeout_at(began + self.drain, rest).await.is_err() {
            tracing::warn!("ended before everything that was begun was finished");
        }
        tracing::info!(
            wire.connections_cut = drained.connections_cut,
            wire.calls_cut = drained.calls_cut,
            "ended"
        );
        drop(self.core);
        drop(self.lock);
    }
}

async fn foundation(
    server: &ServerConfig,
    is_sharing: bool,
    clock: &SharedClock,
    random: &SharedRandom,
) -> Result<Foundation, FoundationError> {
    let ServerConfig { data_dir, master_key_file, .. } = server;
    let (clock, random) = (Arc::clone(clock), Arc::clone(random));
    if is_sharing {
        Foundation::open_sharing(data_dir, master_key_file, clock, random).await
    } else {
        Foundation::open(data_dir, master_key_file, Opener::Server, clock, random)
    }
}

/// Where challenges lie, and how other servers are heard that use the same.
struct ChallengeStore {
    challenges: Arc<dyn Challenges>,
    left_behind: Option<Arc<dyn Challenges>>,
    wakeups: Option<Arc<dyn Wakeups>>,
}

impl ChallengeStore {
    /// In Redis if it is configured, otherwise in the data directory.
    async fn open(
        redis: Option<RedisConfig>,
        foundation: &Foundation,
        random: &SharedRandom,
    ) -> Result<Self, RedisError> {
        let Some(config) = redis else {
            let challenges = Arc::clone(&foundation.store) as _;
            return Ok(Self { challenges, left_behind: None, wakeups: None });
        };
        let store = Arc::new(RedisStore::open(&config, Arc::clone(random)).await?);
        tracing::info!(redis.address = %config.address(), "challenges lie in Redis");
        Ok(Self {
            challenges: Arc::clone(&store) as _,
            left_behind: Some(Arc::clone(&foundation.store) as _),
            wakeups: Some(store),
        })
    }
}

/// What a command works with beside the servers. It wakes no device; with `redis`, challenges lie there.
pub(crate) async fn core_of_command(
    foundation: &Foundation,
    redis: Option<RedisConfig>,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Core, StartError> {
    let challenges = ChallengeStore::open(redis, foundation, &random).await?;
    // It answers no device.
    core(foundation, challenges, Channels::default(), 0, clock, random).await
}

async fn core(
    foundation: &Foundation,
    challenges: ChallengeStore,
    channels: Channels,
    streams_per_device: usize,
    clock: SharedClock,
    random: SharedRandom,
) -> Result<Core, StartError> {
    let Foundation { store, keyring, .. } = foundation;
    let secrets: Arc<dyn Secrets> = Arc::clone(store) as _;
    let ChallengeStore { challenges, left_behind, wakeups } = challenges;
    let devices: Arc<dyn Devices> = Arc::clone(store) as _;
    let ids = Ids::open(Arc::clone(&secrets), keyring, Arc::clone(&random)).await?;
    let server_keys =
        ServerKeys::open(Arc::clone(&secrets), Arc::clone(keyring), Arc::clone(&clock), Arc::clone(&random));
    let server_keys = server_keys.await?;
    let delivery_waiters = Arc::default();
    let log = StoredDeliveries {
        challenges: Arc::clone(&challenges),
        devices: Arc::clone(&devices),
        waiters: Arc::clone(&delivery_waiters),
    };
    let dispatcher =
        Dispatcher::new(channels, Arc::new(log), Arc::clone(&clock), Arc::clone(&random), Handle::current());
    Ok(Core {
        clock,
        random,
        keyring: Arc::clone(keyring),
        ids,
        server_keys,
        challenges,
        challenges_left_behind: left_behind,
        wakeups,
        applications: Arc::clone(store) as _,
        devices,
        codes: Arc::clone(store) as _,
        allowances: Arc::clone(store) as _,
        hold_copies: Arc::clone(store) as _,
        enrollments: Arc::clone(store) as _,
        challenge_waiters: Arc::default(),
        device_waiters: Arc::default(),
        delivery_waiters,
        api_key_waiters: Arc::default(),
        device_streams: DeviceStreams::new(streams_per_device),
        turns_to_read_again: Semaphore::new(TURNS_TO_READ_AGAIN),
        turns_of_streams: Semaphore::new(TURNS_TO_READ_AGAIN),
        enrollment_waiters: Arc::default(),
        dispatcher,
        tasks: Tasks::default(),
    })
}

/// What operators set, over the defaults of the rest. Behind a proxy all connections come from its address, so
/// it may have all of them.
fn wire_limits(config: &LimitsConfig, behind_proxy: bool) -> Limits {
    let defaults = Limits::default();
    let connections = config.connections as usize;
    let streams = config.open_streams as usize;
    Limits {
        connections,
        connections_per_peer: if behind_proxy {
            connections
        } else {
            config.connections_per_address as usize
        },
        calls_per_peer: if behind_proxy { defaults.calls } else { defaults.calls_per_peer },
        streams,
        streams_per_peer: if behind_proxy { streams } else { config.open_streams_per_address as usize },
        tls_handshake: config.handshake,
        idle: config.idle,
        connection_age: config.connection_age,
        connection_age_jitter: config.connection_age / 10,
        drain: config.drain.saturating_sub(RESERVE.min(config.drain / 4)),
        http2_streams: config.streams_per_connection,
        http2_header_list_bytes: config.header_bytes,
        http1_head_bytes: (config.header_bytes as usize).max(LEAST_HTTP1_HEAD_BYTES),
        http2_keepalive_interval: config.keepalive,
        http2_keepalive_timeout: config.keepalive_timeout,
        request_body_bytes: u64::from(config.message_bytes) + 1024,
        ..defaults
    }
}
