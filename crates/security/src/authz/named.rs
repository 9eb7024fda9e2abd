//! Names of indices that only narrow what a caller with a privilege on the whole cluster is shown.

use ringwall_api::{ApiError, ApiResult, IndicesOptions};
use ringwall_base::glob::{self, Syntax};

/// What a request says about which indices its caller wants to be shown. Which there are may change while it is
/// answered, so it is asked of each state anew.
#[derive(Debug, Clone, Default)]
pub struct NamedIndices {
    expressions: Vec<String>,
    options: IndicesOptions,
}

/// An index that there is, as wildcards see it.
#[derive(Debug, Clone, Copy)]
pub struct Existing<'a> {
    pub name: &'a str,
    pub hidden: bool,
    pub closed: bool,
}

impl NamedIndices {
    pub(super) fn new(expressions: Vec<String>, options: IndicesOptions) -> Self {
        Self {
            expressions,
            options,
        }
    }

    /// Returns whether none is named, which means all.
    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Returns the names that are meant, out of those that there are.
    pub fn select<'a>(&self, indices: impl Iterator<Item = Existing<'a>>) -> Vec<String> {
        let meant = indices.filter(|index| {
            let mut expressions = self.expressions.iter();
            expressions.any(|expression| self.means(expression, index))
        });
        meant.map(|index| index.name.to_owned()).collect()
    }

    fn means(&self, expression: &str, index: &Existing<'_>) -> bool {
        let (name, options) = (index.name, self.options);
        if expression == name {
            return true;
        }
        let is_expanded = match index.closed {
            true => options.expand_closed,
            false => options.expand_wildcards,
        };
        let is_visible = match name.starts_with('.') || index.hidden {
            false => true,
            true => options.expand_hidden || expression.starts_with('.'),
        };
        is_expanded
            && is_visible
            && (expression == "_all" || glob::matches(expression, name, Syntax::Star))
    }

    /// Returns the first name without wildcards that is not among the selected.
    pub fn missing(&self, selected: &[String]) -> Option<&str> {
        let concrete = |name: &&String| !name.contains('*') && *name != "_all";
        let mut names = self.expressions.iter().filter(concrete);
        let missing = names.find(|name| !selected.contains(name));
        missing.map(String::as_str)
    }

    /// Refuses a selection that is not what was asked for.
    ///
    /// # Errors
    /// `index_not_found_exception`, as far as the options of the request do not let it pass.
    pub fn check(&self, selected: &[String]) -> ApiResult<()> {
        if let Some(name) = self.missing(selected)
            && !self.options.ignore_unavailable
        {
            return Err(ApiError::index_not_found(name));
        }
        if !self.is_empty() && selected.is_empty() && !self.options.allow_no_indices {
            return Err(ApiError::index_not_found(&self.expressions.join(",")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(expressions: &[&str], options: IndicesOptions) -> NamedIndices {
        let expressions = expressions.iter().map(|name| (*name).to_owned()).collect();
        NamedIndices::new(expressions, options)
    }

    #[test]
    fn names_and_wildcards_select_as_the_options_say() {
        let there = || {
            let there = [
                ("a-1", false, false),
                ("a-2", true, false),
                (".dot", false, false),
                ("a-3", false, true),
            ];
            there.into_iter().map(|(name, hidden, closed)| Existing {
                name,
                hidden,
                closed,
            })
        };
        let of = |expressions: &[&str], options| named(expressions, options).select(there());
        let open = IndicesOptions::default();
        let all = IndicesOptions {
            expand_hidden: true,
            ..open
        };
        let exact = IndicesOptions {
            expand_wildcards: false,
            ..open
        };
        let closed = IndicesOptions {
            expand_closed: true,
            ..exact
        };
        assert_eq!(of(&["a-*"], closed), ["a-3"]);
        assert_eq!(of(&["a-3"], open), ["a-3"]);
        assert_eq!(of(&["a-*"], open), ["a-1"]);
        assert_eq!(of(&["a-*"], all), ["a-1", "a-2"]);
        assert_eq!(of(&["a-*"], exact), [""; 0]);
        assert_eq!(of(&["a-2", ".d*"], open), ["a-2", ".dot"]);
        assert_eq!(of(&["_all"], open), ["a-1"]);
        assert_eq!(of(&[], all), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_refused_unless_it_may_be() {
        let strict = IndicesOptions::default();
        let lenient = IndicesOptions {
            ignore_unavailable: true,
            ..strict
        };
        let some = IndicesOptions {
            allow_no_indices: false,
            ..lenient
        };
        assert_eq!(named(&["a", "b*"], strict).missing(&[]), Some("a"));
        assert_eq!(named(&["a"], strict).check(&[]).unwrap_err().status, 404);
        assert_eq!(named(&["a"], lenient).check(&[]), Ok(()));
        assert_eq!(named(&["b*"], some).check(&[]).unwrap_err().status, 404);
        assert_eq!(named(&[], some).check(&[]), Ok(()));
    }
}
