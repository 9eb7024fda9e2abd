//! The 401 answers. Source: RFC 9110 section 11.6, RFC 7617, RFC 6750.

use ringwall_api::{ApiError, ErrorCode};

/// What a stranger is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Challenges {
    /// Whether access tokens can be had.
    pub(crate) bearer: bool,
}

impl Challenges {
    /// No credential in the request.
    pub(super) fn missing(self, uri: &str) -> ApiError {
        self.unauthorized(format!(
            "missing authentication credentials for REST request [{uri}]"
        ))
    }

    /// A user that is unknown, disabled, or gave a wrong password: one text for all three.
    pub(super) fn bad_user(self, username: &str, uri: &str) -> ApiError {
        self.unauthorized(format!(
            "unable to authenticate user [{username}] for REST request [{uri}]"
        ))
    }

    /// As [`Self::bad_user`], of credentials in the body of a request.
    pub(super) fn bad_user_for(self, username: &str, action: &str) -> ApiError {
        self.unauthorized(format!(
            "unable to authenticate user [{username}] for action [{action}]"
        ))
    }

    /// A token or key that does not hold, or of a scheme that nothing here accepts. `why` goes into a field of
    /// its own, as with Elasticsearch.
    pub(super) fn bad_token(self, why: Option<&str>) -> ApiError {
        let error = self.unauthorized(BAD_TOKEN.to_owned());
        match why {
            None => error,
            Some(why) => error.with("additional_unsuccessful_credentials", why),
        }
    }

    /// An access token that was good once: the client is to get another.
    pub(super) fn expired_token(self) -> ApiError {
        ApiError::new(ErrorCode::Security, "token expired").with_header("WWW-Authenticate", EXPIRED)
    }

    /// A `Basic` value that cannot be read.
    pub(super) fn bad_basic(self, reason: &str) -> ApiError {
        self.unauthorized(reason.to_owned())
    }

    /// An action that takes credentials.
    pub(crate) fn required(self, action: &str) -> ApiError {
        self.unauthorized(format!("action [{action}] requires authentication"))
    }

    fn unauthorized(self, reason: String) -> ApiError {
        let bearer = self.bearer.then_some(BEARER);
        // One value per scheme that can succeed, in order of priority.
        let values = [BASIC].into_iter().chain(bearer).chain([API_KEY]);
        values.fold(
            ApiError::new(ErrorCode::Security, reason),
            |error, value| error.with_header("WWW-Authenticate", value),
        )
    }
}

/// Returns the refusal of a token of a header as that of one in the body of a request.
pub(super) fn for_action(error: ApiError, action: &str) -> ApiError {
    match error.reason == BAD_TOKEN {
        true => ApiError {
            reason: format!("unable to authenticate user [_bearer_token] for action [{action}]"),
            ..error
        },
        false => error,
    }
}

/// Headers that only nodes may send.
pub(super) fn tampered(uri: &str) -> ApiError {
    let challenges = Challenges { bearer: false };
    challenges.unauthorized(format!(
        "REST request uri [{uri}] has internal authentication headers, which are not accepted from outside"
    ))
}

const BAD_TOKEN: &str = "unable to authenticate with provided credentials and anonymous access is not allowed for this \
                         request";
const BASIC: &str = r#"Basic realm="security", charset="UTF-8""#;
const BEARER: &str = r#"Bearer realm="security""#;
const API_KEY: &str = "ApiKey";
const EXPIRED: &str = r#"Bearer realm="security", error="invalid_token", error_description="The access token expired""#;
