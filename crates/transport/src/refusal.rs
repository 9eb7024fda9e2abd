//! What the transport's log says of refused peers beside what [`ringwall_tls`] does.

pub(crate) use ringwall_tls::{RefusalLog, with_certificate};

/// What to do about links without TLS while both are let in.
pub(crate) const DUAL_STACK_REMEDY: &str = "turn TLS on there too \
    ([xpack.security.transport.ssl.enabled]), then end [xpack.security.transport.ssl.dual_stack.enabled]";
