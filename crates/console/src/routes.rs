//! Every page: its method, its path, who may ask, what answers. And the way of a request through this table.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use http_body_util::Full;

use crate::context::{App, Context, PageResponse, PageResult};
use crate::failure::Failure;
use crate::request::Request;
use crate::rights::{
    self, API_KEYS, CREATE_INDICES, DISCOVER, INDICES, MANAGE_SECURITY, MANAGE_SERVICE_TOKENS,
    MONITOR, NOTHING, Needs, READ_SECURITY, SERVICE_TOKENS, TEMPLATES,
};
use crate::{forms, headers, layout, pages, urlencoded};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Everybody,
    /// Who is logged in; a POST needs the token of the session, which is checked before the page is called.
    User,
    /// Of these, who may do what it is for, checked before the page is called. For pages that offer something without asking
    /// the cluster, which refuses by itself, and for links to be left out.
    Holder(Needs),
}

/// One row of the table.
struct Route {
    method: Method,
    /// A segment `{}` is open: the page gets its text.
    path: &'static str,
    access: Access,
    page: Page,
}

type Page = for<'a> fn(&'a Context<'a>) -> Pin<Box<dyn Future<Output = PageResult> + Send + 'a>>;

macro_rules! route {
    ($method:ident $path:literal $access:ident$(($needs:expr))? $($page:ident)::+) => {
        Route {
            method: Method::$method,
            path: $path,
            access: Access::$access$(($needs))?,
            page: |context| Box::pin(pages::$($page)::+(context)),
        }
    };
}

static ROUTES: &[Route] = &[
    route!(GET "/" User home::show),
    route!(GET "/login" Everybody login::show),
    route!(POST "/login" Everybody login::submit),
    route!(POST "/logout" User login::leave),
    route!(GET "/overview" User overview::show),
    route!(GET "/certificates" User certificates::show),
    route!(GET "/indices" User indices::list),
    route!(GET "/new-index" Holder(CREATE_INDICES) indices::new),
    route!(POST "/new-index" User indices::create),
    route!(GET "/indices/{}" User index::show),
    route!(POST "/indices/{}/close" User index::close),
    route!(POST "/indices/{}/open" User index::open),
    route!(POST "/indices/{}/delete" User index::delete),
    route!(GET "/templates" User templates::list),
    route!(GET "/discover" Holder(DISCOVER) discover::show),
    route!(GET "/discover.csv" Holder(DISCOVER) discover::csv::export),
    route!(GET "/documents/{}/{}" User discover::document::show),
    route!(GET "/cluster" Holder(MONITOR) cluster::nodes::list),
    route!(GET "/cluster/tasks" Holder(MONITOR) cluster::tasks::list),
    route!(POST "/cluster/tasks/cancel" User cluster::tasks::cancel),
    route!(GET "/cluster/settings" Holder(MONITOR) cluster::settings::list),
    route!(POST "/cluster/settings" User cluster::settings::change),
    route!(GET "/cluster/allocation" Holder(INDICES) cluster::allocation::list),
    route!(GET "/users" User users::list),
    route!(GET "/new-user" Holder(MANAGE_SECURITY) users::new),
    route!(POST "/new-user" User users::create),
    route!(GET "/users/{}" User users::show),
    route!(POST "/users/{}/save" User users::save),
    route!(POST "/users/{}/password" User users::password),
    route!(POST "/users/{}/enable" User users::enable),
    route!(POST "/users/{}/disable" User users::disable),
    route!(POST "/users/{}/delete" User users::delete),
    route!(GET "/roles" User roles::list),
    route!(GET "/new-role" Holder(MANAGE_SECURITY) roles::new),
    route!(POST "/new-role" User roles::create),
    route!(GET "/roles/{}" User roles::show),
    route!(POST "/roles/{}/save" User roles::save),
    route!(POST "/roles/{}/delete" User roles::delete),
    route!(GET "/role-mappings" User role_mappings::list),
    route!(GET "/new-role-mapping" Holder(MANAGE_SECURITY) role_mappings::new),
    route!(POST "/new-role-mapping" User role_mappings::create),
    route!(GET "/role-mappings/{}" User role_mappings::show),
    route!(POST "/role-mappings/{}/save" User role_mappings::save),
    route!(POST "/role-mappings/{}/enable" User role_mappings::enable),
    route!(POST "/role-mappings/{}/disable" User role_mappings::disable),
    route!(POST "/role-mappings/{}/delete" User role_mappings::delete),
    route!(GET "/service-tokens" User service_tokens::list),
    route!(GET "/new-service-token" Holder(MANAGE_SERVICE_TOKENS) service_tokens::new),
    route!(POST "/new-service-token" User service_tokens::create),
    route!(GET "/service-tokens/{}/{}/{}" Holder(MANAGE_SERVICE_TOKENS) service_tokens::show),
    route!(POST "/service-tokens/{}/{}/{}/delete" User service_tokens::delete),
    route!(GET "/api-keys" User api_keys::list),
    route!(GET "/new-api-key" Holder(API_KEYS) api_keys::new),
    route!(POST "/new-api-key" User api_keys::create),
    route!(POST "/api-keys/invalidate" User api_keys::invalidate),
    route!(GET "/sessions" User sessions::list),
    route!(POST "/sessions/end" User sessions::end),
    route!(GET "/dev-tools" User dev_tools::show),
    route!(POST "/dev-tools" User dev_tools::send),
];

