//! The server: listeners, connections, shutdown.

mod activity;
pub mod body;
mod connection;
pub mod discard;
mod guard;
mod linger;
mod listener;
mod server;

pub use self::activity::ConnectionCounts;
pub use self::listener::{
    Answered, HttpConfig, HttpServer, HttpService, ServerHandle, SettingNames,
};
pub use self::server::{RestConfig, RestError, RestServer};
