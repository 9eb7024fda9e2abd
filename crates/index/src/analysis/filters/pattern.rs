//! What matches a pattern within each token: replaced, or tokens of its own.

use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::patterns::{Pattern, Replacement};
use crate::analysis::run::Run;
use crate::analysis::token::Stream;

#[derive(Debug)]
struct Replace {
    pattern: Pattern,
    by: Replacement,
    all: bool,
}

pub(super) fn replace(params: &Params<'_>) -> Built {
    let pattern = Pattern::of(params, None)?;
    Ok(Arc::new(Replace {
        by: Replacement::of(params, &pattern)?,
        pattern,
        all: params.flag("all", true)?,
    }))
}

impl TokenFilter for Replace {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            if let Some(text) = self.pattern.replaced(&token.text, &self.by, self.all, run) {
                token.text = text;
            }
            token
        }))
    }
}

/// Groups of patterns become tokens at the place of theirs.
#[derive(Debug)]
struct Capture {
    patterns: Vec<Pattern>,
    keeps_original: bool,
}

pub(super) fn capture(params: &Params<'_>) -> Built {
    let patterns = params.lines("patterns")?.ok_or_else(|| {
        ApiError::illegal_argument(format!(
            "required setting 'patterns' is missing for token filter [{}]",
            params.name
        ))
    })?;
    let patterns = patterns.iter();
    let patterns = patterns.map(|pattern| Pattern::compile(params, pattern, ""));
    Ok(Arc::new(Capture {
        patterns: patterns.collect::<Result<_, _>>()?,
        keeps_original: params.flag("preserve_original", true)?,
    }))
}

impl TokenFilter for Capture {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        Box::new(tokens.flat_map(move |token| {
            // By where they begin, then by pattern and group.
            let mut found: Vec<(usize, usize, usize)> = Vec::new();
            let mut held = 0;
            for (nth, pattern) in self.patterns.iter().enumerate() {
                for captures in pattern.all_captures(&token.text, run) {
                    let groups = (1..captures.len().max(2)).filter_map(|group| {
                        let group_of = if captures.len() == 1 { 0 } else { group };
                        captures.get(group_of)
                    });
                    let spans = groups.filter(|group| {
                        let is_original = group.len() == token.text.len();
                        !(group.is_empty() || is_original && self.keeps_original)
                    });
                    found.extend(spans.map(|group| (group.start(), nth, group.end())));
                    if found.len() * SPAN_BYTES > held {
                        if !run.hold(found.len() * SPAN_BYTES - held) {
                            break;
                        }
                        held = found.len() * SPAN_BYTES;
                    }
                }
            }
            found.sort_by_key(|(start, nth, ..)| (*start, *nth));
            run.release(held);
            // With nothing found the token stays.
            let stays = self.keeps_original || found.is_empty();
            let original = stays.then(|| token.clone());
            let parts = found
                .into_iter()
                .map(move |(start, _, end)| token.with_text(&token.text[start..end]));
            original.into_iter().chain(parts)
        }))
    }
}

/// What a span found in a token takes, with the token made of it.
const SPAN_BYTES: usize = 64;
