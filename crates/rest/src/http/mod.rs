//! The server: listeners, connections, shutdown.

pub mod body;
mod connection;
mod server;

pub use self::server::{RestConfig, RestError, RestServer, ServerHandle};
