//! Reading the audit log of this node from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::Instant;

use ringwall_api::security::{AuditFilter, AuditPosition, FoundEvent};
use ringwall_base::glob::{self, Syntax};
use ringwall_base::json;
use serde_json::Value;

use super::log;

/// How much is read for one request.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub events: usize,
    /// Bytes of events that are found.
    pub found_bytes: usize,
    /// Bytes of files that are looked at.
    pub read_bytes: u64,
    pub deadline: Instant,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Scan {
    /// Newest first.
    pub events: Vec<FoundEvent>,
    /// Where the reading began; `None` where there is nothing.
    pub start: Option<AuditPosition>,
    /// Up to where it went, where a bound ended it, and the moment of the last line that was looked at.
    pub stopped: Option<(AuditPosition, i64)>,
    /// Lines that are none, as a crash may leave.
    pub unreadable: u64,
    /// Whether the file is gone in which it should have begun.
    pub is_truncated: bool,
}

/// Looks for events in files, newest first, from a position on.
///
/// # Errors
/// A file cannot be read.
pub fn scan(
    files: Vec<File>,
    after: Option<AuditPosition>,
    filter: &AuditFilter,
    bounds: Bounds,
) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut read = 0;
    let mut found = 0;
    let mut waits_for = after;
    for file in files {
        let metadata = file.metadata()?;
        let begun = begun(&file)?;
        let mut end = metadata.len();
        if let Some(position) = waits_for {
            if (position.file, position.begun) != (metadata.ino(), begun) {
                continue;
            }
            end = end.min(position.offset);
            waits_for = None;
        }
        let position = |offset| AuditPosition {
            file: metadata.ino(),
            begun,
            offset,
        };
        scan.start.get_or_insert(position(end));
        let mut lines = Lines::new(&file, end);
        while let Some((offset, line)) = lines.next()? {
            read += line.len() as u64 + 1;
            let Some((at_ms, event)) = parsed(line) else {
                scan.unreadable += u64::from(!line.is_empty());
                continue;
            };
            // The clock may have gone back; not by as much.
            if filter
                .from_ms
                .is_some_and(|from| at_ms < from - CLOCK_MARGIN_MS)
            {
                return Ok(scan);
            }
            if matches(filter, at_ms, &event) {
                let line = String::from_utf8_lossy(line).into_owned();
                found += line.len();
                scan.events.push(FoundEvent {
                    at_ms,
                    line,
                    position: position(offset),
                });
            }
            let is_over = scan.events.len() >= bounds.events
                || found >= bounds.found_bytes
                || read >= bounds.read_bytes
                || Instant::now() >= bounds.deadline;
            if is_over {
                scan.stopped = Some((position(offset), at_ms));
                return Ok(scan);
            }
        }
    }
    scan.is_truncated = waits_for.is_some();
    Ok(scan)
}

/// Opens files, newest first. One that has been deleted meanwhile is passed over.
///
/// # Errors
/// A file cannot be opened.
pub fn open(paths: &[PathBuf]) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        match File::open(path) {
            Ok(file) => files.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Returns the moment of the first line of a file: a number of a file may be given to another later.
fn begun(file: &File) -> io::Result<i64> {
    let mut first = [0; FIRST_BYTES];
    let read = file.read_at(&mut first, 0)?;
    let first = String::from_utf8_lossy(&first[..read]);
    let at = first.split("\"timestamp\":\"").nth(1);
    let at = at.and_then(|rest| log::read(rest.split('"').next()?));
    Ok(at.map_or(0, |at| at.as_millisecond()))
}

/// The lines of a file before an offset, the last one first.
struct Lines<'a> {
    file: &'a File,
    /// What of the file has been read begins here.
    begin: u64,
    /// What of the buffer has not been given away ends here.
    end: usize,
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a File, end: u64) -> Self {
        Self {
            file,
            begin: end,
            end: 0,
            buffer: Vec::new(),
        }
    }

    /// Returns a line without its end, and where it begins. What follows the last line end is a line that is still being
    /// written, and left out.
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let Some(line_end) = self.back_to_newline()? else {
            return Ok(None);
        };
        self.end = line_end;
        let begin = self.back_to_newline()?.map_or(0, |before| before + 1);
        // Reading more has moved what is in the buffer.
        let line_end = std::mem::replace(&mut self.end, begin);
        let offset = self.begin + begin as u64;
        Ok(Some((offset, &self.buffer[begin..line_end])))
    }

    /// Returns where in the buffer the last line end before `self.end` is, reading more of the file if need be.
    fn back_to_newline(&mut self) -> io::Result<Option<usize>> {
        loop {
            let mut bytes = self.buffer[..self.end].iter();
            if let Some(found) = bytes.rposition(|byte| *byte == b'\n') {
                return Ok(Some(found));
            }
            if self.begin == 0 {
                return Ok(None);
            }
            if self.end > MAX_LINE {
                // No line of ours: it is passed over in pieces, none of which can be read.
                return Ok(Some(0));
            }
            let more = BLOCK.min(self.begin);
            let mut block = vec![0; more as usize];
            self.file.read_exact_at(&mut block, self.begin - more)?;
            block.extend_from_slice(&self.buffer[..self.end]);
            self.buffer = block;
            self.begin -= more;
            self.end += more as usize;
        }
    }
}

