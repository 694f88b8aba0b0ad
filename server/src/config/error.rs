//! Where a setting came from, and what is wrong with it.

use std::{fmt, io, path::PathBuf};

/// A configuration that cannot be used. Says where (file and line, variable or option), which key and value,
/// and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    File {
        /// The configuration file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}: not TOML: {message}", path.display())]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A key or section that does not exist.
    #[error("{origin}: {name} is not known{suggestion}; allowed are {allowed}")]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// As it was written.
        name: String,
        /// `, did you mean ...?` or nothing.
        suggestion: String,
        /// All names that are allowed there.
        allowed: String,
    },
    /// A value that is not allowed, by itself or beside the others.
    #[error("{origin}: {key} = {value}: {allowed}")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// Section and key, or the command line's option.
        key: String,
        /// As it was written.
        value: String,
        /// What is allowed.
        allowed: String,
    },
}

/// Where a setting was given. The later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// In this environment variable.
    Environment(String),
    /// By an option.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
