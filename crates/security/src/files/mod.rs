//! The files of a node's configuration directory that hold identities: `users`, `users_roles`,
//! `service_tokens`, `roles.yml` and `role_mapping.yml`. The node reads them leniently, the tools edit all but the last two.
//! Source: Elasticsearch reference, "elasticsearch-users", "elasticsearch-service-tokens", "File-based user authentication" and
//! "Defining roles".
//!
//! Comments, order and lines nobody understands survive an edit.

mod lines;
mod role_mapping;
mod roles;
mod rules;
mod service_tokens;
mod users;
mod watched;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use fs4::FileExt;
use ringwall_base::fs::{Replaced, replace_atomic};

pub use role_mapping::RoleMappingFile;
pub use roles::RolesFile;
pub use rules::{check_password, check_role_name, check_token_name, check_username};
pub use service_tokens::{SERVICE_ACCOUNTS, ServiceAccountToken, ServiceTokensFile};
pub use users::{UsersFile, UsersRolesFile};
pub use watched::{Parse, Watched};

/// A line of a file that is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// From 1.
    pub line: usize,
    /// Never holds a hash.
    pub reason: String,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("Configuration file [{}] is missing", path.display())]
    NotFound { path: PathBuf },
    #[error("[{}]: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("[{}] is larger than {MAX_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("[{}] is not UTF-8", path.display())]
    NotText { path: PathBuf },
}

/// Reads a file as text.
///
/// Errors: missing, unreadable, not UTF-8, or larger than any file of users can be.
pub fn read(path: &Path) -> Result<String, FilesError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FilesError::NotFound {
            path: path.to_owned(),
        },
        _ => FilesError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(FilesError::TooLarge {
            path: path.to_owned(),
        });
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| FilesError::NotText {
        path: path.to_owned(),
    })
}

/// Replaces a file as a whole, with the permissions and, where permitted, the owner it had. A new file
/// is readable by its owner only.
pub fn write(path: &Path, content: &str) -> Result<Replaced, FilesError> {
    replace_atomic(path, content.as_bytes(), NEW_FILE_MODE).map_err(|source| FilesError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Keeps other tools from editing the files of a directory until dropped: of two that read, change and
/// write at once, one change would be lost.
pub struct EditLock(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl EditLock {
    /// Waits for its turn. Blocking.
    pub fn acquire(directory: &Path) -> Result<Self, FilesError> {
        let failed = |source| FilesError::Io {
            path: directory.to_owned(),
            source,
        };
        let file = File::open(directory).map_err(failed)?;
        FileExt::lock(&file).map_err(failed)?;
        Ok(Self(file))
    }
}

const NEW_FILE_MODE: u32 = 0o600;
const MAX_BYTES: u64 = 64 << 20;
