//! Analyzers: text to tokens. Source: Elasticsearch reference, "Built-in analyzer reference".

mod characters;

use serde::{Deserialize, Serialize};
use tantivy::tokenizer::{Language, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};
use unicode_segmentation::UnicodeSegmentation;

use characters::{COMPLEX, LETTERS, is_emoji, lowercase};

/// A built-in analyzer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

impl Analyzer {
    /// Returns the analyzer of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|analyzer| {
            analyzer.name() == name || (name == "default" && *analyzer == Self::Standard)
        })
    }

    /// Returns the name used in mappings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Simple => "simple",
            Self::Whitespace => "whitespace",
            Self::Keyword => "keyword",
            Self::Stop => "stop",
            Self::English => "english",
        }
    }

    /// Returns the tokens of a text, with byte offsets and positions. A removed stop word leaves a
    /// gap in the positions.
    pub fn tokens(self, text: &str) -> Vec<Token> {
        let mut collected = Vec::new();
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

    /// Calls `emit(start, end, position, token)` for each token.
    fn for_each(self, text: &str, mut emit: impl FnMut(usize, usize, usize, &str)) {
        let mut buffer = String::new();
        let mut position = 0;
        match self {
            Self::Keyword => {
                if !text.is_empty() {
                    emit(0, text.len(), 0, text);
                }
            }
            Self::Whitespace => {
                for (start, word) in runs(text, |c| !c.is_whitespace()) {
                    emit(start, start + word.len(), position, word);
                    position += 1;
                }
            }
            Self::Simple | Self::Stop => {
                for (start, word) in runs(text, |c| LETTERS.contains(c)) {
                    lowercase_into(word, &mut buffer);
                    if self == Self::Simple || !is_stop_word(&buffer) {
                        emit(start, start + word.len(), position, &buffer);
                    }
                    position += 1;
                }
            }
            Self::Standard => {
                for (start, word) in standard_words(text) {
                    lowercase_into(word, &mut buffer);
                    emit(start, start + word.len(), position, &buffer);
                    position += 1;
                }
            }
            Self::English => {
                let mut stemmer = english_stemmer();
                for (start, word) in standard_words(text) {
                    lowercase_into(without_possessive(word), &mut buffer);
                    if !is_stop_word(&buffer) {
                        emit(
                            start,
                            start + word.len(),
                            position,
                            &stem(&mut stemmer, &buffer),
                        );
                    }
                    position += 1;
                }
            }
        }
    }

    /// Returns the number of tokens of a text, with the words that are left out if `with_gaps`.
    pub(crate) fn count(self, text: &str, with_gaps: bool) -> usize {
        let counted = match (self, with_gaps) {
            (Self::Stop, true) => Self::Simple,
            (Self::English, true) => Self::Standard,
            (own, _) => own,
        };
        let mut count = 0;
        counted.for_each(text, |_, _, _, _| count += 1);
        count
    }

    fn code(self) -> char {
        match self {
            Self::Standard => 's',
            Self::Simple => 'l',
            Self::Whitespace => 'w',
            Self::Keyword => 'k',
            Self::Stop => 'p',
            Self::English => 'e',
        }
    }
}

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

/// Returns the text to hand to the tokenizer so that `analyzer` analyzes it: a text slot of the
/// schema has one tokenizer, whatever analyzer and gap the mapping chose for the field.
pub(crate) fn mark(analyzer: Analyzer, gap: Gap, text: String) -> String {
    if analyzer == Analyzer::Standard && gap == Gap::Wider(0) && !text.starts_with(MARK) {
        return text;
    }
    let mut marked = String::with_capacity(text.len() + 8);
    marked.push(MARK);
    match gap {
        Gap::None => marked.push('-'),
        Gap::Wider(0) => {}
        Gap::Wider(places) => marked.push_str(&places.to_string()),
    }
    marked.push(analyzer.code());
    marked.push_str(&text);
    marked
}

/// Returns whether marked text has at least one token.
pub(crate) fn has_tokens(marked: &str) -> bool {
    let (analyzer, _, text) = unmark(marked);
    match (analyzer, text) {
        // Every letter or digit is in a word.
        (Analyzer::Standard, text) if text.contains(char::is_alphanumeric) => true,
        (Analyzer::Standard, text) => !text.is_ascii() && standard_words(text).next().is_some(),
        (analyzer, text) => !analyzer.tokens(text).is_empty(),
    }
}

