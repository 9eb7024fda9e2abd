//! Name patterns of roles: `*`, `?`, `\` and `/regular expressions/`. Source: Elasticsearch reference, "Defining
//! roles".

use regex::{Regex, RegexBuilder};
use ringwall_base::glob::{self, Syntax};

use crate::SecurityError;

/// One pattern over index, user or action names.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Matches every name.
    All,
    /// `*` any text, `?` one character, `\` escapes.
    Wildcard(String),
    /// A regular expression over the whole name; `negated` for Lucene's `~(...)`.
    Regex { regex: Regex, negated: bool },
}

impl Pattern {
    /// Reads a pattern. Text between slashes is a Lucene regular expression, of which the common part
    /// is understood: a leading complement `~(...)`, classes, groups, repetition. Other Lucene
    /// operators (`&`, `@`, `<1-9>`, inner `~`) are refused rather than matched differently.
    pub fn parse(text: &str) -> Result<Self, SecurityError> {
        if text == "*" {
            return Ok(Self::All);
        }
        match text
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
        {
            Some(expression) => Self::parse_regex(text, expression),
            None => Ok(Self::Wildcard(text.to_owned())),
        }
    }

    /// Returns the one name that the pattern covers, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Wildcard(text) if !text.contains(['*', '?', '\\']) => Some(text),
            _ => None,
        }
    }

    /// Returns whether the pattern covers the name.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Wildcard(pattern) => wildcard_matches(pattern, name),
            Self::Regex { regex, negated } => regex.is_match(name) != *negated,
        }
    }

    /// Returns a regular expression for the whole name, without the complement of [`Pattern::Regex`].
    pub(super) fn as_regex(&self) -> String {
        match self {
            Self::All => "(?s:.*)".to_owned(),
            Self::Regex { regex, .. } => regex.as_str().to_owned(),
            Self::Wildcard(pattern) => {
                let mut expression = "^(?s:".to_owned();
                let mut symbols = pattern.chars();
                while let Some(symbol) = symbols.next() {
                    match symbol {
                        '*' => expression.push_str(".*"),
                        '?' => expression.push('.'),
                        // The last one stands for itself.
                        '\\' => {
                            expression +=
                                &regex::escape(&symbols.next().unwrap_or('\\').to_string())
                        }
                        other => expression += &regex::escape(&other.to_string()),
                    }
                }
                expression + ")$"
            }
        }
    }

    fn parse_regex(text: &str, expression: &str) -> Result<Self, SecurityError> {
        let invalid = |reason: &str| SecurityError::InvalidPattern {
            pattern: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (expression, negated) = match complemented(expression) {
            Some(inner) => (inner, true),
            None => (expression, false),
        };
        if has_lucene_operator(expression) {
            return Err(invalid(
                "the operators ~ & @ # \" < > of Lucene regular expressions are not supported, except ~( ) around the whole pattern",
            ));
        }
        // By itself first: what closes a group that it did not open would change what stands around it.
        regex_syntax::parse(expression).map_err(|error| invalid(&error.to_string()))?;
        let regex = RegexBuilder::new(&format!("^(?s:{expression})$"))
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_BYTES)
            .build()
            .map_err(|error| invalid(&error.to_string()))?;
        Ok(Self::Regex { regex, negated })
    }
}

/// Of one compiled expression. Those of roles have a few hundred states.
const MAX_REGEX_BYTES: usize = 1 << 18;

/// Returns what `~(...)` encloses, if the parenthesis that opens first closes last.
fn complemented(expression: &str) -> Option<&str> {
    let inner = expression.strip_prefix("~(")?.strip_suffix(')')?;
    let mut depth = 0i32;
    for symbol in unescaped(inner) {
        match symbol {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then_some(inner)
}

fn has_lucene_operator(expression: &str) -> bool {
    unescaped(expression).any(|symbol| matches!(symbol, '~' | '&' | '@' | '#' | '"' | '<' | '>'))
}

/// Returns the characters that are neither escaped nor inside a class.
fn unescaped(expression: &str) -> impl Iterator<Item = char> + '_ {
    let mut escaped = false;
    let mut in_class = false;
    expression.chars().filter(move |symbol| {
        if escaped {
            escaped = false;
            return false;
        }
        match symbol {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ => return !in_class,
        }
        false
    })
}

/// Returns whether the text matches a pattern of `*`, `?` and `\`-escapes.
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    glob::matches(pattern, text, Syntax::Wildcard)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn regular_expressions_are_anchored_and_complemented() {
        let everything_visible = Pattern::parse("/~(([.]|ilm-history-).*)/").unwrap();
        for (name, expected) in [("logs", true), (".kibana", false), ("ilm-history-5", false)] {
            assert_eq!(everything_visible.matches(name), expected, "{name}");
        }
        let metrics = Pattern::parse("/metrics-(beats|kibana).*/").unwrap();
        assert!(metrics.matches("metrics-kibana.x"));
        assert!(!metrics.matches("x-metrics-kibana"));
        // What would close the group that anchors it, or grows without bound.
        for refused in ["/a)|(.*/", "/\\w{300}/"] {
            assert!(Pattern::parse(refused).is_err(), "{refused}");
        }
        for refused in ["/a&b/", "/a~b/", "/<1-9>/", "/(/", "/~(a)|(b)/"] {
            assert!(Pattern::parse(refused).is_err(), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn patterns_never_panic(pattern in "\\PC{0,20}", name in "\\PC{0,20}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&name);
            }
        }
    }
}
