//! A whole installation: the real server, a login backend, devices, and stand-ins for APNs and FCM, over real
//! sockets.

mod backend;
mod by_hand;
mod refused;
mod servers;
mod shared;
mod watched_clock;

use std::{fs, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use countersign::{
    api_key::ApiKey,
    app::App,
    clock::Clock as _,
    foundation::{Foundation, Opener},
    ids::Ids,
    random::SystemRandom,
    store::{
        Applications as _,
        applications::{ApiKeyRow, Application},
        sqlite::DataDirectory,
    },
    wire::Limits,
};
use countersign_agent::{Account, Agent};
use countersign_domain::policy::Policy;
use countersign_fakes::{apns::ApnsStandIn, fcm::FcmStandIn};
use countersign_proto::{
    common::Platform,
    device::device_service_client::DeviceServiceClient,
    login::{login_service_client::LoginServiceClient, user_service_client::UserServiceClient},
    statement::{DeviceProfile, PushTarget, push_target},
    time::UnixTime,
};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

pub(crate) use self::{
    backend::{Backend, Bearer, Changes, asking, enrolling, redeeming},
    by_hand::{
        ByHand, CALL_KEY, Candidate, GET_ACCOUNT, GET_CHALLENGE, KEY_KEY, LIST_CHALLENGES, SUBSCRIBE, public,
        sealed, with_unknown_field,
    },
    refused::{metadata_of, refused, refused_field},
    watched_clock::WatchedClock,
};
use self::{servers::Settings, shared::Shared};
use crate::{STORE, soon::soon};

/// When the tests' clock starts.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_800_000_000_000);
/// The app that devices are woken in.
pub(crate) const TOPIC: &str = "org.example.login";
/// A device token that Apple might give.
pub(crate) const DEVICE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

/// A registration token that Google might give.
pub(crate) const REGISTRATION_TOKEN: &str = "eK3pWq9xT0-aB7_dZmLs1R:APA91bHx2Vt6QyR0cNfJ8uLkEwGz4oXiS5dMbP7aTqYhC3nU9vKjWrF1\
    sDgZlXeOpI8mBtHyQuVa6NcRkLwJfSzE2xGoT5iPdMbY";

/// Where a server keeps its challenges.
#[expect(dead_code, reason = "each of the two test targets is for one of them")]
pub(crate) enum Store {
    /// In the data directory, which it has for itself.
    Embedded,
    /// In Redis. Two servers share the data directory, and successive calls go to them in turn.
    Redis,
}

/// A server on a data directory of its own, whose clock the test moves; or two on one, see [`Store`].
pub(crate) struct World {
    pub(crate) apps: Vec<App>,
    /// What several servers have in common beside the data directory.
    pub(crate) shared: Option<Shared>,
    pub(crate) clock: WatchedClock,
    pub(crate) apple: ApnsStandIn,
    pub(crate) google: FcmStandIn,
    pub(crate) directory: TempDir,
    /// The servers' certificate, when they speak TLS.
    certificate_pem: Option<String>,
}

/// A device with one account.
pub(crate) struct Device {
    pub(crate) account: Account,
    pub(crate) _state: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// [`Self::start`] with no push provider configured.
    pub(crate) async fn start_without_push() -> Self {
        Self::start_as(Settings { is_without_push: true, ..Settings::default() }).await
    }

    /// [`Self::start`] with more in its configuration file.
    pub(crate) async fn start_with(more: &str) -> Self {
        Self::start_within(None, more).await
    }

    /// [`Self::start`] with other limits of connections and calls than those that are configured.
    pub(crate) async fn start_within(limits: Option<Limits>, more: &str) -> Self {
        Self::start_as(Settings { limits, more, ..Settings::default() }).await
    }

    /// [`Self::start_within`], over TLS with a certificate for localhost.
    pub(crate) async fn start_over_tls(limits: Limits) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let files = tempfile::tempdir().expect("a temporary directory");
        let written = |name: &str, content: String| {
            let path = files.path().join(name);
            fs::write(&path, content).expect("it is written");
            path.display().to_string()
        };
        let certificate = written("tls.pem", made.cert.pem());
        let key = written("tls.key", made.signing_key.serialize_pem());
        let tls = format!("[tls]\ncertificate_file = {certificate:?}\nprivate_key_file = {key:?}\n");
        let certificate_pem = Some(made.cert.pem());
        let limits = Some(limits);
        Self::start_as(Settings { limits, more: &tls, certificate_pem, ..Settings::default() }).await
    }

    async fn start_as(settings: Settings<'_>) -> Self {
        let shared = match STORE {
            Store::Embedded => None,
            Store::Redis => Shared::start(START).await,
        };
        let clock = WatchedClock::beside(shared.as_ref().map(Shared::clock), START);
        let apple_clock = clock.clone();
        let apple = ApnsStandIn::start(&[TOPIC], move || apple_clock.now().as_seconds());
        let apple = apple.await.expect("a port is free");
        let google_clock = clock.clone();
        let google = FcmStandIn::start(move || google_clock.now().as_seconds());
        let google = google.await.expect("a port is free");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (apps, certificate_pem) = (Vec::new(), None);
        let mut world = Self { apps, shared, clock, apple, google, directory, certificate_pem };
        world.start_servers(settings).await;
        world
    }

    /// Ends the servers and starts others on the same data directory.
    pub(crate) async fn restart(mut self) -> Self {
        self.shutdown();
        for app in std::mem::take(&mut self.apps) {
            app.ended().await;
        }
        self.start_servers(Settings::default()).await;
        self
    }

    /// Begins to end the servers.
    pub(crate) fn shutdown(&self) {
        for app in &self.apps {
            app.shutdown();
        }
    }

    /// What devices and backends pin: all servers are one to them.
    pub(crate) fn server_id(&self) -> &str {
        self.apps[0].server_id()
    }

    /// Where a server listens; the first, if there are two.
    pub(crate) fn address(&self) -> SocketAddr {
        self.apps[0].address()
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Runs `wait`, a call that waits, and `act` once the server sleeps for it until `until`.
    pub(crate) fn meanwhile<'a, W: 'a, A: 'a>(
        &'a self,
        wait: impl Future<Output = W> + 'a,
        until: UnixTime,
        act: impl Future<Output = A> + 'a,
    ) -> Pin<Box<dyn Future<Output = (W, A)> + 'a>> {
        let act = async move {
            self.clock.asleep_until(until).await;
            act.await
        };
        Box::pin(soon(async move { tokio::join!(wait, act) }))
    }

    /// Ends once each server has begun to sleep until `until`.
    pub(crate) async fn each_asleep_until(&self, until: UnixTime) {
        for _ in &self.apps {
            self.clock.asleep_until(until).await;
        }
    }

    /// Where the server's database and master key lie.
    pub(crate) fn foundation(&self) -> Foundation {
        let data = self.directory.path().join("data");
        let clock = Arc::new(self.clock.clone());
        Foundation::open(&data, &data.join("master.key"), Opener::CommandLine, clock, Arc::new(SystemRandom))
            .expect("it opens beside the server")
    }

    /// The server's database, as another process sees it.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        let file = DataDirectory::open(&self.directory.path().join("data")).expect("it exists").database();
        rusqlite::Connection::open(file).expect("it opens beside the server")
    }

    /// Everything short-lived is lost, as when Redis' data is flushed.
    pub(crate) async fn forget_challenges(&self) {
        match &self.shared {
            None => self
                .database()
                .execute_batch("DELETE FROM deliveries; DELETE FROM challenges; DELETE FROM users;")
                .expect("it is written beside the server"),
            Some(shared) => drop(shared.command(&["FLUSHALL"]).await),
        }
    }

    /// Adds an application, as `countersign app create` does, and connects to the server.
    pub(crate) async fn backend(&self, name: &str) -> Backend {
        self.backend_with(name, Policy::default()).await
    }

    pub(crate) async fn backend_with(&self, name: &str, policy: Policy) -> Backend {
        let Foundation { store, keyring, .. } = self.foundation();
        let ids = Ids::open(Arc::clone(&store) as _, &keyring, Arc::new(SystemRandom));
        let id = ids.await.expect("the keys open").application();
        let key = ApiKey::generate(&SystemRandom);
        let row = ApiKeyRow { id: key.id().to_owned(), tag: key.tag(&keyring, &id.to_string()).to_bytes() };
        let application = Application { id, name: name.to_owned(), policy, created_at: self.clock.now() };
        assert_eq!(store.create(application, row).await, Ok(true));
        self.connect(id.to_string(), key.reveal().expose_secret()).await
    }

    /// Connects with an API key.
    pub(crate) async fn connect(&self, application_id: String, api_key: &str) -> Backend {
        let bearer = Bearer(format!("Bearer {api_key}").parse().expect("ASCII"));
        let channel = self.channel().await;
        Backend {
            application_id,
            api_key: api_key.to_owned(),
            data: self.directory.path().join("data"),
            login: LoginServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            users: UserServiceClient::with_interceptor(channel, bearer),
        }
    }

    /// The same backend on a new connection.
    pub(crate) async fn reconnect(&self, backend: &Backend) -> Backend {
        self.connect(backend.application_id.clone(), &backend.api_key).await
    }

    /// A client of a device that has no account yet.
    pub(crate) async fn device_client(&self) -> DeviceServiceClient<Channel> {
        DeviceServiceClient::new(self.channel().await)
    }

    /// A connection to the server; with two, to what spreads calls over them.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = match &self.shared {
            None => self.endpoint(0),
            Some(shared) => Endpoint::from_shared(shared.front.origin()).expect("an address"),
        };
        endpoint.connect().await.expect("it listens")
    }

    /// An agent with no account yet.
    pub(crate) fn agent(&self) -> (Agent, TempDir) {
        let state = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(self.clock.clone());
        (Agent::open(state.path()).expect("an empty directory").with_clock(clock), state)
    }

    /// Enrols a device from link to confirmation code, without a push target.
    pub(crate) async fn enroll(&self, backend: &Backend, user_id: &str) -> Device {
        let (agent, state) = self.agent();
        self.enroll_agent(backend, user_id, agent, state).await
    }

    /// [`Self::enroll`] with this agent.
    pub(crate) async fn enroll_agent(
        &self,
        backend: &Backend,
        user_id: &str,
        agent: Agent,
        state: TempDir,
    ) -> Device {
        let started = backend.start_enrollment(user_id).await;
        let offer = agent.inspect(&started.uri).await.expect("a good offer");
        let enrolled = agent.accept(&offer, "Anna's Pixel", Platform::Android).await.expect("it is taken");
        let code = enrolled.confirmation_code().expect("the policy asks for one").to_owned();
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        backend.confirm(&enrollment_id, &code).await.expect("the right code");
        Device { account: enrolled.account, _state: state }
    }

    /// Enrols a device whose key has the bytes `seed`, by hand.
    pub(crate) async fn enroll_by_hand(&self, backend: &Backend, user_id: &str, seed: u8) -> ByHand {
        let started = backend.start_enrollment(user_id).await;
        let candidate = Candidate::open(self, &started.uri, seed).await;
        let enrolled = candidate.enroll().await.expect("it is taken");
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        if !enrolled.confirmation_code.is_empty() {
            backend.confirm(&enrollment_id, &enrolled.confirmation_code).await.expect("the right code");
        }
        candidate.enrolled(&enrolled)
    }

    /// [`Self::enroll`], and tells the server where to wake the device.
    pub(crate) async fn enroll_with_push(&self, backend: &Backend, user_id: &str) -> Device {
        let device = self.enroll(backend, user_id).await;
        device.account.change_profile(apns_profile(DEVICE_TOKEN)).await.expect("a good target");
        device
    }
}

/// The tests' beginning and that many seconds.
pub(crate) fn at(seconds: u64) -> UnixTime {
    START.plus(Duration::from_secs(seconds))
}

/// An id of the same form and user that nothing has.
pub(crate) fn other_id(id: &str) -> String {
    let (rest, last) = id.split_at(id.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

/// A match code of the same form that is another.
pub(crate) fn other_code(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

/// A profile that sets nothing but an APNs target.
pub(crate) fn apns_profile(device_token: &str) -> DeviceProfile {
    let apns =
        push_target::Apns { device_token: device_token.to_owned(), topic: TOPIC.to_owned(), sandbox: false };
    let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
    DeviceProfile { push_target: Some(target), ..DeviceProfile::default() }
}

/// A profile that sets nothing but an FCM target.
pub(crate) fn fcm_profile(registration_token: &str) -> DeviceProfile {
    let fcm = push_target::Fcm { registration_token: registration_token.to_owned() };
    let target = PushTarget { target: Some(push_target::Target::Fcm(fcm)) };
    DeviceProfile { push_target: Some(target), ..DeviceProfile::default() }
}
