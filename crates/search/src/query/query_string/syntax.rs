//! The trees that the texts of `query_string` and `simple_query_string` parse to.

use crate::query::match_query::Operator;
use crate::query::range::RangeBound;

/// A parsed text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Clauses side by side.
    Group {
        clauses: Vec<Clause>,
        boost: f32,
    },
    Leaf(Leaf),
}

/// A node with its role in the group around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause {
    pub(super) role: Role,
    pub(super) node: Node,
    /// A word without field, operator or suffix: with its neighbours it makes one text.
    pub(super) bare: bool,
}

/// Whether a clause must, should or must not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Must,
    Should,
    MustNot,
}

/// One condition on a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// A field name or pattern; `None` means the default fields.
    pub(super) field: Option<String>,
    pub(super) test: Test,
    pub(super) boost: f32,
}

/// What a leaf tests.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    All,
    Exists,
    Terms(String),
    Phrase {
        text: String,
        slop: Option<u32>,
    },
    Fuzzy {
        text: String,
        /// `None`: the fuzziness of the query.
        edits: Option<u8>,
    },
    Prefix(String),
    Wildcard(String),
    Regexp(String),
    Range {
        lower: Option<RangeBound>,
        upper: Option<RangeBound>,
    },
}

/// A conjunction written before a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conjunction {
    None,
    And,
    Or,
}

/// Adds a clause as the classic Lucene syntax does: `AND` makes the clauses on both sides required,
/// and with `and` as the default operator `OR` makes both optional.
pub(super) fn add_clause(
    clauses: &mut Vec<Clause>,
    conjunction: Conjunction,
    modifier: Option<Role>,
    node: Node,
    default: Operator,
) {
    if let Some(previous) = clauses.last_mut()
        && previous.role != Role::MustNot
    {
        match (conjunction, default) {
            (Conjunction::And, _) => previous.role = Role::Must,
            (Conjunction::Or, Operator::And) => previous.role = Role::Should,
            _ => {}
        }
    }
    let role = match (modifier, conjunction, default) {
        (Some(role), _, _) => role,
        (None, Conjunction::And, _) => Role::Must,
        (None, Conjunction::None, Operator::And) => Role::Must,
        (None, _, _) => Role::Should,
    };
    clauses.push(Clause {
        role,
        node,
        bare: false,
    });
}

impl Node {
    /// Multiplies the boost of the node.
    pub(super) fn boosted(mut self, by: f32) -> Self {
        match &mut self {
            Self::Group { boost, .. } => *boost *= by,
            Self::Leaf(leaf) => leaf.boost *= by,
        }
        self
    }
}

/// Writes a tree compactly: `+must should -not`.
#[cfg(test)]
pub(super) fn show(node: &Node) -> String {
    let boosted = |text: String, boost: f32| {
        if boost == 1.0 {
            text
        } else {
            format!("{text}^{boost}")
        }
    };
    match node {
        Node::Group { clauses, boost } => {
            let clauses: Vec<String> = clauses
                .iter()
                .map(|clause| {
                    let sign = match clause.role {
                        Role::Must => "+",
                        Role::Should => "",
                        Role::MustNot => "-",
                    };
                    format!("{sign}{}", show(&clause.node))
                })
                .collect();
            boosted(format!("({})", clauses.join(" ")), *boost)
        }
        Node::Leaf(leaf) => {
            let field = leaf
                .field
                .as_ref()
                .map(|f| format!("{f}:"))
                .unwrap_or_default();
            let test = match &leaf.test {
                Test::All => "ALL".to_owned(),
                Test::Exists => "EXISTS".to_owned(),
                Test::Terms(text) => text.clone(),
                Test::Phrase { text, slop } => format!("\"{text}\"{slop:?}"),
                Test::Fuzzy { text, edits } => format!("{text}~{edits:?}"),
                Test::Prefix(text) => format!("prefix {text}"),
                Test::Wildcard(text) => format!("wild {text}"),
                Test::Regexp(text) => format!("/{text}/"),
                Test::Range { lower, upper } => {
                    let end = |bound: &Option<RangeBound>| {
                        bound.as_ref().map_or("*".to_owned(), |bound| {
                            let sign = if bound.inclusive { "=" } else { "" };
                            format!("{sign}{}", bound.value.as_str().unwrap_or("?"))
                        })
                    };
                    format!("<{} {}>", end(lower), end(upper))
                }
            };
            boosted(format!("{field}{test}"), leaf.boost)
        }
    }
}
