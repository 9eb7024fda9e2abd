//! Patterns over terms: Lucene regular expressions, translated to the `regex` crate, which runs in linear
//! time, and wildcards. Source: Elasticsearch reference, "Regular expression syntax".

use regex::{Regex, RegexBuilder};
use ringwall_api::ApiError;
use ringwall_base::glob::{self, Syntax};

use super::pattern::{PatternKind, PatternQuery};
use crate::parse::failed_to_create;

/// Refuses expressions longer than `index.max_regex_length`, characters.
pub(super) fn check_length(query: &PatternQuery, most: usize) -> Result<(), ApiError> {
    let length = query.value.chars().count();
    if query.kind == PatternKind::Regexp && length > most {
        return Err(failed_to_create(format!(
            "The length of regex [{length}] used in the Regexp Query request has exceeded the \
             allowed maximum of [{most}]. This maximum can be set by changing the \
             [index.max_regex_length] index level setting."
        )));
    }
    Ok(())
}

/// A pattern that whole terms are tested against.
#[derive(Debug, Clone)]
pub struct TermPattern {
    matcher: Matcher,
    /// Every match begins with this text: the part of the dictionary to look at.
    pub prefix: String,
}

#[derive(Debug, Clone)]
enum Matcher {
    /// `*`, `?` and escapes; the pattern is folded if terms are to be.
    Wildcard {
        pattern: String,
        fold: bool,
    },
    Regex(Regex),
}

impl TermPattern {
    /// Compiles a prefix, wildcard or regular expression.
    pub fn compile(
        kind: PatternKind,
        pattern: &str,
        case_insensitive: bool,
    ) -> Result<Self, ApiError> {
        let wildcard = match kind {
            PatternKind::Wildcard => pattern.to_owned(),
            PatternKind::Prefix => format!("{}*", escaped(pattern)),
            PatternKind::Regexp => return Self::regexp(pattern, case_insensitive),
        };
        let prefix = match case_insensitive {
            true => String::new(),
            false => literal_prefix(&wildcard),
        };
        let pattern = match case_insensitive {
            true => folded(&wildcard),
            false => wildcard,
        };
        Ok(Self {
            matcher: Matcher::Wildcard {
                pattern,
                fold: case_insensitive,
            },
            prefix,
        })
    }

    fn regexp(pattern: &str, case_insensitive: bool) -> Result<Self, ApiError> {
        let body = translate(pattern)?;
        let regex = RegexBuilder::new(&format!("^(?:{body})$"))
            .case_insensitive(case_insensitive)
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|_| invalid(pattern, "it does not parse or is too large"))?;
        Ok(Self {
            matcher: Matcher::Regex(regex),
            prefix: match case_insensitive {
                true => String::new(),
                false => literal_start(pattern),
            },
        })
    }

    /// Tells whether the whole term matches.
    pub fn is_match(&self, term: &str) -> bool {
        match &self.matcher {
            Matcher::Regex(regex) => regex.is_match(term),
            Matcher::Wildcard { pattern, fold } => match fold {
                true => glob::matches(pattern, &folded(term), Syntax::Wildcard),
                false => glob::matches(pattern, term, Syntax::Wildcard),
            },
        }
    }
}

/// Bytes of a compiled pattern.
const SIZE_LIMIT: usize = 1 << 20;

fn invalid(pattern: &str, why: &str) -> ApiError {
    ApiError::illegal_argument(format!("invalid regular expression [{pattern}]: {why}"))
}

/// Returns a pattern of wildcards that the text alone matches.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Returns the text that everything begins with that matches a pattern of wildcards.
fn literal_prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => prefix.push(chars.next().unwrap_or('\\')),
            other => prefix.push(other),
        }
    }
    prefix
}

/// Returns the text in lower case, character for character.
fn folded(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut lower = c.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        })
        .collect()
}

/// The literal text that every match of an expression begins with.
fn literal_start(pattern: &str) -> String {
    if pattern.contains('|') {
        return String::new();
    }
    let mut start: String = pattern
        .chars()
        .take_while(|c| c.is_alphanumeric() || " _-/:,;=%!'".contains(*c))
        .collect();
    if pattern[start.len()..].starts_with(['?', '*', '{', '+']) {
        // What is repeated may be absent.
        start.pop();
    }
    start
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
        check(PatternKind::Prefix, "a*?\\", "a*?\\b", true);
        check(PatternKind::Prefix, "a*", "ab", false);
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
        // The literal start of an expression leaves no match out.
        check(Regexp, "abc.*", "abcd", true);
        check(Regexp, "abc?d", "abd", true);
        check(Regexp, "abc*", "ab", true);
        check(Regexp, "abc{0,2}", "ab", true);
        check(Regexp, "abc|xyz", "xyz", true);
        check(Regexp, "a\\.b", "a.b", true);
        let start = |pattern| TermPattern::compile(Regexp, pattern, false).unwrap().prefix;
        assert_eq!(start("abc.*"), "abc");
        assert_eq!(start("abc+"), "ab");
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
        let pattern = TermPattern::compile(PatternKind::Wildcard, "Q*CK\\*", true).unwrap();
        assert!(pattern.is_match("quick*") && !pattern.is_match("quick"));
    }
}
