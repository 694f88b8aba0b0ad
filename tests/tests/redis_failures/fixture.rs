//! Two servers on one data directory and one Redis, each with a proxy of its own between it and Redis.

mod people;

use std::{fs, sync::Arc, time::Duration};

use countersign::{
    api_key::ApiKey,
    app::App,
    config::{self, Overrides},
    foundation::{Foundation, Opener},
    ids::Ids,
    random::SystemRandom,
    store::{
        Applications as _,
        applications::{ApiKeyRow, Application},
        redis::{RedisConfig, RedisStore},
    },
    wire::Limits,
};
use countersign_domain::policy::Policy;
use countersign_fakes::apns::ApnsStandIn;
use countersign_proto::{
    login::{login_service_client::LoginServiceClient, user_service_client::UserServiceClient},
    time::UnixTime,
};
use countersign_test_peers::{FaultyProxy, RedisServer, Value, redis_or_skip};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tonic::transport::Channel;

pub(crate) use self::people::{Device, Login, is_away};
use crate::{
    backend::{Backend, Bearer},
    clock::TestClock,
};

/// When every test begins.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_800_000_000_000);
/// How long a server waits for Redis in tests of what does not hang on that: a busy machine is no dead Redis.
pub(crate) const PATIENT: u32 = 10_000;
/// The same where Redis is away for a while.
pub(crate) const IMPATIENT: u32 = 500;
const TOPIC: &str = "org.example.login";

/// Server 0 and server 1, with an application and everything around them.
pub(crate) struct Servers {
    // Declared first, so that they end before what they use.
    apps: Vec<App>,
    /// Before Redis, one for each server.
    pub(crate) proxies: Vec<FaultyProxy>,
    pub(crate) redis: RedisServer,
    pub(crate) clock: TestClock,
    pub(crate) apple: ApnsStandIn,
    pub(crate) application: Application,
    api_key: String,
    directory: TempDir,
}

impl Servers {
    /// None where Redis is not installed.
    pub(crate) async fn start_or_skip(time_limit_ms: u32) -> Option<Self> {
        let mut servers = Self::without_servers_or_skip().await?;
        servers.start_both(time_limit_ms).await;
        Some(servers)
    }

    /// All that servers need: none of them runs yet.
    pub(crate) async fn without_servers_or_skip() -> Option<Self> {
        if !redis_or_skip() {
            return None;
        }
        let clock = TestClock::new(START);
        let redis = RedisServer::options().clock(clock.of_redis()).start().await.expect("it starts");
        let proxies = vec![
            FaultyProxy::in_front_of(redis.port()).await.expect("a port is free"),
            FaultyProxy::in_front_of(redis.port()).await.expect("a port is free"),
        ];
        let apple = ApnsStandIn::start(&[TOPIC], move || START.as_seconds()).await.expect("a port is free");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (application, api_key) = application(&directory, &clock).await;
        Some(Self { apps: Vec::new(), proxies, redis, clock, apple, application, api_key, directory })
    }

    pub(crate) async fn start_both(&mut self, time_limit_ms: u32) {
        for server in 0..self.proxies.len() {
            // As many calls as there are may come from one address.
            // Ten thousand callers take their time on a busy machine.
            let call = Duration::from_mins(10);
            let limits = Limits { calls_per_peer: Limits::default().calls, call, ..Limits::default() };
            let config = self.config(server, time_limit_ms);
            let config = config::load(Some(config.as_ref()), [], Overrides::default());
            let config = config.expect("a good configuration");
            let clock = Arc::new(self.clock.clone());
            let app = App::start_within(limits, config, clock, Arc::new(SystemRandom)).await;
            self.apps.push(app.expect("it starts"));
        }
    }

    /// Writes the configuration file of a server.
    fn config(&self, server: usize, time_limit_ms: u32) -> String {
        let write = |name: &str, content: &str| {
            let path = self.directory.path().join(name);
            fs::write(&path, content).expect("it is written");
            path.display().to_string()
        };
        let key = self.apple.signing_key();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n\
             [redis]\nurl = \"redis://{redis}\"\ntime_limit_ms = {time_limit_ms}\n\
             [apns]\nprivate_key_file = {key_file:?}\nkey_id = {key_id:?}\nteam_id = {team_id:?}\n\
             topics = [{TOPIC:?}]\nproduction_url = {url:?}\nsandbox_url = {url:?}\nca_file = {ca_file:?}\n",
            data = self.directory.path().join("data").display().to_string(),
            redis = self.proxies[server].address(),
            key_file = write("apns.p8", &key.private_key_pem),
            key_id = key.key_id,
            team_id = key.team_id,
            url = self.apple.base_url(),
            ca_file = write("apns-ca.pem", self.apple.ca_pem()),
        );
        write(&format!("server-{server}.toml"), &text)
    }

    /// The login backend on a connection of its own to one of the servers.
    pub(crate) async fn backend(&self, server: usize) -> Backend {
        let endpoint = Channel::from_shared(format!("http://{}", self.apps[server].address()));
        let channel = endpoint.expect("an address").connect().await.expect("it listens");
        let bearer = Bearer(format!("Bearer {}", self.api_key).parse().expect("ASCII"));
        Backend {
            application_id: self.application.id.to_string(),
            api_key: self.api_key.clone(),
            data: self.directory.path().join("data"),
            login: LoginServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            users: UserServiceClient::with_interceptor(channel, bearer),
        }
    }

    /// A store on the same challenges, as a third server has it, with no proxy between.
    pub(crate) async fn store(&self) -> RedisStore {
        let time_limit = Duration::from_millis(PATIENT.into());
        let config = RedisConfig { time_limit, ..RedisConfig::of_url(self.redis.url()) };
        RedisStore::open(&config, Arc::new(SystemRandom)).await.expect("it can be used")
    }

    /// What Redis answers, which is no refusal.
    pub(crate) async fn redis(&self, command: &[&str]) -> Value {
        match self.redis.command(command).await.expect("it answers") {
            Value::Error(refusal) => panic!("{command:?}: {refusal}"),
            answer => answer,
        }
    }
}

/// Makes an application, as `countersign app create` does.
async fn application(directory: &TempDir, clock: &TestClock) -> (Application, String) {
    let data = directory.path().join("data");
    let (key_file, shared) = (data.join("master.key"), Arc::new(clock.clone()));
    let foundation = Foundation::open(&data, &key_file, Opener::CommandLine, shared, Arc::new(SystemRandom));
    let Foundation { store, keyring, .. } = foundation.expect("an empty directory");
    let ids = Ids::open(Arc::clone(&store) as _, &keyring, Arc::new(SystemRandom));
    let id = ids.await.expect("the keys open").application();
    let key = ApiKey::generate(&SystemRandom);
    let row = ApiKeyRow { id: key.id().to_owned(), tag: key.tag(&keyring, &id.to_string()).to_bytes() };
    let policy = Policy::default();
    let application = Application { id, name: "Shop".to_owned(), policy, created_at: START };
    assert_eq!(store.create(application.clone(), row).await, Ok(true));
    (application, key.reveal().expose_secret().to_owned())
}
