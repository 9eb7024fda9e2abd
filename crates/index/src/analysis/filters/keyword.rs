//! Tokens that stemmers leave as they are, and words with stems of their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::patterns::Pattern;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

#[derive(Debug)]
struct Marker {
    words: HashSet<String>,
    any_case: bool,
    pattern: Option<Pattern>,
}

pub(super) fn marker(params: &Params<'_>) -> Built {
    let any_case = params.flag("ignore_case", false)?;
    let pattern = params.text("keywords_pattern")?;
    let words = params.list("keywords")?;
    match (&pattern, &words) {
        (Some(_), Some(_)) => {
            return Err(ApiError::illegal_argument(
                "cannot specify both `keywords_pattern` and `keywords` or `keywords_path`",
            ));
        }
        (None, None) => {
            return Err(ApiError::illegal_argument(
                "keyword filter requires either `keywords`, `keywords_path`, or `keywords_pattern` to be configured",
            ));
        }
        _ => {}
    }
    let pattern = pattern
        .map(|pattern| Pattern::compile(params, &format!("^(?:{pattern})$"), ""))
        .transpose()?;
    let words = words.unwrap_or_default().into_iter();
    let words = words.map(|word| if any_case { word.to_lowercase() } else { word });
    Ok(Arc::new(Marker {
        words: words.collect(),
        any_case,
        pattern,
    }))
}

impl TokenFilter for Marker {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            let is_word = match (&self.pattern, self.any_case) {
                (Some(pattern), _) => pattern.is_match(&token.text),
                (None, true) => self.words.contains(&token.text.to_lowercase()),
                (None, false) => self.words.contains(&token.text),
            };
            token.is_keyword |= is_word;
            token
        }))
    }
}

/// Each token twice, once as a keyword.
#[derive(Debug)]
struct Repeat;

pub(super) fn repeat(_: &Params<'_>) -> Built {
    Ok(Arc::new(Repeat))
}

impl TokenFilter for Repeat {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.flat_map(|token| {
            let keyword = Token {
                is_keyword: true,
                ..token.clone()
            };
            let plain = Token {
                is_keyword: false,
                ..token
            };
            [keyword, plain]
        }))
    }

    fn reads_rules(&self) -> bool {
        false
    }
}

/// Words whose stems are told.
#[derive(Debug)]
struct Override(HashMap<String, String>);

pub(super) fn stemmer_override(params: &Params<'_>) -> Built {
    let rules = params.lines("rules")?.ok_or_else(|| {
        ApiError::illegal_argument(
            "stemmer override filter requires either `rules` or `rules_path` to be configured",
        )
    })?;
    let mut stems = HashMap::new();
    for rule in rules {
        let invalid =
            || ApiError::illegal_argument(format!("Invalid Keyword override Rule:{rule}"));
        let mut sides = rule.split("=>");
        let (Some(words), Some(stem), None) = (sides.next(), sides.next(), sides.next()) else {
            return Err(invalid());
        };
        let stem = stem.trim();
        for word in words.split(',').map(str::trim) {
            if word.is_empty() || stem.is_empty() {
                return Err(invalid());
            }
            // The first rule of a word holds.
            stems
                .entry(word.to_owned())
                .or_insert_with(|| stem.to_owned());
        }
    }
    Ok(Arc::new(Override(stems)))
}

impl TokenFilter for Override {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            if let Some(stem) = self.0.get(&token.text).filter(|_| !token.is_keyword) {
                token.text.clone_from(stem);
                token.is_keyword = true;
            }
            token
        }))
    }
}
