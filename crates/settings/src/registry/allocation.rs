//! Where shard copies go, what disks they need, and blocks. Source: Elasticsearch reference, "Cluster-level shard
//! allocation and routing settings".

use ringwall_base::TimeValue;

use super::Section;
use crate::allocation_types::{AllocationEnable, Headroom, NodeValues, RebalanceEnable, Watermark};
use crate::setting::{AffixSetting, Setting};

pub static ALLOCATION_ENABLE: Setting<AllocationEnable> = Setting::new(
    "cluster.routing.allocation.enable",
    "Which copies are assigned to nodes: `all`, `primaries`, `new_primaries` or `none`. A primary that a node has on \
     its disk is taken up all the same.",
)
.default("all")
.dynamic()
.in_cluster_state();

pub static REBALANCE_ENABLE: Setting<RebalanceEnable> = Setting::new(
    "cluster.routing.rebalance.enable",
    "Which copies may be moved to even out nodes. Nothing is moved for that yet, so only `none` can be asked for.",
)
.default("none")
.dynamic()
.in_cluster_state();

const fn filter(key: &'static str, doc: &'static str) -> AffixSetting<NodeValues> {
    let setting = Setting::new(key, doc)
        .dynamic()
        .in_cluster_state()
        .example("es01, es02");
    AffixSetting::new(setting, "")
}

pub static ALLOCATION_REQUIRE: AffixSetting<NodeValues> = filter(
    "cluster.routing.allocation.require.",
    "Copies go only to nodes that have one of these values of each attribute that is named: `_name`, `_id`, `_ip`, \
     `_host`, or one of `node.attr`; `*` stands for any text.",
);

pub static ALLOCATION_INCLUDE: AffixSetting<NodeValues> = filter(
    "cluster.routing.allocation.include.",
    "Copies go only to nodes that have one of these values of any attribute that is named.",
);

pub static ALLOCATION_EXCLUDE: AffixSetting<NodeValues> = filter(
    "cluster.routing.allocation.exclude.",
    "Copies do not go to nodes that have one of these values.",
);

pub static DISK_THRESHOLD_ENABLED: Setting<bool> = Setting::new(
    "cluster.routing.allocation.disk.threshold_enabled",
    "Whether the watermarks count. Without them writes are refused only when the last megabytes are left.",
)
.default("true")
.dynamic();

pub static DISK_LOW: Setting<Watermark> = Setting::new(
    "cluster.routing.allocation.disk.watermark.low",
    "A node whose disk is fuller takes no copies but primaries of new indices. Used space as a percentage or ratio, or \
     free space in bytes; all three watermarks in the same way.",
)
.default("85%")
.dynamic()
.example("500mb");

pub static DISK_HIGH: Setting<Watermark> = Setting::new(
    "cluster.routing.allocation.disk.watermark.high",
    "A node whose disk is fuller takes no copies at all, and those it has move to other nodes.",
)
.default("90%")
.dynamic()
.example("0.92");

pub static DISK_FLOOD_STAGE: Setting<Watermark> = Setting::new(
    "cluster.routing.allocation.disk.watermark.flood_stage",
    "Indices with a copy on a node whose disk is fuller are set to `index.blocks.read_only_allow_delete`: writes are \
     answered 429. The block is taken off when the disk is below `high` again.",
)
.default("95%")
.dynamic();

const HEADROOM: &str = "Free space that is enough whatever the percentage says; -1 for none, which is also what holds when \
     the watermark itself is set.";

pub static DISK_LOW_HEADROOM: Setting<Headroom> = Setting::new(
    "cluster.routing.allocation.disk.watermark.low.max_headroom",
    HEADROOM,
)
.default("200GB")
.dynamic();

pub static DISK_HIGH_HEADROOM: Setting<Headroom> = Setting::new(
    "cluster.routing.allocation.disk.watermark.high.max_headroom",
    HEADROOM,
)
.default("150GB")
.dynamic();

pub static DISK_FLOOD_STAGE_HEADROOM: Setting<Headroom> = Setting::new(
    "cluster.routing.allocation.disk.watermark.flood_stage.max_headroom",
    HEADROOM,
)
.default("100GB")
.dynamic();

pub static INFO_UPDATE_INTERVAL: Setting<TimeValue> = Setting::new(
    "cluster.info.update.interval",
    "How often a node tells that its disk has room again. That it has less is told at once.",
)
.default("30s")
.at_least(10_000)
.dynamic();

pub static FS_HEALTH_ENABLED: Setting<bool> = Setting::new(
    "monitor.fs.health.enabled",
    "Whether a node writes a file at intervals to check that its disk answers. A node whose disk does not answer leaves \
     the cluster until it does.",
)
.default("true")
.dynamic();

pub static FS_HEALTH_REFRESH_INTERVAL: Setting<TimeValue> = Setting::new(
    "monitor.fs.health.refresh_interval",
    "How often. More often than in Elasticsearch (120 s), as a disk that hangs is noticed by this too.",
)
.default("5s")
.at_least(1);

pub static FS_HEALTH_SLOW_PATH: Setting<TimeValue> = Setting::new(
    "monitor.fs.health.slow_path_logging_threshold",
    "A check that takes longer is logged.",
)
.default("5s")
.at_least(1)
.dynamic();

pub static FS_HEALTH_TIMEOUT: Setting<TimeValue> = Setting::new(
    "monitor.fs.health.healthy_timeout_threshold",
    "A disk that has not answered for so long counts as failed.",
)
.default("20s")
.at_least(1)
.dynamic()
.ours();

pub static CLUSTER_READ_ONLY: Setting<bool> = Setting::new(
    "cluster.blocks.read_only",
    "Refuses writes and changes of indices, settings, users and keys with 403, until it is taken back.",
)
.default("false")
.dynamic()
.in_cluster_state();

pub static CLUSTER_READ_ONLY_ALLOW_DELETE: Setting<bool> = Setting::new(
    "cluster.blocks.read_only_allow_delete",
    "As `cluster.blocks.read_only`, but indices may be deleted.",
)
.default("false")
.dynamic()
.in_cluster_state();

pub(super) static SECTION: Section = Section {
    title: "Allocation, disks and blocks",
    intro: "Which nodes hold which copies, what becomes of full disks, and what is refused. Those of the cluster state \
            are set with `PUT /_cluster/settings` only.",
    settings: &[
        &ALLOCATION_ENABLE,
        &REBALANCE_ENABLE,
        &ALLOCATION_REQUIRE,
        &ALLOCATION_INCLUDE,
        &ALLOCATION_EXCLUDE,
        &DISK_THRESHOLD_ENABLED,
        &DISK_LOW,
        &DISK_LOW_HEADROOM,
        &DISK_HIGH,
        &DISK_HIGH_HEADROOM,
        &DISK_FLOOD_STAGE,
        &DISK_FLOOD_STAGE_HEADROOM,
        &INFO_UPDATE_INTERVAL,
        &FS_HEALTH_ENABLED,
        &FS_HEALTH_REFRESH_INTERVAL,
        &FS_HEALTH_SLOW_PATH,
        &FS_HEALTH_TIMEOUT,
        &CLUSTER_READ_ONLY,
        &CLUSTER_READ_ONLY_ALLOW_DELETE,
    ],
};