fn parsed(line: &[u8]) -> Option<(i64, Value)> {
    let event = json::parse(line).ok()?;
    let at = log::read(event.get("timestamp")?.as_str()?)?;
    Some((at.as_millisecond(), event))
}

fn matches(filter: &AuditFilter, at_ms: i64, event: &Value) -> bool {
    if filter.from_ms.is_some_and(|from| at_ms < from) || filter.to_ms.is_some_and(|to| at_ms >= to)
    {
        return false;
    }
    let texts = |keys: &[&str]| -> Vec<String> {
        let values = keys.iter().filter_map(|key| event.get(*key)?.as_str());
        values.map(str::to_owned).collect()
    };
    let indices: Vec<String> = event["indices"].as_array().map_or_else(Vec::new, |names| {
        let names = names.iter().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    });
    any(&filter.types, &texts(&["event.action", "event.type"]))
        && any(
            &filter.users,
            &texts(&["user.name", "user.run_by.name", "user.run_as.name"]),
        )
        && any(&filter.actions, &texts(&["action"]))
        && any(&filter.indices, &indices)
}

/// Returns whether any pattern matches any value; no pattern asks for nothing.
fn any(patterns: &[String], values: &[String]) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| {
            let mut values = values.iter();
            values.any(|value| glob::matches(pattern, value, Syntax::Star))
        })
}