/// The pages that are linked on each page, with what they need.
static LINKED: &[(&str, &str, Needs)] = &[
    ("/overview", "Overview", MONITOR),
    ("/discover", "Discover", DISCOVER),
    ("/indices", "Indices", INDICES),
    ("/templates", "Templates", TEMPLATES),
    ("/cluster", "Cluster", MONITOR),
    ("/certificates", "Certificates", MONITOR),
    ("/users", "Users", READ_SECURITY),
    ("/roles", "Roles", READ_SECURITY),
    ("/role-mappings", "Role mappings", READ_SECURITY),
    ("/api-keys", "API keys", API_KEYS),
    ("/service-tokens", "Service tokens", SERVICE_TOKENS),
    ("/dev-tools", "Dev tools", NOTHING),
    ("/sessions", "Sessions", NOTHING),
];

/// Returns path and name of the pages that a user with these privileges may use.
pub fn linked(privileges: &BTreeSet<String>) -> impl Iterator<Item = (&'static str, &'static str)> {
    LINKED
        .iter()
        .filter(|(_, _, needs)| rights::suffice(privileges, needs))
        .map(|(path, name, _)| (*path, *name))
}

/// Returns whether the page at a path is one that a user with these privileges may open, as far as the table tells.
pub fn may_open(path: &str, privileges: &BTreeSet<String>) -> bool {
    match find(&Method::GET, path) {
        Ok((route, _)) => match route.access {
            Access::Holder(needs) => rights::suffice(privileges, needs),
            Access::User | Access::Everybody => true,
        },
        Err(_) => false,
    }
}

/// The one file that pages load.
pub const STYLE_SHEET: &str = "/assets/console.css";

/// The cookie of a session.
pub const SESSION: &str = "session";

/// Answers a request. Never fails: a failure is a page.
pub async fn answer(app: &App, request: Option<Request>) -> PageResponse {
    let mut response = match &request {
        Some(request) if request.path == STYLE_SHEET => style_sheet(request),
        Some(request) => answer_page(app, request).await,
        None => plain(&Failure::NotFound),
    };
    headers::secure(&mut response, &app.config.server);
    response
}

async fn answer_page(app: &App, request: &Request) -> PageResponse {
    let cookie = headers::cookie_name(&app.config.server, SESSION);
    let id = request.cookie(&cookie);
    let session = id.and_then(|id| app.sessions.find(id, Instant::now()));
    let (found, captures) = match find(&request.method, &request.path) {
        Ok((route, captures)) => (Ok(route), captures),
        Err(failure) => (Err(failure), Vec::new()),
    };
    let context = Context::new(app, request, session, captures);
    let made = match found {
        Ok(route) => run(route, &context).await,
        Err(failure) => Err(failure),
    };
    match made {
        Ok(response) => response,
        Err(Failure::LoggedOut) => {
            if let Some(id) = id {
                app.sessions.end(id);
            }
            pages::login::send_there(&context)
        }
        Err(failure) => layout::failure(&context, &failure).await,
    }
}

async fn run(route: &Route, context: &Context<'_>) -> PageResult {
    if route.access != Access::Everybody {
        context.session()?;
        if route.method != Method::GET {
            forms::check_token(context)?;
        }
    }
    if let Access::Holder(needs) = route.access {
        context.require(needs).await?;
    }
    (route.page)(context).await
}

fn find(method: &Method, path: &str) -> Result<(&'static Route, Vec<String>), Failure> {
    // The answer to HEAD is that to GET, of which the server leaves out the body.
    let method = match *method {
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let mut is_known = false;
    for route in ROUTES {
        if let Some(captures) = captures(route.path, path) {
            if route.method == *method {
                return Ok((route, captures));
            }
            is_known = true;
        }
    }
    Err(match is_known {
        true => Failure::MethodNotAllowed,
        false => Failure::NotFound,
    })
}

/// Returns the texts of the open segments, if the path is of this form.
fn captures(form: &str, path: &str) -> Option<Vec<String>> {
    let (form, path): (Vec<&str>, Vec<&str>) =
        (form.split('/').collect(), path.split('/').collect());
    if form.len() != path.len() {
        return None;
    }
    let mut captures = Vec::new();
    for (form, segment) in form.into_iter().zip(path) {
        match form {
            "{}" if segment.is_empty() => return None,
            "{}" => captures.push(urlencoded::decode(segment)?),
            fixed if fixed == segment => {}
            _ => return None,
        }
    }
    Some(captures)
}

fn style_sheet(request: &Request) -> PageResponse {
    if request.method != Method::GET && request.method != Method::HEAD {
        return plain(&Failure::MethodNotAllowed);
    }
    let css = include_str!("../assets/console.css");
    let mut response = Response::new(Full::new(Bytes::from_static(css.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/css; charset=utf-8"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=600"),
    );
    response
}

/// Returns a failure as text, where no page can be made.
pub fn plain(failure: &Failure) -> PageResponse {
    let text = format!("{}. {}\n", failure.title(), failure.detail());
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = failure.status();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_their_segments() {
        assert_eq!(
            captures("/users/{}/delete", "/users/a%2Fb/delete"),
            Some(vec!["a/b".into()])
        );
        assert_eq!(captures("/users/{}", "/users/"), None);
        assert_eq!(captures("/users/{}", "/users/%ff"), None);
        assert_eq!(captures("/users", "/users/"), None);
        assert!(matches!(
            find(&Method::GET, "/nothing"),
            Err(Failure::NotFound)
        ));
        assert!(matches!(
            find(&Method::GET, "/logout"),
            Err(Failure::MethodNotAllowed)
        ));
        assert!(find(&Method::HEAD, "/login").is_ok());
    }

    #[test]
    fn what_changes_something_is_not_open_to_everybody() {
        for route in ROUTES
            .iter()
            .filter(|route| route.access == Access::Everybody)
        {
            assert_eq!(route.path, "/login");
        }
        for (path, ..) in LINKED {
            assert!(
                find(&Method::GET, path).is_ok(),
                "{path} is linked and no page"
            );
        }
    }
}
