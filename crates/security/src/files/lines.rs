//! Files of `key:value` lines.

use super::FileProblem;

/// A file line by line: entries, and what is none and stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(Vec<Line>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Entry { key: String, value: String },
    Other(String),
}

/// Why a line is no entry.
enum Bad {
    /// Kept as it is.
    Malformed(String),
    /// Left out: it would come to life when the first is removed.
    Repeated(String),
}

impl Lines {
    /// Reads a text. Lines that are no entries by `check` are problems and kept. Of two entries with one
    /// key the second is a problem and left out, unless `merge` makes one value of both.
    pub(super) fn parse(
        text: &str,
        check: impl Fn(&str, &str) -> Result<(), String>,
        merge: impl Fn(&str, &str) -> Option<String>,
    ) -> (Self, Vec<FileProblem>) {
        let mut lines = Self::default();
        let mut problems = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_end();
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') {
                lines.0.push(Line::Other(line.to_owned()));
                continue;
            }
            let reason = match lines.add(content, &check, &merge) {
                Ok(()) => continue,
                Err(Bad::Repeated(reason)) => reason,
                Err(Bad::Malformed(reason)) => {
                    lines.0.push(Line::Other(line.to_owned()));
                    reason
                }
            };
            problems.push(FileProblem {
                line: number + 1,
                reason,
            });
        }
        (lines, problems)
    }

    fn add(
        &mut self,
        content: &str,
        check: impl Fn(&str, &str) -> Result<(), String>,
        merge: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<(), Bad> {
        let malformed = || Bad::Malformed("there is no colon".to_owned());
        let (key, value) = content.split_once(':').ok_or_else(malformed)?;
        let (key, value) = (key.trim_end(), value.trim_start());
        check(key, value).map_err(Bad::Malformed)?;
        let value = match self.get(key) {
            None => value.to_owned(),
            Some(first) => merge(first, value)
                .ok_or_else(|| Bad::Repeated(format!("[{key}] was there before")))?,
        };
        self.put(key, &value);
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.entries()
            .find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Returns the entries in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|line| match line {
            Line::Entry { key, value } => Some((key.as_str(), value.as_str())),
            Line::Other(_) => None,
        })
    }

    /// Sets the value of a key, at its place or at the end.
    pub(super) fn put(&mut self, key: &str, new: &str) {
        for line in &mut self.0 {
            if let Line::Entry { key: known, value } = line
                && known == key
            {
                *value = new.to_owned();
                return;
            }
        }
        self.0.push(Line::Entry {
            key: key.to_owned(),
            value: new.to_owned(),
        });
    }

    /// Removes a key. Returns whether it was there.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|line| !matches!(line, Line::Entry { key: known, .. } if known == key));
        self.0.len() < before
    }

    /// Returns the text of the file.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            match line {
                Line::Entry { key, value } => {
                    text.push_str(key);
                    text.push(':');
                    text.push_str(value);
                }
                Line::Other(line) => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }
}
