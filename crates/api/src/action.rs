//! Actions, the requests that name them, and the client that executes them.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::breaker::Account;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::auth::Authentication;
use crate::{ApiError, ApiResult};

/// What an action acts on, which decides how it is authorized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Checked against cluster privileges.
    Cluster,
    /// Checked against index privileges for every index that the request resolves to.
    Indices,
    /// Checked by name here; each part of the request is checked for its own index later
    /// (`_bulk`, `_mget`). Source: security.md section 3.3.
    Composite,
    /// Open to every authenticated user (`_authenticate`, changing one's own password).
    SelfService,
}

/// An action: its name is what roles grant. Source of names: security.md section 4.
#[derive(Debug, PartialEq, Eq)]
pub struct ActionSpec {
    pub name: &'static str,
    pub scope: Scope,
}

/// How index expressions resolve. Source: data.md section 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndicesOptions {
    /// A missing concrete index is skipped rather than an error.
    pub ignore_unavailable: bool,
    /// A wildcard that matches nothing is not an error.
    pub allow_no_indices: bool,
    /// Wildcards match hidden indices (names beginning with a dot, or `index.hidden`).
    pub expand_hidden: bool,
    /// Wildcards are expanded at all.
    pub expand_wildcards: bool,
}

impl Default for IndicesOptions {
    fn default() -> Self {
        Self {
            ignore_unavailable: false,
            allow_no_indices: true,
            expand_hidden: false,
            expand_wildcards: true,
        }
    }
}

/// The index expressions of a request: names, wildcards, `_all`, exclusions. Empty means all.
///
/// The authorization step replaces the expressions by the concrete, authorized names and sets
/// `resolved`; handlers only ever see a resolved target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndicesTarget {
    pub expressions: Vec<String>,
    pub options: IndicesOptions,
    #[serde(default)]
    pub resolved: bool,
    /// Of a resolved target: the aliases by which an index was reached, if it was reached by no name of its
    /// own. Such an index is seen as its aliases show it.
    #[serde(default)]
    pub by_alias: BTreeMap<String, Vec<String>>,
}

/// By which name a request came to an index, which decides what it sees of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// By its own name: all of it.
    Itself,
    /// By aliases only: what any of them shows.
    Aliases(Vec<String>),
}

impl Through {
    /// Returns the names that the caller must have the right to.
    pub fn names<'a>(&'a self, index: &'a str) -> Vec<String> {
        match self {
            Self::Itself => vec![index.to_owned()],
            Self::Aliases(aliases) => aliases.clone(),
        }
    }
}

impl IndicesTarget {
    /// Returns a target from the comma-separated path part, with default options.
    pub fn parse(path_part: &str) -> Self {
        Self {
            expressions: path_part
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            ..Self::default()
        }
    }

    /// Returns by which name a resolved target came to one of its indices.
    pub fn through(&self, index: &str) -> Through {
        match self.by_alias.get(index) {
            Some(aliases) => Through::Aliases(aliases.clone()),
            None => Through::Itself,
        }
    }

    /// Returns a target of one concrete index.
    pub fn one(index: impl Into<String>) -> Self {
        Self {
            expressions: vec![index.into()],
            ..Self::default()
        }
    }
}

/// A request of an action, together with its response type.
pub trait ActionRequest: Serialize + DeserializeOwned + Send + 'static {
    type Response: Serialize + DeserializeOwned + Send + 'static;
    const ACTION: ActionSpec;

    /// Returns the indices acted on, for the authorization step to resolve; `None` for actions
    /// that are not of [`Scope::Indices`].
    fn indices_mut(&mut self) -> Option<&mut IndicesTarget> {
        None
    }

    /// Returns the names that the request gives to its indices as aliases, each of which the caller
    /// must have the right to make.
    fn new_aliases(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the user name acted on, for [`Scope::SelfService`] actions about another user.
    fn subject_user(&self) -> Option<&str> {
        None
    }

    /// Returns whether the request can only touch API keys of the caller, which the privilege
    /// `manage_own_api_key` is enough for.
    fn is_about_own_api_keys(&self, _caller: &Authentication) -> bool {
        false
    }
}

/// What travels beside a request: who asks, and how long the answer is worth waiting for.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub authentication: Authentication,
    /// The generation of the users before the caller's credentials were looked at: what its user has
    /// been through since, this request does not know of. `None` when they were not looked at here.
    pub authenticated_as_of: Option<u64>,
    /// The caller's own `X-Opaque-Id`, echoed in logs.
    pub opaque_id: Option<String>,
    /// The client hangs up after this; work past it is wasted.
    pub deadline: Option<std::time::Instant>,
    /// What is held in memory to answer is charged here.
    pub account: Account,
}

impl RequestContext {
    /// Returns the context of a node acting for itself.
    pub fn system() -> Self {
        Self::of(Authentication::system())
    }

    /// Returns the context of a caller with no deadline.
    pub fn of(authentication: Authentication) -> Self {
        Self {
            authentication,
            authenticated_as_of: None,
            opaque_id: None,
            deadline: None,
            account: Account::unlimited(),
        }
    }

