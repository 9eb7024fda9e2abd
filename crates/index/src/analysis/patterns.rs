//! Regular expressions as Java writes them. A search takes time in proportion to the text: look-around and references back are
//! refused, a match is at most [`WINDOW`] long, and the bytes that are looked at to find all matches are counted.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex::{Captures, Match, Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::ast::{self, Ast, ClassPerlKind, Span};
use ringwall_api::ApiError;

use super::params::Params;
use super::run::Run;

/// Bytes of a text that a match may span. A longer one is cut.
const WINDOW: usize = 32 << 10;
/// What a compiled pattern may take.
const PATTERN_BYTES: usize = 256 << 10;

/// What tells how far a pattern looks may take, of each thread.
const REACH_BYTES: usize = 64 << 10;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    reach: Option<Reach>,
}

/// How far a search looks: the same automaton as that of the search, step by step. It goes on behind a match for as long as
/// one could follow that is to be preferred.
struct Reach {
    dfa: DFA,
    caches: Pool<Cache, NewCache>,
}

type NewCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

impl Reach {
    fn of(pattern: &str, syntax: syntax::Config) -> Option<Self> {
        let config = DFA::config()
            .unicode_word_boundary(true)
            .skip_cache_capacity_check(true)
            .cache_capacity(REACH_BYTES);
        let nfa = thompson::Config::new().which_captures(WhichCaptures::None);
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax)
            .thompson(nfa)
            .build(pattern)
            .ok()?;
        let own = dfa.clone();
        let caches: NewCache = Box::new(move || own.create_cache());
        Some(Self {
            dfa,
            caches: Pool::new(caches),
        })
    }

    /// Returns how many bytes of a text are looked at from a place on; `None` where that cannot be told.
    fn bytes(&self, text: &str, at: usize) -> Option<usize> {
        let mut cache = self.caches.get();
        let input = Input::new(text).range(at..).anchored(Anchored::No);
        let mut state = self.dfa.start_state_forward(&mut cache, &input).ok()?;
        for (nth, byte) in text.as_bytes()[at..].iter().enumerate() {
            state = self.dfa.next_state(&mut cache, state, *byte).ok()?;
            if state.is_dead() {
                return Some(nth + 1);
            }
            if state.is_quit() {
                return None;
            }
        }
        Some(text.len() - at)
    }
}

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
        let mut syntax = syntax::Config::new().ignore_whitespace(ignores_blanks);
        for flag in flags.iter().filter(|flag| !flag.is_empty()) {
            syntax = match *flag {
                "CASE_INSENSITIVE" => syntax.case_insensitive(true),
                "MULTILINE" => syntax.multi_line(true),
                "DOTALL" => syntax.dot_matches_new_line(true),
                "UNICODE_CASE" | "UNICODE_CHARACTER_CLASS" | "COMMENTS" => syntax,
                other => {
                    let why = format!("the flag [{other}] is not supported by Ringwall");
                    return Err(params.wrong(why));
                }
            };
        }
        Self::with(&rust, syntax).map_err(|why| wrong(&why))
    }

    fn with(pattern: &str, syntax: syntax::Config) -> Result<Self, regex::Error> {
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(PATTERN_BYTES);
        builder.ignore_whitespace(syntax.get_ignore_whitespace());
        builder.case_insensitive(syntax.get_case_insensitive());
        builder.multi_line(syntax.get_multi_line());
        builder.dot_matches_new_line(syntax.get_dot_matches_new_line());
        let regex = builder.build()?;
        let reach = Reach::of(pattern, syntax);
        Ok(Self { regex, reach })
    }

    /// Returns the number of groups, with that of the whole.
    pub(super) fn groups(&self) -> usize {
        self.regex.captures_len()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        // Once for each window: nothing to count.
        windows(text, 0).any(|(at, end)| self.regex.is_match_at(&text[..end], at))
    }

    /// Returns the parts of a text to look for a match in, as long as patterns may look on.
    fn looks(&self, text: &str, at: usize, run: &Run) -> impl Iterator<Item = (usize, usize)> {
        windows(text, at).take_while(move |(at, end)| {
            // What is this short is looked at no more often than it may be.
            if text.len() <= FREE_TEXT {
                return !run.has_failed();
            }
            let reach = self.reach.as_ref();
            let looked = reach.and_then(|reach| reach.bytes(&text[..*end], *at));
            run.look(looked.unwrap_or(end - at))
        })
    }

    /// Returns all matches, one behind the other, with their groups.
    pub(super) fn all_captures<'t>(
        &'t self,
        text: &'t str,
        run: &'t Run,
    ) -> impl Iterator<Item = Captures<'t>> {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let mut looks = self.looks(text, at?, run);
            let found = looks.find_map(|(at, end)| self.regex.captures_at(&text[..end], at))?;
            at = found.get(0).and_then(|whole| behind(text, &whole));
            Some(found)
        })
    }

    /// Returns all matches, one behind the other.
    pub(super) fn all<'t>(
        &'t self,
        text: &'t str,
        run: &'t Run,
    ) -> impl Iterator<Item = Match<'t>> {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let mut looks = self.looks(text, at?, run);
            let found = looks.find_map(|(at, end)| self.regex.find_at(&text[..end], at))?;
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
        for found in self.all_captures(text, run).take(most) {
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

/// Bytes of a text that may be looked at from each of its places on.
const FREE_TEXT: usize = 64;

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
                    if !pattern
                        .regex
                        .capture_names()
                        .any(|known| known == Some(&name))
                    {
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
            if !run.make(out.len() + text.len()) {
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
    use super::super::run::{Exceeded, Spent};
    use super::*;

    fn plain(pattern: &str) -> Pattern {
        Pattern::with(pattern, syntax::Config::new()).unwrap()
    }

    /// One that looks at the rest of the text for each of its matches is ended, by a number that is the same everywhere; one that
    /// does not is not.
    #[test]
    fn what_patterns_look_at_is_counted() {
        let outcome = |pattern: &str, text: &str, with_groups: bool| {
            let run = Run::after(&Spent::but_looks(1 << 20), 1 << 20, text);
            let pattern = plain(pattern);
            match with_groups {
                true => pattern.all_captures(text, &run).count(),
                false => pattern.all(text, &run).count(),
            };
            run.outcome()
        };
        for (piece, with_groups) in [("a", true), ("ba", false), ("äa", false)] {
            let text = piece.repeat(20_000);
            let ends = |pattern| outcome(pattern, &text, with_groups);
            let refused = Err(Exceeded::Looked(64 * text.len() + (64 << 20)));
            assert_eq!(ends("[ab](?s:.*)z|a"), refused, "{piece}");
            for pattern in ["a", r"\W+", "a+|b", "", r"[^,]*", "(?i)A|bä", r"\ba\b"] {
                assert_eq!(ends(pattern), Ok(()), "{pattern} {piece}");
            }
        }
    }

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
        let run = Run::after(&Spent::default(), 1 << 20, &text);
        let pattern = plain("b|a+$");
        let found: Vec<usize> = pattern
            .all(&text, &run)
            .map(|found| found.start())
            .collect();
        assert_eq!(found[0], WINDOW * 2);
        // A match is cut where a window ends, and goes on behind it.
        let pattern = plain("a+");
        let taken: usize = pattern.all(&text, &run).map(|found| found.len()).sum();
        assert_eq!(taken, WINDOW * 2);
        let none = plain("");
        assert_eq!(none.all("äb", &run).count(), 3);
    }
}
