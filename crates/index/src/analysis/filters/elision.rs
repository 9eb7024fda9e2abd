//! Filters of what an apostrophe joins.

use std::collections::HashSet;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Built, TokenFilter, characters};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::Stream;

const APOSTROPHES: [char; 2] = ['\'', '\u{2019}'];

/// Takes articles with an apostrophe off: `l'avion`.
#[derive(Debug)]
struct Elision {
    articles: HashSet<String>,
    any_case: bool,
}

pub(super) fn elision(params: &Params<'_>) -> Built {
    let any_case = params.flag("articles_case", false)?;
    let articles = match params.list("articles")? {
        Some(articles) => articles,
        None if params.is_plain => FRENCH.iter().map(|&article| article.to_owned()).collect(),
        None => {
            return Err(ApiError::illegal_argument(
                "elision filter requires [articles] or [articles_path] setting",
            ));
        }
    };
    let articles = articles.into_iter();
    let articles = articles.map(|article| {
        if any_case {
            article.to_lowercase()
        } else {
            article
        }
    });
    Ok(Arc::new(Elision {
        articles: articles.collect(),
        any_case,
    }))
}

/// Those of French.
const FRENCH: [&str; 13] = [
    "l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu",
];

impl TokenFilter for Elision {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            if let Some((article, rest)) = token.text.split_once(APOSTROPHES) {
                let is_one = match self.any_case {
                    true => self.articles.contains(&article.to_lowercase()),
                    false => self.articles.contains(article),
                };
                if is_one {
                    token.text = rest.to_owned();
                }
            }
            token
        }))
    }
}

/// Takes off an apostrophe and what is behind it.
pub(super) fn apostrophe(_: &Params<'_>) -> Built {
    characters::each(|text| {
        let end = text.find(APOSTROPHES).unwrap_or(text.len());
        text[..end].to_owned()
    })
}
