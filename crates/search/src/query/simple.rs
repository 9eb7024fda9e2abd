//! The syntax of `simple_query_string`, which has no errors: what cannot be an operator is text.
//! Source: data.md section 5.2.

use super::ast::Operator;
use super::syntax::*;

/// Parses a text.
pub(super) fn parse(text: &str, default: Operator) -> Node {
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
        default,
    };
    parser.group(0)
}

/// Deeper parentheses are treated as spaces.
const MAX_DEPTH: usize = 30;

/// Further clauses are dropped into the last: there is no way to report an error.
const MAX_CLAUSES: usize = 1_024;

struct Parser {
    chars: Vec<char>,
    at: usize,
    default: Operator,
}

impl Parser {
    fn group(&mut self, depth: usize) -> Node {
        let mut clauses = Vec::new();
        let mut conjunction = Conjunction::None;
        let mut modifier = None;
        while let Some(c) = self.chars.get(self.at).copied() {
            match c {
                ')' if depth > 0 => break,
                '+' => conjunction = Conjunction::And,
                '|' => conjunction = Conjunction::Or,
                '-' if self.starts_term() => modifier = Some(Role::MustNot),
                c if c.is_whitespace() || c == ')' || c == '-' => {}
                '(' if depth >= MAX_DEPTH => {}
                _ => {
                    let Some(node) = self.node(c, depth) else {
                        continue;
                    };
                    if clauses.len() < MAX_CLAUSES {
                        add_clause(&mut clauses, conjunction, modifier, node, self.default);
                    }
                    conjunction = Conjunction::None;
                    modifier = None;
                    continue;
                }
            }
            self.at += 1;
        }
        Node::Group {
            clauses,
            boost: 1.0,
        }
    }

    /// `-` negates only at the start of a term.
    fn starts_term(&self) -> bool {
        self.chars
            .get(self.at + 1)
            .is_some_and(|next| !next.is_whitespace())
    }

    /// Reads a group, a phrase or a term; always moves on.
    fn node(&mut self, first: char, depth: usize) -> Option<Node> {
        match first {
            '(' => {
                self.at += 1;
                let node = self.group(depth + 1);
                self.at += usize::from(self.chars.get(self.at) == Some(&')'));
                let empty = matches!(&node, Node::Group { clauses, .. } if clauses.is_empty());
                (!empty).then_some(node)
            }
            '"' => self.phrase(),
            _ => self.term(),
        }
    }

    fn phrase(&mut self) -> Option<Node> {
        let start = self.at + 1;
        let closed = self.chars[start..].iter().position(|c| *c == '"');
        self.at = start;
        // A quotation mark without partner is a space.
        let length = closed?;
        let text: String = self.chars[start..start + length].iter().collect();
        self.at = start + length + 1;
        let slop = self.suffix_number();
        leaf(Test::Phrase { text, slop })
    }

    fn term(&mut self) -> Option<Node> {
        let mut text = String::new();
        while let Some(c) = self.chars.get(self.at).copied() {
            match c {
                '\\' => {
                    self.at += 1;
                    text.extend(self.chars.get(self.at));
                }
                c if c.is_whitespace() || "()\"|+~*".contains(c) => break,
                c => text.push(c),
            }
            self.at += 1;
        }
        match self.chars.get(self.at) {
            Some('~') => {
                let edits = self.suffix_number().map(|n| n.min(2) as u8);
                leaf(Test::Fuzzy { text, edits })
            }
            Some('*') => {
                self.at += 1;
                if text.is_empty() {
                    leaf(Test::All)
                } else {
                    leaf(Test::Prefix(text))
                }
            }
            _ => leaf(Test::Terms(text)),
        }
    }

    /// Takes `~N`.
    fn suffix_number(&mut self) -> Option<u32> {
        if self.chars.get(self.at) != Some(&'~') {
            return None;
        }
        self.at += 1;
        let mut digits = String::new();
        while let Some(c) = self.chars.get(self.at).filter(|c| c.is_ascii_digit()) {
            digits.push(*c);
            self.at += 1;
        }
        digits.parse().ok()
    }
}

fn leaf(test: Test) -> Option<Node> {
    let empty = matches!(
        &test,
        Test::Terms(text) | Test::Fuzzy { text, .. } if text.is_empty()
    );
    (!empty).then_some(Node::Leaf(Leaf {
        field: None,
        test,
        boost: 1.0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(text: &str) -> Vec<(Role, Test)> {
        let Node::Group { clauses, .. } = parse(text, Operator::Or) else {
            return Vec::new();
        };
        clauses
            .into_iter()
            .filter_map(|clause| match clause.node {
                Node::Leaf(leaf) => Some((clause.role, leaf.test)),
                Node::Group { .. } => None,
            })
            .collect()
    }

    #[test]
    fn operators() {
        let terms = |text: &str| Test::Terms(text.to_owned());
        assert_eq!(
            roles("a + b | c -d"),
            [
                (Role::Must, terms("a")),
                (Role::Must, terms("b")),
                (Role::Should, terms("c")),
                (Role::MustNot, terms("d")),
            ]
        );
        assert_eq!(
            roles("\"x y\"~2 foo* ba~1 \"open"),
            [
                (
                    Role::Should,
                    Test::Phrase {
                        text: "x y".into(),
                        slop: Some(2)
                    }
                ),
                (Role::Should, Test::Prefix("foo".into())),
                (
                    Role::Should,
                    Test::Fuzzy {
                        text: "ba".into(),
                        edits: Some(1)
                    }
                ),
                (Role::Should, terms("open")),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn every_text_parses(text in "[a-c:\"()~*\\\\ +|0-9-]{0,40}") {
            let _ = parse(&text, Operator::Or);
        }
    }
}
