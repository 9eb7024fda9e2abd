//! Lucene regular expressions and wildcards, translated to the `regex` crate, which runs in linear
//! time. Source: data.md section 5.2.

use regex::{Regex, RegexBuilder};
use ringwall_api::ApiError;

use super::ast::{PatternKind, PatternQuery};

/// Refuses patterns longer than `index.max_regex_length`.
pub(super) fn check_length(query: &PatternQuery) -> Result<(), ApiError> {
    let length = query.value.chars().count();
    if query.kind == PatternKind::Regexp && length > MAX_LENGTH {
        return Err(ApiError::illegal_argument(format!(
            "The length of regex [{length}] used in the Regexp Query request has exceeded the \
             allowed maximum of [{MAX_LENGTH}]. This maximum can be set by changing the \
             [index.max_regex_length] index level setting."
        )));
    }
    Ok(())
}

/// A pattern that whole terms are tested against.
#[derive(Debug, Clone)]
pub struct TermPattern {
    regex: Regex,
    /// Every match begins with this text: the part of the dictionary to look at.
    pub prefix: String,
}

impl TermPattern {
    /// Compiles a prefix, wildcard or regular expression.
    pub fn compile(
        kind: PatternKind,
        pattern: &str,
        case_insensitive: bool,
    ) -> Result<Self, ApiError> {
        let (body, prefix) = match kind {
            PatternKind::Prefix => (format!("{}.*", regex::escape(pattern)), pattern.to_owned()),
            PatternKind::Wildcard => wildcard(pattern),
            PatternKind::Regexp => (translate(pattern)?, String::new()),
        };
        let regex = RegexBuilder::new(&format!("^(?:{body})$"))
            .case_insensitive(case_insensitive)
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| invalid(pattern, "it does not parse or is too large"))?;
        Ok(Self {
            regex,
            prefix: if case_insensitive {
                String::new()
            } else {
                prefix
            },
        })
    }

    /// Tells whether the whole term matches.
    pub fn is_match(&self, term: &str) -> bool {
        self.regex.is_match(term)
    }
}

/// `index.max_regex_length`, in characters.
const MAX_LENGTH: usize = 1_000;

/// Bytes of a compiled pattern.
const SIZE_LIMIT: usize = 1 << 20;

fn invalid(pattern: &str, why: &str) -> ApiError {
    ApiError::illegal_argument(format!("invalid regular expression [{pattern}]: {why}"))
}

/// `*` is any text, `?` any character, a backslash takes the next character literally. Returns the
/// expression and the literal text it begins with.
fn wildcard(pattern: &str) -> (String, String) {
    let mut body = String::new();
    let mut prefix = String::new();
    let mut literal = true;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '*' => {
                body.push_str(".*");
                literal = false;
                continue;
            }
            '?' => {
                body.push('.');
                literal = false;
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        };
        body.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        if literal {
            prefix.push(c);
        }
    }
    (body, prefix)
}

/// Lucene syntax: `. ? + * | { } [ ] ( ) " \ # @ & < > ~`. The operators that have no linear
/// counterpart (`~`, `&`, `<1-9>`, `#`) are refused unless escaped.
fn translate(pattern: &str) -> Result<String, ApiError> {
    let mut body = String::new();
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    let mut repeated = false;
    while let Some(c) = chars.next() {
        // `a+?` would repeat lazily here but is an optional `a+` there.
        if std::mem::replace(&mut repeated, !class && matches!(c, '*' | '+' | '?' | '}'))
            && c == '?'
        {
            return Err(invalid(
                pattern,
                "put parentheses around what [?] makes optional",
            ));
        }
        match c {
            '\\' => {
                let next = chars
                    .next()
                    .ok_or_else(|| invalid(pattern, "it ends with a backslash"))?;
                match next {
                    'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                        body.push('\\');
                        body.push(next);
                    }
                    other => body.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
                }
            }
            '[' if !class => {
                class = true;
                body.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    body.push('^');
                }
            }
            ']' if class => {
                class = false;
                body.push(']');
            }
            '[' | '&' | '~' | '-' if class && (c != '-' || chars.peek() == Some(&'-')) => {
                body.push('\\');
                body.push(c);
            }
            c if class => body.push(c),
            '"' => loop {
                match chars.next() {
                    Some('"') => break,
                    Some(c) => body.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                    None => return Err(invalid(pattern, "a quotation mark is not closed")),
                }
            },
            '@' => body.push_str(".*"),
            '(' if chars.peek() == Some(&'?') => {
                return Err(invalid(pattern, "[?] has nothing to repeat after [(]"));
            }
            '~' | '&' | '<' | '#' => {
                return Err(invalid(
                    pattern,
                    &format!("the operator [{c}] is not supported, escape it to match it"),
                ));
            }
            '^' | '$' => {
                body.push('\\');
                body.push(c);
            }
            other => body.push(other),
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: PatternKind, pattern: &str, term: &str, expected: bool) {
        let compiled = TermPattern::compile(kind, pattern, false).unwrap();
        assert_eq!(compiled.is_match(term), expected, "{pattern} on {term}");
        if expected {
            assert!(term.starts_with(&compiled.prefix));
        }
    }

    #[test]
    fn wildcards() {
        use PatternKind::Wildcard;
        check(Wildcard, "qu?ck*", "quick brown", true);
        check(Wildcard, "qu?ck*", "quck", false);
        check(Wildcard, "a\\*b", "a*b", true);
        check(Wildcard, "a\\*b", "axb", false);
        check(Wildcard, "a.c", "abc", false);
        check(Wildcard, "*", "", true);
        check(Wildcard, "a*", "a\nb", true);
    }

    #[test]
    fn regular_expressions_are_anchored() {
        use PatternKind::Regexp;
        check(Regexp, "ab+", "abbb", true);
        check(Regexp, "ab+", "xabbb", false);
        check(Regexp, "[a-c]{2}|z", "bc", true);
        check(Regexp, "a@", "anything", true);
        check(Regexp, "\"a.b\"", "a.b", true);
        check(Regexp, "\"a.b\"", "axb", false);
        check(Regexp, "a^b$", "a^b$", true);
        for bad in [
            "a+?", "a{2}?", "a~b", "<1-10>", "(", "a\\", "\"a", "a&b", "(?i)a",
        ] {
            assert!(TermPattern::compile(Regexp, bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn case_can_be_ignored() {
        let pattern = TermPattern::compile(PatternKind::Prefix, "QuI", true).unwrap();
        assert!(pattern.is_match("quick") && pattern.is_match("QUICK"));
        assert!(!pattern.is_match("a quick"));
    }
}
