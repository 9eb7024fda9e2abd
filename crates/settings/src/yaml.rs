//! YAML as configuration files use it: maps, lists and scalars that keep their source text.
//!
//! The only module that names the YAML parser. A scalar stays the text it was written as, so
//! `0123`, `yes`, `1_000` or a date reach the setting's own parser unchanged. Anchors, aliases,
//! tags and further documents are refused: Elasticsearch gives them no meaning either.

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// A value in a YAML file, with the line it starts at (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `~`, `null` without quotes, or nothing at all.
    Null,
    /// Any other scalar: its text, without quotes and escapes.
    Text(String),
    List(Vec<Node>),
    /// Entries in file order; a key may be there twice.
    Map(Vec<Entry>),
}

/// A key and its value in a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line of the key.
    pub line: usize,
    pub key: String,
    pub value: Node,
}

/// The text is no YAML, or uses what configuration files may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct YamlError {
    pub line: usize,
    pub reason: String,
}

/// Reads one YAML document. An empty one is [`Value::Null`].
///
/// ```
/// let node = ringwall_settings::yaml::parse("http.port: 0123 # kept as text").unwrap();
/// let ringwall_settings::yaml::Value::Map(entries) = node.value else { panic!() };
/// assert_eq!(entries[0].value.value, ringwall_settings::yaml::Value::Text("0123".into()));
/// ```
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
    };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(..) if document.is_some() => {
                return Err(error(span, "a second document is not allowed"));
            }
            Event::DocumentStart(..) => {
                let (event, span) = reader.next()?;
                document = Some(reader.node(event, span, 0)?);
            }
            _ => return Err(error(span, "expected a document")),
        }
    }
    Ok(document.unwrap_or(Node {
        line: 1,
        value: Value::Null,
    }))
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(scan)) => Err(YamlError {
                line: scan.marker().line(),
                reason: scan.info().to_string(),
            }),
            None => Err(YamlError {
                line: 1,
                reason: "the file ends too early".to_owned(),
            }),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        if depth > DEPTH_MAX {
            let reason = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(error(span, reason));
        }
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor != 0 {
            return Err(error(
                span,
                "anchors (&name) are not supported; quote a text that starts with &",
            ));
        }
        if tagged {
            return Err(error(
                span,
                "tags (!name) are not supported; quote a text that starts with !",
            ));
        }
        let value = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) if NULLS.contains(&text.as_ref()) => {
                Value::Null
            }
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            Event::Alias(_) => {
                return Err(error(
                    span,
                    "aliases (*name) are not supported; quote a text that starts with *",
                ));
            }
            _ => return Err(error(span, "expected a value")),
        };
        Ok(Node {
            line: span.start.line(),
            value,
        })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, YamlError> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let Value::Text(text) = key.value else {
                return Err(error(span, "a key must be a text"));
            };
            let (event, span) = self.next()?;
            let mut value = self.node(event, span, depth + 1)?;
            if value.value == Value::Null {
                // An absent value has the position of what follows it.
                value.line = key.line;
            }
            entries.push(Entry {
                line: key.line,
                key: text,
                value,
            });
        }
    }
}

fn error(span: Span, reason: impl Into<String>) -> YamlError {
    YamlError {
        line: span.start.line(),
        reason: reason.into(),
    }
}

/// Plain scalars that mean "no value".
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];

/// Bound on nesting; configuration files have a handful of levels.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(yaml: &str) -> Value {
        match parse(yaml).unwrap().value {
            Value::Map(mut entries) => entries.remove(0).value.value,
            other => other,
        }
    }

    #[test]
    fn scalars_keep_their_text() {
        for text in [
            "0123",
            "010",
            "yes",
            "on",
            "1_000",
            "2024-01-02",
            "1e3",
            ".5",
            "0x1F",
            "true",
            "1.0",
            "${HOSTNAME}",
            "${A:b c}",
            "[::1]:9300",
        ] {
            let quoted = format!("key: \"{text}\"");
            assert_eq!(text_of(&quoted), Value::Text(text.into()));
            if !text.starts_with('[') {
                let plain = format!("key: {text} # comment");
                assert_eq!(text_of(&plain), Value::Text(text.into()), "{text}");
            }
        }
        assert_eq!(text_of("key: '~'"), Value::Text("~".into()));
    }

    #[test]
    fn null_has_many_spellings() {
        for yaml in ["key: ~", "key: null", "key:", "key: NULL # x", "key:\n", ""] {
            assert_eq!(text_of(yaml), Value::Null, "{yaml}");
        }
    }

    #[test]
    fn lines_are_those_of_keys_and_values() {
        let node = parse("# head\na:\n  b.c: 1\n  d:\n    - x\n    - y\ne: ~\n").unwrap();
        let Value::Map(entries) = node.value else {
            panic!()
        };
        assert_eq!((entries[0].line, entries[1].line), (2, 7));
        assert_eq!(entries[1].value.line, 7);
        let Value::Map(inner) = &entries[0].value.value else {
            panic!()
        };
        let Value::List(items) = &inner[1].value.value else {
            panic!()
        };
        assert_eq!([items[0].line, items[1].line], [5, 6]);
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_its_line() {
        for (yaml, line) in [
            ("a: 1\nb: &x 2", 2),
            ("a: 1\nb: !!str 2", 2),
            ("a: 1\n---\nb: 2", 2),
            ("a: 1\n[x]: 2", 2),
            ("a: 1\nb: 'open", 2),
            ("a: 1\n\tb: 2", 1),
        ] {
            let error = parse(yaml).unwrap_err();
            assert!(error.line >= line, "{yaml}: {error}");
        }
        let deep = "[".repeat(DEPTH_MAX + 2) + &"]".repeat(DEPTH_MAX + 2);
        assert!(parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[ -~\n\t\u{e4}]{0,80}") {
            let _ = parse(&text);
        }
    }
}
