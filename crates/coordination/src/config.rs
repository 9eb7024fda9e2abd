//! Configuration of coordination.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::peer::PeerInfo;
use crate::ports::SeedHosts;

/// Everything coordination must be told.
pub struct Config {
    /// This node.
    pub local: PeerInfo,
    /// Directory of the store; created when absent.
    pub data_dir: PathBuf,
    /// `cluster.initial_master_nodes`.
    pub initial_master_nodes: Vec<String>,
    /// After this time of finding no cluster, one of the nodes found founds one. Only where the settings say
    /// nothing about discovery: `discovery.unconfigured_bootstrap_timeout`.
    pub unconfigured_bootstrap: Option<Duration>,
    /// `discovery.type: single-node`.
    pub single_node: bool,
    /// `discovery.seed_hosts` and the other providers, ports filled in.
    pub seed_hosts: Arc<dyn SeedHosts>,
    /// Log entries after which a snapshot is taken.
    pub snapshot_threshold: u64,
    /// Log entries kept although a snapshot holds them, for nodes that lag a little.
    pub snapshot_keep: u64,
    pub timing: Timing,
}

impl Config {
    /// Returns a configuration with default values for all that has one.
    pub fn new(local: PeerInfo, data_dir: PathBuf, seed_hosts: Arc<dyn SeedHosts>) -> Self {
        Self {
            local,
            data_dir,
            initial_master_nodes: Vec::new(),
            unconfigured_bootstrap: None,
            single_node: false,
            seed_hosts,
            snapshot_threshold: 1000,
            snapshot_keep: 500,
            timing: Timing::default(),
        }
    }
}

/// Intervals and timeouts.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Time between two heartbeats of the master.
    pub heartbeat_interval: Duration,
    /// Deadline of one replication, vote or pre-vote message, disk write of the peer included. A
    /// voter that heard from its master within this time refuses its vote to others.
    pub rpc_timeout: Duration,
    /// Least time without a heartbeat before a node stands for election.
    pub election_timeout_min: Duration,
    /// Longest such time; also how long a master without quorum still counts as master.
    pub election_timeout_max: Duration,
    /// `discovery.find_peers_interval`.
    pub find_peers_interval: Duration,
    /// Interval of the first rounds of discovery.
    pub find_peers_interval_initial: Duration,
    /// `discovery.request_peers_timeout`.
    pub request_peers_timeout: Duration,
    /// Deadline of connecting to an address and its handshake.
    pub probe_timeout: Duration,
    /// Deadline of a join, from request to applied.
    pub join_timeout: Duration,
    /// `cluster.fault_detection.follower_check.interval`.
    pub follower_check_interval: Duration,
    /// `cluster.fault_detection.follower_check.timeout`.
    pub follower_check_timeout: Duration,
    /// `cluster.fault_detection.follower_check.retry_count`.
    pub follower_check_retries: u32,
    /// `cluster.fault_detection.rejoin.window`: a node that is lost twice within it has to be steady to come back.
    pub rejoin_window: Duration,
    /// `cluster.fault_detection.rejoin.steady_time`.
    pub rejoin_steady_time: Duration,
    /// Deadline of one change of membership, and of the master's own commands.
    pub publish_timeout: Duration,
    /// Deadline of one piece of a snapshot, its installation included.
    pub snapshot_timeout: Duration,
    /// `discovery.cluster_formation_warning_timeout`.
    pub formation_warning_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(100),
            rpc_timeout: Duration::from_millis(400),
            election_timeout_min: Duration::from_millis(500),
            election_timeout_max: Duration::from_millis(1000),
            find_peers_interval: Duration::from_secs(1),
            find_peers_interval_initial: Duration::from_millis(100),
            request_peers_timeout: Duration::from_secs(3),
            probe_timeout: Duration::from_secs(30),
            join_timeout: Duration::from_secs(30),
            follower_check_interval: Duration::from_millis(500),
            follower_check_timeout: Duration::from_millis(1500),
            follower_check_retries: 2,
            rejoin_window: Duration::from_secs(60),
            rejoin_steady_time: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            snapshot_timeout: Duration::from_secs(30),
            formation_warning_interval: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// Checks `heartbeat < rpc timeout < election timeout min < election timeout max`.
    ///
    /// # Errors
    /// [`Error::InvalidTiming`] names the first value out of order.
    pub fn validate(&self) -> Result<(), Error> {
        let ordered = [
            ("cluster.heartbeat.interval", self.heartbeat_interval),
            ("cluster.rpc.timeout", self.rpc_timeout),
            ("cluster.election.timeout.min", self.election_timeout_min),
            ("cluster.election.timeout.max", self.election_timeout_max),
        ];
        if self.heartbeat_interval.as_millis() == 0 {
            return Err(Error::InvalidTiming {
                setting: ordered[0].0,
                actual: 0,
                expected: "at least 1 ms".to_owned(),
            });
        }
        for pair in ordered.windows(2) {
            let ((lower_name, lower), (name, value)) = (pair[0], pair[1]);
            if value <= lower {
                return Err(Error::InvalidTiming {
                    setting: name,
                    actual: value.as_millis(),
                    expected: format!(
                        "greater than [{lower_name}], which is {} ms",
                        lower.as_millis()
                    ),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_timing_is_valid_and_disorder_is_named() {
        Timing::default().validate().unwrap();
        let timing = Timing {
            rpc_timeout: Duration::from_millis(600),
            ..Timing::default()
        };
        let error = timing.validate().unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid timing: [cluster.election.timeout.min] is 500 ms but must be greater than \
             [cluster.rpc.timeout], which is 600 ms"
        );
    }
}
