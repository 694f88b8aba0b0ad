use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;

mod fcm;
mod redis;
mod refusals;

/// A directory with a configuration file and whatever that names.
struct Files(TempDir);

impl Files {
    fn new(configuration: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("a temporary directory"));
        files.write("countersign.toml", configuration);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("writes");
    }

    /// A certificate in `cert.pem`, its key in `key.pem`, another key in `other.pem`.
    fn write_certificate(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
        self.write("cert.pem", &cert.pem());
        self.write("key.pem", &signing_key.serialize_pem());
        self.write("other.pem", &KeyPair::generate().expect("makes a key").serialize_pem());
    }

    /// Loads with `DIR/` in the file and in the variables standing for this directory.
    fn load(&self, environment: &[(&str, &str)], overrides: Overrides) -> Result<Config, ConfigError> {
        let directory = format!("{}/", self.0.path().display());
        let text = fs::read_to_string(self.path("countersign.toml")).expect("reads");
        self.write("countersign.toml", &text.replace("DIR/", &directory));
        let environment = environment
            .iter()
            .map(|(variable, value)| ((*variable).into(), value.replace("DIR/", &directory).into()));
        load(Some(&self.path("countersign.toml")), environment, overrides)
    }
}

fn load_text(configuration: &str) -> Result<Config, ConfigError> {
    Files::new(configuration).load(&[], Overrides::default())
}

fn defaults() -> Config {
    load(None, [], Overrides::default()).expect("the defaults are allowed")
}

#[test]
fn the_defaults_are_safe_on_loopback() {
    let config = defaults();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(config.server.master_key_file, Path::new("countersign-data/master.key"));
    assert_eq!(config.server.public_origin(config.server.listen), "http://127.0.0.1:8443");
    assert!(matches!(config.tls, TlsConfig::Off));
    assert!(config.redis.is_none());
    assert!(config.apns.is_none());
    assert!(config.fcm.is_none());
    assert_eq!(config.limits.drain, Duration::from_secs(20));
    assert_eq!(config.log, LogConfig { format: LogFormat::Text, filter: "info".to_owned() });
}

/// Takes the `#` from `#key = value`; what follows `# ` is prose.
fn uncommented_default() -> String {
    let lines = DEFAULT.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase()) => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_default_file_sets_nothing_and_uncommented_sets_the_defaults() {
    for configuration in [DEFAULT.to_owned(), uncommented_default()] {
        let config = load_text(&configuration).expect("the default file is allowed");
        assert_eq!(format!("{config:?}"), format!("{:?}", defaults()));
    }
    let table: toml::Table = DEFAULT.parse().expect("TOML");
    assert!(table.values().all(|section| section.as_table().is_some_and(toml::Table::is_empty)));
}

/// What the refusal of an unknown name lists as allowed.
fn allowed(configuration: &str) -> BTreeSet<String> {
    match load_text(configuration) {
        Err(ConfigError::Unknown { allowed, .. }) => allowed.split(", ").map(str::to_owned).collect(),
        other => panic!("must be refused as unknown: {other:?}"),
    }
}

#[test]
fn every_section_and_key_stands_in_the_default_file() {
    let document: toml::Table = uncommented_default().parse().expect("TOML");
    assert_eq!(allowed("[nonsense]"), document.keys().cloned().collect());
    for (section, keys) in document {
        let keys = keys.as_table().expect("a section").keys().cloned().collect();
        assert_eq!(allowed(&format!("[{section}]\nnonsense = 1")), keys, "[{section}]");
    }
}

