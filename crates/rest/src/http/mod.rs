//! The server: listeners, connections, shutdown.

mod activity;
pub mod body;
mod connection;
pub mod discard;
mod guard;
mod linger;
mod server;

pub use self::activity::ConnectionCounts;
pub use self::server::{RestConfig, RestError, RestServer, ServerHandle};
