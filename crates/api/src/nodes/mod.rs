//! What each node is, does and uses.

mod info;
mod reload_secure_settings;
mod stats;
mod tls;

pub use info::*;
pub use reload_secure_settings::*;
pub use stats::*;
pub use tls::*;
