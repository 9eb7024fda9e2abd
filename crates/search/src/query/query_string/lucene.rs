//! The syntax of `query_string`. Anything that is not understood is an error. Source: Elasticsearch reference, "Query
//! string query".

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::syntax::*;
use crate::parse::query_shard;
use crate::query::match_query::Operator;
use crate::query::range::RangeBound;

/// Parses a text of at most `max_clauses` clauses. `leading_wildcard` permits terms that begin with `*` or `?`.
pub(super) fn parse(
    text: &str,
    default: Operator,
    leading_wildcard: bool,
    max_clauses: usize,
) -> Result<Node, ApiError> {
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
        text,
        default,
        leading_wildcard,
        max_clauses,
        clauses: 0,
    };
    let node = parser.group(None, 0)?;
    if parser.at < parser.chars.len() {
        return Err(parser.error("unexpected [)]"));
    }
    Ok(node)
}

/// Parentheses nest at most so deep.
const MAX_DEPTH: usize = 100;

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    text: &'a str,
    default: Operator,
    leading_wildcard: bool,
    /// `indices.query.bool.max_clause_count`.
    max_clauses: usize,
    /// Clauses of the whole text so far.
    clauses: usize,
}

/// A bare word: each character, and whether it was escaped.
type Word = Vec<(char, bool)>;

