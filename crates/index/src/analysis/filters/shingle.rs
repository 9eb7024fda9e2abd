//! Neighbours as one token. Source: Elasticsearch reference, "Shingle token filter"; Lucene's `ShingleFilter`.

use std::collections::VecDeque;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::{Stream, Token};

#[derive(Debug)]
struct Shingle {
    least: usize,
    most: usize,
    unigrams: bool,
    unigrams_if_none: bool,
    separator: String,
    /// Stands for each empty place.
    filler: String,
}

pub(super) fn shingle(params: &Params<'_>) -> Built {
    let least = params.number("min_shingle_size", 2)?;
    let most = params.number("max_shingle_size", 2)?;
    let unigrams = params.flag("output_unigrams", true)?;
    if least < 2 || most < 2 {
        let (which, size) = if most < 2 {
            ("Max", most)
        } else {
            ("Min", least)
        };
        return Err(ApiError::illegal_argument(format!(
            "{which} shingle size must be >= 2, got: {size}"
        )));
    }
    let (difference, allowed) = (
        most.saturating_sub(least) + usize::from(unigrams),
        params.limits.shingles,
    );
    if difference > allowed {
        return Err(ApiError::illegal_argument(format!(
            "In Shingle TokenFilter the difference between max_shingle_size and min_shingle_size (and +1 if outputting \
             unigrams) must be less than or equal to: [{allowed}] but was [{difference}]. This limit can be set by \
             changing the [index.max_shingle_diff] index level setting."
        )));
    }
    if least > most {
        return Err(ApiError::illegal_argument(
            "Min shingle size must be <= max shingle size",
        ));
    }
    if most > MAX_SIZE {
        return Err(params.wrong(format!(
            "[max_shingle_size] of more than [{MAX_SIZE}] is not supported by Ringwall: there are [{most}]"
        )));
    }
    let text = |key, default: &str| -> Result<String, ApiError> {
        let given = params.text(key)?;
        Ok(given.unwrap_or_else(|| default.to_owned()))
    };
    Ok(Arc::new(Shingle {
        least,
        most,
        unigrams,
        unigrams_if_none: params.flag("output_unigrams_if_no_shingles", false)?,
        separator: text("token_separator", " ")?,
        filler: text("filler_token", "_")?,
    }))
}

/// Words that are looked at together.
const MAX_SIZE: usize = 256;

/// The words in view, with fillers for the places between them that are empty.
struct Window<'a> {
    rules: &'a Shingle,
    tokens: Stream<'a>,
    run: &'a Run,
    view: VecDeque<(Token, bool)>,
    /// The place behind the last word.
    next: usize,
    ended: bool,
    /// How many words there were, without fillers.
    words: usize,
}

impl Window<'_> {
    /// Looks far enough ahead for the longest shingle.
    fn fill(&mut self) {
        while self.view.len() < self.rules.most && !self.ended {
            match self.tokens.next() {
                Some(token) => {
                    self.fillers(token.position, token.start);
                    self.next = token.position + 1;
                    self.words += 1;
                    self.view.push_back((token, false));
                }
                None => {
                    self.ended = true;
                    if self.words > 0 {
                        self.fillers(self.run.places(), self.run.end());
                    }
                }
            }
        }
    }

    /// A text of very many empty places is one with a few.
    fn fillers(&mut self, position: usize, at: usize) {
        let gap = position.saturating_sub(self.next).min(self.rules.most - 1);
        for place in position - gap..position {
            let filler = Token::new(self.rules.filler.clone(), at, at, place);
            self.view.push_back((filler, true));
        }
    }
}

impl TokenFilter for Shingle {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a> {
        let mut window = Window {
            rules: self,
            tokens,
            run,
            view: VecDeque::new(),
            next: 0,
            ended: false,
            words: 0,
        };
        let mut made: VecDeque<Token> = VecDeque::new();
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(token) = made.pop_front() {
                    return Some(token);
                }
                window.fill();
                let (first, is_filler) = window.view.front()?;
                let alone = self.unigrams_if_none && window.ended && window.words == 1;
                if (self.unigrams || alone) && !is_filler {
                    made.push_back(first.clone());
                }
                for size in self.least..=self.most.min(window.view.len()) {
                    made.extend(self.joined(&window.view, size));
                }
                window.view.pop_front();
            }
        }))
    }

    fn reads_rules(&self) -> bool {
        false
    }

    fn makes_ways(&self) -> bool {
        !self.unigrams && self.least == self.most
    }
}

impl Shingle {
    fn joined(&self, view: &VecDeque<(Token, bool)>, size: usize) -> Option<Token> {
        let parts = view.iter().take(size);
        if parts.clone().all(|(_, is_filler)| *is_filler) {
            return None;
        }
        let (first, last) = (&view.front()?.0, &view.get(size - 1)?.0);
        let texts: Vec<&str> = parts.map(|(part, _)| part.text.as_str()).collect();
        Some(Token {
            end: last.end.max(first.end),
            length: if self.unigrams {
                size
            } else {
                size - self.least + 1
            },
            kind: "shingle",
            ..first.with_text(texts.join(&self.separator))
        })
    }
}
