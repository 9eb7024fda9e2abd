//! Tokenizers: how a text is cut. Source: Elasticsearch reference, "Tokenizer reference".

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::characters::LETTERS;
use super::params::Params;
use super::patterns::Pattern;
use super::run::Run;
use super::token::{Stream, Token, WORD};
use super::words::{MAX_TOKEN_LENGTH, lowercase_into, runs_of, words_of};

/// Cuts a text. Offsets are bytes of it.
pub(super) trait Tokenizer: Send + Sync + fmt::Debug {
    fn cut<'a>(&'a self, text: &'a str, run: &'a Run) -> Stream<'a>;
}

pub(super) type Built = Result<Arc<dyn Tokenizer>, ApiError>;

/// How a kind is built of its parameters.
pub(super) type Build = fn(&Params<'_>) -> Built;

/// The kinds, and how each is built.
pub(super) const KINDS: &[(&str, Build)] = &[
    ("standard", standard),
    ("whitespace", |params| {
        let longest = longest(params)?;
        runs(|c| !c.is_whitespace(), false, longest)
    }),
    ("letter", |_| runs(is_letter, false, MAX_TOKEN_LENGTH)),
    ("lowercase", |_| runs(is_letter, true, MAX_TOKEN_LENGTH)),
    ("keyword", keyword),
    ("pattern", pattern),
    ("ngram", |params| grams(params, false)),
    ("nGram", |params| grams(params, false)),
    ("edge_ngram", |params| grams(params, true)),
    ("edgeNGram", |params| grams(params, true)),
    ("path_hierarchy", path_hierarchy),
    ("PathHierarchy", path_hierarchy),
    ("char_group", char_group),
];

/// Those that there are in Elasticsearch, and not here.
pub(super) const ABSENT: &[&str] = &[
    "classic",
    "icu_tokenizer",
    "kuromoji_tokenizer",
    "nori_tokenizer",
    "simple_pattern",
    "simple_pattern_split",
    "smartcn_tokenizer",
    "thai",
    "uax_url_email",
];

fn is_letter(c: char) -> bool {
    LETTERS.contains(c)
}

#[derive(Debug)]
struct Standard {
    longest: usize,
}

fn longest(params: &Params<'_>) -> Result<usize, ApiError> {
    let longest = params.number("max_token_length", MAX_TOKEN_LENGTH)?;
    if !(1..=1_048_576).contains(&longest) {
        return Err(ApiError::illegal_argument(format!(
            "maxTokenLen must be greater than 0 and less than 1048576 passed: {longest}"
        )));
    }
    Ok(longest)
}

fn standard(params: &Params<'_>) -> Built {
    let longest = longest(params)?;
    Ok(Arc::new(Standard { longest }))
}

impl Tokenizer for Standard {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        let words = words_of(text, self.longest).enumerate();
        Box::new(words.map(|(position, (start, word))| {
            Token::new(word, start, start + word.len(), position).of_kind(kind_of(word))
        }))
    }
}

/// The types of words. Source: Lucene's `StandardTokenizer`.
pub(super) fn kind_of(word: &str) -> &'static str {
    let first = word.chars().next().unwrap_or_default();
    let is_in =
        |ranges: &[std::ops::RangeInclusive<char>]| ranges.iter().any(|r| r.contains(&first));
    if super::characters::is_emoji(word) {
        "<EMOJI>"
    } else if is_in(&[
        '\u{3400}'..='\u{4dbf}',
        '\u{4e00}'..='\u{9fff}',
        '\u{f900}'..='\u{faff}',
        '\u{20000}'..='\u{3134f}',
    ]) {
        "<IDEOGRAPHIC>"
    } else if is_in(&['\u{3040}'..='\u{309f}']) {
        "<HIRAGANA>"
    } else if is_in(&['\u{30a0}'..='\u{30ff}', '\u{ff66}'..='\u{ff9f}']) {
        "<KATAKANA>"
    } else if is_in(&['\u{ac00}'..='\u{d7a3}', '\u{1100}'..='\u{11ff}']) {
        "<HANGUL>"
    } else if super::characters::COMPLEX.contains(first) {
        "<SOUTHEAST_ASIAN>"
    } else if word.chars().any(char::is_alphabetic) {
        "<ALPHANUM>"
    } else {
        "<NUM>"
    }
}

