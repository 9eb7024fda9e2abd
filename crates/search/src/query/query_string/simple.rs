//! The syntax of `simple_query_string`: what cannot be an operator is text. Operators are read from
//! left to right, and each change from one to the other encloses what stands before it. Source:
//! Elasticsearch reference, "Simple query string query".

use ringwall_api::{ApiError, ErrorCode};

use super::syntax::*;
use crate::parse::query_shard;
use crate::query::match_query::Operator;

/// Parses a text of at most `max_clauses` clauses.
///
/// # Errors
/// 400 when the text has more clauses or levels than a query may have; no syntax is wrong.
pub(super) fn parse(text: &str, default: Operator, max_clauses: usize) -> Result<Node, ApiError> {
    if text.trim() == "*" {
        return Ok(leaf(Test::All));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser {
        partners: partners(&chars),
        chars,
        at: 0,
        default,
        max_clauses,
        clauses: 0,
    };
    let tree = parser.query(usize::MAX, 0)?;
    Ok(tree.top.unwrap_or(Node::Group {
        clauses: Vec::new(),
        boost: 1.0,
    }))
}

/// Levels of parentheses and of changes between operators.
const MAX_DEPTH: usize = 100;

/// The place of the parenthesis that closes each opening one; itself where none does. Escapes hide
/// parentheses, quotation marks do not.
fn partners(chars: &[char]) -> Vec<usize> {
    let mut partners: Vec<usize> = (0..chars.len()).collect();
    let mut open = Vec::new();
    let mut escaped = false;
    for (at, c) in chars.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => open.push(at),
            ')' => {
                if let Some(partner) = open.pop() {
                    partners[partner] = at;
                }
            }
            _ => {}
        }
    }
    partners
}

struct Parser {
    chars: Vec<char>,
    /// See [`partners`]: found once, or a row of parentheses would be searched again and again.
    partners: Vec<usize>,
    at: usize,
    default: Operator,
    /// `indices.query.bool.max_clause_count`.
    max_clauses: usize,
    clauses: usize,
}

/// The tree read so far.
#[derive(Default)]
struct Tree {
    top: Option<Node>,
    /// The operator that joins the clauses of `top`.
    joined_by: Option<Operator>,
    /// The operator read before the next clause.
    operator: Option<Operator>,
    /// An odd number of `-` before the next clause.
    negated: bool,
    /// How deep `top` nests.
    depth: usize,
}

impl Tree {
    fn add(&mut self, branch: Node, depth: usize, default: Operator) {
        let branch = if self.negated {
            without(branch)
        } else {
            branch
        };
        self.negated = false;
        let operator = self.operator.take();
        let Some(top) = self.top.take() else {
            self.top = Some(branch);
            self.depth = depth;
            return;
        };
        let operator = operator.unwrap_or(default);
        let role = match operator {
            Operator::And => Role::Must,
            Operator::Or => Role::Should,
        };
        let clause = |node| Clause {
            role,
            node,
            bare: false,
        };
        self.top = Some(match top {
            Node::Group { mut clauses, boost } if self.joined_by == Some(operator) => {
                clauses.push(clause(branch));
                self.depth = self.depth.max(depth + 1);
                Node::Group { clauses, boost }
            }
            top => {
                self.depth = self.depth.max(depth) + 1;
                Node::Group {
                    clauses: vec![clause(top), clause(branch)],
                    boost: 1.0,
                }
            }
        });
        self.joined_by = Some(operator);
    }
}

impl Parser {
    /// Reads up to `end` or the end of the text.
    fn query(&mut self, end: usize, depth: usize) -> Result<Tree, ApiError> {
        let mut tree = Tree::default();
        let end = end.min(self.chars.len());
        while self.at < end {
            if self.clauses > self.max_clauses {
                let reason = format!("maxClauseCount is set to {}", self.max_clauses);
                return Err(query_shard(format!("failed to create query: {reason}"))
                    .caused_by(ApiError::new(ErrorCode::TooManyClauses, reason)));
            }
            if depth.max(tree.depth) > MAX_DEPTH {
                return Err(query_shard(format!(
                    "failed to create query: the text has more than [{MAX_DEPTH}] levels"
                )));
            }
            match self.chars[self.at] {
                '-' => {
                    tree.negated = !tree.negated;
                    self.at += 1;
                    continue;
                }
                '+' => self.operator(&mut tree, Operator::And),
                '|' => self.operator(&mut tree, Operator::Or),
                '(' => self.parentheses(&mut tree, end, depth)?,
                '"' => self.phrase(&mut tree, end),
                c if c == ')' || c.is_whitespace() => self.at += 1,
                _ => self.token(&mut tree, end),
            }
            // A `-` stands directly before what it negates.
            tree.negated = false;
        }
        Ok(tree)
    }

    fn operator(&mut self, tree: &mut Tree, operator: Operator) {
        // The first of several operators counts, and one without a left side is text to ignore.
        if tree.operator.is_none() && tree.top.is_some() {
            tree.operator = Some(operator);
        }
        self.at += 1;
    }

    fn add(&mut self, tree: &mut Tree, node: Node) {
        self.clauses += 1;
        tree.add(node, 1, self.default);
    }

    fn parentheses(&mut self, tree: &mut Tree, end: usize, depth: usize) -> Result<(), ApiError> {
        self.at += 1;
        let close = self.partners[self.at - 1];
        if close < self.at || close >= end {
            // Without partner it is ignored.
            return Ok(());
        }
        if close == self.at {
            tree.operator = None;
        } else {
            let inner = self.query(close, depth + 1)?;
            if let Some(node) = inner.top {
                tree.add(node, inner.depth + 1, self.default);
            }
        }
        self.at = close + 1;
        Ok(())
    }

