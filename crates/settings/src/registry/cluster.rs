//! Discovery and cluster coordination. Source: node.md sections 7.2 and 7.4.

use ringwall_base::TimeValue;

use super::Section;
use crate::setting::Setting;
use crate::types::{DiscoveryType, NoMasterBlock};

pub static DISCOVERY_TYPE: Setting<DiscoveryType> = Setting::new(
    "discovery.type",
    "`single-node` makes a node that elects itself, ignores others and needs no bootstrap checks.",
)
.default("multi-node")
.example("single-node");

pub static DISCOVERY_SEED_HOSTS: Setting<Vec<String>> = Setting::new(
    "discovery.seed_hosts",
    "Addresses of master-eligible nodes, `host` or `host:port`. \
     Not set: the loopback addresses at ports 9300 to 9305.",
)
.example("[ es01, es02, \"10.0.0.7:9300\" ]");

pub static DISCOVERY_SEED_PROVIDERS: Setting<Vec<String>> = Setting::new(
    "discovery.seed_providers",
    "Further sources of addresses: `file` reads unicast_hosts.txt in the configuration directory \
     at every round.",
)
.example("[ file ]");

pub static INITIAL_MASTER_NODES: Setting<Vec<String>> = Setting::new(
    "cluster.initial_master_nodes",
    "Names of the nodes that form a new cluster. Used once; remove it when the cluster has formed.",
)
.example("[ es01, es02, es03 ]");

pub static FIND_PEERS_INTERVAL: Setting<TimeValue> = Setting::new(
    "discovery.find_peers_interval",
    "How often a node without a master looks for others.",
)
.default("1s")
.at_least(1);

pub static REQUEST_PEERS_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.request_peers_timeout",
    "Time that a found node has to tell the nodes it knows.",
)
.default("3s")
.at_least(1);

pub static PROBE_CONNECT_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.probe.connect_timeout",
    "Time to open a connection to an address while looking for nodes.",
)
.default("30s")
.at_least(1);

pub static PROBE_HANDSHAKE_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.probe.handshake_timeout",
    "Time for the handshake with an address while looking for nodes.",
)
.default("30s")
.at_least(1);

pub static SEED_RESOLVER_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.seed_resolver.timeout",
    "Time to resolve the host names of one round.",
)
.default("5s")
.at_least(1);

pub static SEED_RESOLVER_MAX_CONCURRENT: Setting<usize> = Setting::new(
    "discovery.seed_resolver.max_concurrent_resolvers",
    "How many host names are resolved at a time.",
)
.default("10")
.between(1, 1000);

pub static CLUSTER_FORMATION_WARNING_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.cluster_formation_warning_timeout",
    "How often a node without a master logs why.",
)
.default("10s")
.at_least(1);

pub static UNCONFIGURED_BOOTSTRAP_TIMEOUT: Setting<TimeValue> = Setting::new(
    "discovery.unconfigured_bootstrap_timeout",
    "How long a node without any discovery settings waits for others on this host before it forms \
     a cluster.",
)
.default("3s")
.at_least(1);

pub(super) static DISCOVERY_SECTION: Section = Section {
    title: "Discovery",
    intro: "How nodes find one another and form a cluster.",
    settings: &[
        &DISCOVERY_TYPE,
        &DISCOVERY_SEED_HOSTS,
        &DISCOVERY_SEED_PROVIDERS,
        &INITIAL_MASTER_NODES,
        &FIND_PEERS_INTERVAL,
        &REQUEST_PEERS_TIMEOUT,
        &PROBE_CONNECT_TIMEOUT,
        &PROBE_HANDSHAKE_TIMEOUT,
        &SEED_RESOLVER_TIMEOUT,
        &SEED_RESOLVER_MAX_CONCURRENT,
        &CLUSTER_FORMATION_WARNING_TIMEOUT,
        &UNCONFIGURED_BOOTSTRAP_TIMEOUT,
    ],
};

pub static FOLLOWER_CHECK_INTERVAL: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.follower_check.interval",
    "How often the master checks each node.",
)
.default("500ms")
.at_least(100);

