//! The cluster state behind real consensus, on one node and on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use ringwall_api::ErrorCode;
use ringwall_base::NodeId;
use ringwall_cluster::Change;
use ringwall_cluster::index_settings::IndexSettings;
use ringwall_coordination::{Config, Coordination, NetworkError, PeerInfo, PeerNetwork, SeedHosts};
use ringwall_node::cluster_service::{AppliedState, ClusterService};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(120);

/// A network on which nobody else is.
struct NoNetwork;

impl PeerNetwork for NoNetwork {
    fn probe(&self, _: String, _: Duration) -> BoxFuture<'_, Result<PeerInfo, String>> {
        Box::pin(async { Err("nobody is there".to_owned()) })
    }

    fn send(
        &self,
        _: &PeerInfo,
        _: &'static str,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'_, Result<Bytes, NetworkError>> {
        Box::pin(async { Err(NetworkError::Unreachable("nobody is there".to_owned())) })
    }
}

async fn start(path: &Path, process: &str) -> (ClusterService, Arc<Coordination>) {
    let local = PeerInfo {
        id: NodeId::from_bits(7),
        ephemeral_id: process.to_owned(),
        name: "node-1".to_owned(),
        transport_address: "127.0.0.1:9300".to_owned(),
        master_eligible: true,
        roles: ["data".to_owned(), "master".to_owned()].into(),
        ..PeerInfo::default()
    };
    let seeds: Arc<dyn SeedHosts> = Arc::new(Vec::<String>::new());
    let mut config = Config::new(local, path.to_owned(), seeds);
    config.single_node = true;
    let applied = AppliedState::new("test".to_owned());
    let coordination = Coordination::start(config, Arc::new(NoNetwork), applied.clone())
        .await
        .unwrap();
    (
        ClusterService::new(applied, coordination.clone()),
        coordination,
    )
}

fn create(name: &str) -> Change {
    Change::CreateIndex {
        name: name.to_owned(),
        settings: IndexSettings::parse(&json!({"number_of_replicas": 0})).unwrap(),
        mapping: Value::Null,
        aliases: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_survives_a_restart_and_a_new_process_recovers_its_copies() {
    let home = tempfile::tempdir().unwrap();
    let (service, coordination) = start(home.path(), "first").await;
    service.submit(create("logs"), TIMEOUT).await.unwrap();
    let again = service.submit(create("logs"), TIMEOUT).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::ResourceAlreadyExists);
    let before = service
        .applied()
        .wait_for(TIMEOUT, |state| {
            let joined = state.copies_on(NodeId::from_bits(7)).count() == 1;
            joined.then(|| state.clone())
        })
        .await
        .expect("the primary is assigned to the only node");
    assert_eq!(service.master(), Some(NodeId::from_bits(7)));
    coordination.shutdown().await;

    let (service, coordination) = start(home.path(), "second").await;
    let after = service
        .applied()
        .wait_for(TIMEOUT, |state| {
            let node = state.nodes.get(&NodeId::from_bits(7))?;
            (node.ephemeral_id == "second").then(|| state.clone())
        })
        .await
        .expect("the new process joins");
    assert_eq!(after.cluster_uuid, before.cluster_uuid);
    assert_eq!(after.indices["logs"].id, before.indices["logs"].id);
    let term =
        |state: &ringwall_cluster::ClusterState| state.indices["logs"].shards[0].primary_term;
    assert!(term(&after) > term(&before));
    coordination.shutdown().await;
}
