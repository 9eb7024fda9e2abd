//! Who am I? Source: Elasticsearch reference, "Authenticate API".

use serde::{Deserialize, Serialize};

use crate::auth::Authentication;

/// `GET /_security/_authenticate`: who am I?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthenticateRequest;

/// The caller's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthenticateResponse {
    pub authentication: Authentication,
}
