//! Parts of tokens, by their characters.

use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};
use crate::analysis::tokenizers::{GramCursor, gram_sizes};

#[derive(Debug)]
struct Grams {
    least: usize,
    most: usize,
    edge: bool,
    /// At the end instead of the begin.
    back: bool,
    keeps_original: bool,
}

pub(super) fn grams(params: &Params<'_>, edge: bool) -> Built {
    // The one that nobody defines makes edges of one character.
    let most = if edge && params.is_plain { 1 } else { 2 };
    let (least, most) = gram_sizes(params, 1, most, edge)?;
    let side = if edge { params.text("side")? } else { None };
    let back = match side.as_deref() {
        None | Some("front" | "1") => false,
        Some("back" | "2") => true,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!("invalid side: {other}")));
        }
    };
    Ok(Arc::new(Grams {
        least,
        most,
        edge,
        back,
        keeps_original: params.flag("preserve_original", false)?,
    }))
}

impl Grams {
    /// Parts have the offsets of the token: nobody knows where its characters were.
    fn parts(&self, token: Token) -> impl Iterator<Item = Token> + use<> {
        let length = token.text.chars().take(self.most.saturating_add(1)).count();
        let is_left = length < self.least || length > self.most;
        let original = (self.keeps_original && is_left).then(|| token.clone());
        let back = self.back;
        // Those at the end are those at the begin of the token read backwards.
        let read = match back {
            true => token.text.chars().rev().collect(),
            false => token.text.clone(),
        };
        let mut cursor = GramCursor::new(self.least, self.most, self.edge);
        let parts = std::iter::from_fn(move || {
            let (begin, end) = cursor.next(&read)?;
            Some(match back {
                true => token.with_text(read[begin..end].chars().rev().collect::<String>()),
                false => token.with_text(&read[begin..end]),
            })
        });
        parts.chain(original)
    }
}

impl TokenFilter for Grams {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.flat_map(|token| self.parts(token)))
    }

    fn reads_rules(&self) -> bool {
        false
    }
}
