//! The server: listeners, connections, shutdown.

mod activity;
pub mod body;
mod connection;
mod guard;
mod server;

pub use self::activity::ConnectionCounts;
pub use self::server::{RestConfig, RestError, RestServer, ServerHandle};
