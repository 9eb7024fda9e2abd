//! Node-to-node requests: HTTP/2 over mutual TLS, one multiplexed connection for small urgent
//! messages and one for bulk data between each pair of nodes.
//!
//! Start at [`Transport`]: [`Transport::bind`] takes a port, [`Transport::register`] adds the
//! actions this node answers, [`Transport::start`] accepts peers, [`Transport::probe`] asks an
//! address who is there and [`Transport::send`] sends a request to a node.
//!
//! Invariants:
//! * Before a peer's certificate is verified, nothing of it is read but the TLS handshake; before it
//!   has introduced itself (`internal:transport/handshake`), no action of it is run.
//! * Every action says who may call it ([`Callers`]); what a peer may not call is refused before it is read.
//! * Every wait has a deadline, every queue a bound; a handler past its deadline is dropped.
//! * A refused peer gives one log line on each side (who, why, what to do), and repetitions are
//!   summarised.
//! * A link that closes is told to [`Transport::events`] at once, unless the transport is shutting down.
//!
//! Absent on purpose: the Elasticsearch wire format, connections without an action registry,
//! retries of requests whose outcome is unknown.

mod config;
mod core;
mod dial;
mod error;
mod examine;
mod handler;
mod handshake;
mod identity;
mod inbound;
mod link;
mod listener;
mod message;
mod origin;
mod pool;
mod profile;
mod proof;
mod refusal;
mod sockets;
mod stream;
mod transport;
mod turns;
mod wire;

pub use config::{KeepAlive, ProfileConfig, TransportConfig};
pub use dial::Seen;
pub use error::{BindError, ConnectError, DuplicateAction, SendError};
pub use examine::{Examined, examine};
pub use handler::{Callers, Gate, InboundContext, Observer, RequestHandler, TypedHandler};
pub use handshake::{HANDSHAKE_ACTION, PROTOCOL_VERSION, Refusal};
pub use identity::NodeIdentity;
pub use link::LinkKind;
pub use listener::outward_ip;
pub use message::{Message, NodeAction};
pub use origin::Origin;
pub use pool::ConnectionEvent;
pub use profile::BoundProfile;
pub use sockets::{Acceptor, Network};
pub use transport::{LinkInfo, Request, Transport, TransportCounts};
