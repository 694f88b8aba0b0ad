//! A whole installation: the real server, a login backend, devices, and a stand-in for APNs, over real sockets.

mod backend;
mod by_hand;
mod refused;
mod watched_clock;

use std::{fs, path::Path, pin::Pin, sync::Arc, time::Duration};

use countersign::{
    api_key::ApiKey,
    app::App,
    clock::Clock as _,
    config::{self, Overrides},
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
use countersign_fakes::apns::ApnsStandIn;
use countersign_proto::{
    common::Platform,
    device::device_service_client::DeviceServiceClient,
    login::{login_service_client::LoginServiceClient, user_service_client::UserServiceClient},
    statement::{DeviceProfile, PushTarget, push_target},
    time::UnixTime,
};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

pub(crate) use self::{
    backend::{Backend, Bearer, asking, enrolling, redeeming},
    by_hand::{
        ByHand, CALL_KEY, Candidate, GET_ACCOUNT, GET_CHALLENGE, KEY_KEY, LIST_CHALLENGES, public, sealed,
        with_unknown_field,
    },
    refused::{metadata_of, refused, refused_field},
    watched_clock::WatchedClock,
};
use crate::apns::soon;

/// When the tests' clock starts.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_800_000_000_000);
/// The app that devices are woken in.
pub(crate) const TOPIC: &str = "org.example.login";
/// A device token that Apple might give.
pub(crate) const DEVICE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";

/// A server on a data directory of its own, whose clock the test moves.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) clock: WatchedClock,
    pub(crate) apple: ApnsStandIn,
    pub(crate) directory: TempDir,
    /// The server's certificate, when it speaks TLS.
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

    /// [`Self::start`] with more in its configuration file.
    pub(crate) async fn start_with(more: &str) -> Self {
        Self::start_within(None, more).await
    }

    /// [`Self::start`] with other limits of connections and calls than those that are configured.
    pub(crate) async fn start_within(limits: Option<Limits>, more: &str) -> Self {
        let clock = WatchedClock::new(START);
        let apple_clock = clock.clone();
        let apple = ApnsStandIn::start(&[TOPIC], move || apple_clock.now().as_seconds());
        let apple = apple.await.expect("a port is free");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let app = start_app(directory.path(), &apple, &clock, limits, more).await;
        Self { app, clock, apple, directory, certificate_pem: None }
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
        let world = Self::start_within(Some(limits), &tls).await;
        Self { certificate_pem: Some(made.cert.pem()), ..world }
    }

    /// Ends the server and starts another on the same data directory.
    pub(crate) async fn restart(self) -> Self {
        let Self { app, clock, apple, directory, .. } = self;
        app.shutdown();
        app.ended().await;
        let app = start_app(directory.path(), &apple, &clock, None, "").await;
        Self { app, clock, apple, directory, certificate_pem: None }
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

    /// A connection to the server.
    pub(crate) async fn channel(&self) -> Channel {
        let address = self.app.address();
        let endpoint = match &self.certificate_pem {
            None => Channel::from_shared(format!("http://{address}")).expect("an address"),
            Some(pem) => {
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
                let endpoint = Channel::from_shared(format!("https://localhost:{}", address.port()));
                endpoint.expect("an address").tls_config(tls).expect("a certificate")
            }
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

async fn start_app(
    directory: &Path,
    apple: &ApnsStandIn,
    clock: &WatchedClock,
    limits: Option<Limits>,
    more: &str,
) -> App {
    let file = directory.join("countersign.toml");
    fs::write(&file, configuration(directory, apple) + more).expect("it is written");
    let config = config::load(Some(&file), [], Overrides::default()).expect("a good configuration");
    let (clock, random) = (Arc::new(clock.clone()), Arc::new(SystemRandom));
    let app = match limits {
        Some(limits) => App::start_within(limits, config, clock, random).await,
        None => App::start(config, clock, random).await,
    };
    app.expect("it starts")
}

fn configuration(directory: &Path, apple: &ApnsStandIn) -> String {
    let write = |name: &str, content: &str| {
        let path = directory.join(name);
        fs::write(&path, content).expect("it is written");
        path.display().to_string()
    };
    let key = apple.signing_key();
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n\
         [apns]\nprivate_key_file = {key_file:?}\nkey_id = {key_id:?}\nteam_id = {team_id:?}\n\
         topics = [{TOPIC:?}]\nproduction_url = {url:?}\nsandbox_url = {url:?}\nca_file = {ca_file:?}\n",
        data = directory.join("data").display().to_string(),
        key_file = write("apns.p8", &key.private_key_pem),
        key_id = key.key_id,
        team_id = key.team_id,
        url = apple.base_url(),
        ca_file = write("apns-ca.pem", apple.ca_pem()),
    )
}
