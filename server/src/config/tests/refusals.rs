//! What is refused, in the exact words.

use super::*;

/// What an operator reads, with `FILE` for the path of the file and `DIR/` for its directory.
fn refusal(configuration: &str, environment: &[(&str, &str)], overrides: Overrides) -> String {
    let files = Files::new(configuration);
    files.write_certificate();
    files.write("nonsense.pem", "nonsense");
    files.write("broken.pem", "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n");
    let error = files.load(environment, overrides).expect_err(configuration).to_string();
    error
        .replace(&files.path("countersign.toml").display().to_string(), "FILE")
        .replace(&format!("{}/", files.0.path().display()), "DIR/")
}

#[test]
fn a_bad_file_is_refused_by_line_key_value_and_what_is_allowed() {
    for (configuration, error) in FILES {
        assert_eq!(refusal(configuration, &[], Overrides::default()), *error, "\n{configuration}");
    }
}

const FILES: &[(&str, &str)] = &[
    ("@", "FILE, line 1: not TOML: key with no value, expected `=`"),
    ("[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"", "FILE, line 3: not TOML: duplicate key"),
    (
        "\n[sever]\n",
        "FILE, line 2: sever is not known, did you mean server?; allowed are server, tls, limits, \
         redis, apns, fcm, log",
    ),
    (
        "listen = \"127.0.0.1:1\"",
        "FILE, line 1: listen is not known; allowed are server, tls, limits, redis, apns, fcm, log",
    ),
    ("server = 1", "FILE, line 1: server = ...: must be a section: write [server] on a line of its own"),
    ("[[server]]", "FILE, line 1: server = ...: must be a section: write [server] on a line of its own"),
    (
        "# ä\n\n[server]\nlisten = \"127.0.0.1:1\"\ndatadir = \"x\"",
        "FILE, line 5: server.datadir is not known, did you mean data_dir?; allowed are listen, \
         data_dir, master_key_file, public_url, api_url",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/cert.pem\"\nprivate_key = \"DIR/key.pem\"",
        "FILE, line 3: tls.private_key is not known; allowed are certificate_file, private_key_file, \
         terminated_by_proxy",
    ),
    ("[log]\nlevel = \"info\"", "FILE, line 2: log.level is not known; allowed are format, filter"),
    ("[server]\nlisten = 8443", "FILE, line 2: server.listen = 8443: must be a text in quotation marks"),
    (
        "[server]\nlisten = \"localhost:8443\"",
        "FILE, line 2: server.listen = \"localhost:8443\": must be an IP address and a port, such as \
         127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443",
    ),
    (
        "[server]\nlisten = \"0.0.0.0:8443\"",
        "FILE, line 2: server.listen = \"0.0.0.0:8443\": must be a loopback address as long as nothing \
         protects it: for any other, set tls.certificate_file and tls.private_key_file, or \
         tls.terminated_by_proxy = true when a proxy ends TLS",
    ),
    (
        "[server]\npublic_url = \"https://login.example.org/\"",
        "FILE, line 2: server.public_url = \"https://login.example.org/\": must be an origin of at \
         most 140 characters: https://HOST or https://HOST:PORT with no path after it (http on loopback only)",
    ),
    (
        "[server]\napi_url = \"http://api.example.org\"",
        "FILE, line 2: server.api_url = \"http://api.example.org\": must be an origin of at most \
         140 characters: https://HOST or https://HOST:PORT with no path after it (http on loopback only)",
    ),
    (
        "[server]\nlisten = \"127.0.0.1:1\"\n[tls]\nterminated_by_proxy = true",
        "FILE, line 4: tls.terminated_by_proxy = true: needs server.public_url, which is not set: \
         pairing links carry the origin at which devices find the server, such as \
         https://login.example.org",
    ),
    (
        "[server]\n\
         listen = \"0.0.0.0:8443\"\n\
         [tls]\n\
         certificate_file = \"DIR/cert.pem\"\n\
         private_key_file = \"DIR/key.pem\"",
        "FILE, line 2: server.listen = \"0.0.0.0:8443\": needs server.public_url, which is not set: \
         pairing links carry the origin at which devices find the server, such as \
         https://login.example.org",
    ),
    (
        "[tls]\nterminated_by_proxy = \"yes\"",
        "FILE, line 2: tls.terminated_by_proxy = \"yes\": must be true or false",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/cert.pem\"",
        "FILE, line 2: tls.certificate_file = \"DIR/cert.pem\": needs tls.private_key_file, which is not \
         set: they go together",
    ),
    (
        "[tls]\nprivate_key_file = \"DIR/key.pem\"",
        "FILE, line 2: tls.private_key_file = \"DIR/key.pem\": needs tls.certificate_file, which is not \
         set: they go together",
    ),
    (
        "[tls]\n\
         certificate_file = \"DIR/cert.pem\"\n\
         private_key_file = \"DIR/key.pem\"\n\
         terminated_by_proxy = true",
        "FILE, line 4: tls.terminated_by_proxy = true: must be false beside tls.certificate_file: either \
         a proxy ends TLS or the server does",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/missing.pem\"\nprivate_key_file = \"DIR/key.pem\"",
        "FILE, line 2: tls.certificate_file = \"DIR/missing.pem\": must be a file that the server can \
         read: No such file or directory (os error 2)",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/nonsense.pem\"\nprivate_key_file = \"DIR/key.pem\"",
        "FILE, line 2: tls.certificate_file = \"DIR/nonsense.pem\": must be a PEM file with one or more \
         certificates (BEGIN CERTIFICATE)",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/broken.pem\"\nprivate_key_file = \"DIR/key.pem\"",
        "FILE, line 2: tls.certificate_file = \"DIR/broken.pem\": must begin with a valid certificate: \
         BadEncoding",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/cert.pem\"\nprivate_key_file = \"DIR/nonsense.pem\"",
        "FILE, line 3: tls.private_key_file = \"DIR/nonsense.pem\": must be a PEM file with a private \
         key (BEGIN PRIVATE KEY), not encrypted",
    ),
    (
        "[tls]\ncertificate_file = \"DIR/cert.pem\"\nprivate_key_file = \"DIR/other.pem\"",
        "FILE, line 3: tls.private_key_file = \"DIR/other.pem\": must be the key of tls.certificate_file",
    ),
    (
        "[tls]\n\
         certificate_file = \"DIR/cert.pem\"\n\
         private_key_file = \"-----BEGIN PRIVATE KEY-----\\n\
         secret\"",
        "FILE, line 3: tls.private_key_file = (a private key, not shown): must be a file that the server \
         can read: No such file or directory (os error 2)",
    ),
    (
        "[limits]\ndrain_seconds = 21",
        "FILE, line 2: limits.drain_seconds = 21: must be a whole number from 1 to 20",
    ),
    (
        "[limits]\nidle_seconds = \"300\"",
        "FILE, line 2: limits.idle_seconds = \"300\": must be a whole number from 10 to 86400",
    ),
    (
        "[limits]\nidle_seconds = 1.5",
        "FILE, line 2: limits.idle_seconds = 1.5: must be a whole number from 10 to 86400",
    ),
    (
        "[limits]\nidle_seconds = -1",
        "FILE, line 2: limits.idle_seconds = -1: must be a whole number from 10 to 86400",
    ),
    (
        "[limits]\nmessage_bytes = 99999999999999999999",
        "FILE, line 2: limits.message_bytes = 99999999999999999999: must be a whole number from 16384 to \
         4194304",
    ),
    (
        "[limits]\nconnections = 10\nconnections_per_address = 11",
        "FILE, line 3: limits.connections_per_address = 11: must be at most limits.connections, which is \
         10",
    ),
    (
        "[limits]\nopen_streams = 10\nopen_streams_per_address = 11",
        "FILE, line 3: limits.open_streams_per_address = 11: must be at most limits.open_streams, which is 10",
    ),
    (
        "[apns]\nkey_id = \"ABC1234567\"",
        "FILE, line 2: apns.key_id = \"ABC1234567\": needs apns.private_key_file, which is not set: push \
         through APNs takes private_key_file, key_id, team_id and topics together",
    ),
    (
        "[apns]\nca_file = \"DIR/cert.pem\"",
        "FILE, line 2: apns.ca_file = \"DIR/cert.pem\": needs apns.private_key_file, which is not set: \
         push through APNs takes private_key_file, key_id, team_id and topics together",
    ),
    (
        "[apns]\nsandbox_url = \"http://127.0.0.1\"",
        "FILE, line 2: apns.sandbox_url = \"http://127.0.0.1\": needs apns.private_key_file, which is not set: \
         push through APNs takes private_key_file, key_id, team_id and topics together",
    ),
    (
        "[apns]\n\
         private_key_file = \"DIR/cert.pem\"\n\
         key_id = \"ABC1234567\"\n\
         team_id = \"DEF1234567\"\n\
         topics = [\"a\"]",
        "FILE, line 2: apns.private_key_file = \"DIR/cert.pem\": must be the .p8 file that Apple hands \
         out: a PEM file with a P-256 private key",
    ),
    (
        "[apns]\n\
         private_key_file = \"DIR/key.pem\"\n\
         key_id = \"ABC12345\"\n\
         team_id = \"DEF1234567\"\n\
         topics = [\"a\"]",
        "FILE, line 3: apns.key_id = \"ABC12345\": must be the 10 capital letters and digits that Apple \
         shows",
    ),
    (
        "[apns]\n\
         private_key_file = \"DIR/key.pem\"\n\
         key_id = \"ABC1234567\"\n\
         team_id = \"DEF1234567\"\n\
         topics = \"a\"",
        "FILE, line 5: apns.topics = \"a\": must be a list of texts, such as [\"one\", \"two\"]",
    ),
    (
        "[apns]\n\
         private_key_file = \"DIR/key.pem\"\n\
         key_id = \"ABC1234567\"\n\
         team_id = \"DEF1234567\"\n\
         topics = [\"a b\"]",
        "FILE, line 5: apns.topics = [\"a b\"]: must be bundle ids, each 1 to 128 letters, digits, dots, \
         hyphens and underscores, such as [\"org.example.login\"]",
    ),
    (
        "[apns]\n\
         private_key_file = \"DIR/key.pem\"\n\
         key_id = \"ABC1234567\"\n\
         team_id = \"DEF1234567\"\n\
         topics = [\"a\"]\n\
         ca_file = \"DIR/key.pem\"",
        "FILE, line 6: apns.ca_file = \"DIR/key.pem\": must be a PEM file with one or more certificates \
         (BEGIN CERTIFICATE)",
    ),
    ("[log]\nformat = \"xml\"", "FILE, line 2: log.format = \"xml\": must be \"text\" or \"json\""),
    (
        "[log]\nfilter = \"inof\"",
        "FILE, line 2: log.filter = \"inof\": must be a level (error, warn, info, debug, trace) or \
         directives such as \"info,countersign::push=debug\"",
    ),
];

#[test]
fn a_bad_variable_is_refused_by_its_name() {
    for (variable, value, error) in VARIABLES {
        assert_eq!(refusal("", &[(variable, value)], Overrides::default()), *error);
    }
}

const VARIABLES: &[(&str, &str, &str)] = &[
    (
        "COUNTERSIGN_LIMITS_IDLE_SECONDS",
        "soon",
        "environment variable COUNTERSIGN_LIMITS_IDLE_SECONDS: limits.idle_seconds = \"soon\": must be a \
         whole number from 10 to 86400",
    ),
    (
        "COUNTERSIGN_SERVER_LISTEN",
        "0.0.0.0:8443",
        "environment variable COUNTERSIGN_SERVER_LISTEN: server.listen = \"0.0.0.0:8443\": must be a \
         loopback address as long as nothing protects it: for any other, set tls.certificate_file and \
         tls.private_key_file, or tls.terminated_by_proxy = true when a proxy ends TLS",
    ),
    (
        "COUNTERSIGN_SERVER_PUBLIC_URI",
        "https://a.example",
        "environment variable COUNTERSIGN_SERVER_PUBLIC_URI: server.public_uri is not known, did you \
         mean public_url?; allowed are listen, data_dir, master_key_file, public_url, api_url",
    ),
    (
        "COUNTERSIGN_TLS_TERMINATED_BY_PROXY",
        "1",
        "environment variable COUNTERSIGN_TLS_TERMINATED_BY_PROXY: tls.terminated_by_proxy = \"1\": must \
         be true or false",
    ),
];

#[test]
fn a_bad_option_is_refused_by_its_name() {
    let overrides = Overrides { data_dir: None, listen: Some("8443".into()) };
    assert_eq!(
        refusal("", &[], overrides),
        "command line: --listen = \"8443\": must be an IP address and a port, such as 127.0.0.1:8443, \
         0.0.0.0:8443 or [::]:8443"
    );
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let files = Files::new("");
    let error =
        load(Some(&files.path("other.toml")), [], Overrides::default()).expect_err("refused").to_string();
    assert!(
        error.ends_with("/other.toml: cannot be read: No such file or directory (os error 2)"),
        "{error}"
    );
}

#[test]
fn a_value_is_repeated_in_an_error_up_to_a_limit() {
    let error = refusal(&format!("[log]\nformat = \"{}\"", "ä".repeat(1000)), &[], Overrides::default());
    let shown = format!("\"{}...", "ä".repeat(99));
    assert_eq!(error, format!("FILE, line 2: log.format = {shown}: must be \"text\" or \"json\""));
}
