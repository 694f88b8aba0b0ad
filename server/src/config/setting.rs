//! One setting: its value as written, read as what it must be.

use std::{fs, ops::RangeInclusive, path::PathBuf, time::Duration};

use toml::de::DeValue;

use super::error::{ConfigError, Origin};

/// The most characters of a value that an error repeats.
const SHOWN_CHARS: usize = 100;

/// A value as it was written.
#[derive(Clone)]
pub(super) enum Value {
    /// From the environment or the command line: read as whatever the key wants.
    Untyped(String),
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    /// Of a type that no key has, as an error shows it.
    Other(String),
}

impl Value {
    pub(super) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Boolean(boolean) => Self::Boolean(*boolean),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Self::Other(integer.to_string()), Self::Integer),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .map_or_else(|| Self::Other("[...]".to_owned()), Self::List),
            DeValue::Float(float) => Self::Other(float.to_string()),
            DeValue::Datetime(time) => Self::Other(time.to_string()),
            DeValue::Table(_) => Self::Other("{...}".to_owned()),
        }
    }

    /// As TOML, cut to a length that a log line bears. A key pasted where its file's path belongs, and a
    /// URL with a password in it wherever it was put, are not shown.
    fn shown(&self) -> String {
        let shown = match self {
            Self::Untyped(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(integer) => integer.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::List(items) => format!("{items:?}"),
            Self::Other(shown) => shown.clone(),
        };
        if shown.contains("PRIVATE KEY") {
            return "(a private key, not shown)".to_owned();
        }
        if shown.contains("://") && shown.contains('@') {
            return "(not shown: it may hold a password)".to_owned();
        }
        match shown.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}...", &shown[..end]),
            None => shown,
        }
    }
}

/// One key of one section, with what was given for it.
pub(super) struct Setting {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) value: Option<Value>,
    pub(super) origin: Origin,
}

impl Setting {
    /// Whether it was given, and is not the empty text or list, which stand for 'not set'.
    pub(super) fn is_set(&self) -> bool {
        match &self.value {
            None => false,
            Some(Value::Untyped(text) | Value::Text(text)) => !text.is_empty(),
            Some(Value::List(items)) => !items.is_empty(),
            Some(_) => true,
        }
    }

    /// `section.key`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The text, or none when it is not set.
    pub(super) fn text(&self) -> Result<Option<&str>, ConfigError> {
        match &self.value {
            None => Ok(None),
            Some(Value::Untyped(text) | Value::Text(text)) => {
                Ok(Some(text.as_str()).filter(|text| !text.is_empty()))
            }
            Some(_) => Err(self.refuse("must be a text in quotation marks")),
        }
    }

    /// The text as what `parse` makes of it, or none when it is not set.
    pub(super) fn parsed<T>(
        &self,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.text()?.map(|text| parse(text).ok_or_else(|| self.refuse(allowed))).transpose()
    }

    /// The path of a file or directory, from the working directory.
    pub(super) fn path(&self) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.text()?.map(PathBuf::from))
    }

    /// The content of the file that it names; it must be set.
    pub(super) fn file(&self) -> Result<Vec<u8>, ConfigError> {
        let path = self.text()?.unwrap_or_default();
        fs::read(path)
            .map_err(|error| self.refuse(&format!("must be a file that the server can read: {error}")))
    }

    /// The text of the file that it names, or none when it is not set. What is no text is neither PEM nor JSON,
    /// and refused as that.
    pub(super) fn text_file(&self) -> Result<Option<String>, ConfigError> {
        if !self.is_set() {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&self.file()?).into_owned()))
    }

    /// A whole number within the range.
    pub(super) fn number(&self, default: u32, allowed: RangeInclusive<u32>) -> Result<u32, ConfigError> {
        let number = match &self.value {
            None => Some(default),
            Some(Value::Integer(integer)) => u32::try_from(*integer).ok(),
            Some(Value::Untyped(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number.filter(|number| allowed.contains(number)).ok_or_else(|| {
            self.refuse(&format!("must be a whole number from {} to {}", allowed.start(), allowed.end()))
        })
    }

    /// A whole number of seconds within the range.
    pub(super) fn seconds(
        &self,
        default: u32,
        allowed: RangeInclusive<u32>,
    ) -> Result<Duration, ConfigError> {
        Ok(Duration::from_secs(self.number(default, allowed)?.into()))
    }

    /// True or false.
    pub(super) fn boolean(&self, default: bool) -> Result<bool, ConfigError> {
        match &self.value {
            None => Ok(default),
            Some(Value::Boolean(boolean)) => Ok(*boolean),
            Some(Value::Untyped(text)) if text == "true" => Ok(true),
            Some(Value::Untyped(text)) if text == "false" => Ok(false),
            Some(_) => Err(self.refuse("must be true or false")),
        }
    }

    /// Texts: a list in the file, separated by commas elsewhere.
    pub(super) fn list(&self) -> Result<Vec<String>, ConfigError> {
        match &self.value {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => Ok(items.clone()),
            Some(Value::Untyped(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::Untyped(text)) => Ok(text.split(',').map(|item| item.trim().to_owned()).collect()),
            Some(_) => Err(self.refuse("must be a list of texts, such as [\"one\", \"two\"]")),
        }
    }

    /// The error that says what is allowed instead of the value that was given.
    pub(super) fn refuse(&self, allowed: &str) -> ConfigError {
        let key = match self.origin {
            Origin::CommandLine => format!("--{}", self.key.replace('_', "-")),
            _ => self.name(),
        };
        let value = match &self.value {
            None => "(not set)".to_owned(),
            Some(_) if self.may_hold_a_password() => "(not shown: it may hold a password)".to_owned(),
            Some(value) => value.shown(),
        };
        ConfigError::Value { origin: self.origin.clone(), key, value, allowed: allowed.to_owned() }
    }

    /// Whatever is wrong with it: of a URL that cannot be read nobody can tell where the password is.
    fn may_hold_a_password(&self) -> bool {
        (self.section, self.key) == ("redis", "url")
    }

    /// The error that says that `other`, which is not set, is needed beside this one.
    pub(super) fn needs(&self, other: &Self, why: &str) -> ConfigError {
        self.refuse(&format!("needs {}, which is not set: {why}", other.name()))
    }
}
