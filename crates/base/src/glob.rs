//! The one matcher of names against patterns with wildcards.
//!
//! A pattern is cut at its `*`. The first part must begin the text, the last must end it, and each part between
//! is taken where it first occurs: an earlier place leaves more text to the parts after it, so nothing is ever
//! tried again. Time is linear in pattern and text, or at worst their product where parts hold a `?`.

/// Which characters of a pattern do not stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `*`: any run of characters, also none.
    Star,
    /// `*`, `?`: one character, and `\`, which makes the next one stand for itself. A `\` that ends the pattern
    /// stands for itself.
    Wildcard,
}

/// Returns whether the whole text matches the pattern. What a pattern means besides (`**`, `-`, commas) is its
/// caller's to tell.
pub fn matches(pattern: &str, text: &str, syntax: Syntax) -> bool {
    let (first, mut rest) = cut(pattern, syntax);
    let Some(mut text) = first.strip_from(text) else {
        return false;
    };
    if rest.is_none() {
        return text.is_empty();
    }
    while let Some(pattern) = rest {
        let (part, after) = cut(pattern, syntax);
        match after {
            Some(_) => match part.find_in(text) {
                Some(behind) => text = behind,
                None => return false,
            },
            None => return part.ends(text),
        }
        rest = after;
    }
    true
}

/// Returns whether there is a text that matches both patterns of [`Syntax::Star`]. Costs the product of their lengths.
pub fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Whether the part of `one` that was looked at and so many characters of `other` match the same text.
    let mut reached = vec![false; other.len() + 1];
    reached[0] = true;
    for at in 0..=one.len() {
        let symbol = one.get(at).copied();
        let mut next = vec![false; other.len() + 1];
        for place in 0..=other.len() {
            if !reached[place] {
                continue;
            }
            let against = other.get(place).copied();
            // A star stands for nothing, or takes in what is opposite.
            if symbol == Some('*') || (symbol.is_some() && against == Some('*')) {
                next[place] = true;
            }
            if let Some(against) = against {
                if against == '*' || symbol == Some('*') {
                    reached[place + 1] = true;
                }
                if Some(against) == symbol {
                    next[place + 1] = true;
                }
            }
        }
        if symbol.is_none() {
            return reached[other.len()];
        }
        reached = next;
    }
    false
}

/// A stretch of a pattern without `*`.
#[derive(Clone, Copy)]
struct Part<'p> {
    pattern: &'p str,
    /// Whether it is to be read character by character.
    special: bool,
}

/// Returns what stands before the first `*`, and what stands behind it if there is one.
fn cut(pattern: &str, syntax: Syntax) -> (Part<'_>, Option<&str>) {
    let bytes = pattern.as_bytes();
    let (mut at, mut special) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match (byte, syntax) {
            (b'*', _) => break,
            (b'\\', Syntax::Wildcard) => {
                special = true;
                at += 1;
            }
            (b'?', Syntax::Wildcard) => special = true,
            _ => {}
        }
        at += 1;
    }
    // A `\` may be the last byte.
    let at = at.min(bytes.len());
    let part = Part {
        pattern: &pattern[..at],
        special,
    };
    (part, pattern.get(at + 1..))
}