impl Parser<'_> {
    fn error(&self, why: &str) -> ApiError {
        query_shard(format!(
            "Failed to parse query [{}]: {why} at character {}",
            self.text,
            self.at + 1
        ))
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes a keyword that stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        let end = self.at + word.chars().count();
        let matches = self
            .chars
            .get(self.at..end)
            .is_some_and(|found| found.iter().copied().eq(word.chars()));
        let alone = self
            .chars
            .get(end)
            .is_none_or(|next| next.is_whitespace() || "()\"".contains(*next));
        if matches && alone {
            self.at = end;
        }
        matches && alone
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let end = self.at + symbol.len();
        let matches = self
            .chars
            .get(self.at..end)
            .is_some_and(|found| found.iter().copied().eq(symbol.chars()));
        if matches {
            self.at = end;
        }
        matches
    }

    /// Clauses up to the end of the text or a closing parenthesis.
    fn group(&mut self, field: Option<&str>, depth: usize) -> Result<Node, ApiError> {
        if depth > MAX_DEPTH {
            return Err(self.error("parentheses are nested too deeply"));
        }
        let mut clauses = Vec::new();
        loop {
            self.skip_spaces();
            let conjunction = self.conjunction();
            self.skip_spaces();
            if self.peek().is_none_or(|c| c == ')') {
                if conjunction != Conjunction::None {
                    return Err(self.error("an operator has nothing to its right"));
                }
                break;
            }
            if conjunction != Conjunction::None && clauses.is_empty() {
                return Err(self.error("an operator has nothing to its left"));
            }
            let modifier = self.modifier();
            self.skip_spaces();
            let (node, plain) = self.clause(field, depth)?;
            let bare = plain && conjunction == Conjunction::None && modifier.is_none();
            add_clause(&mut clauses, conjunction, modifier, node, self.default);
            if let Some(clause) = clauses.last_mut() {
                clause.bare = bare && !self.at_conjunction();
            }
            self.clauses += 1;
            if self.clauses > self.max_clauses {
                let reason = format!("maxClauseCount is set to {}", self.max_clauses);
                return Err(self
                    .error("too many boolean clauses")
                    .caused_by(ApiError::new(ErrorCode::TooManyClauses, reason)));
            }
        }
        Ok(Node::Group {
            clauses,
            boost: 1.0,
        })
    }

    fn conjunction(&mut self) -> Conjunction {
        if self.keyword("AND") || self.symbol("&&") {
            Conjunction::And
        } else if self.keyword("OR") || self.symbol("||") {
            Conjunction::Or
        } else {
            Conjunction::None
        }
    }

    /// Tells whether an `AND` or `OR` follows.
    fn at_conjunction(&mut self) -> bool {
        let at = self.at;
        self.skip_spaces();
        let found = self.conjunction() != Conjunction::None;
        self.at = at;
        found
    }

    fn modifier(&mut self) -> Option<Role> {
        if self.keyword("NOT") || self.eat('!') || self.eat('-') {
            Some(Role::MustNot)
        } else if self.eat('+') {
            Some(Role::Must)
        } else {
            None
        }
    }

    /// Reads a clause; the flag says that it is a word and nothing more.
    fn clause(&mut self, field: Option<&str>, depth: usize) -> Result<(Node, bool), ApiError> {
        let own = self.field_name()?;
        let field = own.as_deref().or(field);
        let node = match self.peek() {
            Some('(') => {
                self.at += 1;
                let node = self.group(field, depth + 1)?;
                if !self.eat(')') {
                    return Err(self.error("a parenthesis is not closed"));
                }
                node
            }
            Some('"') => self.phrase(field)?,
            Some('[' | '{') => self.range(field)?,
            Some('/') => self.regexp(field)?,
            Some('<' | '>') if field.is_some() => self.comparison(field)?,
            Some(_) => self.term(field)?,
            None => return Err(self.error("the text ends where a term is expected")),
        };
        let is_word = matches!(&node, Node::Leaf(leaf) if matches!(leaf.test, Test::Terms(_)));
        match self.boost()? {
            Some(boost) => Ok((node.boosted(boost), false)),
            None => Ok((node, is_word && own.is_none())),
        }
    }

    /// Takes `name:` if one stands here.
    fn field_name(&mut self) -> Result<Option<String>, ApiError> {
        let start = self.at;
        let mut name = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    let Some(next) = self.peek() else { break };
                    name.push(next);
                }
                ':' if !name.is_empty() => {
                    self.at += 1;
                    self.skip_spaces();
                    return Ok(Some(name));
                }
                c if c.is_whitespace() || "()[]{}\"^~:/<>".contains(c) => break,
                c => name.push(c),
            }
            self.at += 1;
        }
        self.at = start;
        Ok(None)
    }

    fn boost(&mut self) -> Result<Option<f32>, ApiError> {
        if !self.eat('^') {
            return Ok(None);
        }
        let number = self.number();
        match number.parse::<f32>() {
            Ok(boost) if boost >= 0.0 && boost.is_finite() => Ok(Some(boost)),
            _ => Err(self.error("a boost must be a positive number")),
        }
    }

    fn number(&mut self) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(c);
            self.at += 1;
        }
        digits
    }

    /// The text between quotation marks, escapes resolved.
    fn quoted(&mut self, quote: char) -> Result<String, ApiError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error(&format!("a [{quote}] is not closed"))),
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        // In a regular expression only the slash itself loses its escape.
                        Some(c) if quote == '/' && c != '/' => text.extend(['\\', c]),
                        Some(c) => text.push(c),
                        None => return Err(self.error("the text ends with a backslash")),
                    }
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
    }

    fn phrase(&mut self, field: Option<&str>) -> Result<Node, ApiError> {
        let text = self.quoted('"')?;
        let mut slop = None;
        if self.eat('~') {
            let digits = self.number();
            let number: f32 = digits
                .parse()
                .map_err(|_| self.error("a slop must be a number"))?;
            slop = Some(number as u32);
        }
        if field == Some("_exists_") {
            return Ok(leaf(Some(&text), Test::Exists));
        }
        Ok(leaf(field, Test::Phrase { text, slop }))
    }

    fn regexp(&mut self, field: Option<&str>) -> Result<Node, ApiError> {
        let text = self.quoted('/')?;
        Ok(leaf(field, Test::Regexp(text)))
    }

    fn range(&mut self, field: Option<&str>) -> Result<Node, ApiError> {
        let lower_inclusive = self.peek() == Some('[');
        self.at += 1;
        let lower = self.range_end()?;
        self.skip_spaces();
        if !self.keyword("TO") {
            return Err(self.error("a range needs [TO] between its ends"));
        }
        let upper = self.range_end()?;
        self.skip_spaces();
        let upper_inclusive = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.error("a range is not closed")),
        };
        self.at += 1;
        let bound = |text: String, inclusive: bool| {
            (text != "*").then_some(RangeBound {
                value: Value::String(text),
                inclusive,
            })
        };
        let test = Test::Range {
            lower: bound(lower, lower_inclusive),
            upper: bound(upper, upper_inclusive),
        };
        Ok(leaf(field, test))
    }

    fn range_end(&mut self) -> Result<String, ApiError> {
        self.skip_spaces();
        if self.peek() == Some('"') {
            return self.quoted('"');
        }
        let mut text = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || c == ']' || c == '}' {
                break;
            }
            if c == '\\' {
                self.at += 1;
            }
            if let Some(c) = self.peek() {
                text.push(c);
                self.at += 1;
            }
        }
        if text.is_empty() {
            return Err(self.error("an end of a range is missing"));
        }
        Ok(text)
    }

    /// `field:>=10` and its like.
    fn comparison(&mut self, field: Option<&str>) -> Result<Node, ApiError> {
        let lower = self.peek() == Some('>');
        self.at += 1;
        let inclusive = self.eat('=');
        self.skip_spaces();
        let text = if self.peek() == Some('"') {
            self.quoted('"')?
        } else {
            self.word()?.iter().map(|(c, _)| *c).collect()
        };
        if text.is_empty() {
            return Err(self.error("a value is missing after the comparison"));
        }
        let bound = Some(RangeBound {
            value: Value::String(text),
            inclusive,
        });
        let test = if lower {
            Test::Range {
                lower: bound,
                upper: None,
            }
        } else {
            Test::Range {
                lower: None,
                upper: bound,
            }
        };
        Ok(leaf(field, test))
    }

    fn word(&mut self) -> Result<Word, ApiError> {
        let mut word = Word::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(next) => word.push((next, true)),
                        None => return Err(self.error("the text ends with a backslash")),
                    }
                }
                c if c.is_whitespace() || "()[]{}\"^~:".contains(c) => break,
                c => word.push((c, false)),
            }
            self.at += 1;
        }
        Ok(word)
    }

    fn term(&mut self, field: Option<&str>) -> Result<Node, ApiError> {
        let word = self.word()?;
        if word.is_empty() {
            let found = self.peek().unwrap_or(' ');
            return Err(self.error(&format!("unexpected [{found}]")));
        }
        if self.peek() == Some(':') {
            return Err(self.error("unexpected [:]"));
        }
        let text: String = word.iter().map(|(c, _)| *c).collect();
        if self.eat('~') {
            let digits = self.number();
            let edits = match digits.as_str() {
                "" => None,
                digits => Some(self.edits(digits)?),
            };
            return Ok(leaf(field, Test::Fuzzy { text, edits }));
        }
        if field == Some("_exists_") {
            return Ok(leaf(Some(&text), Test::Exists));
        }
        let wild = |(c, escaped): &(char, bool)| !escaped && matches!(c, '*' | '?');
        if !word.iter().any(wild) {
            return Ok(leaf(field, Test::Terms(text)));
        }
        if text == "*" {
            return Ok(match field {
                None | Some("*") => leaf(None, Test::All),
                Some(_) => leaf(field, Test::Exists),
            });
        }
        if wild(&word[0]) && !self.leading_wildcard {
            return Err(self.error("'*' or '?' not allowed as first character"));
        }
        if let Some((last, stem)) = word.split_last()
            && *last == ('*', false)
            && !stem.iter().any(wild)
        {
            let stem = stem.iter().map(|(c, _)| *c).collect();
            return Ok(leaf(field, Test::Prefix(stem)));
        }
        let pattern = word
            .iter()
            .fold(String::new(), |mut pattern, (c, escaped)| {
                if *escaped {
                    pattern.push('\\');
                }
                pattern.push(*c);
                pattern
            });
        Ok(leaf(field, Test::Wildcard(pattern)))
    }

    /// Fractions are the similarity of old versions: below one they mean the maximum.
    fn edits(&self, digits: &str) -> Result<u8, ApiError> {
        match digits.parse::<f32>() {
            Ok(0.0) => Ok(0),
            Ok(number) if number < 1.0 => Ok(2),
            Ok(number) if number <= 2.0 => Ok(number as u8),
            _ => Err(self.error("a fuzziness must be 0, 1 or 2")),
        }
    }
}

