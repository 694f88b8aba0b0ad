//! What a device gets: a generic alert that the app puts into words, and which challenge to fetch.

use serde::Serialize;

use crate::push::WakeUp;

/// The body of a push. Apple allows 4096 bytes; this takes about 350.
#[derive(Serialize)]
pub(super) struct Payload<'a> {
    aps: Aps,
    countersign: Call<'a>,
}

/// Apple's own dictionary, see "Generating a remote notification".
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps {
    alert: Alert,
    sound: &'static str,
    /// Shown through a Focus: a login waits for two minutes only.
    interruption_level: &'static str,
    /// Lets the app's notification service extension fetch and verify the challenge before it is shown.
    mutable_content: u8,
    category: &'static str,
}

/// Keys into the app's `Localizable.strings`: the phone finds the words, the provider reads none.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Alert {
    title_loc_key: &'static str,
    loc_key: &'static str,
}

/// The wake-up proper.
#[derive(Serialize)]
struct Call<'a> {
    /// Version of this dictionary.
    v: u8,
    /// Challenge id.
    c: &'a str,
    /// Device id, for an app with several enrolments.
    d: &'a str,
    /// Expiry, seconds since the epoch.
    e: i64,
}

impl<'a> Payload<'a> {
    pub(super) fn new(wake_up: &'a WakeUp) -> Self {
        Self {
            aps: Aps {
                alert: Alert { title_loc_key: "COUNTERSIGN_LOGIN_TITLE", loc_key: "COUNTERSIGN_LOGIN_BODY" },
                sound: "default",
                interruption_level: "time-sensitive",
                mutable_content: 1,
                category: "COUNTERSIGN_LOGIN",
            },
            countersign: Call {
                v: 1,
                c: &wake_up.challenge_id,
                d: &wake_up.device_id,
                e: wake_up.expires_at.as_seconds(),
            },
        }
    }
}
