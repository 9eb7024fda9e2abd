//! Reading the `Authorization` header. Source: RFC 7617 (basic), RFC 6750 (bearer); Elasticsearch reference, "Create
//! API key API".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringwall_base::SecretString;
use zeroize::Zeroizing;

/// A user name and a password, as the client gave them.
#[derive(Debug, Clone)]
pub(super) struct Basic {
    pub username: String,
    pub password: SecretString,
}

/// What the header holds.
#[derive(Debug)]
pub(super) enum Credential {
    /// No header, or a scheme nobody handles.
    None,
    ApiKey(SecretString),
    Bearer(SecretString),
    BadBasic(&'static str),
    Basic(Basic),
}

/// Reads a header value. Schemes are matched without regard to case and end at one space.
pub(super) fn parse(authorization: Option<&str>) -> Credential {
    let Some((scheme, value)) = authorization.and_then(|header| header.split_once(' ')) else {
        return Credential::None;
    };
    if value.is_empty() {
        return Credential::None;
    }
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => parse_basic(value),
        "bearer" => Credential::Bearer(value.trim().into()),
        "apikey" => Credential::ApiKey(value.trim().into()),
        _ => Credential::None,
    }
}

fn parse_basic(value: &str) -> Credential {
    let Ok(bytes) = STANDARD.decode(value.trim()).map(Zeroizing::new) else {
        return Credential::BadBasic("invalid basic authentication header encoding");
    };
    let Some((username, password)) = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.split_once(':'))
    else {
        return Credential::BadBasic("invalid basic authentication header value");
    };
    Credential::Basic(Basic {
        username: username.to_owned(),
        password: password.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(header: Option<&str>) -> String {
        match parse(header) {
            Credential::None => "none".to_owned(),
            Credential::ApiKey(key) => format!("key {}", key.expose()),
            Credential::Bearer(token) => format!("bearer {}", token.expose()),
            Credential::BadBasic(reason) => reason.to_owned(),
            Credential::Basic(basic) => {
                format!("{}|{}", basic.username, basic.password.expose())
            }
        }
    }

    #[test]
    fn headers_are_read() {
        for (header, expected) in [
            (None, "none"),
            (Some(""), "none"),
            (Some("Basic"), "none"),
            (Some("Basic "), "none"),
            (Some("Negotiate abc"), "none"),
            (Some("Bearer abc"), "bearer abc"),
            (Some("apikey abc"), "key abc"),
            (Some("Basic YW5uOmE6Yg=="), "ann|a:b"),
            (Some("bAsIc YW5uOmE6Yg=="), "ann|a:b"),
            (Some("Basic YW5uOg=="), "ann|"),
            (
                Some("Basic %%%"),
                "invalid basic authentication header encoding",
            ),
            (
                Some("Basic YW5u"),
                "invalid basic authentication header value",
            ),
            (
                Some("Basic /////w=="),
                "invalid basic authentication header value",
            ),
        ] {
            assert_eq!(describe(header), expected, "{header:?}");
        }
    }
}
