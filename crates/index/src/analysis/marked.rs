//! Text as it is handed to the search index: a text slot of the schema has one tokenizer, whatever analyzer and gap the mapping
//! chose for the field, so text is marked with them. What an analyzer of settings made of a text stands there in place of it.

use std::collections::HashSet;

use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

use super::words::{MAX_TOKEN_LENGTH, lowercase_into, next_ascii_word, words_of};
use super::{ALL, Analyzer, Exceeded, Spent};

/// The name under which the dispatching tokenizer is registered in every index.
pub(crate) const TOKENIZER: &str = "ringwall";

/// Places between the last word of one value of a field and the first word of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The values read as one text.
    None,
    /// So many more than the one that the engine leaves free, before this value.
    Wider(u32),
}

/// Why a text cannot be indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    Exceeded(Exceeded),
    /// Bytes of a token.
    Immense(usize),
}

/// The longest term of the search index, bytes. Source: Lucene's `IndexWriter.MAX_TERM_LENGTH`.
const MAX_TERM_BYTES: usize = 32_766;

/// A text with its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked {
    pub text: String,
    /// The length of the text where it is not its number of words: those that stand at the place of another do not count.
    pub length: Option<usize>,
}

/// Returns the text to hand to the tokenizer so that `analyzer` analyzes it. With `once`, words are left out that are in it,
/// and noted there. What an analyzer of settings takes is added to what texts before have taken.
///
/// # Errors
/// The analyzer makes more of it than it may, or a token that is too long.
pub(crate) fn mark(
    analyzer: &Analyzer,
    gap: Gap,
    text: String,
    once: Option<&mut HashSet<String>>,
    spent: &mut Spent,
) -> Result<Marked, Unfit> {
    let plain = |text| Marked { text, length: None };
    let is_plain = *analyzer == Analyzer::Standard && gap == Gap::Wider(0);
    if is_plain && once.is_none() && !text.starts_with(MARK) {
        return Ok(plain(text));
    }
    if *analyzer == Analyzer::Keyword && text.len() > MAX_TERM_BYTES {
        return Err(Unfit::Immense(text.len()));
    }
    let mut marked = String::with_capacity(text.len() + 8);
    marked.push(MARK);
    match gap {
        Gap::None => marked.push('-'),
        Gap::Wider(0) => {}
        Gap::Wider(places) => marked.push_str(&places.to_string()),
    }
    if once.is_none() && !matches!(analyzer, Analyzer::Custom(_)) {
        marked.push(code(analyzer));
        marked.push_str(&text);
        return Ok(plain(marked));
    }
    marked.push(MADE);
    let mut writer = Writer {
        marked,
        once,
        last: None,
        length: 0,
        immense: None,
    };
    match analyzer {
        Analyzer::Custom(chain) => {
            let made = chain.for_each(&text, spent, |token| {
                writer.write(token.position, &token.text)
            });
            made.map_err(Unfit::Exceeded)?;
        }
        built_in => {
            for token in built_in.tokens(&text) {
                writer.write(token.position, &token.text);
            }
        }
    }
    match writer.immense {
        Some(bytes) => Err(Unfit::Immense(bytes)),
        None => Ok(Marked {
            text: writer.marked,
            length: matches!(analyzer, Analyzer::Custom(_)).then_some(writer.length),
        }),
    }
}

/// Writes tokens as the tokenizer reads them.
struct Writer<'a> {
    marked: String,
    once: Option<&'a mut HashSet<String>>,
    last: Option<usize>,
    length: usize,
    immense: Option<usize>,
}

impl Writer<'_> {
    /// Returns whether it takes more.
    fn write(&mut self, position: usize, word: &str) -> bool {
        if word.len() > MAX_TERM_BYTES {
            self.immense = Some(word.len());
            return false;
        }
        if let Some(once) = &mut self.once {
            if once.contains(word) {
                return true;
            }
            once.insert(word.to_owned());
        }
        let step = position.saturating_sub(self.last.unwrap_or(0));
        // Of words that are kept once each counts.
        self.length += usize::from(self.once.is_some() || step > 0 || self.last.is_none());
        self.last = Some(position.max(self.last.unwrap_or(0)));
        write_number(&mut self.marked, step);
        write_number(&mut self.marked, word.len());
        self.marked.push_str(word);
        true
    }
}

fn code(analyzer: &Analyzer) -> char {
    match analyzer {
        Analyzer::Standard => 's',
        Analyzer::Simple => 'l',
        Analyzer::Whitespace => 'w',
        Analyzer::Keyword => 'k',
        Analyzer::Stop => 'p',
        Analyzer::English => 'e',
        Analyzer::Custom(_) | Analyzer::Named(_) => MADE,
    }
}

/// Writes a number in characters of five bits each, the lowest first.
fn write_number(marked: &mut String, mut number: usize) {
    loop {
        let low = (number & 31) as u8;
        number >>= 5;
        let more = if number > 0 { 32 } else { 0 };
        marked.push(char::from(64 | more | low));
        if number == 0 {
            return;
        }
    }
}

/// Reads a number of [`write_number`], and goes behind it.
fn read_number(made: &str, at: &mut usize) -> Option<usize> {
    let (mut number, mut shift) = (0_usize, 0);
    loop {
        let byte = *made.as_bytes().get(*at)?;
        *at += 1;
        number |= usize::from(byte & 31).checked_shl(shift)?;
        shift += 5;
        if byte & 32 == 0 {
            return Some(number);
        }
    }
}

