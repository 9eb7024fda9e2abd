//! A file that is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};

use super::{FileProblem, FilesError, read};

/// The content of a file as it was last read in full. A missing file is an empty one.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    current: RwLock<Arc<T>>,
    /// What was last seen on disk, so that each state of the file is told once.
    seen: Mutex<Seen>,
}

/// Reads the text of a file, and tells which parts of it are skipped. The error is why nothing of it can be used.
pub type Parse<T> = fn(&str) -> Result<(T, Vec<FileProblem>), FileProblem>;

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Missing,
    Content([u8; 32]),
    Unreadable(String),
}

impl<T: Default> Watched<T> {
    /// Returns the file's content as of now. Blocking, as is [`Watched::poll`].
    pub fn open(path: PathBuf, parse: Parse<T>) -> Self {
        let watched = Self {
            path,
            parse,
            current: RwLock::default(),
            seen: Mutex::new(Seen::Nothing),
        };
        watched.poll();
        watched
    }

    /// Returns the content.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read())
    }

    /// Reads the file again. Returns whether there is new content. Lines that are no entries are logged
    /// and skipped; while the file as a whole cannot be read, the content stays as it was.
    pub fn poll(&self) -> bool {
        let (now, text) = match read(&self.path) {
            Ok(text) => (Seen::Content(Sha256::digest(&text).into()), text),
            Err(FilesError::NotFound { .. }) => (Seen::Missing, String::new()),
            Err(error) => (Seen::Unreadable(error.to_string()), String::new()),
        };
        let mut seen = self.seen.lock();
        if *seen == now {
            return false;
        }
        let path = self.path.display();
        let is_first = *seen == Seen::Nothing;
        *seen = now;
        if let Seen::Unreadable(reason) = &*seen {
            tracing::error!("cannot read {reason}; what was read of it before stays in force");
            return false;
        }
        let (content, problems) = match (self.parse)(&text) {
            Ok(read) => read,
            Err(FileProblem { line, reason }) => {
                tracing::error!(
                    "cannot use [{path}], line [{line}]: {reason}; what was read of it before stays in force"
                );
                return false;
            }
        };
        for FileProblem { line, reason } in problems {
            tracing::error!("line [{line}] of [{path}] is skipped: {reason}");
        }
        *self.current.write() = Arc::new(content);
        if !is_first {
            tracing::info!("reloaded [{path}]");
        }
        true
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
