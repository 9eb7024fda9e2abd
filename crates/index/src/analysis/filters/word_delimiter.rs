//! Splits tokens at what is no letter or digit, and where letters change. Source: Elasticsearch reference, "Word
//! delimiter graph token filter" and "Word delimiter token filter".

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

#[derive(Debug)]
struct WordDelimiter {
    graph: bool,
    words: bool,
    numbers: bool,
    catenates_words: bool,
    catenates_numbers: bool,
    catenates_all: bool,
    on_case: bool,
    on_numerics: bool,
    keeps_original: bool,
    possessive: bool,
    adjusts_offsets: bool,
    ignores_keywords: bool,
    protected: HashSet<String>,
}

pub(super) fn build(params: &Params<'_>, graph: bool) -> Built {
    let protected = params.list("protected_words")?.unwrap_or_default();
    Ok(Arc::new(WordDelimiter {
        graph,
        words: params.flag("generate_word_parts", true)?,
        numbers: params.flag("generate_number_parts", true)?,
        catenates_words: params.flag("catenate_words", false)?,
        catenates_numbers: params.flag("catenate_numbers", false)?,
        catenates_all: params.flag("catenate_all", false)?,
        on_case: params.flag("split_on_case_change", true)?,
        on_numerics: params.flag("split_on_numerics", true)?,
        keeps_original: params.flag("preserve_original", false)?,
        possessive: params.flag("stem_english_possessive", true)?,
        adjusts_offsets: !graph || params.flag("adjust_offsets", true)?,
        ignores_keywords: graph && params.flag("ignore_keywords", false)?,
        protected: protected.into_iter().collect(),
    }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Delimiter,
}

fn class(c: char) -> Class {
    if c.is_numeric() {
        Class::Digit
    } else if c.is_uppercase() {
        Class::Upper
    } else if c.is_alphabetic() {
        Class::Lower
    } else {
        Class::Delimiter
    }
}

/// A part of a token: its bytes, and whether it is a number.
type Part = (Range<usize>, bool);

impl WordDelimiter {
    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut last = None;
        for (at, c) in text.char_indices() {
            let now = class(c);
            let end = at + c.len_utf8();
            let breaks = match (last, now) {
                (None | Some(Class::Delimiter), _) => true,
                (Some(Class::Lower), Class::Upper) => self.on_case,
                (Some(Class::Digit), Class::Upper | Class::Lower) => self.on_numerics,
                (Some(Class::Upper | Class::Lower), Class::Digit) => self.on_numerics,
                _ => false,
            };
            match (now, parts.last_mut()) {
                (Class::Delimiter, _) => {}
                (_, Some((span, is_number))) if !breaks => {
                    span.end = end;
                    *is_number &= now == Class::Digit;
                }
                _ => parts.push((at..end, now == Class::Digit)),
            }
            last = Some(now);
        }
        if self.possessive {
            parts.retain(|(span, _)| !is_possessive(text, span));
        }
        parts
    }

    fn shows(&self, (_, is_number): &Part) -> bool {
        if *is_number { self.numbers } else { self.words }
    }

    /// Returns runs of parts that become one token, by their places in the list.
    fn catenations(&self, parts: &[Part]) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut begin = 0;
        for group in parts.chunk_by(|one, next| one.1 == next.1) {
            let run = begin..begin + group.len();
            let wanted = match group[0].1 {
                true => self.catenates_numbers,
                false => self.catenates_words,
            };
            if wanted && (run.len() > 1 || !self.shows(&group[0])) {
                runs.push(run.clone());
            }
            begin = run.end;
        }
        let all = 0..parts.len();
        if self.catenates_all && !runs.contains(&all) && (parts.len() > 1 || !self.shows(&parts[0]))
        {
            runs.push(all);
        }
        runs
    }

    /// Returns the tokens of the parts of a token, and how many places they take.
    fn split(&self, token: &Token, parts: &[Part]) -> (Vec<Token>, usize) {
        // Places count the parts that are shown.
        let mut places = vec![0];
        for part in parts {
            let last = places.last().copied().unwrap_or(0);
            places.push(last + usize::from(self.shows(part)));
        }
        let count = places.last().copied().unwrap_or(0).max(1);
        let shown = (0..parts.len())
            .filter(|at| self.shows(&parts[*at]))
            .map(|at| at..at + 1);
        let mut spans: Vec<Range<usize>> = shown.chain(self.catenations(parts)).collect();
        // A graph begins with the longest, else the parts come first.
        spans.sort_by_key(|span| match self.graph {
            true => (places[span.start], parts.len() - span.len()),
            false => (places[span.start], span.len()),
        });
        let mut out = Vec::new();
        if self.keeps_original {
            out.push(Token {
                length: self.length(count),
                ..token.clone()
            });
        }
        for span in spans {
            let inner = &parts[span.clone()];
            let text: String = inner
                .iter()
                .map(|(part, _)| &token.text[part.clone()])
                .collect();
            if self.keeps_original && text == token.text {
                continue;
            }
            let (start, end) = match (inner.first(), inner.last()) {
                (Some((first, _)), Some((last, _))) if self.knows_offsets(token) => {
                    (token.start + first.start, token.start + last.end)
                }
                _ => (token.start, token.end),
            };
            out.push(Token {
                start,
                end,
                position: token.position + places[span.start],
                length: self.length((places[span.end] - places[span.start]).max(1)),
                ..token.with_text(text)
            });
        }
        (out, count)
    }

    fn length(&self, places: usize) -> usize {
        if self.graph { places } else { 1 }
    }

    /// A token that was changed before has its text at no place.
    fn knows_offsets(&self, token: &Token) -> bool {
        self.adjusts_offsets && token.end - token.start == token.text.len()
    }
}

/// What a part of a token takes, with the tokens made of it.
const PART_BYTES: usize = 128;

impl TokenFilter for WordDelimiter {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        let mut further = 0;
        Box::new(tokens.flat_map(move |mut token| {
            token.position += further;
            let is_left =
                (self.ignores_keywords && token.is_keyword) || self.protected.contains(&token.text);
            let parts = if is_left {
                Vec::new()
            } else {
                self.parts(&token.text)
            };
            // Each part may come up in itself, in a run and in the whole.
            let held = parts.len() * PART_BYTES;
            let fits = run.hold(held);
            run.release(held);
            match parts.as_slice() {
                _ if !fits => Vec::new(),
                [(whole, _)] if *whole == (0..token.text.len()) => vec![token],
                _ if is_left => vec![token],
                [] if self.keeps_original => vec![token],
                [] => Vec::new(),
                parts => {
                    let (split, places) = self.split(&token, parts);
                    further += places - 1;
                    run.shift(places - 1);
                    split
                }
            }
        }))
    }

    fn reads_rules(&self) -> bool {
        false
    }
}

fn is_possessive(text: &str, span: &Range<usize>) -> bool {
    let before = text[..span.start].chars().next_back();
    let after = text[span.end..].chars().next();
    matches!(&text[span.clone()], "s" | "S")
        && before == Some('\'')
        && after.is_none_or(|c| class(c) == Class::Delimiter)
}
