//! What an operator can do about a push that did not arrive, in plain words. The table of docs/app.md says the same.

use countersign_proto::statement::push_target::Target;

use super::Outcome;

/// What to do about `outcome` of a push to `target`.
pub fn advice(target: &Target, outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => {
            "The provider took it. If the phone shows nothing, look at its notification settings, Focus and network, \
             and whether the app does what docs/app.md says."
        }
        Outcome::TargetGone { reason, .. } => of_target(reason),
        Outcome::Retry { reason, .. } => of_provider(reason),
        Outcome::Misconfigured { reason } | Outcome::Unknown { reason } => match target {
            Target::Apns(_) => of_apns(reason),
            Target::Fcm(_) => of_fcm(reason),
        },
    }
}

/// The first advice whose words stand in the reason.
fn first(reason: &str, table: &[(&str, &'static str)], otherwise: &'static str) -> &'static str {
    table.iter().find(|(words, _)| reason.contains(words)).map_or(otherwise, |(_, advice)| *advice)
}

fn of_target(reason: &str) -> &'static str {
    let table = [
        (
            "BadDeviceToken",
            "Apple does not know this token there. Usually the app said the wrong environment: sandbox must be true \
             for a development build, and false for one from the store or TestFlight.",
        ),
        ("DeviceTokenNotForTopic", "The app told another app's bundle id as its topic. Correct the app."),
    ];
    first(
        reason,
        &table,
        "The app was removed from the phone, or has another token by now. The app tells the server a new one when it \
         is opened; until then the person opens the app by hand.",
    )
}

fn of_provider(reason: &str) -> &'static str {
    let table = [
        (
            "certificate",
            "Somebody else's certificate was shown, perhaps by a proxy that reads along. Let the server out directly, \
             or name the authority in ca_file.",
        ),
        (
            "in time",
            "Nothing came back. See whether a firewall lets this machine out to the provider, port 443, and what the \
             provider's status page says.",
        ),
        (
            "connection to",
            "There is no way to the provider. See to firewall, DNS and routes: this machine must reach it on port 443 \
             with no proxy.",
        ),
        ("provider token as expired", "Set this machine's clock right."),
        ("ExpiredProviderToken", "Set this machine's clock right."),
        ("store of provider tokens", "The data directory could not be read: the log says why."),
        (
            "TooManyProviderTokenUpdates",
            "Apple takes a new provider token every 20 minutes only. If it does not pass by then, another program or \
             installation signs with this key: give each its own.",
        ),
        (
            "429",
            "The provider wants fewer pushes. It passes by itself; a login's push is tried again meanwhile.",
        ),
    ];
    first(
        reason,
        &table,
        "The fault is the provider's, and usually passes by itself. A login's push is tried again until its challenge \
         ends. See the provider's status page if it goes on.",
    )
}

fn of_apns(reason: &str) -> &'static str {
    let table = [
        (
            "InvalidProviderToken",
            "apns.key_id, apns.team_id and apns.private_key_file do not belong together, or the key was revoked. Compare \
             them with Apple's developer account, or make a new key there.",
        ),
        ("BadEnvironmentKeyIdInToken", "The key is for the other environment. Make one for both."),
        ("topic", "Add the app's bundle id to apns.topics, or correct the app."),
        ("Topic", "The key may not push to this app: see in Apple's developer account which apps it is for."),
        ("403", "Apple refuses the credentials: see [apns] in the configuration."),
    ];
    first(
        reason,
        &table,
        "Apple refused the push itself. This version of the server should not give rise to it: please report it with \
         the answer above.",
    )
}

fn of_fcm(reason: &str) -> &'static str {
    let table = [
        (
            "clock right",
            "Set this machine's clock right (timedatectl shows whether it is kept by NTP): Google takes no signature \
             that is off by more than minutes.",
        ),
        (
            "key was revoked",
            "The service account's key is not in force any more. Make a new one in Google's console (IAM, Service \
             Accounts, Keys), and put its file in fcm.service_account_file.",
        ),
        (
            "no such service account",
            "Make a service account in the Firebase project, and put its key file in fcm.service_account_file.",
        ),
        (
            "token endpoint",
            "Google gives no access token for this service account: make a new key file, and leave its token_uri as it \
             is.",
        ),
        (
            "SENDER_ID_MISMATCH",
            "The app belongs to another Firebase project than the service account. Build the app with this project's \
             google-services.json, or configure a service account of the app's project.",
        ),
        (
            "THIRD_PARTY_AUTH_ERROR",
            "The target is an iOS or web app, and its project has no good APNs key or web push certificate. An iOS app \
             should tell its APNs token instead.",
        ),
        (
            "PERMISSION_DENIED",
            "The service account may not send. Give it the role 'Firebase Cloud Messaging API Admin', and enable the \
             API 'Firebase Cloud Messaging API' in the project.",
        ),
        (
            "401",
            "Google refuses the access token: see whether fcm.base_url and the key file are Google's own.",
        ),
        ("404", "There is no such project: see project_id in the key file, and fcm.base_url."),
    ];
    first(
        reason,
        &table,
        "Google refused the push itself. This version of the server should not give rise to it: please report it with \
         the answer above.",
    )
}
