//! What a handler gets: a request that its caller may make. Only the authorizer makes one, so that there is no way
//! around it that compiles.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use ringwall_api::access::{NamesIndices, OnIndices};
use ringwall_api::action::AnyMessage;
use ringwall_api::{ActionRequest, ActionSpec, ApiError, ApiResult, Through};

use super::named::NamedIndices;

/// A request that its caller may make.
#[derive(Debug)]
pub struct Resolved<R> {
    request: R,
    granted: Granted,
}

/// What authorization has made of the names in a request.
#[derive(Debug, Default)]
pub(super) struct Granted {
    pub indices: Option<ResolvedIndices>,
    pub named: NamedIndices,
}

impl<R> Resolved<R> {
    pub(super) fn new(request: R, granted: Granted) -> Self {
        Self { request, granted }
    }

    /// Returns the request. The names of indices have been taken out of it.
    pub fn into_request(self) -> R {
        self.request
    }

    /// Returns the indices, if the request is about any.
    pub fn if_on_indices(&self) -> Option<&ResolvedIndices> {
        self.granted.indices.as_ref()
    }
}

impl<R: OnIndices> Resolved<R> {
    /// Returns the indices that the request is about, each of which its caller has the right to.
    pub fn indices(&self) -> &ResolvedIndices {
        static NONE: ResolvedIndices = ResolvedIndices {
            asked: Vec::new(),
            names: Vec::new(),
            listed: BTreeSet::new(),
            by_alias: BTreeMap::new(),
        };
        self.granted.indices.as_ref().unwrap_or(&NONE)
    }
}

impl<R: NamesIndices> Resolved<R> {
    /// Returns what the request says about which indices its caller wants to be shown.
    pub fn named(&self) -> &NamedIndices {
        &self.granted.named
    }
}

impl<R> Deref for Resolved<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.request
    }
}

/// Concrete names that a caller has the right to. None at all means no index.
#[derive(Debug, Clone, Default)]
pub struct ResolvedIndices {
    asked: Vec<String>,
    names: Vec<String>,
    listed: BTreeSet<String>,
    by_alias: BTreeMap<String, Vec<String>>,
}

impl ResolvedIndices {
    pub(super) fn new(
        asked: Vec<String>,
        names: Vec<String>,
        listed: BTreeSet<String>,
        by_alias: BTreeMap<String, Vec<String>>,
    ) -> Self {
        Self {
            asked,
            names,
            listed,
            by_alias,
        }
    }

    /// Returns the names of the indices, in order of first mention.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the names of indices and aliases that the expressions stand for, without what is behind the aliases.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(String::as_str)
    }

    /// Returns by which name the request came to one of them. One that was reached by no name of its own is seen as
    /// its aliases show it.
    pub fn through(&self, index: &str) -> Through {
        match self.by_alias.get(index) {
            Some(aliases) => Through::Aliases(aliases.clone()),
            None => Through::Itself,
        }
    }

    /// Returns what the caller called them, for answers that repeat it.
    pub fn asked(&self) -> String {
        self.asked.join(",")
    }
}

/// A part of a request whose own right has been checked.
#[derive(Debug)]
pub struct Authorized<T>(T);

impl<T> Authorized<T> {
    pub(super) fn new(part: T) -> Self {
        Self(part)
    }

    /// Returns the part.
    pub fn into_part(self) -> T {
        self.0
    }
}

impl<T> Deref for Authorized<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A part of a request that its caller must not make.
#[derive(Debug)]
pub struct Refused {
    /// What the caller called its indices, for the answer.
    pub asked: String,
    pub error: ApiError,
}

/// A [`Resolved`] request with its type erased.
pub struct AnyResolved {
    pub(super) message: AnyMessage,
    pub(super) request_type: TypeId,
    pub(super) spec: ActionSpec,
    pub(super) granted: Granted,
}

impl AnyResolved {
    /// Returns the action of the request.
    pub fn action(&self) -> &'static str {
        self.spec.name
    }

    /// Returns the type of the request, which selects the handler.
    pub fn request_type(&self) -> TypeId {
        self.request_type
    }

    /// Returns the typed request, or an error if it is of another type.
    pub fn into_typed<R: ActionRequest>(self) -> ApiResult<Resolved<R>> {
        let (name, granted) = (self.spec.name, self.granted);
        match self.message.downcast::<R>() {
            Ok(request) => Ok(Resolved::new(*request, granted)),
            Err(_) => Err(ApiError::internal(format!(
                "action [{name}] was called with a request of another type"
            ))),
        }
    }
}