    fn phrase(&mut self, tree: &mut Tree, end: usize) {
        self.at += 1;
        let start = self.at;
        let mut text = String::new();
        let mut at = start;
        while at < end && self.chars[at] != '"' {
            if self.chars[at] == '\\' {
                at += 1;
            }
            text.extend(self.chars.get(at).filter(|_| at < end));
            at += 1;
        }
        if at >= end {
            // A quotation mark without partner is ignored.
            return;
        }
        self.at = at + 1;
        if text.is_empty() {
            tree.operator = None;
            return;
        }
        let slop = self.suffix_number(end).flatten();
        self.add(tree, leaf(Test::Phrase { text, slop }));
    }

    fn token(&mut self, tree: &mut Tree, end: usize) {
        let mut text = String::new();
        // The last character is a `*` that stands for any ending.
        let mut prefix = false;
        while self.at < end {
            match self.chars[self.at] {
                '\\' => {
                    prefix = false;
                    self.at += 1;
                    text.extend(self.chars.get(self.at).filter(|_| self.at < end));
                }
                c if c.is_whitespace() || "()\"|+".contains(c) => break,
                '~' if !text.is_empty() => break,
                c => {
                    prefix = c == '*' && !text.is_empty();
                    text.push(c);
                }
            }
            self.at += 1;
        }
        self.at = self.at.min(end);
        if text.is_empty() {
            return;
        }
        let test = match self.suffix_number(end) {
            Some(Some(0)) => Test::Terms(text),
            Some(edits) => Test::Fuzzy {
                text,
                edits: Some(edits.unwrap_or(2).min(2) as u8),
            },
            None if prefix => {
                text.pop();
                Test::Prefix(text)
            }
            None => Test::Terms(text),
        };
        self.add(tree, leaf(test));
    }

    /// Takes `~` and the number after it, if there is one.
    fn suffix_number(&mut self, end: usize) -> Option<Option<u32>> {
        if self.at >= end || self.chars[self.at] != '~' {
            return None;
        }
        self.at += 1;
        let mut digits = String::new();
        while self.at < end && self.chars[self.at].is_ascii_digit() {
            digits.push(self.chars[self.at]);
            self.at += 1;
        }
        Some(match digits.as_str() {
            "" => None,
            digits => Some(digits.parse().unwrap_or(u32::MAX)),
        })
    }
}

fn leaf(test: Test) -> Node {
    Node::Leaf(Leaf {
        field: None,
        test,
        boost: 1.0,
    })
}

/// Everything but what the node matches.
fn without(node: Node) -> Node {
    let clause = |role, node| Clause {
        role,
        node,
        bare: false,
    };
    Node::Group {
        clauses: vec![
            clause(Role::MustNot, node),
            clause(Role::Should, leaf(Test::All)),
        ],
        boost: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        for (text, default, expected) in [
            ("a b", Operator::Or, "(a b)"),
            ("a b", Operator::And, "(+a +b)"),
            ("a + b + c", Operator::Or, "(+a +b +c)"),
            // Each change of operator encloses what stands before it.
            ("a + b | c", Operator::Or, "((+a +b) c)"),
            ("a | b + c", Operator::Or, "(+(a b) +c)"),
            // With `or`, a negated clause is one more way to match.
            ("a -b", Operator::Or, "(a (-b ALL))"),
            ("a + -b", Operator::Or, "(+a +(-b ALL))"),
            ("--a", Operator::Or, "a"),
            ("- a", Operator::Or, "a"),
            ("a-b", Operator::Or, "a-b"),
            ("+a", Operator::Or, "a"),
            ("(a | b) + c", Operator::Or, "(+(a b) +c)"),
            ("(a b", Operator::Or, "(a b)"),
            ("a) b", Operator::Or, "(a b)"),
            ("a + () b", Operator::Or, "(a b)"),
            (
                "\"x y\"~2 foo*",
                Operator::Or,
                "(\"x y\"Some(2) prefix foo)",
            ),
            (
                "ba~1 ca~ da~0 ea~9",
                Operator::Or,
                "(ba~Some(1) ca~Some(2) da ea~Some(2))",
            ),
            ("fo*o \\*x* f\\*", Operator::Or, "(fo*o prefix *x f*)"),
            ("\"open", Operator::Or, "open"),
            ("a + \"\" b", Operator::Or, "(a b)"),
            ("*", Operator::Or, "ALL"),
            ("", Operator::Or, "()"),
        ] {
            assert_eq!(
                show(&parse(text, default, 1_024).unwrap()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn too_large_texts_are_refused() {
        assert!(parse(&"a + b | ".repeat(200), Operator::Or, 1_024).is_err());
        // In no time: the partner of each is known.
        let row = "(".repeat(1_000_000);
        assert_eq!(show(&parse(&row, Operator::Or, 1_024).unwrap()), "()");
        let empty = "()-".repeat(300_000);
        assert!(parse(&empty, Operator::Or, 1_024).is_ok());
        assert!(parse(&"(a ".repeat(300), Operator::Or, 1_024).is_ok());
        let nested = format!("{}a{}", "(".repeat(300), ")".repeat(300));
        assert!(parse(&nested, Operator::Or, 1_024).is_err());
        assert!(parse(&"a ".repeat(2_000), Operator::Or, 1_024).is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_text_parses(text in "[a-c:\"()~*\\\\ +|0-9-]{0,40}") {
            parse(&text, Operator::Or, 1_024).unwrap();
        }
    }
}
