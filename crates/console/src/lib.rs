//! The console, in Kibana's place: pages of a secured cluster, made on the server.
//!
//! Entry points: [`Config::from_settings`], then [`Console::bind`] and [`Console::serve`]. `routes` has the one table of
//! pages; each page is a file in `pages`.
//!
//! Invariants:
//! * Every request to the cluster for a page carries the credentials of the user who is logged in. The console has an
//!   account of its own for one question only: whether the cluster can be used ([`cluster::Cluster::probe`]).
//! * A page is an HTML document without script. The content security policy allows none, so text that came from the
//!   cluster stays text even where it was not escaped; `maud` escapes everything that is not marked otherwise, and nothing
//!   is.
//! * What changes something is a POST with the token of its session.
//!
//! Absent on purpose: script, bundlers, requests of the browser to anybody else, state on disk.

mod cluster;
mod config;
mod context;
mod curl;
mod definitions;
mod failure;
mod forms;
mod headers;
mod layout;
mod listing;
mod pages;
mod request;
mod rights;
mod routes;
mod server;
mod sessions;
mod urlencoded;
mod words;

pub use config::Config;
pub use server::{Console, ConsoleError, ConsoleHandle};
