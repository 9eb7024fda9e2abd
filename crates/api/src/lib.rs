//! The contract between the HTTP edge, the security layer and the node: every action's name,
//! request and response, the error that crosses every boundary, and the identity that travels
//! with a request.
//!
//! An **action** (`indices:data/write/bulk`) is the unit of authorization. A REST handler only
//! translates HTTP into a request of this crate and a response back into JSON.

pub mod access;
pub mod action;
pub mod auth;
pub mod cluster;
pub mod document;
pub mod error;
pub mod indices;
mod list;
pub mod nodes;
pub mod search;
mod secret_text;
pub mod security;
mod target;
mod unauthorized;

pub use access::{Access, AccessKind, Claim};
pub use action::{ActionRequest, ActionSpec, Client, ClientExt, RequestContext};
pub use auth::Authentication;
pub use error::{ApiError, ErrorCode};
pub use target::{IndicesOptions, IndicesTarget, Through};
pub use unauthorized::Unauthorized;

/// The result of every action.
pub type ApiResult<T> = Result<T, ApiError>;
