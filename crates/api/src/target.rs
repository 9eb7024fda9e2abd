//! Which indices a request names, and by which name it came to one.

use serde::{Deserialize, Serialize};

use crate::Unauthorized;

/// How index expressions resolve. Source: Elasticsearch reference, "Multi-target syntax".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndicesOptions {
    /// A missing concrete index is skipped rather than an error.
    pub ignore_unavailable: bool,
    /// A wildcard that matches nothing is not an error.
    pub allow_no_indices: bool,
    /// Wildcards match hidden indices (names beginning with a dot, or `index.hidden`).
    pub expand_hidden: bool,
    /// Wildcards match open indices.
    pub expand_wildcards: bool,
    /// Wildcards match closed indices.
    #[serde(default)]
    pub expand_closed: bool,
    /// A closed index is none that the request is refused for, or, where `ignore_unavailable`, none that is skipped:
    /// what is asked is not its documents.
    #[serde(default)]
    pub allow_closed: bool,
}

impl Default for IndicesOptions {
    fn default() -> Self {
        Self {
            ignore_unavailable: false,
            allow_no_indices: true,
            expand_hidden: false,
            expand_wildcards: true,
            expand_closed: false,
            allow_closed: false,
        }
    }
}

impl IndicesOptions {
    /// Returns the options of a request that is about indices, not about what is in them: closed ones may be named.
    pub fn of_metadata() -> Self {
        Self {
            allow_closed: true,
            ..Self::default()
        }
    }

    /// Returns the options of a request that is about indices whether they are open or closed.
    pub fn open_and_closed() -> Self {
        Self {
            expand_closed: true,
            ..Self::of_metadata()
        }
    }
}

/// The index expressions of a request: names, wildcards, `_all`, exclusions. Empty means all.
///
/// Nobody but the authorizer reads them. It takes them out, and gives the handler the concrete names that they stand
/// for beside the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndicesTarget {
    expressions: Unauthorized<Vec<String>>,
    pub options: IndicesOptions,
}

impl IndicesTarget {
    /// Returns a target of expressions.
    pub fn new(expressions: Vec<String>, options: IndicesOptions) -> Self {
        Self {
            expressions: Unauthorized::new(expressions),
            options,
        }
    }

    /// Returns a target from the comma-separated path part, with default options.
    pub fn parse(path_part: &str) -> Self {
        let names = path_part.split(',').filter(|name| !name.is_empty());
        let expressions = names.map(str::to_owned).collect();
        Self::new(expressions, IndicesOptions::default())
    }

    /// Returns a target of one concrete index.
    pub fn one(index: impl Into<String>) -> Self {
        Self::new(vec![index.into()], IndicesOptions::default())
    }

    /// Sets how the expressions resolve.
    pub fn with_options(mut self, options: IndicesOptions) -> Self {
        self.options = options;
        self
    }

    /// Takes the expressions out.
    pub fn take(&mut self) -> Unauthorized<Vec<String>> {
        std::mem::take(&mut self.expressions)
    }
}

/// By which name a request came to an index, which decides what it sees of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// By its own name: all of it.
    Itself,
    /// By aliases only: what any of them shows.
    Aliases(Vec<String>),
}

impl Through {
    /// Returns the names that the caller must have the right to.
    pub fn names<'a>(&'a self, index: &'a str) -> Vec<String> {
        match self {
            Self::Itself => vec![index.to_owned()],
            Self::Aliases(aliases) => aliases.clone(),
        }
    }
}
