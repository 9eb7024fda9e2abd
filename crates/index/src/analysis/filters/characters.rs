//! Filters that change each token by itself.

use std::sync::Arc;

use ringwall_api::ApiError;
use tantivy::tokenizer::{AsciiFoldingFilter, RawTokenizer, TextAnalyzer};

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::Stream;
use crate::analysis::words::lowercase_into;

/// Changes the text of each token.
#[derive(Debug)]
struct Each(fn(&str) -> String);

impl TokenFilter for Each {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            token.text = (self.0)(&token.text);
            token
        }))
    }
}

pub(super) fn each(change: fn(&str) -> String) -> Built {
    Ok(Arc::new(Each(change)))
}

pub(super) fn lowercase(params: &Params<'_>) -> Built {
    match params.text("language")?.as_deref() {
        None => each(lower),
        Some("greek") => each(lower_greek),
        Some("turkish") => each(lower_turkish),
        Some("irish") => each(lower_irish),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "language [{other}] not support for lower case"
        ))),
    }
}

fn lower(text: &str) -> String {
    let mut lower = String::new();
    lowercase_into(text, &mut lower);
    lower
}

/// A capital I has no dot, unless one stands behind it.
fn lower_turkish(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            'İ' => out.push('i'),
            'I' if chars.next_if_eq(&'\u{307}').is_some() => out.push('i'),
            'I' => out.push('ı'),
            other => out.push_str(&lower(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

/// Without accents, and one sigma.
fn lower_greek(text: &str) -> String {
    let plain = |c| match c {
        'ς' => 'σ',
        'ά' => 'α',
        'έ' => 'ε',
        'ή' => 'η',
        'ί' | 'ϊ' | 'ΐ' => 'ι',
        'ό' => 'ο',
        'ύ' | 'ϋ' | 'ΰ' => 'υ',
        'ώ' => 'ω',
        other => other,
    };
    lower(text).chars().map(plain).collect()
}

/// The prothetic letters of `nAthair` and `tUisce` are set off.
fn lower_irish(text: &str) -> String {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let is_vowel = second.is_some_and(|c| "AEIOUÁÉÍÓÚ".contains(c));
    match first {
        Some(c @ ('n' | 't')) if is_vowel => format!("{c}-{}", lower(&text[1..])),
        _ => lower(text),
    }
}

/// By single characters, as `Character.toUpperCase` of Java: `ß` stays.
pub(super) fn uppercase(_: &Params<'_>) -> Built {
    each(|text| {
        let upper = |c: char| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        };
        text.chars().map(upper).collect()
    })
}

pub(super) fn trim(_: &Params<'_>) -> Built {
    each(|text| text.trim().to_owned())
}

pub(super) fn reverse(_: &Params<'_>) -> Built {
    each(|text| text.chars().rev().collect())
}

pub(super) fn decimal_digit(_: &Params<'_>) -> Built {
    each(|text| {
        let digit = |c: char| {
            let zero = ZEROS.iter().rfind(|zero| **zero <= c).copied();
            let value = zero.map(|zero| c as u32 - zero as u32);
            let value = value.filter(|value| *value < 10);
            value
                .and_then(|value| char::from_digit(value, 10))
                .unwrap_or(c)
        };
        text.chars().map(digit).collect()
    })
}

/// The zeros of the digits of Unicode's basic plane, in order.
const ZEROS: &[char] = &[
    '0', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}',
    '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}',
    '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{ff10}',
];

pub(super) fn scandinavian_normalization(_: &Params<'_>) -> Built {
    each(scandinavian)
}

pub(super) fn scandinavian_folding(_: &Params<'_>) -> Built {
    each(|text| {
        let fold = |c| match c {
            'å' | 'ä' => 'a',
            'Å' | 'Ä' => 'A',
            'ö' => 'o',
            'Ö' => 'O',
            other => other,
        };
        scandinavian(text)
            .chars()
            .map(|c| match c {
                'æ' => 'a',
                'Æ' => 'A',
                'ø' => 'o',
                'Ø' => 'O',
                other => fold(other),
            })
            .collect()
    })
}

/// Writes one of several spellings: `æ ø å` for `ä ö aa ae ao oe oo`.
fn scandinavian(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let (one, pair) = match (c, next) {
            ('a', Some('a' | 'A' | 'o' | 'O')) => ('å', true),
            ('A', Some('a' | 'A' | 'o' | 'O')) => ('Å', true),
            ('a', Some('e' | 'E')) => ('æ', true),
            ('A', Some('e' | 'E')) => ('Æ', true),
            ('o', Some('e' | 'E' | 'o' | 'O')) => ('ø', true),
            ('O', Some('e' | 'E' | 'o' | 'O')) => ('Ø', true),
            ('ä', _) => ('æ', false),
            ('Ä', _) => ('Æ', false),
            ('ö', _) => ('ø', false),
            ('Ö', _) => ('Ø', false),
            (other, _) => (other, false),
        };
        out.push(one);
        if pair {
            chars.next();
        }
    }
    out
}

#[derive(Debug)]
struct Truncate(usize);

pub(super) fn truncate(params: &Params<'_>) -> Built {
    let length = params.number("length", 10)?;
    if length == 0 {
        return Err(ApiError::illegal_argument(
            "length parameter must be a positive number: 0",
        ));
    }
    Ok(Arc::new(Truncate(length)))
}

impl TokenFilter for Truncate {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            if let Some((at, _)) = token.text.char_indices().nth(self.0) {
                token.text.truncate(at);
            }
            token
        }))
    }
}

/// Letters with marks become those of ASCII that look like them.
#[derive(Debug)]
struct AsciiFolding {
    keeps_original: bool,
}

pub(super) fn asciifolding(params: &Params<'_>) -> Built {
    let keeps_original = params.flag("preserve_original", false)?;
    Ok(Arc::new(AsciiFolding { keeps_original }))
}

impl TokenFilter for AsciiFolding {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        let mut folder = TextAnalyzer::builder(RawTokenizer::default())
            .filter(AsciiFoldingFilter)
            .build();
        Box::new(tokens.flat_map(move |token| {
            let folded = (!token.text.is_ascii())
                .then(|| {
                    let mut stream = folder.token_stream(&token.text);
                    stream.next().map(|folded| folded.text.clone())
                })
                .flatten()
                .filter(|folded| *folded != token.text);
            match folded {
                None => [Some(token), None],
                Some(folded) => {
                    let plain = token.with_text(folded);
                    [Some(plain), self.keeps_original.then_some(token)]
                }
            }
            .into_iter()
            .flatten()
        }))
    }
}
