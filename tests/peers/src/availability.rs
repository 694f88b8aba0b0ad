//! Whether Redis and other programs are installed, and what a test does where it is not.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{Once, OnceLock},
};

const NOT_INSTALLED: &str = "redis-server is not installed: the tests on Redis are NOT run. \
    On Debian: sudo apt-get install redis-server\n";

const NO_OATHTOOL: &str = "oathtool is not installed: codes by another program are NOT tried. \
    On Debian: sudo apt-get install oathtool\n";

/// Whether `redis-server` is found and starts.
pub(crate) fn redis_is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| runs("redis-server"))
}

/// Whether a test on Redis can run. If not it is to return at once: this has then said so on standard error,
/// once in the process. With a non-empty `CI` in the environment it panics instead, so that a run there
/// cannot pass without Redis.
#[must_use = "a test on Redis returns if this is false"]
pub fn redis_or_skip() -> bool {
    static SAID: Once = Once::new();
    if redis_is_available() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{NOT_INSTALLED}");
    // The test harness captures the print macros, and shows nothing of a test that passes.
    SAID.call_once(|| {
        let _ = std::io::stderr().write_all(NOT_INSTALLED.as_bytes());
    });
    false
}

/// Whether a test with codes by oathtool can run; otherwise as [`redis_or_skip`] does.
#[must_use = "a test with oathtool returns if this is false"]
pub fn oathtool_or_skip() -> bool {
    static SAID: Once = Once::new();
    if runs("oathtool") {
        return true;
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{NO_OATHTOOL}");
    SAID.call_once(|| {
        let _ = std::io::stderr().write_all(NO_OATHTOOL.as_bytes());
    });
    false
}

/// Whether `program --version` succeeds.
pub(crate) fn runs(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
