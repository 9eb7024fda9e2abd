//! The files of the audit log: one that is written to, and those before it, of earlier days or full.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// When a new file is begun, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of one file.
    pub max_bytes: u64,
    /// Files that are kept, the one that is written to among them.
    pub max_files: usize,
}

/// The file that is written to.
pub struct AuditFile {
    directory: PathBuf,
    cluster: String,
    /// `None` until it could be opened.
    open: Option<Open>,
}

struct Open {
    file: File,
    /// What has been written whole.
    length: u64,
    /// The day of what is in it; a file has events of one day.
    day: Date,
}

impl AuditFile {
    /// Returns the file of a cluster in a directory. Nothing is opened before something is to be written.
    pub fn new(directory: PathBuf, cluster: String) -> Self {
        Self {
            directory,
            cluster,
            open: None,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.join(format!("{}_audit.json", self.cluster))
    }

    /// Appends lines of one day, each with its end. What could be written in part only is taken back.
    ///
    /// # Errors
    /// What the disk says. Nothing of the lines is in the file then, or will be when the next are written.
    pub fn append(&mut self, at: Timestamp, lines: &[u8], rotation: Rotation) -> io::Result<()> {
        let day = day_of(at);
        let mut open = self.opened()?;
        let is_full = open.length > 0
            && (open.day != day || open.length + lines.len() as u64 > rotation.max_bytes);
        if is_full {
            self.rotate(&open, rotation)?;
            open = self.opened()?;
        }
        open.day = day;
        // Of what failed before, nothing may stay before what comes now.
        let written = open
            .file
            .set_len(open.length)
            .and_then(|()| open.file.write_all(lines));
        if let Err(error) = written {
            // Tried again with the next lines.
            let _ = open.file.set_len(open.length);
            self.open = Some(open);
            return Err(error);
        }
        open.length += lines.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Brings what has been written to the disk.
    ///
    /// # Errors
    /// What the disk says. The file is opened anew for what comes next.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        open.file.sync_data()?;
        self.open = Some(open);
        Ok(())
    }

    fn opened(&mut self) -> io::Result<Open> {
        let path = self.path();
        if let Some(open) = self.open.take() {
            // Somebody may have moved or deleted it, as scripts that rotate logs do.
            let is_there = std::fs::metadata(&path).is_ok_and(|there| {
                open.file
                    .metadata()
                    .is_ok_and(|own| own.ino() == there.ino())
            });
            if is_there {
                return Ok(open);
            }
        }
        std::fs::create_dir_all(&self.directory)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Who did what is for nobody else on the machine.
            options.mode(0o640);
        }
        let mut file = options.open(&path)?;
        // The name must outlive a loss of power, too.
        File::open(&self.directory)?.sync_all()?;
        let metadata = file.metadata()?;
        let mut length = metadata.len();
        // A crash may have left a part of a line. It ends there, so that what comes next is read.
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
        Ok(Open {
            file,
            length,
            day: day_of(modified.unwrap_or_else(Timestamp::now)),
        })
    }

    /// Gives the file the name of its day, and deletes those that are too many.
    fn rotate(&mut self, open: &Open, rotation: Rotation) -> io::Result<()> {
        open.file.sync_data()?;
        let before = self.earlier()?;
        let of_day = before.iter().filter(|(day, _, _)| *day == open.day);
        let number = of_day.map(|(_, number, _)| number + 1).max().unwrap_or(1);
        let name = format!("{}_audit-{}-{number}.json", self.cluster, open.day);
        std::fs::rename(self.path(), self.directory.join(name))?;
        self.drop_old(rotation)
    }

    fn drop_old(&self, rotation: Rotation) -> io::Result<()> {
        let kept = rotation.max_files.saturating_sub(1);
        for (_, _, path) in self.earlier()?.into_iter().skip(kept) {
            tracing::info!(
                "deleting the audit log [{}]: no more than [{}] are kept",
                path.display(),
                rotation.max_files
            );
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Returns the earlier files with their day and number, newest first.
    fn earlier(&self) -> io::Result<Vec<(Date, u64, PathBuf)>> {
        earlier(&self.directory, &self.cluster)
    }
}

fn earlier(directory: &Path, cluster: &str) -> io::Result<Vec<(Date, u64, PathBuf)>> {
    let prefix = format!("{cluster}_audit-");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let parsed = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(&prefix)?.strip_suffix(".json")?;
            let (day, number) = rest.rsplit_once('-')?;
            Some((day.parse::<Date>().ok()?, number.parse::<u64>().ok()?))
        });
        if let Some((day, number)) = parsed {
            found.push((day, number, entry.path()));
        }
    }
    found.sort_by_key(|file| std::cmp::Reverse((file.0, file.1)));
    Ok(found)
}

/// Returns the files of a cluster's audit log, newest first.
///
/// # Errors
/// The directory cannot be read.
pub fn all(directory: &Path, cluster: &str) -> io::Result<Vec<PathBuf>> {
    let current = AuditFile::new(directory.to_owned(), cluster.to_owned()).path();
    let mut files = Vec::new();
    if current.is_file() {
        files.push(current);
    }
    match earlier(directory, cluster) {
        Ok(earlier) => files.extend(earlier.into_iter().map(|(_, _, path)| path)),
        // Nothing has been written yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(files)
}

/// Returns the day of a moment: UTC, as the times on the lines.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation {
        max_bytes: 20,
        max_files: 3,
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let files = all(directory, "c").unwrap().into_iter();
        files
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_new_file_is_begun_each_day_and_when_one_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = AuditFile::new(directory.path().join("logs"), "c".to_owned());
        let logs = directory.path().join("logs");
        assert!(all(&logs, "c").unwrap().is_empty());
        let first = at("2026-01-01T23:59:59.9Z");
        file.append(first, b"{\"a\":1}\n", ROTATION).unwrap();
        file.append(first, b"{\"a\":2}\n", ROTATION).unwrap();
        assert_eq!(names(&logs), ["c_audit.json"]);
        // The third would be too much for the file.
        file.append(first, b"{\"a\":3}\n", ROTATION).unwrap();
        assert_eq!(names(&logs), ["c_audit.json", "c_audit-2026-01-01-1.json"]);
        let next = at("2026-01-02T00:00:00Z");
        file.append(next, b"{\"a\":4}\n", ROTATION).unwrap();
        let all = names(&logs);
        let expected = [
            "c_audit.json",
            "c_audit-2026-01-01-2.json",
            "c_audit-2026-01-01-1.json",
        ];
        assert_eq!(all, expected);
        // No more than three are kept.
        let later = at("2026-01-03T00:00:00Z");
        file.append(later, b"{\"a\":5}\n", ROTATION).unwrap();
        let expected = [
            "c_audit.json",
            "c_audit-2026-01-02-1.json",
            "c_audit-2026-01-01-2.json",
        ];
        assert_eq!(names(&logs), expected);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "{\"a\":5}\n");
    }

    #[test]
    fn a_part_of_a_line_that_a_crash_left_is_no_part_of_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = AuditFile::new(directory.path().to_owned(), "c".to_owned());
        std::fs::write(file.path(), "{\"a\":1}\n{\"a\"").unwrap();
        file.append(Timestamp::now(), b"{}\n", ROTATION).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"a\"\n{}\n");
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = AuditFile::new(directory.path().to_owned(), "c".to_owned());
        let now = Timestamp::now();
        file.append(now, b"1\n", ROTATION).unwrap();
        std::fs::rename(file.path(), directory.path().join("taken")).unwrap();
        file.append(now, b"2\n", ROTATION).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"2\n");
    }
}