pub static FOLLOWER_CHECK_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.follower_check.timeout",
    "Time that a node has to answer the master's check. Short, as nothing here pauses to collect garbage.",
)
.default("1500ms")
.at_least(1);

pub static FOLLOWER_CHECK_RETRY_COUNT: Setting<usize> = Setting::new(
    "cluster.fault_detection.follower_check.retry_count",
    "How many checks in a row must fail before the master removes a node.",
)
.default("2")
.at_least(1);

pub static LEADER_CHECK_INTERVAL: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.leader_check.interval",
    "How often each node checks the master.",
)
.default("1s")
.at_least(100);

pub static LEADER_CHECK_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.leader_check.timeout",
    "Time that the master has to answer a node's check.",
)
.default("10s")
.at_least(1);

pub static LEADER_CHECK_RETRY_COUNT: Setting<usize> = Setting::new(
    "cluster.fault_detection.leader_check.retry_count",
    "How many checks in a row must fail before a node looks for another master.",
)
.default("3")
.at_least(1);

pub static ELECTION_INITIAL_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.election.initial_timeout",
    "Upper bound of the random wait before the first election.",
)
.default("100ms")
.between(1, 10_000);

pub static ELECTION_BACK_OFF_TIME: Setting<TimeValue> = Setting::new(
    "cluster.election.back_off_time",
    "How much the wait grows after each failed election.",
)
.default("100ms")
.between(1, 60_000);

pub static ELECTION_MAX_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.election.max_timeout",
    "Upper bound of the wait before an election.",
)
.default("10s")
.between(200, 300_000);

pub static ELECTION_DURATION: Setting<TimeValue> = Setting::new(
    "cluster.election.duration",
    "How long an election may take before a node starts another.",
)
.default("500ms")
.between(1, 300_000);

pub static HEARTBEAT_INTERVAL: Setting<TimeValue> = Setting::new(
    "cluster.heartbeat.interval",
    "How often the master tells the voters that it lives. An election starts after several are \
     missed, so a shorter interval notices a dead master sooner.",
)
.default("500ms")
.between(10, 60_000)
.ours();

pub static PUBLISH_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.publish.timeout",
    "Time that a cluster state has to reach a majority before the master steps down.",
)
.default("30s")
.at_least(1);

pub static PUBLISH_INFO_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.publish.info_timeout",
    "How long a publication runs before the slow nodes are logged.",
)
.default("10s")
.at_least(1);

pub static FOLLOWER_LAG_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.follower_lag.timeout",
    "How long a node may lag behind the cluster state before the master removes it.",
)
.default("90s")
.at_least(1);

pub static AUTO_SHRINK_VOTING_CONFIGURATION: Setting<bool> = Setting::new(
    "cluster.auto_shrink_voting_configuration",
    "Whether nodes that left are removed from the voting configuration, down to three.",
)
.default("true")
.dynamic();

pub static NO_MASTER_BLOCK: Setting<NoMasterBlock> = Setting::new(
    "cluster.no_master_block",
    "Which operations are refused while there is no master.",
)
.default("write")
.dynamic()
.example("all");

pub(super) static COORDINATION_SECTION: Section = Section {
    title: "Cluster coordination",
    intro: "Elections, fault detection and publication. The defaults suit local networks.",
    settings: &[
        &FOLLOWER_CHECK_INTERVAL,
        &FOLLOWER_CHECK_TIMEOUT,
        &FOLLOWER_CHECK_RETRY_COUNT,
        &LEADER_CHECK_INTERVAL,
        &LEADER_CHECK_TIMEOUT,
        &LEADER_CHECK_RETRY_COUNT,
        &ELECTION_INITIAL_TIMEOUT,
        &ELECTION_BACK_OFF_TIME,
        &ELECTION_MAX_TIMEOUT,
        &ELECTION_DURATION,
        &HEARTBEAT_INTERVAL,
        &PUBLISH_TIMEOUT,
        &PUBLISH_INFO_TIMEOUT,
        &FOLLOWER_LAG_TIMEOUT,
        &AUTO_SHRINK_VOTING_CONFIGURATION,
        &NO_MASTER_BLOCK,
    ],
};
