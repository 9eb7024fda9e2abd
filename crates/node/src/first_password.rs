//! The password of `elastic` that a node made for itself at its first start becomes the cluster's, so that
//! it holds on every node. Source: Elasticsearch reference, "Start the Elastic Stack with security enabled
//! automatically".

use std::sync::Arc;
use std::time::Duration;

use ringwall_cluster::{Change, ClusterState};
use ringwall_security::reserved::ELASTIC;
use ringwall_settings::registry::security;
use tokio_util::sync::CancellationToken;

use crate::services::Services;

/// Hands the hash in the keystore over as soon as there is a master, unless a password is stored already.
pub async fn promote(services: Arc<Services>, stop: CancellationToken) {
    let Some(hash) = services
        .settings
        .node()
        .secret(&security::AUTOCONFIGURATION_PASSWORD_HASH)
    else {
        return;
    };
    let mut versions = services.cluster.applied().subscribe();
    loop {
        let state = services.cluster.state();
        if has_password(&state) {
            return;
        }
        if services.cluster.master().is_some() {
            let change = Change::InitReservedUser {
                username: ELASTIC.to_owned(),
                password_hash: hash.expose().to_owned(),
            };
            match services.cluster.submit(change, TIMEOUT).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the first password is not stored yet"),
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = versions.changed() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

fn has_password(state: &ClusterState) -> bool {
    let elastic = state.security.reserved_users.get(ELASTIC);
    elastic.is_some_and(|user| user.password_hash.is_some())
}

const TIMEOUT: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(1);
