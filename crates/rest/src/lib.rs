//! The HTTP edge: HTTPS server, routing, parsing of parameters and bodies, rendering of answers.
//!
//! Entry point: [`RestServer::bind`]. Every request is authenticated before anything about it is
//! looked at, then routed through one declarative table ([`routes::ROUTES`]), translated into a
//! request of the `api` crate and handed to the client, which authorizes it. Handlers translate and
//! nothing else: what they do without the client, a stranger may do.
//!
//! [`http_client::HttpClient`] is the client of the tools and tests.

mod audit;
mod bulk;
mod cors;
mod filter_path;
mod formats;
mod glossary;
mod handlers;
mod http;
pub mod http_client;
mod json;
mod memory;
mod params;
pub mod reference;
mod render;
mod request;
mod router;
pub mod routes;
mod service;
mod unsupported;

pub use cors::{Cors, CorsSettings};
pub use http::{
    Answered, ConnectionCounts, HttpConfig, HttpServer, HttpService, RestConfig, RestError,
    RestServer, ServerHandle, SettingNames,
};
pub use ringwall_security::ClientCertificates;
