//! A request of a browser, read whole.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{COOKIE, HOST, ORIGIN, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use ringwall_base::SecretString;

use crate::config::ServerConfig;
use crate::urlencoded;

/// What a page is made from.
pub struct Request {
    pub method: Method,
    /// Without the base path; begins with a slash. As sent, not decoded.
    pub path: String,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    pub client: IpAddr,
    headers: HeaderMap,
}

impl Request {
    /// Returns the request; `None` when its path is not below the base path.
    pub fn new(parts: Parts, body: &Bytes, client: IpAddr, config: &ServerConfig) -> Option<Self> {
        let path = parts.uri.path();
        let path = match config.strip_base_path {
            true => match path.strip_prefix(&config.base_path)? {
                "" => "/",
                rest if rest.starts_with('/') => rest,
                _ => return None,
            },
            false => path,
        };
        Some(Self {
            path: path.to_owned(),
            query: urlencoded::pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            form: urlencoded::pairs(body),
            method: parts.method,
            client,
            headers: parts.headers,
        })
    }

    /// Returns a parameter of the query, trimmed; empty where it is not given.
    pub fn query(&self, name: &str) -> &str {
        value(&self.query, name).trim()
    }

    /// Returns a field of the form as it was typed; empty where it is not given.
    pub fn form(&self, name: &str) -> &str {
        value(&self.form, name)
    }

    /// Returns a field of the form that must not be shown.
    pub fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.form(name))
    }

    /// Returns a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_all(COOKIE).iter();
        headers
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// Returns what the browser calls itself, cut to what a table holds.
    pub fn agent(&self) -> String {
        let agent = self.headers.get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        agent.unwrap_or_default().chars().take(200).collect()
    }

    /// Returns whether a form may have been sent by a page of ours. Browsers say where a form comes from; who is no
    /// browser has no cookie that another's page could use.
    pub fn is_of_this_origin(&self, config: &ServerConfig) -> bool {
        let header = |name| {
            self.headers
                .get(name)
                .map(|value| value.to_str().unwrap_or(""))
        };
        if let Some(site) = header(SEC_FETCH_SITE)
            && site != "same-origin"
        {
            return false;
        }
        let Some(origin) = header(ORIGIN) else {
            return true;
        };
        match &config.public_origin {
            Some(public) => origin.eq_ignore_ascii_case(public),
            None => {
                let host = header(HOST).unwrap_or_default();
                let of_origin = origin.split_once("://").map(|(_, host)| host);
                !host.is_empty() && of_origin.is_some_and(|of| of.eq_ignore_ascii_case(host))
            }
        }
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let found = pairs.iter().find(|(found, _)| found == name);
    found.map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use ringwall_settings::console::ConsoleSettings;

    fn config(given: &[(&str, &str)]) -> ServerConfig {
        let settings = ConsoleSettings::from_overrides("/".as_ref(), given).unwrap();
        Config::from_settings(&settings).server
    }

    fn request(path: &str, headers: &[(&str, &str)], config: &ServerConfig) -> Option<Request> {
        let mut request = http::Request::builder().method("POST").uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let body = Bytes::from_static(b"a=1&a=2&b=+x+");
        Request::new(parts, &body, IpAddr::from([127, 0, 0, 1]), config)
    }

    #[test]
    fn cookies_and_fields_are_found_by_name() {
        let headers = [
            ("cookie", "sidx=no; sid=yes"),
            ("cookie", "other=1; sid=late"),
        ];
        let request = request("/x?q=+a", &headers, &config(&[])).unwrap();
        assert_eq!(request.cookie("sid"), Some("yes"));
        assert_eq!(request.cookie("other"), Some("1"));
        assert_eq!(request.cookie("id"), None);
        assert_eq!(
            (request.form("a"), request.form("b"), request.form("c")),
            ("1", " x ", "")
        );
        assert_eq!(request.query("q"), "a");
    }

    #[test]
    fn the_base_path_is_taken_off_where_requests_have_it() {
        let given = [
            ("server.basePath", "/kibana"),
            ("server.rewriteBasePath", "true"),
        ];
        let path = |path| request(path, &[], &config(&given)).map(|request| request.path);
        assert_eq!(path("/kibana/users").as_deref(), Some("/users"));
        assert_eq!(path("/kibana").as_deref(), Some("/"));
        assert_eq!(path("/kibanausers"), None);
        assert_eq!(path("/users"), None);
        let behind = config(&given[..1]);
        assert_eq!(request("/users", &[], &behind).unwrap().path, "/users");
    }

    #[test]
    fn forms_of_other_pages_are_told_apart() {
        let here = config(&[]);
        let public = config(&[("server.publicBaseUrl", "https://console.example")]);
        for (headers, config, expected) in [
            (
                &[("host", "a:5601"), ("origin", "https://a:5601")][..],
                &here,
                true,
            ),
            (
                &[("host", "a:5601"), ("origin", "https://b:5601")],
                &here,
                false,
            ),
            (&[("host", "a:5601"), ("origin", "null")], &here, false),
            (
                &[("host", "a:5601"), ("sec-fetch-site", "cross-site")],
                &here,
                false,
            ),
            (
                &[("host", "a:5601"), ("sec-fetch-site", "same-site")],
                &here,
                false,
            ),
            (
                &[("host", "a:5601"), ("sec-fetch-site", "same-origin")],
                &here,
                true,
            ),
            (&[("host", "a:5601")], &here, true),
            (
                &[("host", "a:5601"), ("origin", "https://console.example")],
                &public,
                true,
            ),
            (
                &[("host", "a:5601"), ("origin", "https://a:5601")],
                &public,
                false,
            ),
        ] {
            let request = request("/login", headers, config).unwrap();
            assert_eq!(request.is_of_this_origin(config), expected, "{headers:?}");
        }
    }
}
