//! Analyzers: text to tokens. Source: Elasticsearch reference, "Built-in analyzer reference".
//!
//! An analyzer of an index is a [`Chain`] of parts, which its settings define; [`Analysis`] has all of an index. Each kind of
//! part is a row of the table of its family (`char_filters`, `tokenizers`, `filters`). What a text may become is bounded, see
//! `run`.

mod chain;
mod char_filters;
mod characters;
mod filters;
mod mapped;
mod marked;
mod params;
mod patterns;
mod registry;
mod run;
mod token;
mod tokenizers;
mod words;

use std::sync::Arc;

use tantivy::tokenizer::Token;

pub use chain::{Analyzed, Chain, Stages};
pub(crate) use marked::{DispatchTokenizer, Gap, TOKENIZER, Unfit, has_tokens, mark};
pub use params::Limits;
pub use registry::{Analysis, Assembly};
pub use run::{Exceeded, Spent};
pub use token::Token as AnalyzedToken;

use characters::LETTERS;
use words::{MAX_TOKEN_LENGTH, lowercase_into, runs_of, without_possessive, words_of};

/// An analyzer: a built-in one, or one of the settings of the index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Analyzer {
    /// Unicode words (UAX#29) and emoji, lower case.
    #[default]
    Standard,
    /// Runs of letters, lower case.
    Simple,
    /// Runs of non-whitespace.
    Whitespace,
    /// The whole text as one token.
    Keyword,
    /// `simple` without English stop words.
    Stop,
    /// `standard` without possessives and English stop words, stemmed.
    English,
    /// Of the settings of the index.
    Custom(Arc<Chain>),
    /// As a mapping names it, before the analyzers of its index are known.
    Named(Arc<str>),
}