fn unmark(text: &str) -> (Analyzer, Gap, &str) {
    let plain = (Analyzer::Standard, Gap::Wider(0), text);
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
    let code = chars.next();
    match ALL.iter().find(|analyzer| Some(analyzer.code()) == code) {
        Some(analyzer) => (*analyzer, gap, chars.as_str()),
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
            Analyzer::Standard if text.is_ascii() => Tokens::Ascii { text, at: 0 },
            Analyzer::Standard => Tokens::Words(Box::new(standard_words(text))),
            other => Tokens::Collected(other.tokens(text).into_iter()),
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
    Ascii { text: &'a str, at: usize },
    Words(Box<dyn Iterator<Item = (usize, &'a str)> + 'a>),
    Collected(std::vec::IntoIter<Token>),
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
        let counts_on = !matches!(self.source, Tokens::Collected(_));
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
        }
    }
}

/// Unicode words and emoji, cut at [`MAX_TOKEN_LENGTH`] characters. Boundaries between characters that need a
/// dictionary are none, as in Lucene: a run of Thai is one word.
fn standard_words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut segments = text.split_word_bound_indices().peekable();
    let complex = |segment: &str| segment.starts_with(|c| COMPLEX.contains(c));
    let words = std::iter::from_fn(move || {
        loop {
            let (start, mut word) = segments.next()?;
            if complex(word) {
                while let Some((next, more)) = segments.next_if(|(_, next)| complex(next)) {
                    word = &text[start..next + more.len()];
                }
            }
            if word.contains(char::is_alphanumeric) || is_emoji(word) {
                return Some((start, word));
            }
        }
    });
    words.flat_map(|(start, word)| pieces(start, word))
}

/// The same words for ASCII text, without the segmentation tables: letters, digits and `_` join;
/// `.`, `:` and `'` join letters; `.`, `,`, `;` and `'` join digits (rules WB5 to WB13b).
fn next_ascii_word<'a>(text: &'a str, at: &mut usize) -> Option<(usize, &'a str)> {
    let bytes = text.as_bytes();
    loop {
        let mut start = *at;
        while start < bytes.len() && !is_word_byte(bytes[start]) {
            start += 1;
        }
        if start == bytes.len() {
            *at = start;
            return None;
        }
        let mut end = start + 1;
        while end < bytes.len() && end - start < MAX_TOKEN_LENGTH {
            if is_word_byte(bytes[end]) || joins(bytes, end) {
                end += 1;
            } else {
                break;
            }
        }
        *at = end;
        let word = &text[start..end];
        // A run of underscores alone is not a word.
        if word.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Some((start, word));
        }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn joins(bytes: &[u8], at: usize) -> bool {
    let (Some(before), Some(after)) = (bytes.get(at.wrapping_sub(1)), bytes.get(at + 1)) else {
        return false;
    };
    let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
    let digits = before.is_ascii_digit() && after.is_ascii_digit();
    match bytes[at] {
        b'.' | b'\'' => letters || digits,
        b':' => letters,
        b',' | b';' => digits,
        _ => false,
    }
}

fn pieces(start: usize, word: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = word;
    let mut at = start;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = rest
            .char_indices()
            .nth(MAX_TOKEN_LENGTH)
            .map_or(rest.len(), |(index, _)| index);
        let (piece, tail) = rest.split_at(cut);
        let begin = at;
        at += cut;
        rest = tail;
        Some((begin, piece))
    })
}

fn runs(text: &str, keep: impl Fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(&keep)?;
        let end = text[start..]
            .find(|c| !keep(c))
            .map_or(text.len(), |length| start + length);
        at = end;
        Some((start, &text[start..end]))
    })
    .flat_map(|(start, word)| pieces(start, word))
}

fn lowercase_into(word: &str, buffer: &mut String) {
    buffer.clear();
    if word.is_ascii() {
        buffer.push_str(word);
        buffer.make_ascii_lowercase();
    } else {
        buffer.extend(word.chars().map(lowercase));
    }
}

fn without_possessive(word: &str) -> &str {
    ["'s", "'S", "\u{2019}s", "\u{2019}S"]
        .iter()
        .find_map(|suffix| word.strip_suffix(suffix))
        .unwrap_or(word)
}

fn english_stemmer() -> TextAnalyzer {
    TextAnalyzer::builder(tantivy::tokenizer::RawTokenizer::default())
        .filter(Stemmer::new(Language::English))
        .build()
}

