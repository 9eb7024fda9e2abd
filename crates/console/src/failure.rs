//! Why a page cannot be shown.

use http::StatusCode;

/// What ends a request early. Each has a status of its own: no error answers 200.
#[derive(Debug)]
pub enum Failure {
    /// Nobody is logged in, or the cluster no longer takes the password of who was.
    LoggedOut,
    /// The form is not one that the console gave to this session.
    ForeignForm,
    /// The user may not do it; with the reason that the cluster gives.
    Forbidden(String),
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// What was asked for cannot be done; with the reason.
    Refused(StatusCode, String),
    /// No node answers; with causes and cures.
    Unreachable(String),
}

impl Failure {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::LoggedOut => StatusCode::UNAUTHORIZED,
            Self::ForeignForm | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused(status, _) => *status,
            Self::Unreachable(_) => StatusCode::BAD_GATEWAY,
        }
    }

    pub fn title(&self) -> &'static str {
        match self {
            Self::LoggedOut => "You are logged out",
            Self::ForeignForm => "The form was not accepted",
            Self::Forbidden(_) => "You may not do this",
            Self::NotFound => "There is no such page",
            Self::MethodNotAllowed => "This page takes no such request",
            Self::TooLarge => "The request is too large",
            Self::Refused(..) => "The cluster refused the request",
            Self::Unreachable(_) => "The cluster cannot be reached",
        }
    }

    pub fn detail(&self) -> &str {
        match self {
            Self::LoggedOut => "Log in again.",
            Self::ForeignForm => {
                "It does not come from a page that this session was given. Open the page again and repeat what you did. \
                 Behind a proxy that changes the name of the host, set server.publicBaseUrl."
            }
            Self::NotFound => "The address is mistyped, or what it showed is gone.",
            Self::MethodNotAllowed => "Go back and open the page by its link.",
            Self::TooLarge => "The limit is server.maxPayload.",
            Self::Forbidden(reason) | Self::Refused(_, reason) | Self::Unreachable(reason) => {
                reason
            }
        }
    }
}
