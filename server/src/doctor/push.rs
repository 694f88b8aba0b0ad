//! Push credentials and the way to the provider, without a push. (That the key and the ids are of their form is checked
//! wherever the configuration is read.)

use std::{collections::BTreeMap, sync::Arc};

use countersign_domain::UnixTime;
use countersign_proto::statement::push_target::Target;

use super::{Finding, Installation, counted};
use crate::{
    push::{
        apns::{ProviderAnswer, reach},
        fcm,
    },
    store::sqlite::{DataDirectory, Inspection},
};

/// What came of asking the provider.
pub(super) struct Asked {
    /// By this machine's clock.
    pub(super) at: UnixTime,
    /// Whatever it says, it is there; or why it is not.
    pub(super) answer: Result<ProviderAnswer, String>,
}

/// Asks Apple's server for apps from the store, if pushes are configured, for nothing.
pub(super) async fn asked(installation: &Installation) -> Option<Asked> {
    let apns = installation.config.apns.as_ref()?;
    let answer = reach(apns).await;
    Some(Asked { at: installation.clock.now(), answer })
}

/// Asks Google for an access token, if pushes through FCM are configured.
pub(super) async fn asked_google(installation: &Installation) -> Option<Result<(), String>> {
    let fcm = installation.config.fcm.as_ref()?;
    Some(fcm::reach(fcm, Arc::clone(&installation.clock)).await)
}

pub(super) fn check(
    installation: &Installation,
    asked: Option<&Asked>,
    google: Option<&Result<(), String>>,
) -> Vec<Finding> {
    let no_token = google.and_then(|google| google.as_ref().err()).map(|error| {
        Finding::problem(
            format!("Google gives no access token for FCM: {error}"),
            "no device is woken through FCM: people have to open the app by themselves",
            "let this machine connect to oauth2.googleapis.com and fcm.googleapis.com, port 443; check that the service \
             account's key has not been revoked (Google Cloud console, IAM), and the machine's clock",
        )
    });
    let unreachable = asked.and_then(|asked| {
        let error = asked.answer.as_ref().err()?;
        Some(Finding::problem(
            format!("APNs cannot be reached: {error}"),
            "no device is woken: people have to open the app by themselves",
            "let this machine connect to api.push.apple.com, port 443 (HTTP/2 over TLS, no proxy that opens it); if \
             apns.production_url is set, check it and apns.ca_file",
        ))
    });
    unreachable.into_iter().chain(no_token).chain(unserved(installation)).collect()
}

/// Devices that want to be woken under a topic, or by a provider, that is configured no more.
fn unserved(installation: &Installation) -> Vec<Finding> {
    let mut by_fcm = 0;
    let database = DataDirectory::at(&installation.config.server.data_dir).database();
    let targets = Inspection::open(&database).and_then(|database| database.push_targets());
    let topics = installation.config.apns.as_ref().map(|apns| apns.topics.as_slice()).unwrap_or_default();
    let mut unserved: BTreeMap<String, u64> = BTreeMap::new();
    // What cannot be read, the database's check has told.
    for target in targets.unwrap_or_default() {
        match target.target {
            Some(Target::Apns(apns)) if !topics.contains(&apns.topic) => {
                *unserved.entry(apns.topic).or_default() += 1;
            }
            Some(Target::Fcm(_)) if installation.config.fcm.is_none() => by_fcm += 1,
            Some(Target::Apns(_) | Target::Fcm(_)) | None => {}
        }
    }
    let of_fcm = (by_fcm > 0).then(|| {
        Finding::warning(
            format!("{} to be woken through FCM, which is not configured", devices_are(by_fcm)),
            "their pushes fail",
            "set fcm.service_account_file, and restart the server",
        )
    });
    let finding = |(topic, devices): (String, u64)| {
        Finding::warning(
            format!(
                "{} to be woken under the APNs topic {topic}, which is not configured",
                devices_are(devices)
            ),
            "their pushes fail",
            format!("add {topic:?} to apns.topics, with a key of its team, and restart the server"),
        )
    };
    unserved.into_iter().map(finding).chain(of_fcm).collect()
}

fn devices_are(number: u64) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(number, "device"))
}
