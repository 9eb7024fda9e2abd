//! What a caller has named and nobody has authorized yet.

use serde::{Deserialize, Serialize};

/// Something of a request that must not be used before its caller's right to it has been checked. Whoever makes a
/// request can put things in; only the authorizer takes them out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unauthorized<T>(T);

impl<T> Unauthorized<T> {
    /// Wraps what a caller has named.
    pub fn new(content: T) -> Self {
        Self(content)
    }

    /// Returns the content, which is the authorizer's to check. `clippy.toml` refuses every other use.
    pub fn open(self) -> T {
        self.0
    }

    /// For what requests say of themselves as a whole.
    pub(crate) fn peek(&self) -> &T {
        &self.0
    }
}