/// Returns whether marked text has at least one token.
pub(crate) fn has_tokens(marked: &str) -> bool {
    let (analyzer, _, text) = unmark(marked);
    match (analyzer, text) {
        // Every letter or digit is in a word.
        (Some(Analyzer::Standard), text) if text.contains(char::is_alphanumeric) => true,
        (Some(Analyzer::Standard), text) => {
            !text.is_ascii() && words_of(text, MAX_TOKEN_LENGTH).next().is_some()
        }
        (Some(analyzer), text) => !analyzer.tokens(text).is_empty(),
        (None, made) => !made.is_empty(),
    }
}

/// Returns the analyzer of marked text, the gap before it, and the text; without an analyzer, the tokens made of it.
fn unmark(text: &str) -> (Option<Analyzer>, Gap, &str) {
    let plain = (Some(Analyzer::Standard), Gap::Wider(0), text);
    let Some(marked) = text.strip_prefix(MARK) else {
        return plain;
    };
    let places = marked.len()
        - marked
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let (gap, marked) = match marked.strip_prefix('-') {
        Some(rest) => (Gap::None, rest),
        None => {
            let (places, rest) = marked.split_at(places);
            (Gap::Wider(places.parse().unwrap_or(0)), rest)
        }
    };
    let mut chars = marked.chars();
    let given = chars.next();
    if given == Some(MADE) {
        return (None, gap, chars.as_str());
    }
    match ALL.iter().find(|analyzer| Some(code(analyzer)) == given) {
        Some(analyzer) => (Some(analyzer.clone()), gap, chars.as_str()),
        None => plain,
    }
}

/// Tokenizes marked text; the common case, `standard`, does so without allocation per token.
#[derive(Clone, Default)]
pub(crate) struct DispatchTokenizer {
    token: Token,
}

impl DispatchTokenizer {
    pub(crate) fn analyzer() -> TextAnalyzer {
        TextAnalyzer::from(Self::default())
    }
}

impl Tokenizer for DispatchTokenizer {
    type TokenStream<'a> = DispatchStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> DispatchStream<'a> {
        self.token.reset();
        let (analyzer, gap, text) = unmark(text);
        let source = match analyzer {
            None => Tokens::Made {
                text,
                at: 0,
                position: 0,
            },
            Some(Analyzer::Standard) if text.is_ascii() => Tokens::Ascii { text, at: 0 },
            Some(Analyzer::Standard) => Tokens::Words(Box::new(words_of(text, MAX_TOKEN_LENGTH))),
            Some(other) => Tokens::Collected(other.tokens(text).into_iter()),
        };
        DispatchStream {
            source,
            token: &mut self.token,
            gap,
            is_first: true,
        }
    }
}

enum Tokens<'a> {
    Ascii {
        text: &'a str,
        at: usize,
    },
    Words(Box<dyn Iterator<Item = (usize, &'a str)> + 'a>),
    Collected(std::vec::IntoIter<Token>),
    /// What [`mark`] has written.
    Made {
        text: &'a str,
        at: usize,
        position: usize,
    },
}

pub(crate) struct DispatchStream<'a> {
    source: Tokens<'a>,
    token: &'a mut Token,
    gap: Gap,
    is_first: bool,
}

impl DispatchStream<'_> {
    fn set(&mut self, start: usize, word: &str) {
        self.token.position = self.token.position.wrapping_add(1);
        self.token.offset_from = start;
        self.token.offset_to = start + word.len();
        lowercase_into(word, &mut self.token.text);
    }
}

impl TokenStream for DispatchStream<'_> {
    fn advance(&mut self) -> bool {
        if !self.next_word() {
            return false;
        }
        match self.gap {
            Gap::Wider(0) => {}
            // The engine begins the next value after the longest reach of a word, and one place on.
            Gap::None => self.token.position_length = 0,
            Gap::Wider(places) => self.widen(places as usize),
        }
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

impl DispatchStream<'_> {
    fn widen(&mut self, places: usize) {
        // Words of these sources are counted on from the one before, others have their own places.
        let counts_on = matches!(self.source, Tokens::Ascii { .. } | Tokens::Words(_));
        if self.is_first || !counts_on {
            self.token.position += places;
        }
        self.is_first = false;
    }

    fn next_word(&mut self) -> bool {
        match &mut self.source {
            Tokens::Ascii { text, at } => {
                let text: &str = text;
                let Some((start, word)) = next_ascii_word(text, at) else {
                    return false;
                };
                self.set(start, word);
                true
            }
            Tokens::Words(words) => {
                let Some((start, word)) = words.next() else {
                    return false;
                };
                self.set(start, word);
                true
            }
            Tokens::Collected(tokens) => {
                let Some(token) = tokens.next() else {
                    return false;
                };
                *self.token = token;
                true
            }
            Tokens::Made { text, at, position } => {
                let (Some(step), Some(length)) = (read_number(text, at), read_number(text, at))
                else {
                    return false;
                };
                let Some(word) = text.get(*at..*at + length) else {
                    return false;
                };
                *at += length;
                *position += step;
                self.token.position = *position;
                // Nobody asks the index where the words of a text were.
                (self.token.offset_from, self.token.offset_to) = (0, 0);
                self.token.position_length = 1;
                self.token.text.clear();
                self.token.text.push_str(word);
                true
            }
        }
    }
}

/// Stands for tokens that were made before.
const MADE: char = 'c';

/// Begins text that names its analyzer; no analyzer makes a token of it.
const MARK: char = '\u{1}';
