//! `[fcm]`: access to Google's push service.

use super::{error::ConfigError, setting::Setting, sources::Section};
use crate::push::fcm::{FcmConfig, GOOGLE_URL};

pub(super) fn read(mut section: Section) -> Result<Option<FcmConfig>, ConfigError> {
    let service_account_file = section.get("service_account_file");
    let base_url = section.get("base_url");
    let ca_file = section.get("ca_file");
    section.finish()?;

    let Some(service_account) = service_account_file.text_file()? else {
        return needed_by_none(&service_account_file, &base_url, &ca_file).map(|()| None);
    };
    let config = FcmConfig {
        base_url: base_url.text()?.unwrap_or(GOOGLE_URL).to_owned(),
        ca_pem: ca_file.text_file()?,
        ..FcmConfig::new(service_account.into())
    };
    // The client knows what it can work with; here it is told of the file and line.
    config.validate().map_err(|invalid| {
        let named = [&base_url, &ca_file].into_iter().find(|setting| setting.key == invalid.setting);
        named.unwrap_or(&service_account_file).refuse(&invalid.allowed)
    })?;
    Ok(Some(config))
}

/// Whatever differs from its default shows that push is wanted, and then the file may not be missing.
fn needed_by_none(file: &Setting, base_url: &Setting, ca_file: &Setting) -> Result<(), ConfigError> {
    let why = "push through FCM takes a service account";
    if base_url.text()?.is_some_and(|url| url != GOOGLE_URL) {
        return Err(base_url.needs(file, why));
    }
    if ca_file.is_set() { Err(ca_file.needs(file, why)) } else { Ok(()) }
}