fn stem(stemmer: &mut TextAnalyzer, word: &str) -> String {
    let mut stream = stemmer.token_stream(word);
    match stream.next() {
        Some(token) => token.text.clone(),
        None => word.to_owned(),
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

const ALL: [Analyzer; 6] = [
    Analyzer::Standard,
    Analyzer::Simple,
    Analyzer::Whitespace,
    Analyzer::Keyword,
    Analyzer::Stop,
    Analyzer::English,
];

/// Begins text that names its analyzer; no analyzer makes a token of it.
const MARK: char = '\u{1}';

/// The standard tokenizer's `max_token_length`, in characters.
const MAX_TOKEN_LENGTH: usize = 255;

/// The `_english_` stop words, sorted.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it",
    "no", "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these",
    "they", "this", "to", "was", "will", "with",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(analyzer: Analyzer, text: &str) -> Vec<String> {
        analyzer.tokens(text).into_iter().map(|t| t.text).collect()
    }

    fn dispatched(marked: &str) -> Vec<(usize, String)> {
        let mut analyzer = DispatchTokenizer::analyzer();
        let mut stream = analyzer.token_stream(marked);
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.position, token.text.clone()));
        }
        found
    }

    #[test]
    fn analyzers_split_as_documented() {
        let text = "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.";
        let cases = [
            (
                Analyzer::Standard,
                "the 2 quick brown foxes jumped over the lazy dog's bone",
            ),
            (
                Analyzer::Simple,
                "the quick brown foxes jumped over the lazy dog s bone",
            ),
            (
                Analyzer::Whitespace,
                "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.",
            ),
            (
                Analyzer::Stop,
                "quick brown foxes jumped over lazy dog s bone",
            ),
            (
                Analyzer::English,
                "2 quick brown fox jump over lazi dog bone",
            ),
        ];
        for (analyzer, expected) in cases {
            assert_eq!(words(analyzer, text).join(" "), expected, "{analyzer:?}");
        }
        assert_eq!(words(Analyzer::Keyword, "New York"), ["New York"]);
    }

    #[test]
    fn marked_text_selects_the_analyzer() {
        assert_eq!(
            dispatched(&mark(Analyzer::Keyword, Gap::Wider(0), "A b".into())),
            [(0, "A b".into())]
        );
        assert_eq!(
            dispatched(&mark(Analyzer::Stop, Gap::Wider(0), "of the Rings".into())),
            [(2, "rings".into())]
        );
        // Text of a user that begins with the mark is still analyzed by `standard`.
        assert_eq!(
            dispatched(&mark(Analyzer::Standard, Gap::Wider(0), "\u{1}kA b".into())).len(),
            2
        );
    }

    /// Asked of Elasticsearch 8.19.
    #[test]
    fn words_of_many_scripts_and_emoji() {
        for (text, standard, simple) in [
            ("I 😀 you", "i|😀|you", "i|you"),
            ("👍🏽 ok", "👍🏽|ok", "ok"),
            ("🇩🇪 flag", "🇩🇪|flag", "flag"),
            (
                "👨\u{200d}👩\u{200d}👧 family",
                "👨\u{200d}👩\u{200d}👧|family",
                "family",
            ),
            ("1️⃣ key #️⃣ *️⃣ #", "1️⃣|key|#️⃣|*️⃣", "key"),
            ("© ® → ★ ⌚ ♥", "©|®|★|⌚|♥", ""),
            ("x😀y", "x|😀|y", "x|y"),
            ("สวัสดีครับ ผม", "สวัสดีครับ|ผม", "สว|สด|คร|บ|ผม"),
            ("ລາວ ພາສາ", "ລາວ|ພາສາ", "ລາວ|ພາສາ"),
            ("ខ្មែរ", "ខ្មែរ", "ខ|ម|រ"),
            ("မြန်မာ", "မြန်မာ", "မ|န|မ"),
            (
                "İstanbul ISTANBUL ıI",
                "istanbul|istanbul|ıi",
                "istanbul|istanbul|ıi",
            ),
            ("ΌΣΟΣ Σ ẞ Ǆ", "όσοσ|σ|ß|ǆ", "όσοσ|σ|ß|ǆ"),
            ("日本語 テスト", "日|本|語|テスト", "日本語|テスト"),
            ("한국어", "한국어", "한국어"),
            ("नमस्ते", "नमस्ते", "नमस|त"),
            ("a\u{301} can’t", "a\u{301}|can’t", "a|can|t"),
        ] {
            assert_eq!(
                words(Analyzer::Standard, text).join("|"),
                standard,
                "{text}"
            );
            assert_eq!(words(Analyzer::Simple, text).join("|"), simple, "{text}");
            let indexed: Vec<String> = dispatched(text).into_iter().map(|token| token.1).collect();
            assert_eq!(indexed.join("|"), standard, "{text}");
            assert!(has_tokens(text));
        }
        for text in ["", "- →", "\u{fe0e}", "#"] {
            assert!(
                !has_tokens(text) && words(Analyzer::Standard, text).is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn long_words_are_cut() {
        let long = "x".repeat(300);
        assert_eq!(words(Analyzer::Standard, &long).len(), 2);
        assert_eq!(dispatched(&long).len(), 2);
    }

    proptest! {
        #[test]
        fn ascii_path_equals_unicode_segmentation(text in "[ -~]{0,40}") {
            let fast: Vec<String> = dispatched(&text).into_iter().map(|t| t.1).collect();
            prop_assert_eq!(fast, words(Analyzer::Standard, &text));
        }
    }
}