#[derive(Debug)]
struct Runs {
    keep: fn(char) -> bool,
    lowers: bool,
    longest: usize,
}

fn runs(keep: fn(char) -> bool, lowers: bool, longest: usize) -> Built {
    Ok(Arc::new(Runs {
        keep,
        lowers,
        longest,
    }))
}

impl Tokenizer for Runs {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        let words = runs_of(text, self.keep, self.longest).enumerate();
        Box::new(words.map(|(position, (start, word))| {
            let mut lower = String::new();
            match self.lowers {
                true => lowercase_into(word, &mut lower),
                false => word.clone_into(&mut lower),
            }
            Token::new(lower, start, start + word.len(), position)
        }))
    }
}

#[derive(Debug)]
struct Keyword;

fn keyword(params: &Params<'_>) -> Built {
    // The size of a buffer that there is not; the text is whole in memory.
    params.number("buffer_size", 256)?;
    Ok(Arc::new(Keyword))
}

impl Tokenizer for Keyword {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        let whole = (!text.is_empty()).then(|| Token::new(text, 0, text.len(), 0));
        Box::new(whole.into_iter())
    }
}

#[derive(Debug)]
struct ByPattern {
    pattern: Pattern,
    /// The group that is a token; `None`: what is between matches.
    group: Option<usize>,
}

fn pattern(params: &Params<'_>) -> Built {
    let pattern = Pattern::of(params, Some(r"\W+"))?;
    let group = match params.text("group")?.as_deref() {
        None | Some("-1") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            ApiError::illegal_argument(format!(
                "Failed to parse value [{text}] for setting [group]"
            ))
        })?),
    };
    if group.is_some_and(|group| group >= pattern.groups()) {
        return Err(ApiError::illegal_argument(format!(
            "invalid group specified: pattern only has: {} capturing groups",
            pattern.groups() - 1
        )));
    }
    Ok(Arc::new(ByPattern { pattern, group }))
}

impl Tokenizer for ByPattern {
    fn cut<'a>(&'a self, text: &'a str, run: &'a Run) -> Stream<'a> {
        let spans: Box<dyn Iterator<Item = std::ops::Range<usize>> + 'a> = match self.group {
            Some(group) => Box::new(
                self.pattern
                    .all_captures(text, run)
                    .filter_map(move |found| found.get(group).map(|group| group.range())),
            ),
            None => {
                let mut from = 0;
                let ends = self.pattern.all(text, run).map(|found| found.range());
                let ends = ends.chain(std::iter::once(text.len()..text.len()));
                Box::new(ends.map(move |separator| {
                    let span = from..separator.start;
                    from = separator.end;
                    span
                }))
            }
        };
        let words = spans.filter(|span| !span.is_empty()).enumerate();
        Box::new(words.map(|(position, span)| {
            Token::new(&text[span.clone()], span.start, span.end, position)
        }))
    }
}

#[derive(Debug)]
struct Grams {
    least: usize,
    most: usize,
    edge: bool,
    kept: Kept,
}

/// Characters of which tokens are made.
#[derive(Debug)]
struct Kept {
    /// None: all.
    classes: Vec<Class>,
    custom: HashSet<char>,
}

/// Characters that stay in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Whitespace,
    Punctuation,
    Symbol,
    Custom,
}

const CLASSES: &[(&str, Class)] = &[
    ("letter", Class::Letter),
    ("digit", Class::Digit),
    ("whitespace", Class::Whitespace),
    ("punctuation", Class::Punctuation),
    ("symbol", Class::Symbol),
    ("custom", Class::Custom),
];

