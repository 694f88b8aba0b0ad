//! `[server]`: where it listens, keeps its data and is found.

use std::{net::SocketAddr, path::PathBuf};

use countersign_proto::link::is_origin;

use super::{error::ConfigError, setting::Setting, sources::Section, tls::TlsConfig};

const LISTEN: &str = "127.0.0.1:8443";
const DATA_DIR: &str = "countersign-data";
/// Characters of an origin, so that a link with two fits into a QR code of 16 kB.
const MAX_ORIGIN_CHARS: usize = 140;
const ORIGIN: &str = "must be an origin of at most 140 characters: https://HOST or https://HOST:PORT with no \
                      path after it (http on loopback only)";

/// Where the server listens, keeps its data and is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address to bind. On loopback unless TLS protects it.
    pub listen: SocketAddr,
    /// The directory of the database.
    pub data_dir: PathBuf,
    /// The file of the master key.
    pub master_key_file: PathBuf,
    /// Origin at which devices reach the API, when it is not the public one.
    pub api_url: Option<String>,
    public_url: PublicUrl,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicUrl {
    Given(String),
    /// The address that is bound, which is a loopback address.
    Bound {
        scheme: &'static str,
    },
}

impl ServerConfig {
    /// The origin that pairing links carry, for a server that was `bound` to this address (the port of which
    /// the system may have chosen).
    pub fn public_origin(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            PublicUrl::Given(origin) => origin.clone(),
            PublicUrl::Bound { scheme } => format!("{scheme}://{bound}"),
        }
    }
}

/// `terminated_by_proxy` is the setting behind [`TlsConfig::TerminatedByProxy`].
pub(super) fn read(
    mut section: Section,
    tls: &TlsConfig,
    terminated_by_proxy: &Setting,
) -> Result<ServerConfig, ConfigError> {
    let listen = section.get("listen");
    let data_dir = section.get("data_dir");
    let master_key_file = section.get("master_key_file");
    let public_url = section.get("public_url");
    let api_url = section.get("api_url");
    section.finish()?;

    let address = listen_address(&listen, tls)?;
    let why =
        "pairing links carry the origin at which devices find the server, such as https://login.example.org";
    let public_url = match (origin(&public_url)?, tls) {
        (Some(origin), _) => PublicUrl::Given(origin),
        (None, TlsConfig::TerminatedByProxy) => return Err(terminated_by_proxy.needs(&public_url, why)),
        (None, _) if !address.ip().is_loopback() => return Err(listen.needs(&public_url, why)),
        (None, TlsConfig::Certificate(_)) => PublicUrl::Bound { scheme: "https" },
        (None, TlsConfig::Off) => PublicUrl::Bound { scheme: "http" },
    };
    let data_dir = data_dir.path()?.unwrap_or_else(|| DATA_DIR.into());
    Ok(ServerConfig {
        listen: address,
        master_key_file: master_key_file.path()?.unwrap_or_else(|| data_dir.join("master.key")),
        data_dir,
        api_url: origin(&api_url)?,
        public_url,
    })
}

fn listen_address(listen: &Setting, tls: &TlsConfig) -> Result<SocketAddr, ConfigError> {
    let address: SocketAddr = listen
        .parsed(
            "must be an IP address and a port, such as 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443",
            |text| text.parse().ok(),
        )?
        .unwrap_or_else(|| LISTEN.parse().expect("the default is an address"));
    if !address.ip().is_loopback() && matches!(tls, TlsConfig::Off) {
        return Err(listen.refuse(
            "must be a loopback address as long as nothing protects it: for any other, set \
             tls.certificate_file and tls.private_key_file, or tls.terminated_by_proxy = true when a proxy \
             ends TLS",
        ));
    }
    Ok(address)
}

fn origin(setting: &Setting) -> Result<Option<String>, ConfigError> {
    setting
        .parsed(ORIGIN, |text| (text.len() <= MAX_ORIGIN_CHARS && is_origin(text)).then(|| text.to_owned()))
}
