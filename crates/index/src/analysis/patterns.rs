//! Regular expressions as Java writes them. A search takes time in proportion to the text: look-around and references back are
//! refused, and a match is at most [`WINDOW`] long.

use regex::{Captures, Match, Regex, RegexBuilder};
use regex_syntax::ast::{self, Ast, ClassPerlKind, Span};
use ringwall_api::ApiError;

use super::params::Params;
use super::run::Run;

/// Bytes of a text that a match may span. A longer one is cut.
const WINDOW: usize = 32 << 10;
/// What a compiled pattern may take.
const PATTERN_BYTES: usize = 256 << 10;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Reads `pattern` and `flags`.
    ///
    /// # Errors
    /// There is none, or it is none that is supported.
    pub(super) fn of(params: &Params<'_>, default: Option<&str>) -> Result<Self, ApiError> {
        let given = params.text("pattern")?;
        let Some(pattern) = given.as_deref().or(default) else {
            let kind = params.kind.replace('_', " ");
            return Err(ApiError::illegal_argument(format!(
                "pattern is missing for [{}] {kind} of type '{}'",
                params.name, params.part
            )));
        };
        let flags = params.text("flags")?.unwrap_or_default();
        Self::compile(params, pattern, &flags)
    }

    /// # Errors
    /// What is not supported here, or no pattern.
    pub(super) fn compile(
        params: &Params<'_>,
        pattern: &str,
        flags: &str,
    ) -> Result<Self, ApiError> {
        let wrong = |why: &dyn std::fmt::Display| {
            params.wrong(format!(
                "the pattern [{pattern}] cannot be read; look-around, references back and possessive quantifiers are not \
                 supported by Ringwall: {why}"
            ))
        };
        let (mut ignores_blanks, mut of_unicode) = (false, false);
        let flags: Vec<&str> = flags.split('|').map(str::trim).collect();
        for flag in &flags {
            match *flag {
                "COMMENTS" => ignores_blanks = true,
                "UNICODE_CHARACTER_CLASS" => of_unicode = true,
                _ => {}
            }
        }
        let rust = match of_unicode {
            true => pattern.to_owned(),
            false => of_ascii(pattern, ignores_blanks).map_err(|why| wrong(&why))?,
        };
        let mut builder = RegexBuilder::new(&rust);
        builder.size_limit(PATTERN_BYTES);
        builder.ignore_whitespace(ignores_blanks);
        for flag in flags.iter().filter(|flag| !flag.is_empty()) {
            match *flag {
                "CASE_INSENSITIVE" => builder.case_insensitive(true),
                "MULTILINE" => builder.multi_line(true),
                "DOTALL" => builder.dot_matches_new_line(true),
                "UNICODE_CASE" | "UNICODE_CHARACTER_CLASS" | "COMMENTS" => &mut builder,
                other => {
                    let why = format!("the flag [{other}] is not supported by Ringwall");
                    return Err(params.wrong(why));
                }
            };
        }
        builder.build().map(Self).map_err(|why| wrong(&why))
    }

    /// Returns the number of groups, with that of the whole.
    pub(super) fn groups(&self) -> usize {
        self.0.captures_len()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }

    /// Returns the first match at or behind a place.
    pub(super) fn find<'t>(&self, text: &'t str, at: usize) -> Option<Match<'t>> {
        windows(text, at).find_map(|(at, end)| self.0.find_at(&text[..end], at))
    }

    fn captures<'t>(&self, text: &'t str, at: usize) -> Option<Captures<'t>> {
        windows(text, at).find_map(|(at, end)| self.0.captures_at(&text[..end], at))
    }

    /// Returns all matches, one behind the other, with their groups.
    pub(super) fn all_captures<'t>(&self, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let found = self.captures(text, at?)?;
            at = found.get(0).and_then(|whole| behind(text, &whole));
            Some(found)
        })
    }

    /// Returns all matches, one behind the other.
    pub(super) fn all<'t>(&self, text: &'t str) -> impl Iterator<Item = Match<'t>> {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let found = self.find(text, at?)?;
            at = behind(text, &found);
            Some(found)
        })
    }

    /// Returns the text with its matches, or the first one, replaced; `None` if there is none.
    pub(super) fn replaced(
        &self,
        text: &str,
        by: &Replacement,
        all: bool,
        run: &Run,
    ) -> Option<String> {
        let mut out = String::new();
        let mut taken = 0;
        let most = if all { usize::MAX } else { 1 };
        for found in self.all_captures(text).take(most) {
            let whole = found.get(0)?;
            out.push_str(&text[taken..whole.start()]);
            by.expand(&found, &mut out, run);
            taken = whole.end();
            if run.has_failed() {
                return None;
            }
        }
        if taken == 0 && out.is_empty() {
            return None;
        }
        out.push_str(&text[taken..]);
        Some(out)
    }
}

