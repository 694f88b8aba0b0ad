//! Where Redis is, and how it is spoken to.

use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo,
    RedisError, TlsCertificates, io::tcp::TcpSettings,
};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

/// What all keys and channels begin with where nothing else is set.
pub const DEFAULT_KEY_PREFIX: &str = "countersign:";
/// How long one operation on the store may take where nothing else is set.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(1);

/// Where Redis is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://` or, for TLS, `rediss://`; may hold user, password and database.
    pub url: SecretString,
    /// The ACL user, in place of the URL's.
    pub username: Option<String>,
    /// The password, in place of the URL's.
    pub password: Option<SecretString>,
    /// The number of the database, in place of the URL's.
    pub database: Option<u32>,
    /// What all keys and channels begin with.
    pub key_prefix: String,
    /// PEM certificates that may vouch for the server, in place of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM certificate and private key with which this server shows who it is.
    pub client_pem: Option<ClientPem>,
    /// How long one operation on the store may take, with all that it asks of Redis. A call has a few of them.
    pub time_limit: Duration,
    /// Whether a Redis that loses everything when it restarts will do.
    pub allow_without_append_only_file: bool,
}

/// A client certificate.
#[derive(Clone, Debug)]
pub struct ClientPem {
    /// The certificate with those that lead to its root.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub private_key: SecretString,
}

/// A setting that no connection can be made with. Names the setting, as the configuration does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRedisConfig {
    /// The key in the section.
    pub setting: &'static str,
    /// What is allowed.
    pub allowed: String,
}

impl RedisConfig {
    /// What the URL alone says, with the defaults of the rest.
    pub fn of_url(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            database: None,
            key_prefix: DEFAULT_KEY_PREFIX.to_owned(),
            ca_pem: None,
            client_pem: None,
            time_limit: DEFAULT_TIME_LIMIT,
            allow_without_append_only_file: false,
        }
    }

    /// Whether a connection can be made with it, as far as that shows before it is tried.
    pub fn validate(&self) -> Result<(), InvalidRedisConfig> {
        self.client().map(|_| ())
    }

    /// Host and port, to be told to people.
    pub fn address(&self) -> String {
        self.info().map_or_else(|_| "?".to_owned(), |info| info.addr().to_string())
    }

    /// Whether what is said to Redis can be read on a network.
    pub fn crosses_a_network_in_the_clear(&self) -> bool {
        let Ok(info) = self.info() else { return false };
        match info.addr() {
            ConnectionAddr::Tcp(host, _) => {
                let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
                host != "localhost" && !ip.is_ok_and(|ip| ip.is_loopback())
            }
            _ => false,
        }
    }

    /// What opens connections.
    pub(super) fn client(&self) -> Result<Client, InvalidRedisConfig> {
        let info = self.info()?;
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        if !is_tls {
            if self.ca_pem.is_some() || self.client_pem.is_some() {
                let setting = if self.ca_pem.is_some() { "ca_file" } else { "certificate_file" };
                let allowed = "is for TLS only: begin redis.url with rediss://".to_owned();
                return Err(InvalidRedisConfig { setting, allowed });
            }
            return Client::open(info).map_err(|error| invalid("url", &error));
        }
        self.check_pem()?;
        let client_tls = self.client_pem.as_ref().map(|pem| ClientTlsConfig {
            client_cert: pem.certificate.clone(),
            client_key: pem.private_key.expose_secret().as_bytes().to_vec(),
        });
        let setting = if client_tls.is_some() { "certificate_file" } else { "ca_file" };
        let certificates = TlsCertificates { client_tls, root_cert: self.ca_pem.clone() };
        Client::build_with_tls(info, certificates).map_err(|error| invalid(setting, &error))
    }

    /// Checked here since the library passes over a CA file with no certificate, and meets a key of another
    /// certificate only when it connects.
    fn check_pem(&self) -> Result<(), InvalidRedisConfig> {
        let refused = |setting| Err(InvalidRedisConfig { setting, allowed: PEM.to_owned() });
        if self.ca_pem.as_ref().is_some_and(|pem| certificates(pem).is_none()) {
            return refused("ca_file");
        }
        if self.client_pem.as_ref().is_some_and(|pem| !pem.is_usable()) {
            return refused("certificate_file");
        }
        Ok(())
    }

    fn info(&self) -> Result<ConnectionInfo, InvalidRedisConfig> {
        let allowed = "must be redis://HOST:PORT, or rediss://HOST:PORT for TLS; user, password and database may stand \
             in it as in redis://USER:PASSWORD@HOST:PORT/0";
        let url = self.url.expose_secret();
        let is_redis = url.starts_with("redis://") || url.starts_with("rediss://");
        let info = is_redis.then(|| url.into_connection_info().ok()).flatten();
        let info = info.ok_or_else(|| InvalidRedisConfig { setting: "url", allowed: allowed.to_owned() })?;
        let settings = self.settings(info.redis_settings().clone());
        Ok(info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    fn settings(&self, mut settings: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.expose_secret());
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database.into());
        }
        settings.set_skip_set_lib_name()
    }
}

/// The certificates in a PEM file; none if there is none, or if one is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    Some(certificates).filter(|certificates| !certificates.is_empty())
}

impl ClientPem {
    fn is_usable(&self) -> bool {
        let key = PrivateKeyDer::from_pem_slice(self.private_key.expose_secret().as_bytes());
        let (Some(certificates), Ok(key)) = (certificates(&self.certificate), key) else { return false };
        // It compares the public keys of both.
        CertifiedKey::from_der(certificates, key, &aws_lc_rs::default_provider()).is_ok()
    }
}

const PEM: &str = "must be PEM that TLS can use: certificates (BEGIN CERTIFICATE), and an unencrypted private key that \
                   belongs to the first of them";

fn invalid(setting: &'static str, error: &RedisError) -> InvalidRedisConfig {
    let allowed = match setting {
        "url" => format!("names no server: {}", error.category()),
        _ => PEM.to_owned(),
    };
    InvalidRedisConfig { setting, allowed }
}
