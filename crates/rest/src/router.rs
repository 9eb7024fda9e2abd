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
/// the left wins, as long as it takes the method.
pub fn route(routes: &'static [Route], method: &Method, path: &str) -> Routed {
    let mut segments = Vec::with_capacity(8);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match decode(part) {
            Ok(segment) => segments.push(segment),
            Err(error) => return Routed::Undecodable(error),
        }
    }
    let mut best: Option<(u32, &'static Route)> = None;
    let mut allowed: Vec<Method> = Vec::new();
    for candidate in routes {
        let Some(rank) = rank(candidate.path, &segments) else {
            continue;
        };
        if !candidate.methods.contains(method) {
            for other in candidate.methods {
                if !allowed.contains(other) {
                    allowed.push(other.clone());
                }
            }
        } else if best.is_none_or(|(known, _)| rank < known) {
            best = Some((rank, candidate));
        }
    }
    match best {
        Some((_, route)) => Routed::To {
            route,
            path_params: bind(route.path, segments),
        },
        None if allowed.is_empty() => Routed::Nowhere,
        None => {
            allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
            Routed::WrongMethod { allowed }
        }
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
        if part.starts_with('{') {
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
        .filter_map(|(part, segment)| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            Some((name, segment))
        })
        .collect()
}

fn parts(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter(|part| !part.is_empty())
}

/// Parameters of every endpoint. Source: data.md section 1.1.
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
            (Method::PUT, "/_cat", "/{index} index=_cat"),
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
