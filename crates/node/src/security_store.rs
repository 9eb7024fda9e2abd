//! Users and index names for the security layer, out of the applied cluster state.

use std::sync::Arc;

use parking_lot::Mutex;
use ringwall_api::security::StoredApiKey;
use ringwall_api::security::StoredRole;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::security::StoredToken;
use ringwall_api::security::{OfApplication, StoredPrivilege};
use ringwall_security::{IndexNameInfo, IndexNames, SecurityStore, StoredReserved, StoredUser};

use crate::cluster_service::AppliedState;

/// The security layer's view of the cluster state.
pub struct ClusterSecurityStore {
    applied: Arc<AppliedState>,
    /// Built once per version of the state.
    names: Mutex<(u64, Arc<IndexNames>)>,
}

impl ClusterSecurityStore {
    /// Returns a view of whatever state is applied when it is asked.
    pub fn new(applied: Arc<AppliedState>) -> Self {
        Self {
            applied,
            names: Mutex::new((0, Arc::default())),
        }
    }
}

impl SecurityStore for ClusterSecurityStore {
    fn native_user(&self, username: &str) -> Option<StoredUser> {
        let state = self.applied.load();
        let user = state.security.native_users.get(username)?;
        Some(StoredUser {
            user: user.user.clone(),
            password_hash: user.password_hash.clone(),
        })
    }

    fn reserved_user(&self, username: &str) -> Option<StoredReserved> {
        let state = self.applied.load();
        let user = state.security.reserved_users.get(username)?;
        Some(StoredReserved {
            password_hash: user.password_hash.clone(),
            enabled: user.enabled,
        })
    }

    fn api_key(&self, id: &str) -> Option<Arc<StoredApiKey>> {
        self.applied.load().security.api_keys.get(id).cloned()
    }

    fn service_token(&self, principal: &str, name: &str) -> Option<String> {
        let name = format!("{principal}/{name}");
        self.applied
            .load()
            .security
            .service_tokens
            .get(&name)
            .cloned()
    }

    fn token(&self, id: &str) -> Option<Arc<StoredToken>> {
        self.applied.load().security.tokens.get(id).cloned()
    }

    fn role(&self, name: &str) -> Option<Arc<StoredRole>> {
        self.applied.load().security.roles.get(name).cloned()
    }

    fn role_mappings(&self) -> Vec<(String, Arc<StoredRoleMapping>)> {
        let state = self.applied.load();
        let mappings = state.security.role_mappings.iter();
        mappings
            .map(|(name, mapping)| (name.clone(), Arc::clone(mapping)))
            .collect()
    }

    fn application_privileges(
        &self,
        application: &str,
    ) -> Option<Arc<OfApplication<StoredPrivilege>>> {
        let state = self.applied.load();
        state.security.privileges.get(application).cloned()
    }

    fn generation(&self) -> u64 {
        self.applied.load().security.generation
    }

    fn index_names(&self) -> Arc<IndexNames> {
        let state = self.applied.load();
        let mut names = self.names.lock();
        if names.0 != state.version {
            let indices = state.indices.values().map(|index| IndexNameInfo {
                name: index.id.name.clone(),
                hidden: index.settings.hidden(),
                closed: index.is_closed.then(|| index.id.uuid.clone()),
                aliases: index.aliases.keys().cloned().collect(),
                hidden_aliases: index
                    .aliases
                    .iter()
                    .filter(|(_, alias)| alias.is_hidden == Some(true))
                    .map(|(name, _)| name.clone())
                    .collect(),
            });
            *names = (state.version, Arc::new(IndexNames::new(indices)));
        }
        names.1.clone()
    }
}