/// Where to look for what follows a match; one of nothing is not found twice.
fn behind(text: &str, found: &Match<'_>) -> Option<usize> {
    if !found.is_empty() {
        return Some(found.end());
    }
    let next = text[found.end()..].chars().next()?;
    Some(found.end() + next.len_utf8())
}

/// Parts of a text to look at one after the other, which overlap by half.
fn windows(text: &str, at: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut next = Some(at);
    std::iter::from_fn(move || {
        let at = next?;
        let end = text.ceil_char_boundary((at + WINDOW).min(text.len()));
        next = (end < text.len()).then(|| text.floor_char_boundary(end - WINDOW / 2));
        Some((at, end))
    })
}

/// What takes the place of a match: `$1`, `${name}`, `\$`.
#[derive(Debug)]
pub(super) struct Replacement(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    /// Reads `replacement`.
    ///
    /// # Errors
    /// It names a group that the pattern does not have.
    pub(super) fn of(params: &Params<'_>, pattern: &Pattern) -> Result<Self, ApiError> {
        let given = params.text("replacement")?.unwrap_or_default();
        let wrong = |why: &str| params.wrong(format!("the replacement [{given}]: {why}"));
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = given.chars().peekable();
        while let Some(c) = chars.next() {
            let group = match (c, chars.peek().copied()) {
                ('\\', next) => {
                    let next = next.ok_or_else(|| wrong("character to be escaped is missing"))?;
                    text.push(next);
                    chars.next();
                    continue;
                }
                ('$', Some('{')) => {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    if !pattern.0.capture_names().any(|known| known == Some(&name)) {
                        return Err(wrong(&format!("No group with name {{{name}}}")));
                    }
                    Piece::Named(name)
                }
                ('$', Some(digit)) if digit.is_ascii_digit() => {
                    let mut group = 0;
                    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                        let longer = group * 10 + digit as usize;
                        if longer >= pattern.groups() && group > 0 {
                            break;
                        }
                        group = longer;
                        chars.next();
                    }
                    if group >= pattern.groups() {
                        return Err(wrong(&format!("No group {group}")));
                    }
                    Piece::Group(group)
                }
                ('$', _) => return Err(wrong("Illegal group reference")),
                (other, _) => {
                    text.push(other);
                    continue;
                }
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(group);
        }
        pieces.push(Piece::Text(text));
        Ok(Self(pieces))
    }

    /// Writes what takes the place of a match behind `out`, as far as that may grow.
    pub(super) fn expand(&self, found: &Captures<'_>, out: &mut String, run: &Run) {
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => found.get(*group).map_or("", |group| group.as_str()),
                Piece::Named(name) => found.name(name).map_or("", |group| group.as_str()),
            };
            if out.len() + text.len() > run.most() {
                run.fail();
                return;
            }
            out.push_str(text);
        }
    }
}

/// Returns a pattern whose classes are those of ASCII, as Java has them unless it is told otherwise.
fn of_ascii(pattern: &str, ignores_blanks: bool) -> Result<String, String> {
    let mut parser = ast::parse::ParserBuilder::new();
    let parsed = parser
        .ignore_whitespace(ignores_blanks)
        .nest_limit(100)
        .build()
        .parse(pattern)
        .map_err(|why| why.to_string())?;
    let changes = ast::visit(&parsed, Classes::default())?;
    let mut out = String::new();
    let mut taken = 0;
    for (span, by) in changes {
        out.push_str(&pattern[taken..span.start.offset]);
        out.push_str(&by);
        taken = span.end.offset;
    }
    out.push_str(&pattern[taken..]);
    Ok(out)
}