fn grams(params: &Params<'_>, edge: bool) -> Built {
    let (least, most) = gram_sizes(params, 1, 2, edge)?;
    let mut classes = Vec::new();
    for name in params.list("token_chars")?.unwrap_or_default() {
        let found = CLASSES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let (_, class) = found.ok_or_else(|| {
            ApiError::illegal_argument(format!(
                "Unknown token type: '{}', must be one of [letter, digit, whitespace, punctuation, symbol, custom]",
                name.to_lowercase()
            ))
        })?;
        classes.push(*class);
    }
    let custom = params.text("custom_token_chars")?;
    if classes.contains(&Class::Custom) && custom.is_none() {
        return Err(ApiError::illegal_argument(
            "Token type: 'custom' requires setting `custom_token_chars`",
        ));
    }
    let custom = custom.unwrap_or_default().chars().collect();
    Ok(Arc::new(Grams {
        least,
        most,
        edge,
        kept: Kept { classes, custom },
    }))
}

/// Returns the least and the greatest number of characters of a gram.
pub(super) fn gram_sizes(
    params: &Params<'_>,
    least: usize,
    most: usize,
    edge: bool,
) -> Result<(usize, usize), ApiError> {
    let least = params.number("min_gram", least)?;
    let most = params.number("max_gram", most)?;
    let allowed = params.limits.ngrams;
    if !edge && most.saturating_sub(least) > allowed {
        return Err(ApiError::illegal_argument(format!(
            "The difference between max_gram and min_gram in NGram Tokenizer must be less than or equal to: [{allowed}] but \
             was [{}]. This limit can be set by changing the [index.max_ngram_diff] index level setting.",
            most - least
        )));
    }
    if least < 1 {
        return Err(ApiError::illegal_argument(
            "minGram must be greater than zero",
        ));
    }
    if least > most {
        return Err(ApiError::illegal_argument(
            "minGram must not be greater than maxGram",
        ));
    }
    Ok((least, most))
}

impl Kept {
    fn holds(&self, c: char) -> bool {
        self.classes.is_empty() || self.names(c)
    }

    fn names(&self, c: char) -> bool {
        self.classes.iter().any(|class| match class {
            Class::Letter => LETTERS.contains(c),
            Class::Digit => c.is_numeric(),
            Class::Whitespace => c.is_whitespace(),
            Class::Punctuation => super::characters::PUNCTUATION.contains(c),
            Class::Symbol => super::characters::SYMBOLS.contains(c),
            Class::Custom => self.custom.contains(&c),
        })
    }
}

impl Tokenizer for Grams {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        let runs = runs_of(text, |c| self.kept.holds(c), usize::MAX);
        let spans = runs.flat_map(move |(start, run)| {
            let mut cursor = GramCursor::new(self.least, self.most, self.edge);
            let next = move || cursor.next(run);
            std::iter::from_fn(next).map(move |(from, to)| (start, run, from, to))
        });
        let grams = spans.enumerate();
        Box::new(grams.map(|(position, (start, run, from, to))| {
            Token::new(&run[from..to], start + from, start + to, position)
        }))
    }
}

/// Goes through the parts of a text that have from `least` to `most` characters, shorter ones of a begin first.
pub(super) struct GramCursor {
    least: usize,
    most: usize,
    /// Only those at the begin of the text.
    edge: bool,
    begin: usize,
    end: usize,
    size: usize,
}

impl GramCursor {
    pub(super) fn new(least: usize, most: usize, edge: bool) -> Self {
        Self {
            least,
            most,
            edge,
            begin: 0,
            end: 0,
            size: 0,
        }
    }

    pub(super) fn next(&mut self, text: &str) -> Option<(usize, usize)> {
        loop {
            let next = text[self.end..].chars().next();
            match next.filter(|_| self.size < self.most) {
                Some(c) => {
                    self.end += c.len_utf8();
                    self.size += 1;
                    if self.size >= self.least {
                        return Some((self.begin, self.end));
                    }
                }
                // What does not reach far enough from here does not from any place behind it.
                None if self.edge || self.size < self.least => return None,
                None => {
                    self.begin += text[self.begin..].chars().next()?.len_utf8();
                    (self.end, self.size) = (self.begin, 0);
                }
            }
        }
    }
}

#[derive(Debug)]
struct PathHierarchy {
    delimiter: char,
    replacement: char,
    skip: usize,
    reverse: bool,
}

