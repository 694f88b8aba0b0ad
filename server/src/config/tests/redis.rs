//! `[redis]`: each of its settings, and what is refused.

use secrecy::ExposeSecret as _;

use super::*;
use crate::store::redis::RedisConfig;

const PASSWORD: &str = "correct-horse-battery";

/// The section with these lines, and the files that they may name.
fn load_section(lines: &str) -> Result<Config, ConfigError> {
    let files = Files::new(&format!("[redis]\n{lines}"));
    files.write_certificate();
    files.write("password", &format!("{PASSWORD}\nnot the password\n"));
    files.write("empty", "\n");
    files.load(&[], Overrides::default())
}

fn section(lines: &str) -> RedisConfig {
    load_section(lines).expect("allowed").redis.expect("set")
}

#[test]
fn one_line_is_enough() {
    let redis = section("url = \"redis://127.0.0.1:6379\"");
    assert_eq!(redis.url.expose_secret(), "redis://127.0.0.1:6379");
    assert_eq!((redis.username, redis.password.is_none(), redis.database), (None, true, None));
    assert_eq!(redis.key_prefix, "countersign:");
    assert_eq!((redis.ca_pem, redis.client_pem.is_none()), (None, true));
    assert_eq!(redis.time_limit, Duration::from_secs(1));
    assert!(!redis.allow_without_append_only_file);
}

#[test]
fn one_variable_is_enough() {
    let environment = [("COUNTERSIGN_REDIS_URL", "redis://redis.example.org/7")];
    let config = Files::new("").load(&environment, Overrides::default()).expect("allowed");
    assert_eq!(config.redis.expect("set").url.expose_secret(), "redis://redis.example.org/7");
}

#[test]
fn every_setting_of_the_section_is_heeded() {
    let redis = section(
        r#"
        url = "rediss://redis.example.org:6380"
        username = "countersign"
        password_file = "DIR/password"
        database = 3
        key_prefix = "eu/login_1.a-b:"
        ca_file = "DIR/cert.pem"
        certificate_file = "DIR/cert.pem"
        private_key_file = "DIR/key.pem"
        time_limit_ms = 250
        allow_without_append_only_file = true
        "#,
    );
    assert_eq!(redis.url.expose_secret(), "rediss://redis.example.org:6380");
    assert_eq!(redis.username.as_deref(), Some("countersign"));
    assert_eq!(redis.password.expect("set").expose_secret(), PASSWORD);
    assert_eq!(redis.database, Some(3));
    assert_eq!(redis.key_prefix, "eu/login_1.a-b:");
    let is_certificate = |pem: &[u8]| pem.starts_with(b"-----BEGIN CERTIFICATE");
    assert!(redis.ca_pem.is_some_and(|pem| is_certificate(&pem)));
    let client = redis.client_pem.expect("set");
    assert!(is_certificate(&client.certificate));
    assert!(client.private_key.expose_secret().contains("PRIVATE KEY"));
    assert_eq!(redis.time_limit, Duration::from_millis(250));
    assert!(redis.allow_without_append_only_file);
}

/// What an operator reads of the section with these lines, after where it stands.
fn refusal(lines: &str) -> String {
    let error = load_section(lines).expect_err(lines).to_string();
    let (_, reason) = error.split_once(": ").expect("where it stands");
    match reason.split_once(" = \"/") {
        // A file, whose directory is another one each time.
        Some((setting, rest)) => {
            let (path, rest) = rest.split_once('"').expect("the end of the path");
            let (_, name) = path.rsplit_once('/').expect("a name in a directory");
            format!("{setting} = \"DIR/{name}\"{rest}")
        }
        None => reason.to_owned(),
    }
}

/// `redis://localhost` with these lines, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    ("database = 65536", "redis.database = 65536: must be a whole number from 0 to 65535"),
    ("time_limit_ms = 99", "redis.time_limit_ms = 99: must be a whole number from 100 to 10000"),
    ("time_limit_ms = 10001", "redis.time_limit_ms = 10001: must be a whole number from 100 to 10000"),
    (
        "allow_without_append_only_file = \"yes\"",
        "redis.allow_without_append_only_file = \"yes\": must be true or false",
    ),
    (
        "key_prefix = \"{one}\"",
        "redis.key_prefix = \"{one}\": must be at most 64 letters, digits and characters of -_.:/ (a hash tag in \
         braces would put all keys into one slot)",
    ),
    (
        "password_file = \"DIR/missing\"",
        "redis.password_file = \"DIR/missing\": must be a file that the server can read: No such file or \
         directory (os error 2)",
    ),
    (
        "password_file = \"DIR/empty\"",
        "redis.password_file = \"DIR/empty\": must be a text file with the password in its first line",
    ),
    (
        "ca_file = \"DIR/cert.pem\"",
        "redis.ca_file = \"DIR/cert.pem\": is for TLS only: begin redis.url with rediss://",
    ),
    (
        "certificate_file = \"DIR/cert.pem\"",
        "redis.certificate_file = \"DIR/cert.pem\": needs redis.private_key_file, which is not set: they go \
         together",
    ),
    (
        "private_key_file = \"DIR/key.pem\"",
        "redis.private_key_file = \"DIR/key.pem\": needs redis.certificate_file, which is not set: they go \
         together",
    ),
    (
        "certificate_file = \"DIR/cert.pem\"\nprivate_key_file = \"DIR/key.pem\"",
        "redis.certificate_file = \"DIR/cert.pem\": is for TLS only: begin redis.url with rediss://",
    ),
    (
        "uri = \"redis://localhost\"",
        "redis.uri is not known, did you mean url?; allowed are url, username, password_file, database, \
         key_prefix, ca_file, certificate_file, private_key_file, time_limit_ms, allow_without_append_only_file",
    ),
];

