//! The 401 answers. Source: RFC 9110 section 11.6, RFC 7617, RFC 6750.

use ringwall_api::{ApiError, ErrorCode};

/// No credential in the request.
pub(super) fn missing(uri: &str) -> ApiError {
    unauthorized(format!(
        "missing authentication credentials for REST request [{uri}]"
    ))
}

/// A user that is unknown, disabled, or gave a wrong password: one text for all three.
pub(super) fn bad_user(username: &str, uri: &str) -> ApiError {
    unauthorized(format!(
        "unable to authenticate user [{username}] for REST request [{uri}]"
    ))
}

/// As [`bad_user`], of credentials in the body of a request.
pub(super) fn bad_user_for(username: &str, action: &str) -> ApiError {
    unauthorized(format!(
        "unable to authenticate user [{username}] for action [{action}]"
    ))
}

/// A token or key that does not hold, or of a scheme that nothing here accepts. `why` goes into a field of
/// its own, as with Elasticsearch.
pub(super) fn bad_token(why: Option<&str>) -> ApiError {
    let error = unauthorized(
        "unable to authenticate with provided credentials and anonymous access is not allowed for this \
         request"
            .to_owned(),
    );
    match why {
        None => error,
        Some(why) => error.with("additional_unsuccessful_credentials", why),
    }
}

/// A `Basic` value that cannot be read.
pub(super) fn bad_basic(reason: &str) -> ApiError {
    unauthorized(reason.to_owned())
}

/// Headers that only nodes may send.
pub(super) fn tampered(uri: &str) -> ApiError {
    unauthorized(format!(
        "REST request uri [{uri}] has internal authentication headers, which are not accepted from outside"
    ))
}

fn unauthorized(reason: String) -> ApiError {
    CHALLENGES.iter().fold(
        ApiError::new(ErrorCode::Security, reason),
        |error, value| error.with_header("WWW-Authenticate", value),
    )
}

/// One value per scheme that can succeed, in order of priority.
const CHALLENGES: &[&str] = &[r#"Basic realm="security", charset="UTF-8""#, "ApiKey"];
