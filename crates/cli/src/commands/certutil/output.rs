//! Where certutil writes, and what. Source: Elasticsearch reference, "elasticsearch-certutil".

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ringwall_base::fs::write_atomic;
use zeroize::Zeroizing;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use crate::error::{CommandError, ExitCode};
use crate::paths::Paths;
use crate::terminal::Terminal;

/// Returns the absolute output file: as given, else as answered. It does not exist yet; its directory
/// does, or is made after a question.
///
/// Errors: the file exists (74); the directory cannot be made or is a file (73).
pub(super) fn choose(
    given: Option<&Path>,
    default: &str,
    terminal: &mut Terminal,
) -> Result<PathBuf, CommandError> {
    let path = match given {
        Some(path) => path.to_path_buf(),
        None => {
            let prompt = format!("Please enter the desired output file [{default}]: ");
            let answer = terminal.prompt(&prompt)?;
            PathBuf::from(if answer.is_empty() { default } else { &answer })
        }
    };
    let path = absolute(&path)?;
    check_absent(&path)?;
    make_parent(&path, terminal)?;
    Ok(path)
}

/// Fails (74) if something is at the path.
pub(super) fn check_absent(path: &Path) -> Result<(), CommandError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("Output file '{}' already exists", path.display());
    let hint = "nothing is ever overwritten: choose another file, or move this one away";
    Err(CommandError::new(ExitCode::IoError, message).with_hint(hint))
}

/// Returns the absolute form of a path to write. Source: what `elasticsearch-certutil` of Elasticsearch 8 does, for
/// relative paths.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    match Paths::resolve() {
        Ok(paths) => Ok(paths.tool_path(path)),
        // The tool needs no node: outside of any home the working directory serves.
        Err(_) => std::path::absolute(path).map_err(|error| CommandError::io(path, &error)),
    }
}

/// Returns the absolute form of a path to read.
pub(super) fn input(path: &Path) -> Result<PathBuf, CommandError> {
    match Paths::resolve() {
        Ok(paths) => Ok(paths.input_path(path)),
        Err(_) => absolute(path),
    }
}

/// Returns the last part of a path, for prompts.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Writes the whole file, readable by its owner only.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    write_atomic(path, content, 0o600).map_err(|error| CommandError::io(path, &error))
}

/// A zip file in the making: directories first, entries deflated.
pub(super) struct Bundle {
    zip: ZipWriter<Cursor<Vec<u8>>>,
}

impl Bundle {
    pub(super) fn new() -> Self {
        Self {
            zip: ZipWriter::new(Cursor::new(Vec::new())),
        }
    }

    /// Adds the directory entry `<name>/`.
    pub(super) fn directory(&mut self, name: &str) -> Result<(), CommandError> {
        let options = SimpleFileOptions::default().unix_permissions(0o700);
        self.zip
            .add_directory(format!("{name}/"), options)
            .map_err(|error| unzippable(&error))
    }

    /// Adds a file that is readable by its owner only when unpacked.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> Result<(), CommandError> {
        let options = SimpleFileOptions::default().unix_permissions(0o600);
        self.zip
            .start_file(name, options)
            .map_err(|error| unzippable(&error))?;
        self.zip
            .write_all(content)
            .map_err(|error| unzippable(&ZipError::Io(error)))
    }

    /// Returns the content of the zip file.
    pub(super) fn finish(self) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let content = self.zip.finish().map_err(|error| unzippable(&error))?;
        Ok(Zeroizing::new(content.into_inner()))
    }
}

/// Makes the directory of a path after a question, if it is missing.
///
/// Errors: it cannot be made or is a file (73).
pub(super) fn make_parent(path: &Path, terminal: &mut Terminal) -> Result<(), CommandError> {
    let Some(parent) = path.parent() else {
        return Err(CommandError::cant_create(format!(
            "Cannot write to {}",
            path.display()
        )));
    };
    if parent.is_dir() {
        return Ok(());
    }
    if parent.exists() {
        let (parent, path) = (parent.display(), path.display());
        terminal.err(format!(
            "Path {parent} exists, but is not a directory. Cannot write to {path}"
        ));
        return Err(CommandError::cant_create(format!("Cannot write to {path}")));
    }
    let missing = format!("Directory {} does not exist", parent.display());
    if !terminal.confirm(&format!("{missing}. Do you want to create it?"), true)? {
        return Err(CommandError::cant_create(missing));
    }
    std::fs::create_dir_all(parent).map_err(|error| {
        CommandError::cant_create(format!("Cannot create directory {}", parent.display()))
            .with_hint(error.to_string())
    })
}

fn unzippable(error: &ZipError) -> CommandError {
    CommandError::new(
        ExitCode::Failure,
        format!("cannot make the zip file: {error}"),
    )
}
