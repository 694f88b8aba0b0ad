//! How servers are configured, started and reached.

use std::{fs, sync::Arc};

use countersign::{
    app::App,
    config::{self, Config, Overrides},
    random::SystemRandom,
    wire::Limits,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::{TOPIC, World};

/// What servers differ in from the usual ones.
#[derive(Default)]
pub(super) struct Settings<'a> {
    /// Of connections and calls.
    pub(super) limits: Option<Limits>,
    /// More lines of the configuration file.
    pub(super) more: &'a str,
    /// Neither APNs nor FCM is configured.
    pub(super) is_without_push: bool,
    /// The certificate, if they are configured to speak TLS.
    pub(super) certificate_pem: Option<String>,
}

impl World {
    /// Starts one server, or the two that share a store, one after the other.
    pub(super) async fn start_servers(&mut self, settings: Settings<'_>) {
        self.certificate_pem.clone_from(&settings.certificate_pem);
        let servers = if self.shared.is_some() { 2 } else { 1 };
        for _ in 0..servers {
            let config = self.configuration(&settings);
            let (clock, random) = (Arc::new(self.clock.clone()), Arc::new(SystemRandom));
            let app = match settings.limits.clone() {
                Some(limits) => App::start_within(limits, config, clock, random).await,
                None => App::start(config, clock, random).await,
            };
            self.apps.push(app.expect("it starts"));
        }
        if let Some(shared) = &self.shared {
            shared.front.lead_to((0..servers).map(|server| self.endpoint(server)));
        }
    }

    /// Where one of the servers is reached.
    pub(crate) fn endpoint(&self, server: usize) -> Endpoint {
        let address = self.apps[server].address();
        match &self.certificate_pem {
            None => Channel::from_shared(format!("http://{address}")).expect("an address"),
            Some(pem) => {
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
                let endpoint = Channel::from_shared(format!("https://localhost:{}", address.port()));
                endpoint.expect("an address").tls_config(tls).expect("a certificate")
            }
        }
    }

    fn configuration(&self, settings: &Settings<'_>) -> Config {
        let directory = self.directory.path();
        let write = |name: &str, content: &str| {
            let path = directory.join(name);
            fs::write(&path, content).expect("it is written");
            path.display().to_string()
        };
        let (public_url, redis) = match &self.shared {
            None => (String::new(), String::new()),
            Some(shared) => (format!("public_url = {:?}\n", shared.front.origin()), shared.section()),
        };
        let push = if settings.is_without_push { String::new() } else { self.push_sections(write) };
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = {data:?}\n{public_url}{redis}{push}{more}",
            data = directory.join("data").display().to_string(),
            more = settings.more,
        );
        let file = write("countersign.toml", &text);
        config::load(Some(file.as_ref()), [], Overrides::default()).expect("a good configuration")
    }

    fn push_sections(&self, write: impl Fn(&str, &str) -> String) -> String {
        let key = self.apple.signing_key();
        let apns = format!(
            "[apns]\nprivate_key_file = {key_file:?}\nkey_id = {key_id:?}\nteam_id = {team_id:?}\n\
             topics = [{TOPIC:?}]\nproduction_url = {url:?}\nsandbox_url = {url:?}\nca_file = {ca_file:?}\n",
            key_file = write("apns.p8", &key.private_key_pem),
            key_id = key.key_id,
            team_id = key.team_id,
            url = self.apple.base_url(),
            ca_file = write("apns-ca.pem", self.apple.ca_pem()),
        );
        let fcm = format!(
            "[fcm]\nservice_account_file = {account:?}\nbase_url = {url:?}\nca_file = {ca_file:?}\n",
            account = write("fcm.json", &self.google.service_account().to_string()),
            url = self.google.base_url(),
            ca_file = write("fcm-ca.pem", self.google.ca_pem()),
        );
        apns + &fcm
    }
}
