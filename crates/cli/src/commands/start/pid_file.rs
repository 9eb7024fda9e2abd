//! `-p`: a file with the process id of the node while it runs. Source: Elasticsearch reference, "Install
//! Elasticsearch from archive on Linux or MacOS".

use std::path::{Path, PathBuf};

use ringwall_base::fs::write_atomic;

use crate::error::CommandError;

/// A file that may be written.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

/// The file with the id of this process; removed when dropped.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    content: String,
}

impl PidFile {
    /// Looks at the place of the file, and writes nothing. A relative path starts at the working directory.
    ///
    /// # Errors
    /// What is there is no regular file, or its parent is no directory (64).
    pub fn at(path: &Path) -> Result<Self, CommandError> {
        let path = std::path::absolute(path).map_err(|error| CommandError::io(path, &error))?;
        let parent = path.parent().unwrap_or(&path);
        let wrong = |what: &str, path: &Path| {
            let path = path.display();
            CommandError::usage(format!("[--pidfile]: [{path}] exists but is not a {what}"))
        };
        if parent.exists() && !parent.is_dir() {
            return Err(wrong("directory", parent));
        }
        if path.exists() && !path.is_file() {
            return Err(wrong("regular file", &path));
        }
        Ok(Self { path })
    }

    /// Writes the process id and a line end. Missing directories are made.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self) -> Result<Written, CommandError> {
        let Self { path } = self;
        let content = format!("{}\n", std::process::id());
        let parent = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(parent)
            .and_then(|()| write_atomic(&path, content.as_bytes(), 0o644))
            .map_err(|error| CommandError::io(&path, &error))?;
        Ok(Written { path, content })
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // Another node may have written it since.
        let is_own = std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.content);
        if is_own && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the pid file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ExitCode;

    #[test]
    fn it_is_there_while_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/node.pid");
        let file = PidFile::at(&path).unwrap().write().unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());

        std::fs::write(&path, "left over").unwrap();
        let file = PidFile::at(&path).unwrap().write().unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "it is that of another node now");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, expected) in [
            (directory.path().to_owned(), "is not a regular file"),
            (file.join("node.pid"), "is not a directory"),
        ] {
            let error = PidFile::at(&path).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage);
            assert!(error.message.ends_with(expected), "{error}");
        }
    }
}
