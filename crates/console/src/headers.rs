//! What every answer carries. Source: OWASP Secure Headers Project.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::response::Response;

use crate::config::ServerConfig;

/// Adds the headers that keep a page to itself. No answer leaves without them.
pub fn secure<B>(response: &mut Response<B>, config: &ServerConfig) {
    let headers = response.headers_mut();
    let mut add = |name, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    add(CONTENT_SECURITY_POLICY, POLICY);
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: with it, browsers hide the origin of our own forms from us.
    add(REFERRER_POLICY, "same-origin");
    add(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    add(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    add(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    if config.is_secure() {
        add(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Nothing but the console's own style sheet and forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// A cookie that only the console reads and only its own pages send.
pub fn set_cookie<B>(
    response: &mut Response<B>,
    config: &ServerConfig,
    name: &str,
    value: Option<&str>,
) {
    let path = match config.base_path.as_str() {
        "" => "/",
        base => base,
    };
    let secure = if config.is_secure() { "; Secure" } else { "" };
    let (value, age) = match value {
        Some(value) => (value, ""),
        None => ("", "; Max-Age=0"),
    };
    let name = cookie_name(config, name);
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax{secure}{age}");
    // Names and values are of our own making: letters, digits, - and _.
    if let Ok(mut header) = HeaderValue::try_from(text) {
        header.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, header);
    }
}

/// Returns the name that a cookie has here. A browser takes a `__Host-` cookie from this very host over HTTPS only, so
/// that no other host of the domain can plant one.
pub fn cookie_name(config: &ServerConfig, name: &str) -> String {
    match config.is_secure() && config.base_path.is_empty() {
        true => format!("__Host-ringwall-{name}"),
        false => format!("ringwall-{name}"),
    }
}