const BLOCK: u64 = 64 << 10;
/// No line that was written is as long, bytes.
const MAX_LINE: usize = 8 << 20;
/// In which the first moment of a file is.
const FIRST_BYTES: usize = 96;
const CLOCK_MARGIN_MS: i64 = 3_600_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds(events: usize) -> Bounds {
        Bounds {
            events,
            found_bytes: usize::MAX,
            read_bytes: u64::MAX,
            deadline: Instant::now() + Duration::from_secs(3600),
        }
    }

    fn line(number: u64, user: &str) -> String {
        format!(
            "{{\"type\":\"audit\",\"timestamp\":\"2026-01-01T00:00:{:02},000+0000\",\"event.type\":\"transport\",\
             \"user.name\":\"{user}\",\"event.action\":\"access_granted\",\"n\":{number},\"indices\":[\"i-{number}\"],\
             \"pad\":\"{}\"}}\n",
            number % 60,
            "x".repeat((number as usize * 7919) % 3000)
        )
    }

    fn numbers(scan: &Scan) -> Vec<u64> {
        let lines = scan.events.iter();
        lines
            .map(|event| {
                json::parse(event.line.as_bytes()).unwrap()["n"]
                    .as_u64()
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn pages_have_each_event_once_newest_first_whatever_is_written_and_rotated_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old");
        let new = directory.path().join("new");
        let first: String = (0..100).map(|number| line(number, "ann")).collect();
        std::fs::write(&old, first).unwrap();
        let second: String = (100..200).map(|number| line(number, "bob")).collect();
        std::fs::write(&new, &second).unwrap();
        let filter = AuditFilter::default();
        let mut seen = Vec::new();
        let mut after = None;
        let mut files = vec![new.clone(), old.clone()];
        let mut round = 0;
        loop {
            let scan = scan(open(&files).unwrap(), after, &filter, bounds(7)).unwrap();
            seen.extend(numbers(&scan));
            let Some((position, _)) = scan.stopped else {
                break;
            };
            after = Some(position);
            round += 1;
            if round == 1 {
                // More is written, and what was written to is an earlier file by now.
                let rotated = directory.path().join("rotated");
                std::fs::rename(&new, &rotated).unwrap();
                std::fs::write(&new, line(999, "eve")).unwrap();
                files = vec![new.clone(), rotated, old.clone()];
            }
        }
        assert_eq!(seen, (0..200).rev().collect::<Vec<_>>());
    }

    #[test]
    fn events_are_found_by_what_they_tell() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        let lines: String = (0..10)
            .map(|number| line(number, if number % 2 == 0 { "ann" } else { "bob" }))
            .collect();
        // A torn line, and one that is still being written.
        let text = format!("{{\"torn\n{lines}{}", line(10, "ann").trim_end());
        std::fs::write(&file, text).unwrap();
        let found = |filter: AuditFilter| {
            let scan = scan(
                open(std::slice::from_ref(&file)).unwrap(),
                None,
                &filter,
                bounds(100),
            )
            .unwrap();
            assert!(scan.stopped.is_none());
            (numbers(&scan), scan.unreadable)
        };
        let base = AuditFilter::default;
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(found(base()), ((0..10).rev().collect(), 1));
        let filter = AuditFilter {
            users: list(&["a*"]),
            indices: list(&["i-4", "i-5", "i-6"]),
            ..base()
        };
        assert_eq!(found(filter).0, [6, 4]);
        let filter = AuditFilter {
            types: list(&["access_denied"]),
            ..base()
        };
        assert!(found(filter).0.is_empty());
        let start = log::read("2026-01-01T00:00:00,000+0000")
            .unwrap()
            .as_millisecond();
        let filter = AuditFilter {
            from_ms: Some(start + 3000),
            to_ms: Some(start + 5000),
            ..base()
        };
        assert_eq!(found(filter).0, [4, 3]);
    }

    #[test]
    fn reading_ends_at_its_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        let lines: String = (0..100).map(|number| line(number, "ann")).collect();
        std::fs::write(&file, lines).unwrap();
        let filter = AuditFilter {
            users: vec!["nobody".to_owned()],
            ..AuditFilter::default()
        };
        let limited = Bounds {
            read_bytes: 10_000,
            ..bounds(10)
        };
        let scan = scan(open(&[file]).unwrap(), None, &filter, limited).unwrap();
        assert!(scan.events.is_empty() && scan.stopped.is_some());
    }

    /// What is too long to be a line of ours does not hide what is before it.
    #[test]
    fn lines_before_an_endless_one_are_found_and_a_file_that_is_gone_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        let long = "x".repeat(MAX_LINE * 2 + 12_345);
        let text = format!(
            "{}{}{long}\n{}",
            line(1, "ann"),
            line(2, "ann"),
            line(3, "ann")
        );
        std::fs::write(&file, text).unwrap();
        let filter = AuditFilter::default();
        let found = scan(
            open(std::slice::from_ref(&file)).unwrap(),
            None,
            &filter,
            bounds(100),
        );
        let found = found.unwrap();
        assert_eq!(numbers(&found), [3, 2, 1]);
        assert!(found.unreadable > 0 && !found.is_truncated);
        let after = found.events[0].position;
        let gone = AuditPosition {
            begun: after.begun - 1,
            ..after
        };
        for (position, is_truncated) in [(after, false), (gone, true)] {
            let files = open(std::slice::from_ref(&file)).unwrap();
            let found = scan(files, Some(position), &filter, bounds(100)).unwrap();
            assert_eq!(found.is_truncated, is_truncated);
            assert_eq!(found.events.is_empty(), is_truncated);
        }
    }
}
