//! Who a caller is (**authc**), what it may do (**authz**), and the client that asks both before
//! anything runs.
//!
//! Entry points: [`Authenticator`] turns an `Authorization` header or a client's certificate into an identity, [`Authorizer`]
//! decides and resolves index names, [`SecuredClient`] puts the decision in front of every action. Only the
//! authorizer makes the [`Resolved`] requests that handlers take; a node acts for itself through [`system`].
//! Users and index names come from a [`SecurityStore`], which the node implements over the cluster
//! state, and from the node's own [`files`]; nothing here opens sockets or knows the cluster state.
//!
//! Invariants: the authz modules have no clock, no randomness and no async; a role that this version
//! cannot enforce in full grants nothing.

pub mod api_keys;
pub mod audit;
pub mod authc;
pub mod authz;
mod client;
pub mod enrollment;
mod error;
pub mod file_realm;
pub mod files;
pub mod hash;
pub mod listing;
mod pki_realm;
mod pool;
pub mod reserved;
pub mod role_mapping;
mod store;
pub mod system;
pub mod token_hash;
pub mod tokens;
pub mod users;

pub use audit::AuditTrail;
pub use authc::{AnonymousAccess, Authenticator, AuthenticatorConfig, PasswordRealm, Refusal};
pub use authz::{
    AnyResolved, Authorized, Authorizer, Existing, NamedIndices, Refused, Resolved, ResolvedIndices,
};
pub use client::{Executor, SecuredClient};
pub use error::SecurityError;
pub use file_realm::FileRealm;
pub use hash::Hasher;
pub use pki_realm::{
    CertificateTrust, ClientCertificates, PkiRealm, PkiRealmConfig, UsernameSource,
};
pub use pool::{HashPool, HashPoolConfig};
pub use store::{IndexNameInfo, IndexNames, SecurityStore, StoredReserved, StoredUser};
pub use users::PasswordService;
