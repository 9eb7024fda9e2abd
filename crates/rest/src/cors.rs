//! Which web pages of other origins a browser lets use this node, as the node tells it (CORS).
//! Source: the Fetch standard, section 3.2, with Elasticsearch's settings.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use regex::Regex;

/// The settings `http.cors.*`, checked.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Origins,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

/// The settings as they are written.
#[derive(Debug, Clone)]
pub struct CorsSettings {
    /// Origins, `*`, or one `/regular expression/`.
    pub allow_origin: Vec<String>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub allow_credentials: bool,
    pub max_age: Duration,
}

#[derive(Debug, Clone)]
enum Origins {
    Any,
    These(Vec<String>),
    Matching(Regex),
}

impl Cors {
    /// Checks the settings. The error names the one that is wrong.
    pub fn new(settings: &CorsSettings) -> Result<Self, String> {
        let origins = match settings.allow_origin.as_slice() {
            [one] if one == "*" => Origins::Any,
            [one] if one.len() > 2 && one.starts_with('/') && one.ends_with('/') => {
                // As written for Java, where slashes may be escaped.
                let expression = one[1..one.len() - 1].replace("\\/", "/");
                Regex::new(&format!("^(?:{expression})$"))
                    .map(Origins::Matching)
                    .map_err(|error| {
                        format!("Bad regex in [http.cors.allow-origin]: [{one}]: {error}")
                    })?
            }
            several => Origins::These(several.to_vec()),
        };
        if settings.allow_credentials && matches!(origins, Origins::Any) {
            return Err(
                "[http.cors.allow-credentials] must not be [true] while [http.cors.allow-origin] is [*]: any web \
                 page could act with the rights of who looks at it; name the origins"
                    .to_owned(),
            );
        }
        let list = |name: &str, values: &[String]| {
            HeaderValue::try_from(values.join(",")).map_err(|_| {
                format!(
                    "[{name}] has a character that no HTTP header may have: [{}]",
                    values.join(",")
                )
            })
        };
        Ok(Self {
            origins,
            methods: list("http.cors.allow-methods", &settings.allow_methods)?,
            headers: list("http.cors.allow-headers", &settings.allow_headers)?,
            exposed: match settings.expose_headers.is_empty() {
                true => None,
                false => Some(list("http.cors.expose-headers", &settings.expose_headers)?),
            },
            credentials: settings.allow_credentials,
            max_age: HeaderValue::from(settings.max_age.as_secs()),
        })
    }

    /// Answers a preflight request, and any request of an origin that is not allowed; `None` for all others.
    pub fn answer(&self, parts: &Parts) -> Option<Response<Full<Bytes>>> {
        let origin = parts.headers.get(ORIGIN)?;
        let mut response = Response::new(Full::default());
        if !self.is_allowed(origin, parts) {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Some(response);
        }
        let is_preflight = parts.method == Method::OPTIONS
            && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        self.add_origin(headers, origin);
        Some(response)
    }

    /// Adds to an answer what lets the page that asked read it.
    pub fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let Some(origin) = origin else {
            return;
        };
        self.add_origin(headers, origin);
        if let Some(exposed) = &self.exposed {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    fn add_origin(&self, headers: &mut HeaderMap, origin: &HeaderValue) {
        let told = match self.origins {
            Origins::Any => HeaderValue::from_static("*"),
            Origins::These(_) | Origins::Matching(_) => {
                headers.append(VARY, HeaderValue::from_static("origin"));
                origin.clone()
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, told);
        if self.credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }

    fn is_allowed(&self, origin: &HeaderValue, parts: &Parts) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        // HTTP/2 says it in the target.
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let is_own = host.is_some_and(|host| {
            let (_, authority) = origin.split_once("://").unwrap_or_default();
            !host.is_empty() && authority == host
        });
        is_own
            || match &self.origins {
                Origins::Any => true,
                Origins::These(origins) => origins.iter().any(|known| known == origin),
                Origins::Matching(regex) => regex.is_match(origin),
            }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn settings(origins: &[&str]) -> CorsSettings {
        CorsSettings {
            allow_origin: origins.iter().map(|origin| origin.to_string()).collect(),
            allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
            allow_headers: vec!["Content-Type".to_owned()],
            expose_headers: vec!["X-elastic-product".to_owned()],
            allow_credentials: false,
            max_age: Duration::from_secs(60),
        }
    }

    fn request(method: Method, origin: &str, preflight: bool) -> Parts {
        let mut request = Request::builder()
            .method(method)
            .header("host", "es:9200")
            .header("origin", origin);
        if preflight {
            request = request.header("access-control-request-method", "GET");
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_allowed_origins_are_served() {
        for (allowed, origin, expected) in [
            (&["*"][..], "https://any.example", true),
            (&[], "https://any.example", false),
            (&["https://a.example"], "https://a.example", true),
            (&["https://a.example"], "https://b.example", false),
            (
                &[r"/https?:\/\/localhost(:[0-9]+)?/"],
                "http://localhost:5601",
                true,
            ),
            (
                &[r"/https?:\/\/localhost(:[0-9]+)?/"],
                "http://localhost.evil",
                false,
            ),
            (&[], "https://es:9200", true),
            (&[], "null", false),
        ] {
            let cors = Cors::new(&settings(allowed)).unwrap();
            let answer = cors.answer(&request(Method::GET, origin, false));
            let status = answer.map(|answer| answer.status());
            let wanted = (!expected).then_some(StatusCode::FORBIDDEN);
            assert_eq!(status, wanted, "{allowed:?} {origin}");
        }
    }

    #[test]
    fn a_preflight_is_answered_and_answers_are_decorated() {
        let mut settings = settings(&["https://a.example"]);
        settings.allow_credentials = true;
        let cors = Cors::new(&settings).unwrap();
        let answer = cors
            .answer(&request(Method::OPTIONS, "https://a.example", true))
            .unwrap();
        let header = |name: &str| answer.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header("access-control-allow-origin"), "https://a.example");
        assert_eq!(header("access-control-allow-methods"), "GET,POST");
        assert_eq!(header("access-control-max-age"), "60");
        assert_eq!(header("access-control-allow-credentials"), "true");
        assert_eq!(header("vary"), "origin");
        let mut headers = HeaderMap::new();
        cors.decorate(
            Some(&HeaderValue::from_static("https://a.example")),
            &mut headers,
        );
        assert_eq!(
            headers.get("access-control-expose-headers").unwrap(),
            "X-elastic-product"
        );
        let mut untouched = HeaderMap::new();
        cors.decorate(None, &mut untouched);
        assert!(untouched.is_empty());
    }

    #[test]
    fn settings_that_open_too_much_or_are_wrong_are_refused() {
        let mut open = settings(&["*"]);
        open.allow_credentials = true;
        assert!(
            Cors::new(&open)
                .unwrap_err()
                .contains("http.cors.allow-credentials")
        );
        assert!(
            Cors::new(&settings(&["/(/"]))
                .unwrap_err()
                .contains("Bad regex")
        );
    }
}