#[test]
fn what_is_refused_is_named_with_what_is_allowed() {
    for (lines, reason) in REFUSED {
        assert_eq!(refusal(&format!("url = \"redis://localhost\"\n{lines}")), *reason);
    }
    let long = refusal(&format!("url = \"redis://localhost\"\nkey_prefix = \"{}\"", "a".repeat(65)));
    assert!(long.contains("must be at most 64 letters"), "{long}");
}

#[test]
fn what_tls_cannot_use_is_named() {
    let tls = |lines: &str| refusal(&format!("url = \"rediss://localhost\"\n{lines}"));
    for (lines, setting) in [
        ("ca_file = \"DIR/password\"", "ca_file"),
        ("certificate_file = \"DIR/password\"\nprivate_key_file = \"DIR/key.pem\"", "certificate_file"),
        ("certificate_file = \"DIR/cert.pem\"\nprivate_key_file = \"DIR/other.pem\"", "certificate_file"),
    ] {
        let reason = tls(lines);
        assert!(reason.starts_with(&format!("redis.{setting} = \"DIR/")), "{lines}: {reason}");
        assert!(
            reason.contains(": must be PEM that TLS can use: certificates (BEGIN CERTIFICATE)"),
            "{reason}"
        );
    }
}

#[test]
fn every_other_setting_needs_the_url() {
    for (setting, value) in [
        ("username", "\"countersign\""),
        ("password_file", "\"DIR/password\""),
        ("database", "3"),
        ("key_prefix", "\"eu:\""),
        ("ca_file", "\"DIR/cert.pem\""),
        ("certificate_file", "\"DIR/cert.pem\""),
        ("private_key_file", "\"DIR/key.pem\""),
        ("time_limit_ms", "250"),
        ("allow_without_append_only_file", "true"),
    ] {
        let needs = "needs redis.url, which is not set: without it challenges lie in the data directory";
        assert_eq!(refusal(&format!("{setting} = {value}")), format!("redis.{setting} = {value}: {needs}"));
    }
    // Also one that is wrong by itself.
    let reason = refusal("time_limit_ms = 99");
    assert_eq!(reason, "redis.time_limit_ms = 99: must be a whole number from 100 to 10000");
}

#[test]
fn a_url_is_never_shown_for_it_may_hold_a_password() {
    for url in [
        "https://user:PASSWORD@localhost",
        "redis://user:PASSWORD@",
        "redis://user:PASSWORD@localhost:port",
        "redis://:PASSWORD",
        "redis:/user:PASSWORD@localhost",
        "user:PASSWORD@localhost:6379",
        "PASSWORD",
    ] {
        let url = url.replace("PASSWORD", PASSWORD);
        for result in [
            load_section(&format!("url = {url:?}")),
            Files::new("").load(&[("COUNTERSIGN_REDIS_URL", &url)], Overrides::default()),
        ] {
            let error = result.expect_err(&url).to_string();
            let expected = "redis.url = (not shown: it may hold a password): must be redis://HOST:PORT, or \
                            rediss://HOST:PORT for TLS; user, password and database may stand in it as in \
                            redis://USER:PASSWORD@HOST:PORT/0";
            assert!(error.ends_with(expected), "{error}");
            assert!(!error.contains(PASSWORD), "{error}");
        }
    }
    let wrong_type = refusal(&format!("url = [\"redis://{PASSWORD}\"]"));
    assert_eq!(
        wrong_type,
        "redis.url = (not shown: it may hold a password): must be a text in quotation marks"
    );
}

#[test]
fn no_password_and_no_private_key_is_printed() {
    let redis = section(&format!(
        "url = \"rediss://countersign:{PASSWORD}@localhost\"\npassword_file = \"DIR/password\"\n\
         certificate_file = \"DIR/cert.pem\"\nprivate_key_file = \"DIR/key.pem\""
    ));
    let printed = format!("{redis:?}");
    assert!(!printed.contains(PASSWORD) && !printed.contains("PRIVATE KEY"), "{printed}");
}
