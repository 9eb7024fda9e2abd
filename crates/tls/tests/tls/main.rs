//! TLS contexts against one another over loopback sockets.

mod bad_peers;
mod checkup;
mod failures;
mod matrix;
mod openssl;
mod plaintext;
mod reload;
mod reload_faults;
mod restrictions;
mod revocation;
mod support;
mod trust_sources;
