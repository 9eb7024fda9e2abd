//! How words are found in a text.

use unicode_segmentation::UnicodeSegmentation;

use super::characters::{COMPLEX, is_emoji, lowercase};

/// The standard tokenizer's `max_token_length`, in characters.
pub(super) const MAX_TOKEN_LENGTH: usize = 255;

/// Unicode words and emoji, cut at so many characters. Boundaries between characters that need a
/// dictionary are none, as in Lucene: a run of Thai is one word.
pub(super) fn words_of(text: &str, longest: usize) -> impl Iterator<Item = (usize, &str)> {
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
    words.flat_map(move |(start, word)| pieces(start, word, longest))
}

/// The same words for ASCII text, without the segmentation tables: letters, digits and `_` join;
/// `.`, `:` and `'` join letters; `.`, `,`, `;` and `'` join digits (rules WB5 to WB13b).
pub(super) fn next_ascii_word<'a>(text: &'a str, at: &mut usize) -> Option<(usize, &'a str)> {
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

fn pieces(start: usize, word: &str, longest: usize) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = word;
    let mut at = start;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = rest
            .char_indices()
            .nth(longest)
            .map_or(rest.len(), |(index, _)| index);
        let (piece, tail) = rest.split_at(cut);
        let begin = at;
        at += cut;
        rest = tail;
        Some((begin, piece))
    })
}

/// Runs of characters, cut at so many.
pub(super) fn runs_of(
    text: &str,
    keep: impl Fn(char) -> bool,
    longest: usize,
) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(&keep)?;
        let end = text[start..]
            .find(|c| !keep(c))
            .map_or(text.len(), |length| start + length);
        at = end;
        Some((start, &text[start..end]))
    })
    .flat_map(move |(start, word)| pieces(start, word, longest))
}

pub(super) fn lowercase_into(word: &str, buffer: &mut String) {
    buffer.clear();
    if word.is_ascii() {
        buffer.push_str(word);
        buffer.make_ascii_lowercase();
    } else {
        buffer.extend(word.chars().map(lowercase));
    }
}

/// Takes `'s` off.
pub(super) fn without_possessive(word: &str) -> &str {
    ["'s", "'S", "\u{2019}s", "\u{2019}S"]
        .iter()
        .find_map(|suffix| word.strip_suffix(suffix))
        .unwrap_or(word)
}
