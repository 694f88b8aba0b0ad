//! What a device gets: data only, of which the app makes a notification in its own words.

use std::time::Duration;

use countersign_proto::{statement::push_target::Fcm as FcmTarget, time::UnixTime};
use serde::Serialize;

use crate::push::WakeUp;

/// What is sent, and whereto.
pub(super) struct Push<'a> {
    pub(super) target: &'a FcmTarget,
    pub(super) wake_up: &'a WakeUp,
    /// Google checks it and delivers nothing.
    pub(super) validate_only: bool,
}

/// The body of `projects.messages.send`.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    validate_only: bool,
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(flatten)]
    to: To<'a>,
    data: Data<'a>,
    android: Android<'a>,
}

/// The one that is set of the union field `target`.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum To<'a> {
    Token(&'a str),
    Fid(&'a str),
}

/// FCM takes 4096 bytes of it; this takes about 250. All values are texts, as FCM wants it.
#[derive(Serialize)]
struct Data<'a> {
    /// Version of this message.
    v: &'static str,
    /// Challenge id.
    c: &'a str,
    /// Device id, for an app with several enrolments.
    d: &'a str,
    /// Expiry, seconds since the epoch.
    e: String,
    /// Names of the app's string resources: the phone finds the words, the provider reads none.
    title_loc_key: &'static str,
    body_loc_key: &'static str,
}

/// `AndroidConfig`.
#[derive(Serialize)]
struct Android<'a> {
    /// Wakes a phone that dozes.
    priority: &'static str,
    /// How long FCM keeps it for a phone that is off line: to the challenge's end.
    ttl: String,
    /// A repetition takes the place of what was not delivered yet.
    collapse_key: &'a str,
}

/// FCM keeps nothing longer.
const LONGEST_TTL: Duration = Duration::from_hours(28 * 24);

impl<'a> Body<'a> {
    pub(super) fn new(push: &Push<'a>, now: UnixTime) -> Self {
        let Push { target, wake_up, validate_only } = *push;
        let id = target.registration_token.as_str();
        // In whole seconds, rounded down: it must not arrive after the end.
        let ttl = wake_up.expires_at.since(now).min(LONGEST_TTL).as_secs();
        Self {
            validate_only,
            message: Message {
                to: if is_installation_id(id) { To::Fid(id) } else { To::Token(id) },
                data: Data {
                    v: "1",
                    c: &wake_up.challenge_id,
                    d: &wake_up.device_id,
                    e: wake_up.expires_at.as_seconds().to_string(),
                    title_loc_key: "countersign_login_title",
                    body_loc_key: "countersign_login_body",
                },
                android: Android {
                    priority: "HIGH",
                    ttl: format!("{ttl}s"),
                    collapse_key: &wake_up.challenge_id,
                },
            },
        }
    }
}

/// Whether it is a Firebase installation id: 22 characters of base64url, of which the first four bits are 0111
/// (so the first character is c, d, e or f). A registration token is longer and has a colon.
fn is_installation_id(id: &str) -> bool {
    id.len() == 22 && id.starts_with(['c', 'd', 'e', 'f']) && !id.contains(':')
}
