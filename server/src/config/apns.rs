//! `[apns]`: access to Apple's push service.

use super::{error::ConfigError, setting::Setting, sources::Section};
use crate::push::apns::{ApnsConfig, InvalidApnsConfig, PRODUCTION_URL, SANDBOX_URL, TimeLimits};

/// The settings of the section as they were written.
struct Settings {
    private_key_file: Setting,
    key_id: Setting,
    team_id: Setting,
    topics: Setting,
    production_url: Setting,
    sandbox_url: Setting,
    ca_file: Setting,
}

pub(super) fn read(mut section: Section) -> Result<Option<ApnsConfig>, ConfigError> {
    let settings = Settings {
        private_key_file: section.get("private_key_file"),
        key_id: section.get("key_id"),
        team_id: section.get("team_id"),
        topics: section.get("topics"),
        production_url: section.get("production_url"),
        sandbox_url: section.get("sandbox_url"),
        ca_file: section.get("ca_file"),
    };
    section.finish()?;

    if !is_wanted(&settings)? {
        return Ok(None);
    }
    let config = ApnsConfig {
        private_key_pem: settings.private_key_file.text_file()?.unwrap_or_default().into(),
        key_id: settings.key_id.text()?.unwrap_or_default().to_owned(),
        team_id: settings.team_id.text()?.unwrap_or_default().to_owned(),
        topics: settings.topics.list()?,
        production_url: settings.production_url.text()?.unwrap_or(PRODUCTION_URL).to_owned(),
        sandbox_url: settings.sandbox_url.text()?.unwrap_or(SANDBOX_URL).to_owned(),
        ca_pem: settings.ca_file.text_file()?,
        time_limits: TimeLimits::default(),
    };
    // The client knows what it can work with; here it is told of the file and line.
    config.validate().map_err(|invalid| settings.refuse(&invalid))?;
    Ok(Some(config))
}

/// Whatever differs from its default shows that push is wanted, and then nothing may be missing for it.
fn is_wanted(settings: &Settings) -> Result<bool, ConfigError> {
    let required = [&settings.private_key_file, &settings.key_id, &settings.team_id, &settings.topics];
    let differs = |setting: &Setting, default| Ok(setting.text()?.is_some_and(|value| value != default));
    let other = [
        (&settings.ca_file, settings.ca_file.is_set()),
        (&settings.production_url, differs(&settings.production_url, PRODUCTION_URL)?),
        (&settings.sandbox_url, differs(&settings.sandbox_url, SANDBOX_URL)?),
    ];
    let given = required.into_iter().filter(|setting| setting.is_set());
    let given = given.chain(other.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting));
    let Some(first_given) = given.into_iter().next() else { return Ok(false) };
    match required.iter().find(|setting| !setting.is_set()) {
        Some(missing) => {
            let why = "push through APNs takes private_key_file, key_id, team_id and topics together";
            Err(first_given.needs(missing, why))
        }
        None => Ok(true),
    }
}

impl Settings {
    fn refuse(&self, invalid: &InvalidApnsConfig) -> ConfigError {
        let all = [
            &self.private_key_file,
            &self.key_id,
            &self.team_id,
            &self.topics,
            &self.production_url,
            &self.sandbox_url,
            &self.ca_file,
        ];
        let named = all.into_iter().find(|setting| setting.key == invalid.setting);
        named.unwrap_or(&self.private_key_file).refuse(&invalid.allowed)
    }
}
