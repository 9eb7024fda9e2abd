//! Transports of several nodes in one process, over real sockets.

mod connections;
mod dual_stack;
mod keys;
mod profiles;
mod refusals;
mod requests;
mod support;
mod tls;
