//! What each node is, does and uses.

mod info;
mod reload_secure_settings;
mod sections;
mod stats;
mod tls;

pub use info::*;
pub use reload_secure_settings::*;
pub(crate) use sections::*;
pub use stats::*;
pub use tls::*;
