//! The answer that says no more than that it is so.

use serde::{Deserialize, Serialize};

/// `acknowledged: false` means committed, but not applied by every node in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub acknowledged: bool,
}
