//! From index expressions to concrete index names that the caller may use.
//! Source: Elasticsearch reference, "Multi-target syntax" and "Security privileges".

use std::collections::{BTreeMap, BTreeSet};

use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use ringwall_base::glob::{self, Syntax};

use super::resolved::ResolvedIndices;
use crate::IndexNames;

/// What a caller may see of the names.
pub(super) struct Resolver<'a> {
    pub names: &'a IndexNames,
    /// Whether the caller may perform the action on an index or alias of this name.
    pub covers: &'a dyn Fn(&str) -> bool,
    pub action: &'a str,
    pub destructive_requires_name: bool,
}

/// Why resolution failed.
pub(super) enum Unresolved {
    /// Concrete names outside the caller's rights.
    Unauthorized(Vec<String>),
    Failed(ApiError),
}

impl From<ApiError> for Unresolved {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl Resolver<'_> {
    /// Returns the concrete names that the expressions stand for, in order of first mention.
    pub(super) fn resolve(
        &self,
        asked: Vec<String>,
        options: IndicesOptions,
    ) -> Result<ResolvedIndices, Unresolved> {
        if is_create(self.action) {
            return self.keep_new_name(asked);
        }
        self.refuse_destructive_wildcards(&asked)?;
        let mut chosen = Chosen::default();
        let mut unauthorized = Vec::new();
        let mut after_wildcard = false;
        for expression in expressions(&asked) {
            check_shape(expression)?;
            if let Some(excluded) = expression.strip_prefix('-').filter(|_| after_wildcard) {
                self.exclude(excluded, &mut chosen);
            } else if is_wildcard(expression) && expands(options) {
                after_wildcard = true;
                self.expand(expression, options, &mut chosen)?;
            } else if (self.covers)(expression) {
                self.add_concrete(expression, options, &mut chosen)?;
            } else if !options.ignore_unavailable {
                unauthorized.push(expression.to_owned());
            }
        }
        if !unauthorized.is_empty() {
            return Err(Unresolved::Unauthorized(unauthorized));
        }
        if chosen.names.is_empty() && !options.allow_no_indices && options.ignore_unavailable {
            let asked: Vec<&str> = expressions(&asked).collect();
            return Err(ApiError::index_not_found(&asked.join(",")).into());
        }
        self.refuse_closed(options, &mut chosen)?;
        self.check_single(&asked, &chosen)?;
        let by_alias = chosen.by_alias();
        Ok(ResolvedIndices::new(
            asked,
            chosen.names,
            chosen.listed,
            by_alias,
        ))
    }

    /// An index about to be created: the name stays as it is, only the right is checked.
    fn keep_new_name(&self, asked: Vec<String>) -> Result<ResolvedIndices, Unresolved> {
        let [name] = asked.as_slice() else {
            return Err(ApiError::validation(&["index is missing"]).into());
        };
        if !(self.covers)(name) {
            return Err(Unresolved::Unauthorized(vec![name.clone()]));
        }
        let listed = BTreeSet::from([name.clone()]);
        Ok(ResolvedIndices::new(
            asked.clone(),
            asked,
            listed,
            BTreeMap::new(),
        ))
    }

    fn refuse_destructive_wildcards(&self, asked: &[String]) -> ApiResult<()> {
        let wild = || expressions(asked).any(is_wildcard);
        if DESTRUCTIVE.contains(&self.action) && self.destructive_requires_name && wild() {
            return Err(ApiError::illegal_argument(
                "Wildcard expressions or all indices are not allowed",
            ));
        }
        Ok(())
    }

    /// A closed index is an error where what is in it is asked for, or passed over as one that is not there.
    fn refuse_closed(&self, options: IndicesOptions, chosen: &mut Chosen) -> ApiResult<()> {
        if options.allow_closed {
            return Ok(());
        }
        let closed = |name: &str| self.names.index(name)?.closed.as_deref();
        if options.ignore_unavailable {
            chosen.retain(|name| closed(name).is_none());
            return Ok(());
        }
        let mut names = chosen.names.iter();
        let refused = names.find_map(|name| Some(ApiError::index_closed(name, closed(name)?)));
        refused.map_or(Ok(()), Err)
    }

    /// Returns whether wildcards match an index that is as open as this one.
    fn is_reached(&self, name: &str, options: IndicesOptions) -> bool {
        let index = self.names.index(name);
        match index.is_some_and(|index| index.closed.is_some()) {
            true => options.expand_closed,
            false => options.expand_wildcards,
        }
    }

    fn expand(&self, pattern: &str, options: IndicesOptions, chosen: &mut Chosen) -> ApiResult<()> {
        let mut found = false;
        for index in self.names.indices() {
            let hidden = index.hidden || index.name.starts_with('.');
            if matches_visible(pattern, &index.name, hidden, options)
                && self.is_reached(&index.name, options)
                && (self.covers)(&index.name)
            {
                found = true;
                chosen.add(&index.name);
            }
        }
        for (alias, indices) in self.names.aliases() {
            let hidden = alias.starts_with('.') || self.names.is_hidden_alias(alias);
            if self.action != DELETE_INDEX
                && matches_visible(pattern, alias, hidden, options)
                && (self.covers)(alias)
            {
                found = true;
                chosen.listed.insert(alias.to_owned());
                let reached = indices.iter().filter(|i| self.is_reached(i, options));
                reached.for_each(|index| chosen.add_by(index, alias));
            }
        }
        if found || options.allow_no_indices {
            Ok(())
        } else {
            Err(ApiError::index_not_found(pattern))
        }
    }

