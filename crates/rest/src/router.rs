//! From method and path to a route.

use http::Method;
use ringwall_api::ActionSpec;

use crate::params::decode;
use crate::request::Handler;

/// One row of the route table.
pub struct Route {
    pub methods: &'static [Method],
    /// A template such as `/{index}/_doc/{id}`.
    pub path: &'static str,
    /// What it needs the right to before its body is read; `None` for what takes no body, or is open to all.
    pub action: Option<&'static ActionSpec>,
    pub takes_body: bool,
    /// Groups of query parameters it takes besides the common ones.
    pub params: &'static [&'static [&'static str]],
    pub handler: Handler,
}

impl Route {
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
        path_params: Vec<(&'static str, String)>,
    },
    /// The path exists, but not with this method.
    WrongMethod { allowed: Vec<Method> },
    /// No route has the path.
    Nowhere,
    /// The path has a broken percent escape.
    Undecodable(ringwall_api::ApiError),
}

/// Finds the route of a request. Where several templates match, the one that is literal further to
/// the left wins, whether or not it takes the method: a request that means `/_bulk` must not become one
/// for an index.
pub fn route(routes: &'static [Route], method: &Method, path: &str) -> Routed {
    let mut segments = Vec::with_capacity(8);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match decode(part) {
            Ok(segment) => segments.push(segment),
            Err(error) => return Routed::Undecodable(error),
        }
    }
    let mut lowest = u32::MAX;
    let mut best: Vec<&'static Route> = Vec::new();
    for candidate in routes {
        let Some(rank) = rank(candidate.path, &segments) else {
            continue;
        };
        if rank < lowest {
            lowest = rank;
            best.clear();
        }
        if rank == lowest {
            best.push(candidate);
        }
    }
    if let Some(route) = best.iter().find(|route| route.methods.contains(method)) {
        return Routed::To {
            route,
            path_params: bind(route.path, segments),
        };
    }
    let takes = |method: &&Method| best.iter().any(|route| route.methods.contains(method));
    let allowed: Vec<Method> = METHODS.iter().filter(takes).cloned().collect();
    match allowed.is_empty() {
        true => Routed::Nowhere,
        false => Routed::WrongMethod { allowed },
    }
}

/// Returns how specific a matching template is (less is more specific), or `None` if it does not
/// match: one bit per segment, the leftmost the most significant, set for variables.
fn rank(template: &'static str, segments: &[String]) -> Option<u32> {
    let mut rank = 0;
    let mut given = segments.iter();
    let mut length = 0;
    for part in parts(template) {
        let segment = given.next()?;
        length += 1;
        rank <<= 1;
        if let Some(variable) = variable(part) {
            if !may_be(variable, segment) {
                return None;
            }
            rank |= 1;
        } else if part != segment {
            return None;
        }
    }
    (given.next().is_none() && length <= 31).then_some(rank)
}

fn bind(template: &'static str, segments: Vec<String>) -> Vec<(&'static str, String)> {
    parts(template)
        .zip(segments)
        .filter_map(|(part, segment)| Some((variable(part)?, segment)))
        .collect()
}

fn variable(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Names that begin with `_` belong to the API: no index, alias, user or role has one, so that a path nobody serves
/// is never taken for a thing of that name. Ids may begin with it; metrics, and lists of names, may be `_all`.
fn may_be(variable: &str, segment: &str) -> bool {
    let is_free = variable.ends_with("id") || variable.starts_with("metric");
    let first = segment.split(',').next().unwrap_or_default();
    is_free || !first.starts_with('_') || first == "_all"
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
    use crate::routes::ROUTES;

    fn find(method: Method, path: &str) -> String {
        match route(ROUTES, &method, path) {
            Routed::To { route, path_params } => {
                let bound: Vec<String> = path_params
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                format!("{} {}", route.path, bound.join(","))
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
                assert!(seen.insert((method, route.path)), "{method} {}", route.path);
            }
        }
    }
}
