//! The contract between the HTTP edge, the security layer and the node: every action's name,
//! request and response, the error that crosses every boundary, and the identity that travels
//! with a request.
//!
//! An **action** (`indices:data/write/bulk`) is the unit of authorization. A REST handler only
//! translates HTTP into a request of this crate and a response back into JSON.

pub mod action;
pub mod api_keys;
pub mod auth;
pub mod cluster;
pub mod document;
pub mod error;
pub mod indices;
pub mod membership;
pub mod roles;
pub mod search;
mod secret_text;
pub mod security;
pub mod service_accounts;
pub mod tasks;
pub mod templates;
pub mod tls;

pub use action::{
    ActionRequest, ActionSpec, Client, ClientExt, IndicesOptions, IndicesTarget, RequestContext,
    Scope, Through,
};
pub use auth::Authentication;
pub use error::{ApiError, ErrorCode};

/// The result of every action.
pub type ApiResult<T> = Result<T, ApiError>;
