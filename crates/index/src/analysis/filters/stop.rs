//! Stop words. Source: Elasticsearch reference, "Stop token filter".

use std::collections::HashSet;
use std::sync::Arc;

use ringwall_api::ApiError;
use tantivy::tokenizer::{Language, RawTokenizer, StopWordFilter, TextAnalyzer};

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

/// The lists that have names.
const LISTS: &[(&str, Language)] = &[
    ("_danish_", Language::Danish),
    ("_dutch_", Language::Dutch),
    ("_english_", Language::English),
    ("_finnish_", Language::Finnish),
    ("_french_", Language::French),
    ("_german_", Language::German),
    ("_hungarian_", Language::Hungarian),
    ("_italian_", Language::Italian),
    ("_norwegian_", Language::Norwegian),
    ("_portuguese_", Language::Portuguese),
    ("_russian_", Language::Russian),
    ("_spanish_", Language::Spanish),
    ("_swedish_", Language::Swedish),
];

/// Words and lists of words.
#[derive(Clone)]
struct Words {
    words: Arc<HashSet<String>>,
    /// The library's lists can only be asked by letting words through them.
    lists: Vec<TextAnalyzer>,
    any_case: bool,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words")
            .field("words", &self.words)
            .finish_non_exhaustive()
    }
}

impl Words {
    /// # Errors
    /// A list that is not there.
    fn of(given: &[String], any_case: bool) -> Result<Self, ApiError> {
        let (mut single, mut lists) = (HashSet::new(), Vec::new());
        for word in given {
            let is_list = word.len() > 2 && word.starts_with('_') && word.ends_with('_');
            match word.as_str() {
                "_none_" => {}
                name if is_list => lists.push(list(name)?),
                _ if any_case => drop(single.insert(word.to_lowercase())),
                _ => drop(single.insert(word.clone())),
            }
        }
        Ok(Self {
            words: Arc::new(single),
            lists,
            any_case,
        })
    }

    /// Asking a list takes it for itself.
    fn hold(&mut self, token: &Token) -> bool {
        let lower = self.any_case.then(|| token.text.to_lowercase());
        let word = lower.as_deref().unwrap_or(&token.text);
        self.words.contains(word)
            || self
                .lists
                .iter_mut()
                .any(|list| !word.is_empty() && !list.token_stream(word).advance())
    }
}

fn list(name: &str) -> Result<TextAnalyzer, ApiError> {
    let known = LISTS.iter().find(|(known, _)| *known == name);
    let filter = known.and_then(|(_, language)| StopWordFilter::new(*language));
    let filter = filter.ok_or_else(|| {
        let names: Vec<&str> = LISTS.iter().map(|(name, _)| *name).collect();
        ApiError::illegal_argument(format!(
            "the list of stop words [{name}] is not supported by Ringwall; there are [{}]",
            names.join(", ")
        ))
    })?;
    Ok(TextAnalyzer::builder(RawTokenizer::default())
        .filter(filter)
        .build())
}

/// Removes stop words: those of named lists, and single ones.
#[derive(Debug)]
struct Stop(Words);

pub(super) fn stop(params: &Params<'_>) -> Built {
    // A suggester may keep the last one; there is none that uses it.
    if !params.flag("remove_trailing", true)? {
        return Err(params.wrong("[remove_trailing=false] is not supported by Ringwall"));
    }
    let any_case = params.flag("ignore_case", false)?;
    let words = params.list("stopwords")?;
    let words = words.unwrap_or_else(|| vec!["_english_".to_owned()]);
    Ok(Arc::new(Stop(Words::of(&words, any_case)?)))
}

impl TokenFilter for Stop {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        let mut words = self.0.clone();
        Box::new(tokens.filter(move |token| !words.hold(token)))
    }
}

/// The reverse: only words of a list stay.
#[derive(Debug)]
struct Keep {
    words: HashSet<String>,
    any_case: bool,
}

pub(super) fn keep(params: &Params<'_>) -> Built {
    let any_case = params.flag("keep_words_case", false)?;
    let words = params.list("keep_words")?.ok_or_else(|| {
        ApiError::illegal_argument(
            "keep requires either `keep_words` or `keep_words_path` to be configured",
        )
    })?;
    let words = words.into_iter();
    let words = words.map(|word| if any_case { word.to_lowercase() } else { word });
    Ok(Arc::new(Keep {
        words: words.collect(),
        any_case,
    }))
}

impl TokenFilter for Keep {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.filter(|token| match self.any_case {
            true => self.words.contains(&token.text.to_lowercase()),
            false => self.words.contains(&token.text),
        }))
    }
}

/// Joins very frequent words with their neighbours.
#[derive(Debug)]
struct CommonGrams {
    words: Words,
    /// Without the single words that a pair has.
    for_queries: bool,
}

pub(super) fn common_grams(params: &Params<'_>) -> Built {
    let any_case = params.flag("ignore_case", false)?;
    let words = params.list("common_words")?;
    let words = words.or_else(|| params.is_plain.then(Vec::new));
    let words = words.ok_or_else(|| {
        ApiError::illegal_argument(
            "missing or empty [common_words] or [common_words_path] configuration for common_grams token filter",
        )
    })?;
    Ok(Arc::new(CommonGrams {
        words: Words::of(&words, any_case)?,
        for_queries: params.flag("query_mode", false)?,
    }))
}

impl TokenFilter for CommonGrams {
    fn apply<'a>(&'a self, mut tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        let mut words = self.words.clone();
        let mut ahead: Option<(Token, bool)> = None;
        let mut pair: Option<Token> = None;
        let mut was_paired = false;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(pair) = pair.take() {
                    return Some(pair);
                }
                let (token, is_common) = match ahead.take() {
                    Some(ahead) => ahead,
                    None => {
                        let token = tokens.next()?;
                        let is_common = words.hold(&token);
                        (token, is_common)
                    }
                };
                ahead = tokens.next().map(|next| {
                    let is_common = words.hold(&next);
                    (next, is_common)
                });
                let follows = |next: &Token| next.position == token.position + 1;
                pair = match &ahead {
                    Some((next, next_is)) if (is_common || *next_is) && follows(next) => {
                        Some(Token {
                            end: next.end,
                            length: if self.for_queries { 1 } else { 2 },
                            kind: "gram",
                            ..token.with_text(format!("{}_{}", token.text, next.text))
                        })
                    }
                    _ => None,
                };
                let is_paired = pair.is_some();
                let shown = !self.for_queries || !(is_paired || (was_paired && ahead.is_none()));
                was_paired = is_paired;
                if shown {
                    return Some(token);
                }
            }
        }))
    }

    fn reads_rules(&self) -> bool {
        false
    }
}