fn leaf(field: Option<&str>, test: Test) -> Node {
    Node::Leaf(Leaf {
        field: field.map(str::to_owned),
        test,
        boost: 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax() {
        for (text, expected) in [
            ("a b", "(a b)"),
            ("a AND b", "(+a +b)"),
            ("a AND b OR c", "(+a +b c)"),
            ("a NOT b", "(a -b)"),
            ("+a -b c", "(+a -b c)"),
            ("a && !b || c", "(+a -b c)"),
            ("f:x", "(f:x)"),
            ("f:(a OR b)^2", "((f:a f:b)^2)"),
            ("f:\"a b\"~3", "(f:\"a b\"Some(3))"),
            ("a~ b~1", "(a~None b~Some(1))"),
            ("qu?ck*", "(wild qu?ck*)"),
            ("quick*", "(prefix quick)"),
            ("a\\*b*", "(prefix a*b)"),
            ("a\\*b", "(a*b)"),
            ("f:/a\\/b.*/", "(f:/a/b.*/)"),
            ("n:[1 TO 5}", "(n:<=1 5>)"),
            ("n:{* TO 5]", "(n:<* =5>)"),
            ("n:>=10", "(n:<=10 *>)"),
            ("n:<3", "(n:<* 3>)"),
            ("n:(>=10 AND <20)", "((+n:<=10 *> +n:<* 20>))"),
            ("n:(+>=10 -<20)", "((+n:<=10 *> -n:<* 20>))"),
            (
                "d:[now-1d TO \"2024-01-01T00:00:00\"]",
                "(d:<=now-1d =2024-01-01T00:00:00>)",
            ),
            ("*", "(ALL)"),
            ("*:*", "(ALL)"),
            ("f:*", "(f:EXISTS)"),
            ("_exists_:f", "(f:EXISTS)"),
            ("well-known a+b", "(well-known a+b)"),
            ("ANDROID", "(ANDROID)"),
            ("", "()"),
            ("a.b:c", "(a.b:c)"),
        ] {
            let node = parse(text, Operator::Or, true, 1_024).unwrap();
            assert_eq!(show(&node), expected, "{text}");
        }
        let node = parse("a b OR c", Operator::And, true, 1_024).unwrap();
        assert_eq!(show(&node), "(+a b c)");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "(a", "a)", "\"a", "AND a", "a AND", "f:", "[1 TO", "[1 5]", "a^x", "a~3", "a\\",
            "f:g:h", "/a", "a b]", "\"a\"~x", "f:>",
        ] {
            let error = parse(text, Operator::Or, true, 1_024).unwrap_err();
            assert_eq!(error.status, 400, "{text}");
            assert!(
                error.reason.starts_with("Failed to parse query ["),
                "{text}"
            );
        }
        assert!(parse("*a", Operator::Or, false, 1_024).is_err());
        let deep = "(".repeat(1_000);
        assert!(parse(&deep, Operator::Or, true, 1_024).is_err());
        assert!(parse("(a b) (c d)", Operator::Or, true, 6).is_ok());
        let error = parse("(a b) (c d)", Operator::Or, true, 5).unwrap_err();
        let cause = error.caused_by.unwrap();
        assert_eq!(cause.reason, "maxClauseCount is set to 5");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:\"()\\[\\]{}~^*?/\\\\ +!<>=&|0-9ANDORT-]{0,40}") {
            let _ = parse(&text, Operator::Or, true, 1_024);
        }
    }
}
