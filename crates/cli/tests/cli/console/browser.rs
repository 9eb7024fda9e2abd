//! What a browser does that has no script: cookies, forms and their hidden fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use ringwall_rest::http_client::HttpClient;

/// A page, as it came.
pub struct Page {
    pub status: StatusCode,
    pub text: String,
    headers: HeaderMap,
}

impl Page {
    /// Returns all values of a header as one text.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
        values.join("\n")
    }

    /// Returns the token of its forms; empty where it has none.
    pub fn token(&self) -> String {
        match self.text.contains("name=\"csrf\" value=\"") {
            true => self.between("name=\"csrf\" value=\"", "\""),
            false => String::new(),
        }
    }

    #[track_caller]
    pub fn between(&self, before: &str, after: &str) -> String {
        let (_, rest) = self.text.split_once(before).expect(&self.text);
        rest.split_once(after).unwrap().0.to_owned()
    }

    #[track_caller]
    pub fn goes_to(&self, path: &str) {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        assert_eq!(self.header("location"), path);
    }
}

pub struct Browser {
    client: HttpClient,
    runtime: tokio::runtime::Runtime,
    cookies: BTreeMap<String, String>,
    token: String,
}

impl Browser {
    pub fn new(client: HttpClient) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            client,
            runtime,
            cookies: BTreeMap::new(),
            token: String::new(),
        }
    }

    pub fn with_cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn cookie(&self, name: &str) -> String {
        self.cookies[name].clone()
    }

    pub fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, String::new(), None)
    }

    /// Sends a form of the page that was seen last.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(path, fields, None, None)
    }

    /// Sends a form with another token, or from another origin.
    pub fn post_with(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        token: Option<&str>,
        origin: Option<&str>,
    ) -> Page {
        let token = token.unwrap_or(&self.token).to_owned();
        let fields = fields.iter().copied().chain([("csrf", token.as_str())]);
        let body: Vec<String> = fields
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        self.send(Method::POST, path, body.join("&"), origin)
    }

    pub fn log_in(&mut self, user: &str, password: &str) -> Page {
        self.get("/login");
        let page = self.post("/login", &[("username", user), ("password", password)]);
        if page.status == StatusCode::SEE_OTHER {
            // Forms of the session have its own token.
            self.get("/dev-tools");
        }
        page
    }

    pub fn try_get(&mut self, path: &str) -> Result<Page, String> {
        self.try_send(Method::GET, path, String::new(), None)
    }

    #[track_caller]
    fn send(&mut self, method: Method, path: &str, body: String, origin: Option<&str>) -> Page {
        self.try_send(method, path, body, origin).unwrap()
    }

    fn try_send(
        &mut self,
        method: Method,
        path: &str,
        body: String,
        origin: Option<&str>,
    ) -> Result<Page, String> {
        let mut headers = HeaderMap::new();
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut add = |name: &'static str, value: &str| {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::try_from(value).unwrap(),
            );
        };
        add("cookie", &cookies.join("; "));
        if let Some(origin) = origin {
            add("origin", origin);
        }
        if method == Method::POST {
            add("content-type", "application/x-www-form-urlencoded");
        }
        let sent = self.client.send(method, path, headers, Bytes::from(body));
        let answer = self
            .runtime
            .block_on(sent)
            .map_err(|error| error.to_string())?;
        for cookie in answer.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            match cookie.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => {
                    let value = rest.split(';').next().unwrap();
                    self.cookies.insert(name.to_owned(), value.to_owned())
                }
            };
        }
        let page = Page {
            status: answer.status,
            text: String::from_utf8(answer.body.to_vec()).unwrap(),
            headers: answer.headers,
        };
        if !page.token().is_empty() {
            self.token = page.token();
        }
        Ok(page)
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