#[test]
fn every_setting_of_a_file_is_heeded() {
    let files = Files::new(
        r#"
        [server]
        listen = "0.0.0.0:9000"
        data_dir = "data"
        master_key_file = "keys/master"
        public_url = "https://login.example.org"
        api_url = "https://api.example.org:8443"
        [tls]
        certificate_file = "DIR/cert.pem"
        private_key_file = "DIR/key.pem"
        [limits]
        connections = 1_000
        connections_per_address = 2
        streams_per_connection = 3
        open_streams = 500
        open_streams_per_address = 40
        open_streams_per_device = 5
        message_bytes = 0x8000
        header_bytes = 5000
        handshake_seconds = 6
        idle_seconds = 70
        keepalive_seconds = 8
        keepalive_timeout_seconds = 9
        connection_age_seconds = 100
        drain_seconds = 11
        [apns]
        private_key_file = "DIR/other.pem"
        key_id = "ABC1234567"
        team_id = "DEF1234567"
        topics = ["org.example.login", "org.example.beta"]
        production_url = "https://localhost:2197"
        sandbox_url = "https://127.0.0.1:2198"
        ca_file = "DIR/cert.pem"
        [log]
        format = "json"
        filter = "info,countersign::push=debug"
        "#,
    );
    files.write_certificate();
    let config = files.load(&[], Overrides::default()).expect("allowed");
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.server.data_dir, Path::new("data"));
    assert_eq!(config.server.master_key_file, Path::new("keys/master"));
    assert_eq!(config.server.public_origin(config.server.listen), "https://login.example.org");
    assert_eq!(config.server.api_url.as_deref(), Some("https://api.example.org:8443"));
    assert!(matches!(&config.tls, TlsConfig::Certificate(_)));
    let seconds = Duration::from_secs;
    let limits = LimitsConfig {
        connections: 1000,
        connections_per_address: 2,
        streams_per_connection: 3,
        open_streams: 500,
        open_streams_per_address: 40,
        open_streams_per_device: 5,
        message_bytes: 32_768,
        header_bytes: 5000,
        handshake: seconds(6),
        idle: seconds(70),
        keepalive: seconds(8),
        keepalive_timeout: seconds(9),
        connection_age: seconds(100),
        drain: seconds(11),
    };
    assert_eq!(config.limits, limits);
    let apns = config.apns.as_ref().expect("set");
    assert_eq!((apns.key_id.as_str(), apns.team_id.as_str()), ("ABC1234567", "DEF1234567"));
    assert_eq!(apns.topics, ["org.example.login", "org.example.beta"]);
    assert_eq!(apns.production_url, "https://localhost:2197");
    assert_eq!(apns.sandbox_url, "https://127.0.0.1:2198");
    assert!(apns.ca_pem.as_ref().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
    let log = LogConfig { format: LogFormat::Json, filter: "info,countersign::push=debug".to_owned() };
    assert_eq!(config.log, log);
}

#[test]
fn no_private_key_is_printed() {
    let files = Files::new(
        r#"
        [tls]
        certificate_file = "DIR/cert.pem"
        private_key_file = "DIR/key.pem"
        [apns]
        private_key_file = "DIR/key.pem"
        key_id = "ABC1234567"
        team_id = "DEF1234567"
        topics = ["org.example.login"]
        "#,
    );
    files.write_certificate();
    let config = files.load(&[], Overrides::default()).expect("allowed");
    assert_eq!(config.server.public_origin(config.server.listen), "https://127.0.0.1:8443");
    assert!(matches!(&config.tls, TlsConfig::Certificate(_)));
    let printed = format!("{config:?}");
    let pem = fs::read_to_string(files.path("key.pem")).expect("reads");
    assert!(pem.lines().all(|line| !printed.contains(line)), "{printed}");
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let files =
        Files::new("[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[log]\nformat = \"json\"");
    let environment = [
        ("COUNTERSIGN_SERVER_LISTEN", "127.0.0.1:2"),
        ("COUNTERSIGN_SERVER_DATA_DIR", "environment"),
        ("COUNTERSIGN_LOG_FORMAT", ""),
        ("COUNTERSIGN_LIMITS_DRAIN_SECONDS", "7"),
        ("COUNTERSIGN_TLS_TERMINATED_BY_PROXY", "false"),
        ("COUNTERSIGN_APNS_TOPICS", ""),
        ("HOME", "/nowhere"),
    ];
    let config = files.load(&environment, Overrides::default()).expect("allowed");
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.master_key_file, Path::new("environment/master.key"));
    assert_eq!(config.limits.drain, Duration::from_secs(7));
    assert_eq!(config.log.format, LogFormat::Text, "an empty variable takes back what the file sets");

    let overrides = Overrides { data_dir: Some("option".into()), listen: Some("[::1]:0".into()) };
    let config = files.load(&environment, overrides).expect("allowed");
    assert_eq!(config.server.data_dir, Path::new("option"));
    let bound = "[::1]:4711".parse().expect("an address");
    assert_eq!(config.server.public_origin(bound), "http://[::1]:4711");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_left_alone() {
    let environment = [
        ("COUNTERSIGN_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_SERVER_PORT", "tcp://10.0.0.1:8443"),
        ("COUNTERSIGN_SERVER_PORT_8443_TCP", "tcp://10.0.0.1:8443"),
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:8443"),
    ];
    Files::new("").load(&environment, Overrides::default()).expect("they set nothing");
}

#[test]
fn a_proxy_that_ends_tls_allows_any_address() {
    let config = load_text(
        "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"\n\
         [tls]\nterminated_by_proxy = true",
    )
    .expect("allowed");
    assert!(matches!(config.tls, TlsConfig::TerminatedByProxy));
}
