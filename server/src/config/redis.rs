//! `[redis]`: where challenges lie, when it is not the data directory.

use std::{ops::RangeInclusive, time::Duration};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{error::ConfigError, setting::Setting, sources::Section};
use crate::store::redis::{
    ClientPem, DEFAULT_KEY_PREFIX, DEFAULT_TIME_LIMIT, InvalidRedisConfig, RedisConfig,
};

/// The most characters that all keys may begin with: each key is held in memory.
const MAX_PREFIX_CHARS: usize = 64;
const DATABASES: RangeInclusive<u32> = 0..=65_535;
const DEFAULT_DATABASE: u32 = 0;
const TIME_LIMITS_MS: RangeInclusive<u32> = 100..=10_000;

/// The settings of the section as they were written.
struct Settings {
    url: Setting,
    username: Setting,
    password_file: Setting,
    database: Setting,
    key_prefix: Setting,
    ca_file: Setting,
    certificate_file: Setting,
    private_key_file: Setting,
    time_limit_ms: Setting,
    allow_without_append_only_file: Setting,
}

pub(super) fn read(mut section: Section) -> Result<Option<RedisConfig>, ConfigError> {
    let settings = Settings {
        url: section.get("url"),
        username: section.get("username"),
        password_file: section.get("password_file"),
        database: section.get("database"),
        key_prefix: section.get("key_prefix"),
        ca_file: section.get("ca_file"),
        certificate_file: section.get("certificate_file"),
        private_key_file: section.get("private_key_file"),
        time_limit_ms: section.get("time_limit_ms"),
        allow_without_append_only_file: section.get("allow_without_append_only_file"),
    };
    section.finish()?;

    let Some(url) = settings.url.text()? else { return settings.refuse_without_url() };
    let client_pem = match (settings.certificate_file.is_set(), settings.private_key_file.is_set()) {
        (false, false) => None,
        (true, true) => Some(ClientPem {
            certificate: settings.certificate_file.file()?,
            private_key: secret_file(&settings.private_key_file)?,
        }),
        (true, false) => {
            return Err(settings.certificate_file.needs(&settings.private_key_file, "they go together"));
        }
        (false, true) => {
            return Err(settings.private_key_file.needs(&settings.certificate_file, "they go together"));
        }
    };
    let config = RedisConfig {
        url: SecretString::from(url),
        username: settings.username.text()?.map(str::to_owned),
        password: password(&settings.password_file)?,
        database: if settings.database.is_set() {
            Some(settings.database.number(DEFAULT_DATABASE, DATABASES)?)
        } else {
            None
        },
        key_prefix: settings
            .key_prefix
            .parsed(KEY_PREFIX, key_prefix)?
            .unwrap_or(DEFAULT_KEY_PREFIX.to_owned()),
        ca_pem: settings.ca_file.is_set().then(|| settings.ca_file.file()).transpose()?,
        client_pem,
        time_limit: settings.time_limit()?,
        allow_without_append_only_file: settings.allow_without_append_only_file.boolean(false)?,
    };
    config.validate().map_err(|invalid| settings.refuse(&invalid))?;
    Ok(Some(config))
}

const KEY_PREFIX: &str = "must be at most 64 letters, digits and characters of -_.:/ (a hash tag in braces would \
                          put all keys into one slot)";

fn key_prefix(text: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    (text.len() <= MAX_PREFIX_CHARS && text.bytes().all(is_allowed)).then(|| text.to_owned())
}

/// The first line of the file.
fn password(file: &Setting) -> Result<Option<SecretString>, ConfigError> {
    if !file.is_set() {
        return Ok(None);
    }
    let content = Zeroizing::new(file.file()?);
    let text = std::str::from_utf8(&content).ok().and_then(|text| text.lines().next());
    match text.filter(|line| !line.is_empty()) {
        Some(line) => Ok(Some(SecretString::from(line))),
        None => Err(file.refuse("must be a text file with the password in its first line")),
    }
}

fn secret_file(file: &Setting) -> Result<SecretString, ConfigError> {
    let content = Zeroizing::new(file.file()?);
    let text = std::str::from_utf8(&content).map_err(|_| file.refuse("must be a PEM file"))?;
    Ok(SecretString::from(text))
}

impl Settings {
    fn all(&self) -> [&Setting; 10] {
        [
            &self.url,
            &self.username,
            &self.password_file,
            &self.database,
            &self.key_prefix,
            &self.ca_file,
            &self.certificate_file,
            &self.private_key_file,
            &self.time_limit_ms,
            &self.allow_without_append_only_file,
        ]
    }

    /// Whatever differs from its default shows that a Redis is wanted.
    fn refuse_without_url(&self) -> Result<Option<RedisConfig>, ConfigError> {
        for setting in self.all() {
            if setting.is_set() && self.differs_from_default(setting)? {
                return Err(setting.needs(&self.url, "without it challenges lie in the data directory"));
            }
        }
        Ok(None)
    }

    /// Of one that is set.
    fn differs_from_default(&self, setting: &Setting) -> Result<bool, ConfigError> {
        Ok(match setting.key {
            "database" => setting.number(DEFAULT_DATABASE, DATABASES)? != DEFAULT_DATABASE,
            "key_prefix" => {
                setting.parsed(KEY_PREFIX, key_prefix)?.is_some_and(|prefix| prefix != DEFAULT_KEY_PREFIX)
            }
            "time_limit_ms" => self.time_limit()? != DEFAULT_TIME_LIMIT,
            "allow_without_append_only_file" => setting.boolean(false)?,
            _ => true,
        })
    }

    fn time_limit(&self) -> Result<Duration, ConfigError> {
        let default = u32::try_from(DEFAULT_TIME_LIMIT.as_millis()).expect("it is a second");
        let millis = self.time_limit_ms.number(default, TIME_LIMITS_MS)?;
        Ok(Duration::from_millis(millis.into()))
    }

    fn refuse(&self, invalid: &InvalidRedisConfig) -> ConfigError {
        let named = self.all().into_iter().find(|setting| setting.key == invalid.setting);
        named.unwrap_or(&self.url).refuse(&invalid.allowed)
    }
}
