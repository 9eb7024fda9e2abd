//! The pairs of access and refresh tokens, and their changes.

use std::sync::Arc;

use ringwall_api::security::{Refreshed, StoredSecret, StoredToken, TokenKind};
use ringwall_api::{ApiError, ErrorCode};
use serde::{Deserialize, Serialize};

use crate::SharedMap;

/// Pairs of tokens by id. There may be many: a change copies a part of them, and what goes to the other nodes is the change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pairs: SharedMap<String, Arc<StoredToken>>,
    /// When those that had ended were looked for; milliseconds since the epoch.
    swept_ms: u64,
}

impl Tokens {
    /// Returns the pair of an id.
    pub fn get(&self, id: &str) -> Option<&Arc<StoredToken>> {
        self.pairs.get(id)
    }

    /// Returns the pairs, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<StoredToken>> {
        self.pairs.values()
    }

    /// Returns the number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Adds a pair. Those that have ended go once a minute, and those that are good for nothing when room is needed.
    ///
    /// # Errors
    /// 409 when the id is taken, 400 when there are as many as may be.
    pub(crate) fn create(
        &mut self,
        token: StoredToken,
        limit: usize,
        now_ms: u64,
    ) -> Result<(), ApiError> {
        if now_ms >= self.swept_ms.saturating_add(SWEEP_EVERY_MS) {
            self.swept_ms = now_ms;
            self.pairs.retain(|_, token| token.ends_ms() > now_ms);
        }
        if self.len() >= limit {
            self.pairs.retain(|_, token| !token.is_spent(now_ms));
        }
        if self.len() >= limit {
            return Err(ApiError::illegal_argument(format!(
                "this cluster has [{}] pairs of access and refresh tokens, which is the limit of \
                 [xpack.security.authc.token.max_tokens]; invalidate some, or wait until they expire",
                self.len()
            )));
        }
        if self.pairs.contains_key(&token.id) {
            return Err(conflict(&token.id, "exists"));
        }
        self.pairs.insert(token.id.clone(), Arc::new(token));
        Ok(())
    }

    /// Gives a new pair for the refresh token of another.
    ///
    /// # Errors
    /// 409 when that token is not good any more, or was used meanwhile; as [`Tokens::create`].
    pub(crate) fn refresh(
        &mut self,
        id: &str,
        into: StoredToken,
        nonce: String,
        limit: usize,
        now_ms: u64,
    ) -> Result<(), ApiError> {
        let old = self.get(id);
        let is_good = |old: &Arc<StoredToken>| {
            old.refreshed.is_none()
                && old
                    .refresh
                    .as_ref()
                    .is_some_and(|token| token.holds(now_ms))
        };
        if !old.is_some_and(is_good) {
            return Err(conflict(id, "was refreshed, invalidated or has expired"));
        }
        let refreshed = Refreshed {
            at_ms: now_ms,
            into: into.id.clone(),
            nonce,
        };
        self.create(into, limit, now_ms)?;
        self.edit(id, |old| old.refreshed = Some(refreshed));
        Ok(())
    }

    fn edit(&mut self, id: &str, change: impl FnOnce(&mut StoredToken)) {
        if let Some(token) = self.pairs.get_mut(id) {
            change(Arc::make_mut(token));
        }
    }

    /// Ends tokens for good; those that have ended or are not there are passed over.
    pub(crate) fn invalidate(&mut self, meant: &TokensMeant) {
        match meant {
            TokensMeant::One { id, kind } => self.edit(id, |pair| {
                let token = match kind {
                    TokenKind::Access => Some(&mut pair.access),
                    TokenKind::Refresh => pair.refresh.as_mut(),
                };
                if let Some(token) = token {
                    token.is_invalidated = true;
                }
            }),
            TokensMeant::Of { .. } => self.pairs.change_where(
                |_, pair| meant.means(pair),
                |_, pair| {
                    for token in pair_of(Arc::make_mut(pair)) {
                        token.is_invalidated = true;
                    }
                },
            ),
        }
    }

    /// Forgets what lives on a user that is deleted: whoever has its name next is somebody else.
    pub(crate) fn forget_user(&mut self, username: &str, realm_type: &str) {
        self.pairs
            .retain(|_, token| !token.holder.involves(username, realm_type));
    }
}

fn pair_of(pair: &mut StoredToken) -> impl Iterator<Item = &mut StoredSecret> {
    [&mut pair.access].into_iter().chain(pair.refresh.as_mut())
}

/// Which tokens are to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokensMeant {
    One {
        id: String,
        kind: TokenKind,
    },
    /// All of whom each name that is given is true.
    Of {
        username: Option<String>,
        realm_name: Option<String>,
    },
}

impl TokensMeant {
    /// Returns whether one of the pair is meant.
    pub fn means(&self, token: &StoredToken) -> bool {
        match self {
            Self::One { id, .. } => token.id == *id,
            Self::Of {
                username,
                realm_name,
            } => {
                let who = &token.holder.who;
                let is = |wanted: &Option<String>, has: &str| {
                    wanted.as_deref().is_none_or(|wanted| wanted == has)
                };
                is(username, &who.username) && is(realm_name, &who.realm.name)
            }
        }
    }
}

fn conflict(id: &str, why: &str) -> ApiError {
    ApiError::new(
        ErrorCode::VersionConflict,
        format!("the token [{id}] {why}"),
    )
}

/// How often those are looked for that have ended.
const SWEEP_EVERY_MS: u64 = 60_000;

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
