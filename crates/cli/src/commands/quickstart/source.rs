//! The documents to load, cut into bodies for `_bulk`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::error::CommandError;

/// Where the documents come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The corpus in this program.
    Corpus,
    File {
        path: PathBuf,
        index: String,
    },
}

impl Source {
    /// Returns the file named, if it can be read, else the corpus.
    pub(super) fn choose(data: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = data else {
            return Ok(Self::Corpus);
        };
        // Found out now rather than when the cluster is up.
        File::open(path).map_err(|error| CommandError::io(path, &error))?;
        Ok(Self::File {
            path: path.to_owned(),
            index: index_name(path),
        })
    }

    /// Returns the index for documents that name none.
    pub(super) fn index(&self) -> &str {
        match self {
            Self::Corpus => CORPUS_INDEX,
            Self::File { index, .. } => index,
        }
    }

    /// Returns the documents in order.
    pub(super) fn read(&self) -> Result<Bodies, CommandError> {
        match self {
            Self::Corpus => Bodies::new("the corpus", Box::new(CORPUS)),
            Self::File { path, .. } => {
                let file = File::open(path).map_err(|error| CommandError::io(path, &error))?;
                Bodies::new(&path.display().to_string(), Box::new(file))
            }
        }
    }
}

/// One request: lines in the form of `_bulk`.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) lines: Vec<u8>,
    pub(super) operations: usize,
    /// Number of its first line in the source.
    pub(super) first_line: u64,
}

/// The bodies of a source.
pub(super) struct Bodies {
    name: String,
    input: Box<dyn BufRead>,
    line: u64,
    /// The form of the lines; told by the first.
    form: Option<Form>,
    /// Whether the first action names its index.
    names_index: bool,
    pushed_back: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Actions, each but `delete` followed by its document.
    Bulk,
    /// Documents alone.
    Documents,
}

impl Bodies {
    fn new(name: &str, input: Box<dyn Read>) -> Result<Self, CommandError> {
        let mut bodies = Self {
            name: name.to_owned(),
            input: unpacked(BufReader::new(input))
                .map_err(|error| CommandError::io(Path::new(name), &error))?,
            line: 0,
            form: None,
            names_index: false,
            pushed_back: None,
        };
        if let Some(first) = bodies.next_line()? {
            let action = action(&first);
            bodies.form = Some(if action.is_some() {
                Form::Bulk
            } else {
                Form::Documents
            });
            bodies.names_index = action.is_some_and(|action| action.names_index);
            bodies.line -= 1;
            bodies.pushed_back = Some(first);
        }
        Ok(bodies)
    }

    /// Returns whether the documents themselves say which index they are for.
    pub(super) fn names_index(&self) -> bool {
        self.names_index
    }

    /// Returns the next body, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Body>, CommandError> {
        let mut body = Body {
            lines: Vec::with_capacity(BODY_BYTES + BODY_BYTES / 8),
            operations: 0,
            first_line: self.line + 1,
        };
        while body.lines.len() < BODY_BYTES && body.operations < BODY_OPERATIONS {
            let Some(line) = self.next_line()? else {
                break;
            };
            self.add(line, &mut body)?;
        }
        Ok((body.operations > 0).then_some(body))
    }

    fn add(&mut self, line: Vec<u8>, body: &mut Body) -> Result<(), CommandError> {
        body.operations += 1;
        if self.form == Some(Form::Documents) {
            body.lines.extend_from_slice(b"{\"index\":{}}\n");
            push_line(&mut body.lines, &line);
            return Ok(());
        }
        let action =
            action(&line).ok_or_else(|| self.wrong("expected an action such as {\"index\":{}}"))?;
        push_line(&mut body.lines, &line);
        if action.has_document {
            let document = self
                .next_line()?
                .ok_or_else(|| self.wrong("the document of the last action is missing"))?;
            push_line(&mut body.lines, &document);
        }
        Ok(())
    }

    /// Returns the next line that is not blank, without its end.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, CommandError> {
        if let Some(line) = self.pushed_back.take() {
            self.line += 1;
            return Ok(Some(line));
        }
        loop {
            let mut line = Vec::new();
            let read = self
                .input
                .by_ref()
                .take(LINE_BYTES_MAX + 1)
                .read_until(b'\n', &mut line)
                .map_err(|error| CommandError::io(Path::new(&self.name), &error))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read as u64 > LINE_BYTES_MAX {
                let message = format!("the line is longer than {} MiB", LINE_BYTES_MAX >> 20);
                return Err(self.wrong(&message));
            }
            line.truncate(line.trim_ascii_end().len());
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    fn wrong(&self, reason: &str) -> CommandError {
        CommandError::data(format!("{}, line {}: {reason}", self.name, self.line))
    }
}

