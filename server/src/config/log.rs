//! `[log]`: what is logged, and how.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{error::ConfigError, sources::Section};

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// `tracing`'s filter directives, known to be valid.
    pub filter: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn read(mut section: Section) -> Result<LogConfig, ConfigError> {
    let format = section.get("format");
    let filter = section.get("filter");
    section.finish()?;

    let format = format.parsed("must be \"text\" or \"json\"", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })?;
    let filter = filter.parsed(
        "must be a level (error, warn, info, debug, trace) or directives such as \
         \"info,countersign::push=debug\"",
        |text| is_filter(text).then(|| text.to_owned()),
    )?;
    Ok(LogConfig {
        format: format.unwrap_or(LogFormat::Text),
        filter: filter.unwrap_or_else(|| "info".to_owned()),
    })
}

/// Whether `text` is a filter in which no level is misspelt: a lone word would else be taken for the name of
/// a module, and all the others would fall silent.
fn is_filter(text: &str) -> bool {
    let is_explicit =
        |directive: &str| directive.contains(['=', '[']) || directive.parse::<LevelFilter>().is_ok();
    EnvFilter::try_new(text).is_ok() && text.split(',').all(|directive| is_explicit(directive.trim()))
}