/// Collects the classes to write differently.
#[derive(Default)]
struct Classes(Vec<(Span, String)>);

impl Classes {
    fn perl(&mut self, class: &ast::ClassPerl) {
        let inner = match class.kind {
            ClassPerlKind::Digit => "0-9",
            ClassPerlKind::Space => r" \t\n\x0B\f\r",
            ClassPerlKind::Word => "0-9A-Za-z_",
        };
        let not = if class.negated { "^" } else { "" };
        self.0.push((class.span, format!("[{not}{inner}]")));
    }

    /// `\p{Punct}` and the like are of POSIX.
    fn named(&mut self, class: &ast::ClassUnicode) {
        let ast::ClassUnicodeKind::Named(name) = &class.kind else {
            return;
        };
        let inner = match name.as_str() {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => r"\x00-\x7F",
            "Alpha" => "A-Za-z",
            "Digit" => "0-9",
            "Alnum" => "0-9A-Za-z",
            "Punct" => r##"!-/:-@\[-`{-~"##,
            "Graph" => "!-~",
            "Print" => " -~",
            "Blank" => r" \t",
            "Cntrl" => r"\x00-\x1F\x7F",
            "XDigit" => "0-9A-Fa-f",
            "Space" => r" \t\n\x0B\f\r",
            _ => return,
        };
        let not = if class.negated { "^" } else { "" };
        self.0.push((class.span, format!("[{not}{inner}]")));
    }
}

impl ast::Visitor for Classes {
    type Output = Vec<(Span, String)>;
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.0)
    }

    fn visit_pre(&mut self, node: &Ast) -> Result<(), String> {
        match node {
            Ast::ClassPerl(class) => self.perl(class),
            Ast::ClassUnicode(class) => self.named(class),
            Ast::Assertion(assertion) if assertion.kind == ast::AssertionKind::WordBoundary => {
                self.0.push((assertion.span, r"(?-u:\b)".to_owned()));
            }
            // `a++` of Java never gives back what it took.
            Ast::Repetition(outer)
                if matches!(&*outer.ast, Ast::Repetition(_))
                    && outer.op.kind == ast::RepetitionKind::OneOrMore =>
            {
                return Err("a possessive quantifier".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Perl(class) => self.perl(class),
            ast::ClassSetItem::Unicode(class) => self.named(class),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_java() {
        for (java, rust) in [
            (r"\W+", r"[^0-9A-Za-z_]+"),
            (r"[a\d]\b", r"[a[0-9]](?-u:\b)"),
            (r"\P{Punct}\p{L}", r"[^!-/:-@\[-`{-~]\p{L}"),
        ] {
            assert_eq!(of_ascii(java, false).unwrap(), rust);
            assert!(Regex::new(rust).is_ok(), "{rust}");
        }
        assert!(of_ascii("a++", false).is_err() && of_ascii("a(?=b)", false).is_err());
    }

    #[test]
    fn long_texts_are_read_window_by_window() {
        let text = format!("{}b{}", "ä".repeat(WINDOW), "a".repeat(WINDOW * 2));
        let pattern = Pattern(Regex::new("b|a+$").unwrap());
        let found: Vec<usize> = pattern.all(&text).map(|found| found.start()).collect();
        assert_eq!(found[0], WINDOW * 2);
        // A match is cut where a window ends, and goes on behind it.
        let pattern = Pattern(Regex::new("a+").unwrap());
        let taken: usize = pattern.all(&text).map(|found| found.len()).sum();
        assert_eq!(taken, WINDOW * 2);
        let none = Pattern(Regex::new("").unwrap());
        assert_eq!(none.all("äb").count(), 3);
    }
}
