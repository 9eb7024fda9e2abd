//! The server: listeners, connections, shutdown.

pub mod body;
mod connection;
mod head_guard;
mod server;

pub use self::server::{RestConfig, RestError, RestServer, ServerHandle};