    /// Returns the time left, at most `limit`.
    pub fn time_left(&self, limit: Duration) -> Duration {
        match self.deadline {
            Some(deadline) => deadline
                .saturating_duration_since(std::time::Instant::now())
                .min(limit),
            None => limit,
        }
    }
}

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request or response whose type the action determines.
pub type AnyMessage = Box<dyn Any + Send>;

/// A request with its type erased but what authorization needs still in reach.
pub struct ErasedRequest {
    pub spec: ActionSpec,
    message: AnyMessage,
    indices: fn(&mut AnyMessage) -> Option<&mut IndicesTarget>,
    new_aliases: fn(&AnyMessage) -> Vec<String>,
    subject: fn(&AnyMessage) -> Option<&str>,
    own_api_keys: fn(&AnyMessage, &Authentication) -> bool,
}

impl ErasedRequest {
    /// Erases the type of a request.
    pub fn new<R: ActionRequest>(request: R) -> Self {
        Self {
            spec: R::ACTION,
            message: Box::new(request),
            indices: |message| message.downcast_mut::<R>()?.indices_mut(),
            new_aliases: |message| {
                let request = message.downcast_ref::<R>();
                request.map_or_else(Vec::new, R::new_aliases)
            },
            subject: |message| message.downcast_ref::<R>()?.subject_user(),
            own_api_keys: |message, caller| {
                let request = message.downcast_ref::<R>();
                request.is_some_and(|request| request.is_about_own_api_keys(caller))
            },
        }
    }

    /// Returns the type of the request behind the erasure. Several requests may share an action
    /// name (`_count` is authorized as a search), so this is what selects the handler.
    pub fn request_type(&self) -> TypeId {
        (*self.message).type_id()
    }

    /// Returns the indices acted on, if the action is about indices.
    pub fn indices_mut(&mut self) -> Option<&mut IndicesTarget> {
        (self.indices)(&mut self.message)
    }

    /// Returns the names that the request gives to its indices as aliases.
    pub fn new_aliases(&self) -> Vec<String> {
        (self.new_aliases)(&self.message)
    }

    /// Returns the user acted on, if the action is about one.
    pub fn subject_user(&self) -> Option<&str> {
        (self.subject)(&self.message)
    }

    /// Returns whether the request can only touch API keys of the caller.
    pub fn is_about_own_api_keys(&self, caller: &Authentication) -> bool {
        (self.own_api_keys)(&self.message, caller)
    }

    /// Returns the typed request, or an error if the action was registered for another type.
    pub fn into_typed<R: ActionRequest>(self) -> ApiResult<R> {
        self.message
            .downcast::<R>()
            .map(|request| *request)
            .map_err(|_| {
                ApiError::internal(format!(
                    "action [{}] was called with a request of another type",
                    self.spec.name
                ))
            })
    }
}

/// Executes actions. The HTTP edge holds one that authorizes first; only the node holds the
/// one behind it.
pub trait Client: Send + Sync + 'static {
    /// Refuses who may not perform an action on anything at all, so that its request need not even be read. What
    /// passes is authorized when it is executed, as ever.
    fn admit(&self, _caller: &Authentication, _action: &ActionSpec) -> ApiResult<()> {
        Ok(())
    }

    /// Executes an action and returns its response, of the action's response type.
    fn execute_erased(
        &self,
        context: RequestContext,
        request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>>;
}

/// Typed calls on any [`Client`].
pub trait ClientExt {
    /// Executes the request's action.
    fn execute<R: ActionRequest>(
        &self,
        context: RequestContext,
        request: R,
    ) -> impl Future<Output = ApiResult<R::Response>> + Send;
}

impl ClientExt for Arc<dyn Client> {
    async fn execute<R: ActionRequest>(
        &self,
        context: RequestContext,
        request: R,
    ) -> ApiResult<R::Response> {
        let response = self
            .execute_erased(context, ErasedRequest::new(request))
            .await?;
        response
            .downcast::<R::Response>()
            .map(|response| *response)
            .map_err(|_| {
                ApiError::internal(format!(
                    "action [{}] answered with another type",
                    R::ACTION.name
                ))
            })
    }
}

/// Implements [`ActionRequest`] for a request type.
macro_rules! action {
    ($request:ty => $response:ty, $name:literal, $scope:ident $(, indices: $field:ident)? $(, aliases: $aliases:expr)? $(, user: $user:ident)? $(, own: $own:expr)?) => {
        impl $crate::ActionRequest for $request {
            type Response = $response;
            const ACTION: $crate::ActionSpec = $crate::ActionSpec {
                name: $name,
                scope: $crate::Scope::$scope,
            };
            $(fn indices_mut(&mut self) -> Option<&mut $crate::IndicesTarget> {
                Some(&mut self.$field)
            })?
            $(fn new_aliases(&self) -> Vec<String> {
                let names: fn(&Self) -> Vec<String> = $aliases;
                names(self)
            })?
            $(fn subject_user(&self) -> Option<&str> {
                Some(&self.$user)
            })?
            $(fn is_about_own_api_keys(&self, caller: &$crate::auth::Authentication) -> bool {
                let own: fn(&Self, &$crate::auth::Authentication) -> bool = $own;
                own(self, caller)
            })?
        }
    };
}
pub(crate) use action;
