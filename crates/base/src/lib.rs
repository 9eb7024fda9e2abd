//! Shared vocabulary of every Ringwall crate: identifiers, units, secrets, the document routing
//! hash, the wire encoding and atomic file writes.
//!
//! No async runtime, no sockets, no settings. Anything here is used by several crates.

pub mod breaker;
pub mod bytesize;
pub mod decimal;
pub mod encoding;
pub mod fs;
pub mod glob;
pub mod host_pattern;
pub mod ids;
pub mod ip_filter;
pub mod java;
pub mod json;
pub mod json_size;
pub mod login_throttle;
pub mod node_key;
pub mod reserve;
pub mod routing;
pub mod secret;
pub mod suggest;
pub mod time_value;
pub mod transport_tls;
pub mod visible;

pub use bytesize::ByteSizeValue;
pub use ids::{
    AllocationId, IndexId, NO_OPS_PERFORMED, NodeId, SeqNo, ShardId, Term, UNASSIGNED_SEQ_NO,
    random_bytes, random_uuid,
};
pub use ip_filter::{
    Decision, Denied, FilterWatch, IpFilter, IpRule, IpRuleError, NameFuture, ReverseNames,
    SharedIpFilter,
};
pub use node_key::NodeKey;
pub use reserve::Reserve;
pub use secret::{SecretBytes, SecretString};
pub use time_value::TimeValue;
pub use transport_tls::TransportTls;

/// The Elasticsearch version whose HTTP behaviour Ringwall presents to clients.
pub const COMPATIBLE_VERSION: &str = "8.17.0";

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
