//! A token of analysis, and tokens one after the other.

/// A token, with where it came from in the text that was analyzed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// Bytes of the text before the token, and to its end.
    pub start: usize,
    pub end: usize,
    /// Counted from 0; two tokens at one place stand for each other.
    pub position: usize,
    /// How many positions it spans.
    pub length: usize,
    /// The type, such as `<ALPHANUM>` or `word`.
    pub kind: &'static str,
    /// Whether stemmers leave it as it is.
    pub is_keyword: bool,
}

/// Tokens as they are made, in the order of their positions.
pub(super) type Stream<'a> = Box<dyn Iterator<Item = Token> + 'a>;

/// The type of a token that nobody gave another.
pub(super) const WORD: &str = "word";

impl Token {
    pub(super) fn new(text: impl Into<String>, start: usize, end: usize, position: usize) -> Self {
        Self {
            text: text.into(),
            start,
            end,
            position,
            length: 1,
            kind: WORD,
            is_keyword: false,
        }
    }

    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// Returns the same token with another text.
    pub(super) fn with_text(&self, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..*self
        }
    }
}

impl From<Token> for tantivy::tokenizer::Token {
    fn from(token: Token) -> Self {
        Self {
            offset_from: token.start,
            offset_to: token.end,
            position: token.position,
            text: token.text,
            position_length: token.length,
        }
    }
}
