//! What each node is, does and uses.

pub mod info;
pub mod reload_secure_settings;
pub mod stats;
pub mod tls;
