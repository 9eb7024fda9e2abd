//! From method and path to a route.

use std::collections::HashMap;

use http::Method;
use ringwall_api::ActionSpec;

use crate::params::decode;
use crate::request::Handler;

/// One row of the route table: an endpoint.
pub struct Route {
    pub family: &'static str,
    pub methods: &'static [Method],
    /// Templates such as `/{index}/_doc/{id}`; the last has the most variables.
    pub paths: &'static [&'static str],
    /// The actions that it performs, the first one first. Who lacks the right to that is refused.
    pub actions: &'static [&'static ActionSpec],
    pub takes_body: TakesBody,
    /// What it is for, in a sentence.
    pub summary: &'static str,
    /// Groups of query parameters it takes besides the common ones.
    pub params: &'static [&'static [&'static str]],
    pub handler: Handler,
}

/// Whose body an endpoint reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakesBody {
    Never,
    /// Of callers who may perform its action on something.
    OfWhoMay,
    OfAnybody,
}

impl Route {
    /// Returns the action that a caller needs some right to before its body is read.
    pub fn needed_for_body(&self) -> Option<&'static ActionSpec> {
        match self.takes_body {
            TakesBody::OfWhoMay => self.actions.first().copied(),
            TakesBody::Never | TakesBody::OfAnybody => None,
        }
    }

    /// Returns whether the route takes a query parameter.
    pub fn takes(&self, param: &str) -> bool {
        COMMON_PARAMS.contains(&param) || self.params.iter().any(|group| group.contains(&param))
    }

    /// Returns the query parameters it takes.
    pub fn all_params(&self) -> impl Iterator<Item = &'static str> {
        COMMON_PARAMS
            .iter()
            .chain(self.params.iter().copied().flatten())
            .copied()
    }
}

/// Where a request goes.
pub enum Routed {
    To {
        route: &'static Route,
        /// The template that matched.
        path: &'static str,
        path_params: Vec<(&'static str, String)>,
    },
    /// The path exists, but not with this method.
    WrongMethod { allowed: Vec<Method> },
    /// No route has the path.
    Nowhere,
    /// The path has a broken percent escape.
    Undecodable(ringwall_api::ApiError),
}

/// The rows of a table as a tree of path segments, made once.
#[derive(Default)]
pub struct Router {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: HashMap<&'static str, Self>,
    /// Of variables that may begin with `_`, and of those that may not.
    variables: [Option<Box<Self>>; 2],
    /// Rows of which a path ends here.
    rows: Vec<Row>,
}

struct Row {
    route: &'static Route,
    path: &'static str,
    /// Of its variables.
    names: Vec<&'static str>,
}

impl Router {
    /// Returns the router of a table.
    pub fn new(routes: &'static [Route]) -> Self {
        let mut router = Self::default();
        for route in routes {
            for path in route.paths {
                router.add(route, path);
            }
        }
        router
    }

    fn add(&mut self, route: &'static Route, path: &'static str) {
        let mut node = &mut self.root;
        let mut names = Vec::new();
        for part in parts(path) {
            node = match variable(part) {
                None => node.literals.entry(part).or_default(),
                Some(name) => {
                    names.push(name);
                    node.variables[usize::from(!is_free(name))].get_or_insert_default()
                }
            };
        }
        node.rows.push(Row { route, path, names });
    }

    /// Finds the route of a request. Where several templates match, the one that is literal further to
    /// the left wins, whether or not it takes the method: a request that means `/_bulk` must not become one
    /// for an index.
    pub fn route(&self, method: &Method, path: &str) -> Routed {
        let mut segments = Vec::with_capacity(8);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            match decode(part) {
                Ok(segment) => segments.push(segment),
                Err(error) => return Routed::Undecodable(error),
            }
        }
        let mut bound = Vec::new();
        let Some(node) = self.root.find(&segments, 0, &mut bound) else {
            return Routed::Nowhere;
        };
        let takes = |method: &Method| {
            let mut rows = node.rows.iter();
            rows.find(|row| row.route.methods.contains(method))
        };
        if let Some(row) = takes(method) {
            let values = bound
                .iter()
                .map(|place| std::mem::take(&mut segments[*place]));
            return Routed::To {
                route: row.route,
                path: row.path,
                path_params: row.names.iter().copied().zip(values).collect(),
            };
        }
        let allowed = METHODS.iter().filter(|method| takes(method).is_some());
        Routed::WrongMethod {
            allowed: allowed.cloned().collect(),
        }
    }
}

impl Node {
    /// Returns the node of the path from this place on, with the places of the variables on the way to it.
    fn find(&self, segments: &[String], place: usize, bound: &mut Vec<usize>) -> Option<&Self> {
        let Some(segment) = segments.get(place) else {
            return (!self.rows.is_empty()).then_some(self);
        };
        let literal = self.literals.get(segment.as_str());
        if let Some(found) = literal.and_then(|node| node.find(segments, place + 1, bound)) {
            return Some(found);
        }
        let [free, named] = &self.variables;
        let named = named.as_deref().filter(|_| may_be_named(segment));
        for node in [named, free.as_deref()].into_iter().flatten() {
            bound.push(place);
            if let Some(found) = node.find(segments, place + 1, bound) {
                return Some(found);
            }
            bound.pop();
        }
        None
    }
}