impl Analyzer {
    /// Returns the built-in analyzer of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter()
            .find(|analyzer| {
                analyzer.name() == name || (name == "default" && **analyzer == Self::Standard)
            })
            .cloned()
    }

    /// Returns the name used in mappings.
    pub fn name(&self) -> &str {
        match self {
            Self::Standard => "standard",
            Self::Simple => "simple",
            Self::Whitespace => "whitespace",
            Self::Keyword => "keyword",
            Self::Stop => "stop",
            Self::English => "english",
            Self::Custom(chain) => &chain.name,
            Self::Named(name) => name,
        }
    }

    /// Returns whether terms are lower case.
    pub fn lowercases(&self) -> bool {
        match self {
            Self::Keyword | Self::Whitespace | Self::Named(_) => false,
            Self::Standard | Self::Simple | Self::Stop | Self::English => true,
            Self::Custom(_) => self
                .tokens("Q")
                .first()
                .is_some_and(|token| token.text == "q"),
        }
    }

    /// Returns the tokens of a text, with byte offsets and positions. A removed stop word leaves a
    /// gap in the positions. Where an analyzer makes more than it may, the tokens end.
    pub fn tokens(&self, text: &str) -> Vec<Token> {
        let mut collected = Vec::new();
        if let Self::Custom(chain) = self {
            // What was indexed did not make more.
            let _ = chain.for_each(text, &mut Spent::default(), |token| {
                collected.push(Token::from(token));
                true
            });
            return collected;
        }
        self.for_each(text, |start, end, position, token| {
            collected.push(Token {
                offset_from: start,
                offset_to: end,
                position,
                text: token.to_owned(),
                position_length: 1,
            });
        });
        collected
    }

    /// Returns the first `most` tokens of a text that is searched for.
    ///
    /// # Errors
    /// The analyzer makes more of a text than it may.
    pub fn search_tokens(&self, text: &str, most: usize) -> Result<Vec<Token>, Exceeded> {
        let Self::Custom(chain) = self else {
            let mut tokens = self.tokens(text);
            tokens.truncate(most);
            return Ok(tokens);
        };
        let analyzed = chain.analyzed(text, most, &mut Spent::default())?;
        let tokens = analyzed.tokens.into_iter().map(|token| Token {
            position_length: if chain.has_ways() { token.length } else { 1 },
            ..Token::from(token)
        });
        Ok(tokens.collect())
    }

    /// Returns the tokens of a text with all that is known of them, of an analyzer of settings the first `most`. What that takes
    /// is added to what texts before have taken.
    ///
    /// # Errors
    /// The analyzer makes more of a text than it may.
    pub fn analyze(
        &self,
        text: &str,
        most: usize,
        spent: &mut Spent,
    ) -> Result<Analyzed, Exceeded> {
        if let Self::Custom(chain) = self {
            return chain.analyzed(text, most, spent);
        }
        let kind = |token: &Token| match self {
            Self::Standard | Self::English => {
                tokenizers::kind_of(&text[token.offset_from..token.offset_to])
            }
            _ => token::WORD,
        };
        let tokens = self.tokens(text).into_iter().map(|token| {
            let kind = kind(&token);
            let (start, end) = (token.offset_from, token.offset_to);
            AnalyzedToken::new(token.text, start, end, token.position).of_kind(kind)
        });
        Ok(Analyzed {
            tokens: tokens.collect(),
            places: self.built_in_count(text, true),
        })
    }

    /// Calls `emit(start, end, position, token)` for each token.
    fn for_each(&self, text: &str, mut emit: impl FnMut(usize, usize, usize, &str)) {
        let mut buffer = String::new();
        let mut position = 0;
        match self {
            Self::Keyword => {
                if !text.is_empty() {
                    emit(0, text.len(), 0, text);
                }
            }
            Self::Whitespace => {
                for (start, word) in runs_of(text, |c| !c.is_whitespace(), MAX_TOKEN_LENGTH) {
                    emit(start, start + word.len(), position, word);
                    position += 1;
                }
            }
            Self::Simple | Self::Stop => {
                for (start, word) in runs_of(text, |c| LETTERS.contains(c), MAX_TOKEN_LENGTH) {
                    lowercase_into(word, &mut buffer);
                    if *self == Self::Simple || !is_stop_word(&buffer) {
                        emit(start, start + word.len(), position, &buffer);
                    }
                    position += 1;
                }
            }
            Self::Standard => {
                for (start, word) in words_of(text, MAX_TOKEN_LENGTH) {
                    lowercase_into(word, &mut buffer);
                    emit(start, start + word.len(), position, &buffer);
                    position += 1;
                }
            }
            Self::English => {
                let stemmer = filters::stem::Porter::default();
                for (start, word) in words_of(text, MAX_TOKEN_LENGTH) {
                    lowercase_into(without_possessive(word), &mut buffer);
                    if !is_stop_word(&buffer) {
                        emit(start, start + word.len(), position, &stemmer.stem(&buffer));
                    }
                    position += 1;
                }
            }
            // A chain makes its tokens itself, and one that nobody has found makes none.
            Self::Custom(_) | Self::Named(_) => {}
        }
    }

    /// Returns the number of places of a text, with those of words that are left out if `with_gaps`.
    ///
    /// # Errors
    /// The analyzer makes more of the text than it may.
    pub(crate) fn count(
        &self,
        text: &str,
        with_gaps: bool,
        spent: &mut Spent,
    ) -> Result<usize, Exceeded> {
        let Self::Custom(chain) = self else {
            return Ok(self.built_in_count(text, with_gaps));
        };
        let (mut last, mut count) = (None, 0);
        let places = chain.for_each(text, spent, |token| {
            count += usize::from(last != Some(token.position));
            last = Some(token.position);
            true
        })?;
        Ok(if with_gaps { places } else { count })
    }

    fn built_in_count(&self, text: &str, with_gaps: bool) -> usize {
        let counted = match (self, with_gaps) {
            (Self::Stop, true) => &Self::Simple,
            (Self::English, true) => &Self::Standard,
            (own, _) => own,
        };
        let mut count = 0;
        counted.for_each(text, |_, _, _, _| count += 1);
        count
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

static ALL: [Analyzer; 6] = [
    Analyzer::Standard,
    Analyzer::Simple,
    Analyzer::Whitespace,
    Analyzer::Keyword,
    Analyzer::Stop,
    Analyzer::English,
];

/// The `_english_` stop words, sorted.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

#[cfg(test)]
mod tests;

#[cfg(test)]
mod built_in_tests;
