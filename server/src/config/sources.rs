//! What was written where: the file, the environment over it, the command line over both.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    error::{ConfigError, Origin},
    setting::{Setting, Value},
};

/// The sections that there are.
const SECTIONS: [&str; 7] = ["server", "tls", "limits", "redis", "apns", "fcm", "log"];

/// Every value that was given, by section and key, the one that wins.
pub(super) struct Sources(BTreeMap<(String, String), (Value, Origin)>);

impl Sources {
    /// Reads the file, when there is one, and lays the environment over it.
    pub(super) fn read(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut sources = Self(BTreeMap::new());
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
            sources.add_file(path, &text)?;
        }
        for (variable, value) in environment {
            if let (Ok(variable), value) = (variable.into_string(), value.to_string_lossy()) {
                sources.add_variable(variable, &value);
            }
        }
        Ok(sources)
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let line_at = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        let origin_at = |offset: usize| Origin::File { path: path.to_owned(), line: line_at(offset) };
        let document = DeTable::parse(text).map_err(|error| syntax(path, &error, line_at))?;
        for (section, content) in document.into_inner() {
            let origin = origin_at(section.span().start);
            let section = section.into_inner().into_owned();
            if !SECTIONS.contains(&section.as_str()) {
                return Err(unknown(origin, &section, &section, &SECTIONS));
            }
            let DeValue::Table(table) = content.into_inner() else {
                let allowed = format!("must be a section: write [{section}] on a line of its own");
                return Err(ConfigError::Value { origin, key: section, value: "...".to_owned(), allowed });
            };
            for (key, value) in table {
                let origin = origin_at(key.span().start);
                let value = Value::from_toml(value.get_ref());
                self.0.insert((section.clone(), key.into_inner().into_owned()), (value, origin));
            }
        }
        Ok(())
    }

    /// Takes the variable if it is `COUNTERSIGN_<SECTION>_<KEY>` of a section that there is.
    fn add_variable(&mut self, variable: String, value: &str) {
        let Some(name) = variable.strip_prefix("COUNTERSIGN_") else { return };
        let Some((section, key)) = name.split_once('_') else { return };
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        // Kubernetes sets variables of this form for a service that is called, say, countersign-server.
        let is_service_link = key == "port" || key.starts_with("port_") || key.starts_with("service_");
        if SECTIONS.contains(&section.as_str()) && !is_service_link {
            let value = Value::Untyped(value.to_owned());
            self.0.insert((section, key), (value, Origin::Environment(variable)));
        }
    }

    /// Lays the command line's option for this key over the rest.
    pub(super) fn add_option(&mut self, section: &str, key: &str, value: Option<String>) {
        if let Some(value) = value {
            let name = (section.to_owned(), key.to_owned());
            self.0.insert(name, (Value::Untyped(value), Origin::CommandLine));
        }
    }

    /// The files that those of `settings` name that are set, each with the setting's name.
    pub(super) fn paths(&self, settings: &[(&str, &str)]) -> Vec<(String, PathBuf)> {
        let path = |&(section, key): &(&str, &str)| match self.0.get(&(section.to_owned(), key.to_owned())) {
            Some((Value::Text(path) | Value::Untyped(path), _)) if !path.is_empty() => {
                Some((format!("{section}.{key}"), PathBuf::from(path)))
            }
            _ => None,
        };
        settings.iter().filter_map(path).collect()
    }

    /// Takes the settings of one section out, which are then read key by key.
    pub(super) fn section(&mut self, name: &'static str) -> Section {
        let taken = self.0.extract_if(.., |(section, _), _| section == name);
        Section { name, given: taken.map(|((_, key), given)| (key, given)).collect(), known: Vec::new() }
    }
}

/// The settings of one section.
pub(super) struct Section {
    name: &'static str,
    given: BTreeMap<String, (Value, Origin)>,
    known: Vec<&'static str>,
}

impl Section {
    /// What was given for `key`. Asking for it makes it a key that is known.
    pub(super) fn get(&mut self, key: &'static str) -> Setting {
        self.known.push(key);
        let (value, origin) = self.given.remove(key).unzip();
        Setting { section: self.name, key, value, origin: origin.unwrap_or(Origin::Default) }
    }

    /// Refuses what was given and never asked for.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        match self.given.pop_first() {
            None => Ok(()),
            Some((key, (_, origin))) => {
                Err(unknown(origin, &format!("{}.{key}", self.name), &key, &self.known))
            }
        }
    }
}

/// Refuses `written`, which was given as `name`; suggests what is at most two slips away.
fn unknown(origin: Origin, name: &str, written: &str, allowed: &[&str]) -> ConfigError {
    let nearest = allowed.iter().min_by_key(|allowed| strsim::osa_distance(written, allowed));
    let suggestion = match nearest {
        Some(nearest) if strsim::osa_distance(written, nearest) <= 2 => {
            format!(", did you mean {nearest}?")
        }
        _ => String::new(),
    };
    ConfigError::Unknown { origin, name: name.to_owned(), suggestion, allowed: allowed.join(", ") }
}

fn syntax(path: &Path, error: &toml::de::Error, line_at: impl Fn(usize) -> usize) -> ConfigError {
    let line = line_at(error.span().map_or(0, |span| span.start));
    ConfigError::Syntax { path: PathBuf::from(path), line, message: error.message().to_owned() }
}
