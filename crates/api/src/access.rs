//! What a caller needs for an action, said once per request type.

use crate::IndicesTarget;
use crate::auth::Authentication;

/// What a caller needs for a request. Each variant carries what its check needs of the request, so that an action
/// on indices which does not say where they are does not compile.
pub enum Access<R> {
    /// A privilege on the cluster.
    Cluster,
    /// A privilege on the cluster; for a request that can only touch API keys of its caller, `manage_own_api_key` is
    /// enough.
    ApiKeys(fn(&R, &Authentication) -> bool),
    /// A privilege on the cluster, or to manage the privileges of these applications.
    Applications(fn(&R) -> Vec<String>),
    /// A privilege on the cluster. The names of indices in the request only narrow what the caller is shown.
    Named(fn(&mut R) -> &mut IndicesTarget),
    /// A privilege on every index that the request resolves to.
    Indices(fn(&mut R) -> &mut IndicesTarget),
    /// As [`Access::Indices`], and the right to every name that the request gives to its indices as an alias.
    IndicesAndAliases(fn(&mut R) -> &mut IndicesTarget, fn(&R) -> Vec<String>),
    /// As [`Access::Indices`], and the right to another action, on the cluster.
    IndicesBeside(fn(&mut R) -> &mut IndicesTarget, &'static str),
    /// A privilege on any index; each part of the request is authorized for its own index (`_bulk`, `_mget`), before
    /// which the part cannot be used.
    /// Source: Elasticsearch reference, "Security privileges".
    Items,
    /// Nothing: open to every authenticated user.
    Everyone,
    /// To be the user of this name, or a privilege on the cluster.
    User(fn(&R) -> &str),
}

impl<R> Access<R> {
    /// Returns what can be said without a request.
    pub const fn kind(&self) -> AccessKind {
        match self {
            Self::Cluster | Self::ApiKeys(_) | Self::Named(_) => AccessKind::Cluster,
            Self::Applications(_) => AccessKind::Applications,
            Self::Indices(_) | Self::IndicesAndAliases(..) | Self::IndicesBeside(..) => {
                AccessKind::Indices
            }
            Self::Items => AccessKind::Items,
            Self::Everyone | Self::User(_) => AccessKind::SelfService,
        }
    }

    /// Returns what a request claims access to.
    pub fn claim<'a>(self, request: &'a mut R, caller: &Authentication) -> Claim<'a> {
        match self {
            Self::Cluster => Claim::Cluster { only_own: false },
            Self::ApiKeys(is_own) => Claim::Cluster {
                only_own: is_own(request, caller),
            },
            Self::Applications(names) => Claim::Applications(names(request)),
            Self::Named(target) => Claim::Named(target(request)),
            Self::Indices(target) => Claim::Indices {
                new_aliases: Vec::new(),
                target: target(request),
                beside: None,
            },
            Self::IndicesAndAliases(target, aliases) => Claim::Indices {
                new_aliases: aliases(request),
                target: target(request),
                beside: None,
            },
            Self::IndicesBeside(target, action) => Claim::Indices {
                new_aliases: Vec::new(),
                target: target(request),
                beside: Some(action),
            },
            Self::Items => Claim::Items,
            Self::Everyone => Claim::Everyone,
            Self::User(name) => Claim::User(name(request)),
        }
    }
}

/// An [`Access`] without what it needs of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    Cluster,
    Applications,
    Indices,
    Items,
    SelfService,
}

/// What one request claims access to.
pub enum Claim<'a> {
    Cluster {
        /// Whether it can only touch API keys of the caller.
        only_own: bool,
    },
    /// Names of applications, which may be patterns.
    Applications(Vec<String>),
    Named(&'a mut IndicesTarget),
    Indices {
        target: &'a mut IndicesTarget,
        new_aliases: Vec<String>,
        /// An action on the cluster that the right is needed to as well.
        beside: Option<&'static str>,
    },
    Items,
    Everyone,
    User(&'a str),
}

/// A request on indices, by whichever [`Access`].
pub trait OnIndices {}

/// A request of [`Access::Named`].
pub trait NamesIndices {}

/// A part of a request of [`Access::Items`] that is no request of its own.
pub trait RequestItem {
    /// Returns the action that it is authorized as.
    fn action(&self) -> &'static str;

    /// Returns the index or alias that the right is needed to.
    fn index(&self) -> &str;
}
