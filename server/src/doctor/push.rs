//! Push credentials: whether the providers take them. (That the key and the ids are of their form is checked wherever the
//! configuration is read.)
//!
//! Each provider is asked for a push to a token that no device has. Nothing is shown to any person by that; the provider
//! blames the token, if it has nothing else to say.

use std::{collections::BTreeMap, sync::Arc};

use countersign_proto::statement::push_target::Target;

use super::{Finding, Installation, Severity, counted};
use crate::{
    foundation::{Foundation, Opener},
    push::{
        advice::advice,
        apns::{Apns, ApnsConfig},
        fcm::Fcm,
        records::SealedProviderTokens,
        trial::{Clocks, Trial},
    },
    store::sqlite::{Contents, DataDirectory, Inspection},
};

/// What came of asking the providers.
pub(super) struct Asked {
    /// All of them, in the order in which they are told.
    trials: Vec<Trial>,
    /// Why APNs was not asked.
    not_asked: Option<String>,
}

impl Asked {
    /// Where providers told their time.
    pub(super) fn clocks(&self) -> impl Iterator<Item = Clocks> {
        self.trials.iter().filter_map(|trial| trial.clocks)
    }
}

/// Asks whatever is configured.
pub(super) async fn asked(installation: &Installation) -> Asked {
    let mut asked = Asked { trials: Vec::new(), not_asked: None };
    if let Some(config) = &installation.config.apns {
        match apns(installation, config) {
            Ok(apns) => asked.trials = apns.try_credentials().await,
            Err(error) => asked.not_asked = Some(error),
        }
    }
    if let Some(config) = &installation.config.fcm {
        let fcm = Fcm::new(config, Arc::clone(&installation.clock));
        // What cannot be used is told where the configuration is read.
        if let Ok(fcm) = fcm {
            asked.trials.push(fcm.try_credentials().await);
        }
    }
    asked
}

/// With the provider token that the servers use, which a new one of its own would put out of force for 20 minutes: Apple
/// takes no two that are closer together. Should it have run out, the new one is stored for the servers.
fn apns(installation: &Installation, config: &ApnsConfig) -> Result<Apns, String> {
    let server = &installation.config.server;
    let database = DataDirectory::at(&server.data_dir).database();
    // Nothing is made and nothing is changed where no server of this version has been.
    let contents = Inspection::open(&database).and_then(|database| database.contents());
    if !matches!(contents, Ok(Contents::Ours)) {
        return Err(format!("there is no good database {}", database.display()));
    }
    let (clock, random) = (Arc::clone(&installation.clock), Arc::clone(&installation.random));
    let opener = Opener::CommandLine;
    let foundation = Foundation::open(&server.data_dir, &server.master_key_file, opener, clock, random)
        .map_err(|error| error.to_string())?;
    let tokens = Arc::new(SealedProviderTokens::of(&foundation));
    Apns::new(config, tokens, Arc::clone(&installation.clock)).map_err(|error| error.to_string())
}

pub(super) fn check(installation: &Installation, asked: &Asked) -> Vec<Finding> {
    let not_asked = asked.not_asked.as_ref().map(|error| {
        Finding::warning(
            format!("APNs was not asked whether it takes the credentials: {error}"),
            "it is asked with the provider token that the servers share, which lies sealed in the database",
            "see to what is said of data directory, database and keys, and run this again as the server's user",
        )
    });
    refused(&asked.trials).into_iter().chain(not_asked).chain(unserved(installation)).collect()
}

/// One finding for all that were refused in the same words.
fn refused(trials: &[Trial]) -> Vec<Finding> {
    let mut findings: Vec<(String, Finding)> = Vec::new();
    for Trial { target, place, fault, .. } in trials {
        let Some(fault) = fault else { continue };
        let (severity, provider, why) = match target {
            Target::Apns(apns) if apns.sandbox => {
                (Severity::Warning, "APNs", "no device with an app under development is woken")
            }
            Target::Apns(_) => {
                (Severity::Problem, "APNs", "no device is woken: people have to open the app by themselves")
            }
            Target::Fcm(_) => (
                Severity::Problem,
                "FCM",
                "no device is woken through FCM: people have to open the app by themselves",
            ),
        };
        let words = format!("{provider} takes no push: {}", fault.reason().unwrap_or_default());
        if let Some((_, known)) = findings.iter_mut().find(|(known, _)| *known == words) {
            known.what = format!("{}; {place}", known.what);
            continue;
        }
        let what = format!("{words}, at {place}");
        findings.push((words, Finding { severity, what, why, fix: advice(target, fault).to_owned() }));
    }
    findings.into_iter().map(|(_, finding)| finding).collect()
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
