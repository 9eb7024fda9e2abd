//! Where sentences and words of a text end. The boundaries are those of the JDK's `BreakIterator`, which Elasticsearch
//! cuts fragments with: found by asking Elasticsearch 8.19.

/// Returns the boundaries between sentences, both ends of the text included.
pub(super) fn sentences(text: &[char]) -> Vec<usize> {
    first_sentences(text, usize::MAX)
}

/// Returns where the first sentence ends.
pub(super) fn sentence_end(text: &[char]) -> usize {
    first_sentences(text, 1).get(1).copied().unwrap_or(0)
}

fn first_sentences(text: &[char], most: usize) -> Vec<usize> {
    let mut breaks = vec![0];
    let mut at = 0;
    while at < text.len() && breaks.len() <= most {
        let c = text[at];
        at += 1;
        if c == PARAGRAPH {
            breaks.push(at);
        } else if is_terminator(c) {
            at = skip(text, at, |c| {
                is_terminator(c) || is_period(c) || is_closing(c)
            });
            at = skip(text, at, is_space);
            at += usize::from(text.get(at) == Some(&PARAGRAPH));
            breaks.push(at);
        } else if is_period(c) {
            at = skip(text, at, |c| is_period(c) || is_closing(c));
            let next = skip(text, at, is_space);
            let word = skip(text, next, |c| {
                !(c.is_alphanumeric() || is_space(c) || is_period(c) || is_terminator(c))
            });
            let is_marked = word > next;
            let begins = text
                .get(word)
                .is_some_and(|c| c.is_alphabetic() && (is_marked || !c.is_lowercase()));
            if next > at && begins {
                at = next;
                breaks.push(at);
            }
        }
    }
    match breaks.len() > most {
        true => breaks,
        false => ended(breaks, text.len()),
    }
}

/// Returns the boundaries between words and what stands between them, both ends of the text included.
pub(super) fn words(text: &[char]) -> Vec<usize> {
    let mut breaks = vec![0];
    let mut at = 0;
    while at < text.len() {
        at = word_end(text, at);
        breaks.push(at);
    }
    ended(breaks, text.len())
}

/// Returns where the word ends that begins there.
pub(super) fn word_end(text: &[char], start: usize) -> usize {
    let first = text[start];
    if let Some(script) = Script::of(first) {
        return skip(text, start, |c| Script::of(c) == Some(script));
    }
    if is_blank(first) || matches!(first, '\r' | '\n') {
        let end = skip(text, start, is_blank);
        let end = end + usize::from(text.get(end) == Some(&'\r'));
        return (end + usize::from(text.get(end) == Some(&'\n'))).max(start + 1);
    }
    let is_letter = |c: char| c.is_alphabetic() && Script::of(c).is_none();
    let mut at = start;
    if is_before_number(first) && text.get(start + 1).is_some_and(|c| c.is_numeric()) {
        at += 1;
    }
    loop {
        let before = at;
        at = joined(text, at, is_letter, is_in_word);
        let letters = at;
        at = joined(text, at, char::is_numeric, is_in_number);
        if at > letters && text.get(at).copied().is_some_and(is_after_number) {
            return at + 1;
        }
        if at == before {
            break;
        }
    }
    at.max(start + 1)
}

/// Runs of one class, which some characters join when they stand between two of it.
fn joined(
    text: &[char],
    start: usize,
    is_member: impl Fn(char) -> bool,
    joins: impl Fn(char) -> bool,
) -> usize {
    let mut at = skip(text, start, &is_member);
    while at > start
        && text.get(at).copied().is_some_and(&joins)
        && text.get(at + 1).copied().is_some_and(&is_member)
    {
        at = skip(text, at + 1, &is_member);
    }
    at
}

fn skip(text: &[char], start: usize, passes: impl Fn(char) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let run = rest.iter().take_while(|c| passes(**c)).count();
    start + run
}

