//! What is wrong with the settings. All problems are collected and reported at once.

use std::fmt;
use std::path::PathBuf;

use crate::raw::Source;

/// The settings cannot be used. Lists every problem found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One mistake in the settings. The wording operators search for is Elasticsearch's.
/// Source: Elasticsearch's `AbstractScopedSettings`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("cannot read the configuration file [{}]: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },

    #[error("{at}: {reason}")]
    Yaml { at: Source, reason: String },

    #[error("{at}: null-valued setting found for key [{key}]; remove the line or give it a value")]
    Null { key: String, at: Source },

    #[error(
        "duplicate settings key [{key}] found at [{}] with value [{}] and at [{}] with value [{}]",
        .first.0, shown(.key, &.first.1), .second.0, shown(.key, &.second.1)
    )]
    Duplicate {
        key: String,
        first: (Source, String),
        second: (Source, String),
    },

    #[error("command line: setting [{key}] must not be empty")]
    EmptyOverride { key: String },

    #[error("{at}: setting [{key}]: {reason}")]
    Placeholder {
        key: String,
        at: Source,
        reason: String,
    },

    #[error("{at}: unknown setting [{key}]{}", advice(.nearest))]
    Unknown {
        key: String,
        at: Source,
        nearest: Vec<String>,
    },

    #[error("keystore: unknown secure setting [{key}]{}", advice(.nearest))]
    UnknownSecure { key: String, nearest: Vec<String> },

    #[error("{at}: setting [{key}] {reason}")]
    Refused {
        key: String,
        at: Source,
        reason: String,
    },

    #[error(
        "{at}: Setting [{key}] is a secure setting and must be stored inside the Elasticsearch \
         keystore, but was found inside elasticsearch.yml; remove it there and run \
         `elasticsearch-keystore add {key}`"
    )]
    SecureInFile { key: String, at: Source },

    #[error(
        "keystore: Setting [{key}] is a non-secure setting and must be stored inside \
         elasticsearch.yml, but was found inside the Elasticsearch keystore; \
         run `elasticsearch-keystore remove {key}`"
    )]
    PlainInKeystore { key: String },

    #[error("{at}: failed to parse setting [{key}]{}", with_value(.value, .expected))]
    Invalid {
        key: String,
        /// `None` for a value that must not be shown.
        value: Option<String>,
        at: Source,
        expected: String,
    },

    /// Two settings contradict each other.
    #[error("{at}: {reason}")]
    Conflict { at: Source, reason: String },
}

impl Problem {
    /// Returns the setting it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Null { key, .. }
            | Self::Duplicate { key, .. }
            | Self::EmptyOverride { key }
            | Self::Placeholder { key, .. }
            | Self::Unknown { key, .. }
            | Self::UnknownSecure { key, .. }
            | Self::Refused { key, .. }
            | Self::SecureInFile { key, .. }
            | Self::PlainInKeystore { key }
            | Self::Invalid { key, .. } => Some(key),
            Self::Unreadable { .. } | Self::Yaml { .. } | Self::Conflict { .. } => None,
        }
    }
}

/// Collects problems while reading goes on.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Returns all, in the order found.
    pub fn into_all(self) -> Vec<Problem> {
        self.0
    }

    /// Returns the value if there was no problem.
    pub fn or<T>(self, value: T) -> Result<T, SettingsError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(SettingsError { problems: self.0 })
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{only}"),
            many => {
                write!(f, "[{}] problems in the settings:", many.len())?;
                many.iter()
                    .try_for_each(|problem| write!(f, "\n- {problem}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}

/// A setting that has no effect or should not be used any more, to be logged as a warning at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub key: String,
    pub source: Source,
    pub reason: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: setting [{}] {}", self.source, self.key, self.reason)
    }
}

/// Returns the value, or stars for one that may be a secret.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    if crate::registry::may_be_secret(key) {
        "***"
    } else {
        value
    }
}

fn with_value(value: &Option<String>, expected: &str) -> String {
    let value = match value {
        Some(value) => format!(" with value [{value}]"),
        None => String::new(),
    };
    // "... with value [5] as a time value: unit is missing"
    let joint = if expected.starts_with("as a") {
        ""
    } else {
        ":"
    };
    format!("{value}{joint} {expected}")
}

/// Source: Elasticsearch's `AbstractScopedSettings`.
fn advice(nearest: &[String]) -> String {
    match nearest {
        [] => " please check that any required plugins are installed, or check the breaking \
               changes documentation for removed settings"
            .to_owned(),
        [only] => format!(" did you mean [{only}]?{}", where_secure(only)),
        many => format!(
            " did you mean any of [{}]?{}",
            many.join(", "),
            where_secure(&many[0])
        ),
    }
}

/// Says where a secure setting belongs, so that the secret does not stay in the file under its right name.
fn where_secure(key: &str) -> String {
    match crate::registry::find(key) {
        Some(spec) if spec.info().is_secure => {
            format!(" [{key}] belongs in the keystore: run `elasticsearch-keystore add {key}`")
        }
        _ => String::new(),
    }
}