fn variable(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Whether anything may stand for a variable: ids and fields may begin with `_`; metrics, and lists of names, may be `_all`.
fn is_free(variable: &str) -> bool {
    variable.ends_with("id") || variable.starts_with("metric") || variable == "fields"
}

/// Names that begin with `_` belong to the API: no index, alias, user or role has one, so that a path nobody serves
/// is never taken for a thing of that name.
fn may_be_named(segment: &str) -> bool {
    let first = segment.split(',').next().unwrap_or_default();
    !first.starts_with('_') || first == "_all"
}

fn parts(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter(|part| !part.is_empty())
}

/// In the order in which Elasticsearch lists them.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
    Method::PATCH,
];

/// Parameters of every endpoint. Source: Elasticsearch reference, "Common options".
pub const COMMON_PARAMS: &[&str] = &["pretty", "human", "error_trace", "filter_path", "format"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{ROUTER, ROUTES};

    fn find(method: Method, path: &str) -> String {
        match ROUTER.route(&method, path) {
            Routed::To {
                path: template,
                path_params,
                ..
            } => {
                let bound: Vec<String> = path_params
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{template} {}", bound.join(","))
            }
            Routed::WrongMethod { allowed } => format!("allowed {allowed:?}"),
            Routed::Nowhere => "nowhere".to_owned(),
            Routed::Undecodable(_) => "undecodable".to_owned(),
        }
    }

    #[test]
    fn literal_segments_win_over_variables() {
        for (method, path, expected) in [
            (Method::GET, "/", "/ "),
            (Method::GET, "/_search", "/_search "),
            (Method::GET, "/logs/_search", "/{index}/_search index=logs"),
            (Method::GET, "/logs/_search/", "/{index}/_search index=logs"),
            (
                Method::PUT,
                "/logs/_doc/a%2Fb",
                "/{index}/_doc/{id} index=logs,id=a/b",
            ),
            // A literal route is never another thing's name.
            (Method::PUT, "/_cat", "allowed [GET]"),
            (Method::DELETE, "/_search", "allowed [GET, POST]"),
            (Method::POST, "/i", "allowed [GET, PUT, DELETE, HEAD]"),
            (
                Method::GET,
                "/_nodes/n/reload_secure_settings",
                "allowed [POST]",
            ),
            // Nor is a path that nobody serves.
            (Method::GET, "/_nothing", "nowhere"),
            (Method::PUT, "/%5Fnothing", "nowhere"),
            (Method::GET, "/_nothing,logs/_search", "nowhere"),
            (Method::POST, "/_cluster/_search", "nowhere"),
            (Method::PUT, "/_nothing/_doc/1", "nowhere"),
            (Method::GET, "/_cat/nothing", "nowhere"),
            (Method::PUT, "/_security/user/_nothing", "nowhere"),
            (Method::GET, "/_security/user/_nothing", "nowhere"),
            (Method::PUT, "/_security/user/_nothing/_password", "nowhere"),
            (Method::GET, "/_all/_search", "/{index}/_search index=_all"),
            (
                Method::GET,
                "/_all,-a/_search",
                "/{index}/_search index=_all,-a",
            ),
            (
                Method::GET,
                "/i/_doc/_x",
                "/{index}/_doc/{id} index=i,id=_x",
            ),
            (
                Method::GET,
                "/_nodes/_local",
                "/_nodes/{node_id} node_id=_local",
            ),
            (
                Method::PUT,
                "/_security/api_key/_x",
                "/_security/api_key/{id} id=_x",
            ),
            (
                Method::GET,
                "/_cluster/state/_all",
                "/_cluster/state/{metrics} metrics=_all",
            ),
            (
                Method::GET,
                "/_cat/indices/x*",
                "/_cat/indices/{index} index=x*",
            ),
            (Method::GET, "/_nodes/stats", "/_nodes/stats "),
            (Method::GET, "/_nodes/n1", "/_nodes/{node_id} node_id=n1"),
            (Method::PATCH, "/logs/_bulk", "allowed [POST, PUT]"),
            (Method::GET, "/a/b/c/d/e/f", "nowhere"),
            (Method::GET, "/%zz", "undecodable"),
        ] {
            assert_eq!(find(method, path), expected, "{path}");
        }
    }

    #[test]
    fn no_two_routes_share_method_and_path() {
        let mut seen = std::collections::HashSet::new();
        for route in ROUTES {
            for method in route.methods {
                for path in route.paths {
                    assert!(seen.insert((method, path)), "{method} {path}");
                }
            }
        }
    }
}