fn ended(mut breaks: Vec<usize>, end: usize) -> Vec<usize> {
    if breaks.last() != Some(&end) {
        breaks.push(end);
    }
    breaks
}

/// Scripts whose runs are words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Han,
    Hiragana,
    Katakana,
}

impl Script {
    fn of(c: char) -> Option<Self> {
        match c {
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' => {
                Some(Self::Han)
            }
            '\u{3005}' | '\u{20000}'..='\u{3134f}' => Some(Self::Han),
            '\u{3041}'..='\u{3096}' | '\u{3099}'..='\u{309e}' => Some(Self::Hiragana),
            '\u{30a1}'..='\u{30fe}' | '\u{ff66}'..='\u{ff9d}' => Some(Self::Katakana),
            _ => None,
        }
    }
}

const PARAGRAPH: char = '\u{2029}';

fn is_terminator(c: char) -> bool {
    matches!(c, '!' | '?' | '\u{3002}' | '\u{ff01}' | '\u{ff1f}')
}

fn is_period(c: char) -> bool {
    matches!(c, '.' | '\u{ff0e}')
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        ')' | ']'
            | '}'
            | '"'
            | '\''
            | '\u{bb}'
            | '\u{2019}'
            | '\u{201d}'
            | '\u{203a}'
            | '\u{300d}'
            | '\u{300f}'
    )
}

fn is_space(c: char) -> bool {
    is_blank(c) || matches!(c, '\r' | '\n' | '\u{c}' | '\u{2028}')
}

/// Space within a line.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\u{a0}' | '\u{3000}' | '\u{2000}'..='\u{200a}'
    )
}

fn is_in_word(c: char) -> bool {
    matches!(
        c,
        '-' | '_' | '\'' | '"' | '.' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2019}' | '\u{2027}'
    )
}

fn is_in_number(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '"' | '\u{66b}')
}

fn is_before_number(c: char) -> bool {
    matches!(c, '$' | '#' | '.' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}')
}

fn is_after_number(c: char) -> bool {
    matches!(c, '%' | '&' | '\u{a2}' | '\u{2030}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, breaks: fn(&[char]) -> Vec<usize>) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        let found = breaks(&chars);
        let pieces = found.windows(2);
        pieces
            .map(|ends| chars[ends[0]..ends[1]].iter().collect())
            .collect()
    }

    #[test]
    fn sentences_end_where_the_next_begins() {
        let text = "U.S.A. today. No. 5 is it. v1.2.Next one... And (\"so\") he said. \"Why\" then? yes! ok; \
                    e.g. this. (Paren) one.\nNew line\nhere. - dash. x.) Y.";
        let expected = [
            "U.S.A. today. ",
            "No. 5 is it. v1.2.Next one... ",
            "And (\"so\") he said. ",
            "\"Why\" then? ",
            "yes! ",
            "ok; e.g. this. ",
            "(Paren) one.\n",
            "New line\nhere. - dash. x.) ",
            "Y.",
        ];
        assert_eq!(cut(text, sentences), expected);
        assert_eq!(
            cut("a?b c!d\u{3002}\u{4e2d}", sentences),
            ["a?", "b c!", "d\u{3002}", "\u{4e2d}"]
        );
        assert_eq!(cut("abc. 'def'. (5) x. #y", sentences).len(), 3);
        assert_eq!(sentences(&[]), [0]);
    }

    #[test]
    fn words_keep_what_stands_within_them() {
        assert_eq!(
            cut("can't stop-gap, 3.14 $5 50% abc123", words),
            [
                "can't", " ", "stop-gap", ",", " ", "3.14", " ", "$5", " ", "50%", " ", "abc123"
            ]
        );
        assert_eq!(
            cut("\u{30ab}\u{30bf}\u{3072} a  b", words),
            ["\u{30ab}\u{30bf}", "\u{3072}", " ", "a", "  ", "b"]
        );
    }
}
