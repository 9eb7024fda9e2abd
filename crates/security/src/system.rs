//! The one door through which a node acts for itself: nothing that goes through it is authorized. Whoever reads for
//! holes begins at its callers.

use ringwall_api::Authentication;

/// Returns the identity under which a node acts for itself, for work that no user asked for.
pub fn identity() -> Authentication {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    Authentication::system()
}