    fn exclude(&self, pattern: &str, chosen: &mut Chosen) {
        let excluded_aliases: Vec<&[String]> = self
            .names
            .aliases()
            .filter(|(alias, _)| matches_name(pattern, alias) && (self.covers)(alias))
            .map(|(_, indices)| indices)
            .collect();
        chosen.listed.retain(|name| !matches_name(pattern, name));
        chosen.retain(|name| {
            !matches_name(pattern, name)
                && !excluded_aliases
                    .iter()
                    .any(|indices| indices.iter().any(|index| index == name))
        });
    }

    fn add_concrete(
        &self,
        name: &str,
        options: IndicesOptions,
        chosen: &mut Chosen,
    ) -> ApiResult<()> {
        if self.names.index(name).is_some() {
            chosen.add(name);
            return Ok(());
        }
        match self.names.alias(name) {
            // An alias is no index that could be deleted.
            Some(_) if self.action == DELETE_INDEX && options.ignore_unavailable => Ok(()),
            Some(_) if self.action == DELETE_INDEX => Err(ApiError::illegal_argument(format!(
                "The provided expression [{name}] matches an alias, specify the corresponding concrete \
                 indices instead."
            ))),
            Some(indices) => {
                indices.iter().for_each(|index| chosen.add_by(index, name));
                Ok(())
            }
            None if options.ignore_unavailable => Ok(()),
            None => Err(ApiError::index_not_found(name)),
        }
    }

    /// Reading one document needs one index, so an alias over several is refused.
    fn check_single(&self, asked: &[String], chosen: &Chosen) -> ApiResult<()> {
        if self.action == GET_DOCUMENT && chosen.names.len() > 1 {
            return Err(ApiError::illegal_argument(format!(
                "alias [{}] has more than one index associated with it [{}], can't execute a single index op",
                asked.join(","),
                chosen.names.join(", ")
            )));
        }
        Ok(())
    }
}

/// Names in order of first mention, each once.
#[derive(Default)]
struct Chosen {
    names: Vec<String>,
    /// Names of indices and aliases that the expressions stand for, with no alias replaced by what is behind it.
    listed: BTreeSet<String>,
    /// The aliases that led to each; `None` for one that was reached by its own name.
    through: BTreeMap<String, Option<Vec<String>>>,
}

impl Chosen {
    fn add(&mut self, name: &str) {
        self.listed.insert(name.to_owned());
        if self.through.insert(name.to_owned(), None).is_none() {
            self.names.push(name.to_owned());
        }
    }

    fn add_by(&mut self, name: &str, alias: &str) {
        if !self.listed.contains(alias) {
            self.listed.insert(alias.to_owned());
        }
        match self.through.get_mut(name) {
            None => {
                self.names.push(name.to_owned());
                let aliases = Some(vec![alias.to_owned()]);
                self.through.insert(name.to_owned(), aliases);
            }
            Some(Some(aliases)) if !aliases.iter().any(|known| known == alias) => {
                aliases.push(alias.to_owned());
            }
            Some(_) => {}
        }
    }

    fn by_alias(&self) -> BTreeMap<String, Vec<String>> {
        let through = self.through.iter();
        through
            .filter_map(|(name, aliases)| Some((name.clone(), aliases.clone()?)))
            .collect()
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.names.retain(|name| keep(name));
        self.through.retain(|name, _| keep(name));
    }
}

/// Returns the expressions, with "all" spelled as one wildcard.
fn expressions(asked: &[String]) -> impl Iterator<Item = &str> {
    let all = asked.is_empty();
    all.then_some("*")
        .into_iter()
        .chain(asked.iter().map(|expression| {
            if expression == "_all" {
                "*"
            } else {
                expression
            }
        }))
}

/// Refuses names no index can have, before anyone asks whether they exist.
fn check_shape(expression: &str) -> ApiResult<()> {
    let name = expression.strip_prefix('-').unwrap_or(expression);
    if name.starts_with('_') {
        return Err(ApiError::new(
            ErrorCode::InvalidIndexName,
            format!("Invalid index name [{name}], must not start with '_'."),
        )
        .with("index_uuid", "_na_")
        .with("index", name));
    }
    if name.is_empty() {
        return Err(ApiError::index_not_found(name));
    }
    Ok(())
}

fn is_wildcard(expression: &str) -> bool {
    expression.contains('*') || expression == "_all"
}

/// Hidden names match when asked for, or when pattern and name both begin with a dot.
fn matches_visible(pattern: &str, name: &str, hidden: bool, options: IndicesOptions) -> bool {
    let visible =
        !hidden || options.expand_hidden || (pattern.starts_with('.') && name.starts_with('.'));
    visible && matches_name(pattern, name)
}

/// In index expressions only `*` is special. Source: Elasticsearch reference, "Multi-target syntax".
fn matches_name(pattern: &str, name: &str) -> bool {
    glob::matches(pattern, name, Syntax::Star)
}

fn expands(options: IndicesOptions) -> bool {
    options.expand_wildcards || options.expand_closed
}

fn is_create(action: &str) -> bool {
    matches!(action, "indices:admin/create" | "indices:admin/auto_create")
}

/// What makes indices unusable by a wildcard, and is easily meant for fewer.
const DESTRUCTIVE: &[&str] = &[DELETE_INDEX, "indices:admin/close", "indices:admin/open"];
const DELETE_INDEX: &str = "indices:admin/delete";
const GET_DOCUMENT: &str = "indices:data/read/get";
