//! Disk space that is set aside while there is plenty, and given back when there is none.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fs4::FileExt;

/// A file that holds space and nothing else.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// Returns the reserve kept in that file. Nothing is touched yet.
    pub fn at(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes }
    }

    /// Returns how much is set aside when it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether the space is set aside now.
    pub fn is_held(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|file| file.len() == self.bytes)
    }

    /// Sets the space aside if it is not, and a good deal more is left. Returns whether it is. Blocks.
    ///
    /// # Errors
    /// Those of the file system; no part of the file stays behind.
    pub fn hold(&self) -> io::Result<bool> {
        if self.is_held() {
            return Ok(true);
        }
        let directory = self.path.parent().unwrap_or(Path::new("."));
        if fs4::available_space(directory)? < self.bytes.saturating_mul(KEEP_FREE) {
            return Ok(false);
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&self.path)?;
        match FileExt::allocate(&file, self.bytes) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.release()?;
                Err(error)
            }
        }
    }

    /// Gives the space back. Returns whether there was any to give. Blocks.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn release(&self) -> io::Result<bool> {
        match std::fs::remove_file(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The space is only set aside where so many times as much is free.
const KEEP_FREE: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_held_and_given_back() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::at(directory.path().join("reserve"), 1 << 20);
        assert!(!reserve.is_held());
        assert!(!reserve.release().unwrap());
        assert!(reserve.hold().unwrap());
        assert!(reserve.hold().unwrap());
        let file = std::fs::File::open(directory.path().join("reserve")).unwrap();
        assert!(FileExt::allocated_size(&file).unwrap() >= 1 << 20);
        assert!(reserve.release().unwrap());
        assert!(!reserve.is_held());
        let greedy = Reserve::at(directory.path().join("greedy"), u64::MAX / 2);
        assert!(!greedy.hold().unwrap());
    }
}