/// What a line of actions says.
struct Action {
    has_document: bool,
    names_index: bool,
}

/// Reads an action; `None` if the line is none.
fn action(line: &[u8]) -> Option<Action> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let object = value.as_object()?;
    let (name, details) = object.iter().next().filter(|_| object.len() == 1)?;
    let is_action = ["index", "create", "update", "delete"].contains(&name.as_str());
    details
        .as_object()
        .filter(|_| is_action)
        .map(|details| Action {
            has_document: name != "delete",
            names_index: details.contains_key("_index"),
        })
}

fn push_line(lines: &mut Vec<u8>, line: &[u8]) {
    lines.extend_from_slice(line);
    lines.push(b'\n');
}

/// Unpacks gzip, which its first bytes tell.
fn unpacked(mut input: BufReader<Box<dyn Read>>) -> io::Result<Box<dyn BufRead>> {
    match input.fill_buf()?.starts_with(GZIP) {
        true => Ok(Box::new(BufReader::new(MultiGzDecoder::new(input)))),
        false => Ok(Box::new(input)),
    }
}

/// Returns the file's name up to its first dot, as far as an index may be named so.
fn index_name(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let letters = stem
        .chars()
        .map(|c| match c.is_alphanumeric() || c == '_' || c == '-' {
            true => c,
            false => '-',
        });
    let index: String = letters
        .collect::<String>()
        .trim_start_matches(['-', '_'])
        .to_owned();
    if index.is_empty() {
        "documents".to_owned()
    } else {
        index
    }
}

const CORPUS: &[u8] = include_bytes!("../../../../../corpus/addresses.ndjson.gz");
const CORPUS_INDEX: &str = "addresses";
const GZIP: &[u8] = &[0x1f, 0x8b];
/// A body is finished beyond this many bytes or operations.
const BODY_BYTES: usize = 512 << 10;
const BODY_OPERATIONS: usize = 1_000;
const LINE_BYTES_MAX: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bodies(text: &'static str) -> Bodies {
        Bodies::new("test", Box::new(text.as_bytes())).unwrap()
    }

    #[test]
    fn the_corpus_is_whole() {
        let mut bodies = Source::Corpus.read().unwrap();
        let (mut operations, mut lines) = (0, 0);
        while let Some(body) = bodies.next().unwrap() {
            assert_eq!(body.first_line, lines + 1);
            lines += body.lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            operations += body.operations;
            assert!(body.lines.len() < 2 * BODY_BYTES);
        }
        assert_eq!((operations, lines), (5_926, 11_852));
        assert!(!bodies.names_index());
    }

    #[test]
    fn documents_get_actions() {
        let mut bodies = bodies("{\"a\":1}\n\n  \r\n{\"index\":{\"b\":1},\"c\":2}\r\n");
        let body = bodies.next().unwrap().unwrap();
        assert_eq!(
            String::from_utf8(body.lines).unwrap(),
            "{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\n{\"index\":{\"b\":1},\"c\":2}\n"
        );
        assert_eq!(body.operations, 2);
        assert!(bodies.next().unwrap().is_none());
    }

    #[test]
    fn actions_are_kept() {
        let text = "{\"delete\":{\"_index\":\"x\",\"_id\":\"1\"}}\n{\"create\":{}}\n{\"a\":1}";
        let mut bodies = bodies(text);
        assert!(bodies.names_index());
        let body = bodies.next().unwrap().unwrap();
        assert_eq!(body.operations, 2);
        assert_eq!(String::from_utf8(body.lines).unwrap(), format!("{text}\n"));
    }

    #[test]
    fn mistakes_are_told_by_line() {
        let error = |text| {
            let mut bodies = bodies(text);
            bodies.next().unwrap_err().message
        };
        assert_eq!(
            error("{\"index\":{}}\n{\"a\":1}\n\n{\"a\":2}\n"),
            "test, line 4: expected an action such as {\"index\":{}}"
        );
        assert!(error("{\"index\":{}}\n").contains("line 1: the document of the last action"));
    }

    #[test]
    fn files_may_be_packed_and_name_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("My Books.v2.ndjson.gz");
        let mut packer =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), Default::default());
        packer.write_all(b"{\"a\":1}\n").unwrap();
        packer.finish().unwrap();
        let source = Source::choose(Some(&path)).unwrap();
        assert_eq!(source.index(), "my-books");
        assert_eq!(
            source.read().unwrap().next().unwrap().unwrap().operations,
            1
        );
        assert_eq!(index_name(Path::new("_.ndjson")), "documents");
        assert!(Source::choose(Some(Path::new("/nowhere"))).is_err());
        let empty = dir.path().join("empty");
        File::create(&empty).unwrap();
        let empty = Source::choose(Some(&empty)).unwrap();
        assert!(empty.read().unwrap().next().unwrap().is_none());
    }
}
