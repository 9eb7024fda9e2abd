//! New files in the places of old ones.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringwall_base::fs::{replace_atomic, write_atomic};
use zeroize::Zeroizing;

use super::output;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// A file to write.
pub(super) struct NewFile {
    /// Where the old one is.
    pub(super) path: PathBuf,
    pub(super) content: Zeroizing<Vec<u8>>,
    /// What the user is to know of it.
    pub(super) summary: String,
}

/// Puts the new files in place of the old ones, which stay beside them. `done` says what was done.
pub(super) fn replace(
    files: &[NewFile],
    done: &str,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
    let stem = now.strftime(".%Y%m%d-%H%M%S").to_string();
    // Two steps may fall into one second.
    let suffixes = (1..=MAX_BACKUPS).map(|number| match number {
        1 => format!("{stem}.bak"),
        number => format!("{stem}-{number}.bak"),
    });
    let is_free = |suffix: &String| {
        files
            .iter()
            .all(|file| !backup(&file.path, suffix).exists())
    };
    let suffix = suffixes.into_iter().find(is_free).unwrap_or(stem);
    let backup_of = |file: &NewFile| backup(&file.path, &suffix);
    for file in files {
        output::check_absent(&backup_of(file))?;
    }
    for file in files {
        let backup = backup_of(file);
        keep(&file.path, &backup).map_err(|error| CommandError::io(&backup, &error))?;
    }
    for file in files {
        let replaced = replace_atomic(&file.path, &file.content, 0o600)
            .map_err(|error| CommandError::io(&file.path, &error))?;
        if let Some((old, new)) = replaced.owner {
            terminal.err(format!(
                "Warning: {} belonged to user {old} and now belongs to user {new}. Give it back with chown, or the node \
                 cannot read it.",
                file.path.display()
            ));
        }
        terminal.out(format!(
            "{done} {}: {}\n  the old file is {}",
            file.path.display(),
            file.summary,
            backup_of(file).display()
        ));
    }
    Ok(())
}

/// Gives a file a second name, so that it stays when the first name is given to another; where links
/// cannot be made, copies it.
fn keep(path: &Path, backup: &Path) -> std::io::Result<()> {
    if std::fs::hard_link(path, backup).is_ok() {
        return Ok(());
    }
    let content = Zeroizing::new(std::fs::read(path)?);
    write_atomic(backup, &content, 0o600)
}

fn backup(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

const MAX_BACKUPS: usize = 100;
