//! Classes of characters that the standard library does not tell apart, and folding as Java does it.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// A set of characters, as sorted ranges.
pub(super) struct CharSet(Vec<(char, char)>);

impl CharSet {
    /// Returns the characters of a class of regular expressions, such as `\p{L}`.
    fn new(class: &str) -> Self {
        let parsed = regex_syntax::parse(class);
        match parsed.map(regex_syntax::hir::Hir::into_kind) {
            Ok(HirKind::Class(Class::Unicode(class))) => Self(
                class
                    .iter()
                    .map(|range| (range.start(), range.end()))
                    .collect(),
            ),
            // Invariant: the classes below are constants, and a test reads each.
            other => unreachable!("{class}: {other:?}"),
        }
    }

    pub(super) fn contains(&self, c: char) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= c);
        after > 0 && c <= self.0[after - 1].1
    }
}

/// Letters, without the marks that Rust calls alphabetic: `Character.isLetter` of Java.
pub(super) static LETTERS: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(r"\p{L}"));

pub(super) static PUNCTUATION: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(r"\p{P}"));

pub(super) static SYMBOLS: LazyLock<CharSet> = LazyLock::new(|| CharSet::new(r"\p{S}"));

/// What is written without blanks between words and needs a dictionary to be split: runs of it are one token.
pub(super) static COMPLEX: LazyLock<CharSet> = LazyLock::new(|| {
    CharSet::new(
        r"[[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}]&&[\p{L}\p{M}]]",
    )
});

static PICTOGRAPHS: LazyLock<CharSet> =
    LazyLock::new(|| CharSet::new(r"\p{Extended_Pictographic}"));

/// Tells whether a segment between word boundaries is an emoji: a pictograph, a flag, or a keycap.
pub(super) fn is_emoji(segment: &str) -> bool {
    let mut chars = segment.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let is_regional = |c: char| ('\u{1f1e6}'..='\u{1f1ff}').contains(&c);
    PICTOGRAPHS.contains(first)
        || (is_regional(first) && chars.next().is_some_and(is_regional))
        || (matches!(first, '#' | '*') && segment.ends_with('\u{20e3}'))
}

/// Lower case by single characters, as `Character.toLowerCase` of Java: `İ` is `i` without the dot of its own.
pub(super) fn lowercase(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        (Some(base), Some(_)) => base,
        (None, _) => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_their_names_say() {
        assert!(LETTERS.contains('a') && LETTERS.contains('語'));
        assert!(
            !LETTERS.contains('1') && !LETTERS.contains('\u{301}') && !LETTERS.contains('\u{e31}')
        );
        assert!(COMPLEX.contains('ส') && COMPLEX.contains('\u{e31}') && COMPLEX.contains('ພ'));
        assert!(
            !COMPLEX.contains('a') && !COMPLEX.contains('\u{e51}'),
            "a Thai digit is a number"
        );
        assert!(is_emoji("☺") && is_emoji("\u{1f1e9}\u{1f1ea}") && is_emoji("#\u{fe0f}\u{20e3}"));
        assert!(!is_emoji("\u{1f1e9}") && !is_emoji("#") && !is_emoji("→") && !is_emoji(""));
        assert_eq!(
            [lowercase('İ'), lowercase('Σ'), lowercase('ẞ')],
            ['i', 'σ', 'ß']
        );
    }
}