fn path_hierarchy(params: &Params<'_>) -> Built {
    let one = |key: &'static str| -> Result<Option<char>, ApiError> {
        let Some(text) = params.text(key)? else {
            return Ok(None);
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Some(c)),
            _ => Err(ApiError::illegal_argument(format!(
                "{key} must be a one char value"
            ))),
        }
    };
    let delimiter = one("delimiter")?.unwrap_or('/');
    // The size of a buffer that there is not.
    params.number("buffer_size", 1024)?;
    Ok(Arc::new(PathHierarchy {
        delimiter,
        replacement: one("replacement")?.unwrap_or(delimiter),
        skip: params.number("skip", 0)?,
        reverse: params.flag("reverse", false)?,
    }))
}

impl PathHierarchy {
    /// Where paths begin and end.
    fn spans<'a>(&'a self, text: &'a str) -> Box<dyn Iterator<Item = (usize, usize)> + 'a> {
        let width = self.delimiter.len_utf8();
        let places = move || text.match_indices(self.delimiter).map(|(at, _)| at);
        if self.reverse {
            // Each begins behind a delimiter; the last parts may be left out.
            let begins = move || {
                let behind = places().map(move |at| at + width);
                std::iter::once(0).chain(behind.filter(|at| *at < text.len()))
            };
            let kept = begins().count().saturating_sub(self.skip);
            let end = begins().nth(kept).unwrap_or(text.len());
            return Box::new(begins().take(kept).map(move |begin| (begin, end)));
        }
        // Each ends before a delimiter; one at the very begin belongs to the first part.
        let ends = move || {
            let before = places().filter(|at| *at > 0);
            before.chain(std::iter::once(text.len()))
        };
        let begin = match self.skip {
            0 => Some(0),
            skip => ends().nth(skip - 1),
        };
        let Some(begin) = begin else {
            return Box::new(std::iter::empty());
        };
        Box::new(ends().skip(self.skip).map(move |end| (begin, end)))
    }
}

impl Tokenizer for PathHierarchy {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        if text.is_empty() {
            return Box::new(std::iter::empty());
        }
        let spans = self.spans(text).filter(|(begin, end)| begin < end);
        Box::new(spans.map(|(begin, end)| {
            let replaced = |c| match c == self.delimiter {
                true => self.replacement,
                false => c,
            };
            let path: String = text[begin..end].chars().map(replaced).collect();
            Token::new(path, begin, end, 0).of_kind(WORD)
        }))
    }
}

#[derive(Debug)]
struct CharGroup {
    on: HashSet<char>,
    classes: Kept,
    longest: usize,
}

fn char_group(params: &Params<'_>) -> Built {
    let (mut on, mut classes) = (HashSet::new(), Vec::new());
    for entry in params.lines("tokenize_on_chars")?.unwrap_or_default() {
        let mut chars = entry.chars();
        match (chars.next(), chars.next(), chars.as_str()) {
            (None, ..) => {
                return Err(ApiError::illegal_argument(
                    "[tokenize_on_chars] cannot contain empty characters",
                ));
            }
            (Some(c), None, _) => drop(on.insert(c)),
            (Some('\\'), Some(c), "") => drop(on.insert(match c {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            })),
            _ => match CLASSES
                .iter()
                .find(|(name, class)| *name == entry && *class != Class::Custom)
            {
                Some((_, class)) => classes.push(*class),
                None => {
                    return Err(ApiError::illegal_argument(format!(
                        "Invalid escaped char in [{entry}]"
                    )));
                }
            },
        }
    }
    let custom = HashSet::new();
    Ok(Arc::new(CharGroup {
        on,
        classes: Kept { classes, custom },
        longest: longest(params)?,
    }))
}

impl Tokenizer for CharGroup {
    fn cut<'a>(&'a self, text: &'a str, _run: &'a Run) -> Stream<'a> {
        let splits = |c: char| self.on.contains(&c) || self.classes.names(c);
        let words = runs_of(text, move |c| !splits(c), self.longest).enumerate();
        Box::new(
            words.map(|(position, (start, word))| {
                Token::new(word, start, start + word.len(), position)
            }),
        )
    }
}