impl Part<'_> {
    /// Returns what follows the part in a text that begins with it.
    fn strip_from<'t>(&self, text: &'t str) -> Option<&'t str> {
        if !self.special {
            return text.strip_prefix(self.pattern);
        }
        let mut pattern = self.pattern.chars();
        let mut text = text.chars();
        while let Some(wanted) = pattern.next() {
            let found = text.next()?;
            let wanted = match wanted {
                '?' => continue,
                '\\' => pattern.next().unwrap_or('\\'),
                other => other,
            };
            if found != wanted {
                return None;
            }
        }
        Some(text.as_str())
    }

    /// Returns what follows the first occurrence of the part.
    fn find_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        if !self.special {
            return text
                .find(self.pattern)
                .map(|at| &text[at + self.pattern.len()..]);
        }
        text.char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .find_map(|at| self.strip_from(&text[at..]))
    }

    fn ends(&self, text: &str) -> bool {
        if !self.special {
            return text.ends_with(self.pattern);
        }
        let length = self.characters();
        let start = match length {
            0 => Some(text.len()),
            length => text.char_indices().rev().nth(length - 1).map(|(at, _)| at),
        };
        start.is_some_and(|at| self.strip_from(&text[at..]).is_some())
    }

    /// Returns how many characters of a text the part takes.
    fn characters(&self) -> usize {
        let mut pattern = self.pattern.chars();
        let mut length = 0;
        while let Some(character) = pattern.next() {
            if character == '\\' {
                pattern.next();
            }
            length += 1;
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition, at any cost.
    fn naive(pattern: &[char], text: &[char], syntax: Syntax) -> bool {
        let special = syntax == Syntax::Wildcard;
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => {
                (0..=text.len()).any(|from| naive(rest, &text[from..], syntax))
            }
            (['?', rest @ ..], [_, text @ ..]) if special => naive(rest, text, syntax),
            (['\\', wanted, rest @ ..], [found, text @ ..]) if special => {
                wanted == found && naive(rest, text, syntax)
            }
            (['\\', _, ..], _) if special => false,
            ([wanted, rest @ ..], [found, text @ ..]) => {
                wanted == found && naive(rest, text, syntax)
            }
            (_, []) => false,
        }
    }

    #[test]
    fn whole_texts_match() {
        for (pattern, text, expected) in [
            ("logs", "logs", true),
            ("logs", "logs2", false),
            ("logs*", "logs", true),
            ("logs-*-x", "logs-a-b-x", true),
            ("logs-*-x", "logs-a-b-y", false),
            ("*", "", true),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*aab", "aaaab", true),
        ] {
            for syntax in [Syntax::Star, Syntax::Wildcard] {
                assert_eq!(
                    matches(pattern, text, syntax),
                    expected,
                    "{pattern} {text} {syntax:?}"
                );
            }
        }
    }

    #[test]
    fn one_character_and_escapes_are_of_one_syntax() {
        for (pattern, text, wildcard, star) in [
            ("a?c", "abc", true, false),
            ("a?c", "aéc", true, false),
            ("a?c", "ac", false, false),
            ("a?c", "a?c", true, true),
            ("*??c*", "€cd", false, false),
            ("a\\*", "a*", true, false),
            ("a\\*", "a\\b", false, true),
            ("a\\", "a\\", true, true),
            ("*\\?", "x?", true, false),
            ("*\\?", "xy", false, false),
        ] {
            assert_eq!(
                matches(pattern, text, Syntax::Wildcard),
                wildcard,
                "{pattern} {text}"
            );
            assert_eq!(
                matches(pattern, text, Syntax::Star),
                star,
                "{pattern} {text}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn agrees_with_the_definition(
            pattern in "[ab€*?\\\\]{0,9}",
            text in "[ab€*?\\\\]{0,12}",
            star in any::<bool>(),
        ) {
            let syntax = if star { Syntax::Star } else { Syntax::Wildcard };
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text, syntax), naive(&p, &t, syntax));
        }

        /// What a pattern was made from matches, so that the property above is not one of refusals alone.
        #[test]
        fn a_text_matches_what_was_made_of_it(text in "\\PC{0,40}", holes in prop::collection::vec(0..40usize, 0..6)) {
            let characters: Vec<char> = text.chars().collect();
            let mut pattern = String::new();
            for (at, character) in characters.iter().enumerate() {
                match holes.iter().position(|hole| *hole == at) {
                    Some(0) => pattern.push('?'),
                    Some(1) => pattern.push('*'),
                    Some(_) => {
                        pattern.push('*');
                        pattern.push('\\');
                        pattern.push(*character);
                    }
                    None => {
                        pattern.push('\\');
                        pattern.push(*character);
                    }
                }
            }
            prop_assert!(matches(&pattern, &text, Syntax::Wildcard));
        }
    }

    #[test]
    fn patterns_that_share_a_text_overlap() {
        for (one, other, expected) in [
            ("a*", "ab*", true),
            ("a*", "*b", true),
            ("a*c", "ab*", true),
            ("a*", "b*", false),
            ("a*b", "a*c", false),
            ("abc", "abc", true),
            ("abc", "abd", false),
            ("*", "", true),
            ("a", "", false),
            ("*a*b*", "c*d*b", true),
            ("**", "a", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }

    proptest! {
        /// A text that both match is one that they share.
        #[test]
        fn what_both_match_overlaps(one in "[ab*]{0,6}", other in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let both = matches(&one, &text, Syntax::Star) && matches(&other, &text, Syntax::Star);
            prop_assert!(!both || overlap(&one, &other));
        }
    }

    /// A matcher that tries again what failed does not end within the life of the test.
    #[test]
    fn many_stars_cost_no_more_than_their_number() {
        let stars = "*".repeat(10_000) + "!";
        let pairs = "*a".repeat(5_000) + "b";
        let marks = "*?a".repeat(500) + "b";
        let text = "a".repeat(20_000);
        for pattern in [&stars, &pairs, &marks] {
            for syntax in [Syntax::Star, Syntax::Wildcard] {
                assert!(!matches(pattern, &text, syntax));
            }
        }
    }
}
