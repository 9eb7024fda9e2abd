//! Filters that drop tokens for what they are beside others, or for their number.

use std::collections::HashSet;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

#[derive(Debug)]
struct Length {
    least: usize,
    most: usize,
}

pub(super) fn length(params: &Params<'_>) -> Built {
    let (least, most) = (
        params.number("min", 0)?,
        params.number("max", i32::MAX as usize)?,
    );
    if least > most {
        return Err(ApiError::illegal_argument(
            "maximum length must not be greater than minimum length",
        ));
    }
    Ok(Arc::new(Length { least, most }))
}

impl TokenFilter for Length {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(
            tokens.filter(|token| {
                (self.least..=self.most).contains(&token.text.encode_utf16().count())
            }),
        )
    }
}

#[derive(Debug)]
struct Limit(usize);

pub(super) fn limit(params: &Params<'_>) -> Built {
    // What is behind the limit has no effect, whether it is read or not.
    params.flag("consume_all_tokens", false)?;
    let most = params.number("max_token_count", 1)?;
    if most == 0 {
        return Err(ApiError::illegal_argument(
            "maxTokenCount must be greater than zero",
        ));
    }
    Ok(Arc::new(Limit(most)))
}

impl TokenFilter for Limit {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.take(self.0))
    }
}

/// Drops what was there before: in the text, or at the same place.
#[derive(Debug)]
struct Unique {
    at_one_place: bool,
}

pub(super) fn unique(params: &Params<'_>) -> Built {
    let at_one_place = params.flag("only_on_same_position", false)?;
    Ok(Arc::new(Unique { at_one_place }))
}

pub(super) fn remove_duplicates(_: &Params<'_>) -> Built {
    Ok(Arc::new(Unique { at_one_place: true }))
}

/// What a word takes that is remembered, beside its text.
const WORD_BYTES: usize = 64;

impl TokenFilter for Unique {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        let mut seen: HashSet<String> = HashSet::new();
        let (mut last, mut closed, mut held) = (0, 0, 0);
        Box::new(tokens.filter_map(move |mut token| {
            let step = token.position.saturating_sub(last);
            last = token.position;
            if self.at_one_place && step > 0 {
                seen.clear();
                run.release(held);
                held = 0;
            }
            if seen.contains(&token.text) {
                if !self.at_one_place {
                    // What goes leaves no gap.
                    closed += step;
                    run.close(step);
                }
                return None;
            }
            let bytes = token.text.len() + WORD_BYTES;
            held += bytes;
            if !run.hold(bytes) {
                return None;
            }
            seen.insert(token.text.clone());
            token.position -= closed;
            Some(token)
        }))
    }
}

/// Only tokens of some types, or all but those.
#[derive(Debug)]
struct KeepTypes {
    types: HashSet<String>,
    excludes: bool,
}

pub(super) fn keep_types(params: &Params<'_>) -> Built {
    let types = params.list("types")?.unwrap_or_default();
    if types.is_empty() {
        return Err(ApiError::illegal_argument(
            "keep_types requires `types` to be configured",
        ));
    }
    let excludes = match params.text("mode")?.as_deref() {
        None | Some("include") => false,
        Some("exclude") => true,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!(
                "`keep_types` tokenfilter mode can only be [include] or [exclude] but was [{other}]."
            )));
        }
    };
    Ok(Arc::new(KeepTypes {
        types: types.into_iter().collect(),
        excludes,
    }))
}

impl TokenFilter for KeepTypes {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.filter(|token| self.types.contains(token.kind) != self.excludes))
    }
}

/// All words of a text, each once and in their order, as one token.
#[derive(Debug)]
struct Fingerprint {
    separator: char,
    most: usize,
}

pub(super) fn fingerprint(params: &Params<'_>) -> Built {
    let separator = params.text("separator")?.unwrap_or_else(|| " ".to_owned());
    let mut chars = separator.chars();
    let separator = match (chars.next(), chars.next()) {
        (None, _) => '\0',
        (Some(c), None) => c,
        _ => {
            return Err(ApiError::illegal_argument(
                "Setting [separator] must be a single, non-null character. ".to_owned()
                    + &format!("[{separator}] was provided."),
            ));
        }
    };
    Ok(Arc::new(Fingerprint {
        separator,
        most: params.number("max_output_size", 255)?,
    }))
}

impl TokenFilter for Fingerprint {
    fn apply<'a>(&'a self, mut tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        let mut is_done = false;
        Box::new(std::iter::from_fn(move || {
            if std::mem::replace(&mut is_done, true) {
                return None;
            }
            let mut words: HashSet<String> = HashSet::new();
            let mut end = 0;
            for token in tokens.by_ref() {
                end = end.max(token.end);
                if !words.contains(&token.text) {
                    if !run.hold(token.text.len() + WORD_BYTES) {
                        return None;
                    }
                    words.insert(token.text);
                }
            }
            let mut words: Vec<String> = words.into_iter().collect();
            words.sort_unstable();
            let length: usize = words
                .iter()
                .map(|word| word.encode_utf16().count() + 1)
                .sum();
            if words.is_empty() || length - 1 > self.most {
                return None;
            }
            let mut separator = String::new();
            separator.extend((self.separator != '\0').then_some(self.separator));
            let text = words.join(&separator);
            Some(Token::new(text, 0, end, 0).of_kind("fingerprint"))
        }))
    }

    fn reads_rules(&self) -> bool {
        false
    }
}
