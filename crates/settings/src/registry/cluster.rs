//! Discovery and cluster coordination. Source: Elasticsearch reference, "Discovery and cluster formation settings".

use ringwall_base::TimeValue;

use super::Section;
use crate::setting::Setting;
use crate::types::DiscoveryType;

pub static DISCOVERY_TYPE: Setting<DiscoveryType> = Setting::new(
    "discovery.type",
    "`single-node` makes a node that elects itself, ignores others and needs no bootstrap checks.",
)
.default("multi-node")
.example("single-node");

pub static DISCOVERY_SEED_HOSTS: Setting<Vec<String>> = Setting::new(
    "discovery.seed_hosts",
    "Addresses of master-eligible nodes, `host` or `host:port`; of a name all addresses are used. \
     Not set: the loopback addresses at the first six ports of `transport.port`.",
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
    "Names of the nodes that form a new cluster, which waits for all of them. Used once; remove it when \
     the cluster has formed.",
)
.example("[ es01, es02, es03 ]")
.cluster_wide();

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
    "Time to resolve the host names of one round, all together.",
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
    "How often the master checks each node. Checks do not wait for one another.",
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

pub static REJOIN_WINDOW: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.rejoin.window",
    "A node that stops answering twice within this time comes back only when it is steady.",
)
.default("1m")
.at_least(0)
.ours();

pub static REJOIN_STEADY_TIME: Setting<TimeValue> = Setting::new(
    "cluster.fault_detection.rejoin.steady_time",
    "How long such a node must have asked to join without a break.",
)
.default("5s")
.at_least(0)
.ours();

pub static NO_MASTER_WRITE_WAIT: Setting<TimeValue> = Setting::new(
    "cluster.no_master_write_wait",
    "How long a write waits on a node that has no master, such as one that is cut off, before it is refused.",
)
.default("1500ms")
.at_least(0)
.dynamic()
.ours();

pub static AUTO_SHRINK_VOTING_CONFIGURATION: Setting<bool> = Setting::new(
    "cluster.auto_shrink_voting_configuration",
    "Whether nodes that left are removed from the voting configuration, down to three.",
)
.default("true")
.dynamic();

pub static MEMBERSHIP_APPROVAL: Setting<bool> = Setting::new(
    "cluster.membership.approval",
    "Whether a node that this cluster does not know by its key has to be approved before it joins, with `ringwall nodes \
     approve` or `POST /_membership/{node_id}/_approve`. An enrolment token gives a node certificates, not this approval. \
     Nodes that a new cluster is founded with are known.",
)
.default("false")
.dynamic()
.ours();

pub(super) static COORDINATION_SECTION: Section = Section {
    title: "Cluster coordination",
    intro: "Elections, fault detection and publication. The defaults suit local networks.",
    settings: &[
        &FOLLOWER_CHECK_INTERVAL,
        &FOLLOWER_CHECK_TIMEOUT,
        &FOLLOWER_CHECK_RETRY_COUNT,
        &REJOIN_WINDOW,
        &REJOIN_STEADY_TIME,
        &NO_MASTER_WRITE_WAIT,
        &AUTO_SHRINK_VOTING_CONFIGURATION,
        &MEMBERSHIP_APPROVAL,
    ],
};
