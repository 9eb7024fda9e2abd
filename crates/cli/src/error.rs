//! Why a command failed: an exit status, one message and sometimes an advice.

use std::fmt;
use std::io;
use std::path::Path;

/// The exit statuses of Elasticsearch's tools. Source: sysexits(3), and Elasticsearch's `ExitCodes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The user decided against it: said as an error, but none for a script.
    Ok = 0,
    /// A failure without a status of its own, such as the end of standard input.
    Failure = 1,
    /// Of `certutil check`: a certificate has ended or will in days.
    Critical = 2,
    /// Of `certutil check`: something could not be read.
    Unknown = 3,
    /// "Nothing to do"; only node auto-configuration uses it.
    Noop = 63,
    Usage = 64,
    DataError = 65,
    NoInput = 66,
    NoUser = 67,
    NoHost = 68,
    Unavailable = 69,
    CodeError = 70,
    CantCreate = 73,
    IoError = 74,
    TempFailure = 75,
    Protocol = 76,
    NoPerm = 77,
    Config = 78,
}

impl ExitCode {
    /// Returns the status with this number, as another process ended with.
    pub fn with(code: i32) -> Self {
        const ALL: [ExitCode; 18] = [
            ExitCode::Ok,
            ExitCode::Failure,
            ExitCode::Critical,
            ExitCode::Unknown,
            ExitCode::Noop,
            ExitCode::Usage,
            ExitCode::DataError,
            ExitCode::NoInput,
            ExitCode::NoUser,
            ExitCode::NoHost,
            ExitCode::Unavailable,
            ExitCode::CodeError,
            ExitCode::CantCreate,
            ExitCode::IoError,
            ExitCode::TempFailure,
            ExitCode::Protocol,
            ExitCode::NoPerm,
            ExitCode::Config,
        ];
        let known = ALL.into_iter().find(|exit| i32::from(exit.code()) == code);
        known.unwrap_or(Self::Failure)
    }

    /// Returns the number the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The failure of a command. `main` prints it as `ERROR: <message>` and the hint below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    pub exit: ExitCode,
    /// What is wrong; never holds a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CommandError {
    /// Returns an error with the given exit status.
    pub fn new(exit: ExitCode, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// The command line is wrong (64).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// The data given is wrong: a password, a file's content (65).
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ExitCode::DataError, message)
    }

    /// A server cannot be reached or is not healthy (69).
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Unavailable, message)
    }

    /// A file or directory cannot be made (73).
    pub fn cant_create(message: impl Into<String>) -> Self {
        Self::new(ExitCode::CantCreate, message)
    }

    /// Reading or writing a file failed (74), or is not permitted (77).
    pub fn io(path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => ExitCode::NoPerm,
            _ => ExitCode::IoError,
        };
        Self::new(exit, format!("[{}]: {error}", path.display()))
    }

    /// The configuration is wrong (78).
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Config, message)
    }

    /// Adds an advice, printed on its own line as `hint: …`.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ERROR: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_message_and_hint() {
        let error = CommandError::config("[a] is wrong").with_hint("set [a]");
        assert_eq!(error.to_string(), "ERROR: [a] is wrong\nhint: set [a]");
        assert_eq!(error.exit.code(), 78);
    }

    #[test]
    fn refused_access_has_its_own_status() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            CommandError::io(Path::new("/x"), &refused).exit,
            ExitCode::NoPerm
        );
    }
}
