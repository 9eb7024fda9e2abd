//! The file realm: users in the node's `users` and `users_roles`. Source: Elasticsearch reference, "Realm chains" and
//! "File-based user authentication".

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ringwall_api::auth::User;
use serde_json::Map;

use crate::StoredUser;
use crate::files::{UsersFile, UsersRolesFile, Watched};

/// The users of one node's files.
#[derive(Debug)]
pub struct FileRealm {
    name: String,
    users: Watched<UsersFile>,
    roles: Watched<UsersRolesFile>,
    generation: AtomicU64,
}

impl FileRealm {
    /// Opens the realm of the given name over the files of a configuration directory. Blocking.
    pub fn open(name: impl Into<String>, config_dir: &Path) -> Self {
        Self {
            name: name.into(),
            users: Watched::open(config_dir.join(USERS), |text| Ok(UsersFile::parse(text))),
            roles: Watched::open(config_dir.join(USERS_ROLES), |text| {
                Ok(UsersRolesFile::parse(text))
            }),
            generation: AtomicU64::new(0),
        }
    }

    /// Returns the name that `_authenticate` shows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns a user with its roles and its password hash.
    pub fn user(&self, username: &str) -> Option<StoredUser> {
        let password_hash = self.users.get().hash(username)?.to_owned();
        Some(StoredUser {
            user: User {
                username: username.to_owned(),
                roles: self.roles.get().roles(username),
                full_name: None,
                email: None,
                metadata: Map::new(),
                enabled: true,
            },
            password_hash,
        })
    }

    /// Reads the files again if they changed. Blocking.
    pub fn poll(&self) {
        // Both are read: `||` would leave out the second.
        let changed = [self.users.poll(), self.roles.poll()];
        if changed.contains(&true) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns a number that grows with each change of a user.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Name of the file with the users' password hashes.
pub const USERS: &str = "users";
/// Name of the file with the users' roles.
pub const USERS_ROLES: &str = "users_roles";
