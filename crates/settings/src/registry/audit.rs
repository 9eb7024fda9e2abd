//! The audit log. Source: Elasticsearch reference, "Auditing security settings".

use ringwall_base::ByteSizeValue;

use super::Section;
use crate::setting::{AffixSetting, Setting};
use crate::types::{Patterns, WhenFull};

pub static ENABLED: Setting<bool> = Setting::new(
    "xpack.security.audit.enabled",
    "Whether who asked for what, and whether it was let, is written to the audit log, `<cluster.name>_audit.json` among \
     the logs. The same on every node.",
)
.default("false")
.example("true");

pub static INCLUDE: Setting<Vec<String>> = Setting::new(
    "xpack.security.audit.logfile.events.include",
    "Types of events that are written; `_all` for each.",
)
.default(
    "ACCESS_DENIED, ACCESS_GRANTED, ANONYMOUS_ACCESS_DENIED, AUTHENTICATION_FAILED, CONNECTION_DENIED, TAMPERED_REQUEST, \
     RUN_AS_DENIED, RUN_AS_GRANTED, SECURITY_CONFIG_CHANGE",
)
.dynamic()
.example("_all");

pub static EXCLUDE: Setting<Vec<String>> = Setting::new(
    "xpack.security.audit.logfile.events.exclude",
    "Types of events that are not written, whatever is included.",
)
.dynamic()
.example("access_granted");

pub static EMIT_REQUEST_BODY: Setting<bool> = Setting::new(
    "xpack.security.audit.logfile.events.emit_request_body",
    "Whether events of the type `authentication_success` have the body of the request, up to 64 KB. Passwords, keys and \
     tokens are taken out of it; documents and queries are not.",
)
.default("false")
.dynamic()
.example("true");

pub static EMIT_CLUSTER_NAME: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_cluster_name",
    "Whether every event tells the name of the cluster.",
    "false",
);

pub static EMIT_CLUSTER_UUID: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_cluster_uuid",
    "Whether every event tells the UUID of the cluster.",
    "true",
);

pub static EMIT_NODE_NAME: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_node_name",
    "Whether every event tells the name of the node.",
    "false",
);

pub static EMIT_NODE_ID: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_node_id",
    "Whether every event tells the id of the node.",
    "true",
);

pub static EMIT_HOST_NAME: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_node_host_name",
    "Whether every event tells the name under which other nodes reach the node.",
    "false",
);

pub static EMIT_HOST_ADDRESS: Setting<bool> = emit(
    "xpack.security.audit.logfile.emit_node_host_address",
    "Whether every event tells the address at which other nodes reach the node.",
    "false",
);

const fn emit(key: &'static str, doc: &'static str, default: &'static str) -> Setting<bool> {
    Setting::new(key, doc).default(default).dynamic()
}

/// Of each policy of events that are not written.
pub struct IgnoreFilter {
    pub users: AffixSetting<Patterns>,
    pub realms: AffixSetting<Patterns>,
    pub roles: AffixSetting<Patterns>,
    pub indices: AffixSetting<Patterns>,
    pub actions: AffixSetting<Patterns>,
}

pub static IGNORE: IgnoreFilter = IgnoreFilter {
    users: AffixSetting::new(
        ignore(
            "Users of events that are not written: names, wildcards, or regular expressions between slashes; an empty text \
             for events without a user. An event is not written when all that a policy sets matches.",
        ),
        ".users",
    ),
    realms: AffixSetting::new(ignore("Realms of events that are not written."), ".realms"),
    roles: AffixSetting::new(
        ignore("Roles of events that are not written. All roles of the user have to match."),
        ".roles",
    ),
    indices: AffixSetting::new(
        ignore("Indices of events that are not written. All indices of the request have to match."),
        ".indices",
    ),
    actions: AffixSetting::new(
        ignore("Actions of events that are not written."),
        ".actions",
    ),
};

const fn ignore(doc: &'static str) -> Setting<Patterns> {
    Setting::new("xpack.security.audit.logfile.events.ignore_filters.", doc)
        .default("*")
        .dynamic()
        .example("monitoring-*")
}

pub static MAX_SIZE: Setting<ByteSizeValue> = Setting::new(
    "xpack.security.audit.logfile.rotation.size",
    "Size at which a new audit log is begun. One is begun every day, too, by UTC.",
)
.default("1gb")
.dynamic()
.at_least(1 << 20)
.ours();

pub static MAX_FILES: Setting<usize> = Setting::new(
    "xpack.security.audit.logfile.rotation.files",
    "Number of audit logs that a node keeps, the one that is written to among them. The oldest are deleted.",
)
.default("30")
.dynamic()
.at_least(2)
.ours();

pub static QUEUE_SIZE: Setting<ByteSizeValue> = Setting::new(
    "xpack.security.audit.logfile.queue.size",
    "Events that wait in memory while the disk takes none.",
)
.default("16mb")
.dynamic()
.at_least(1 << 20)
.ours();

pub static WHEN_FULL: Setting<WhenFull> = Setting::new(
    "xpack.security.audit.logfile.queue.when_full",
    "What happens when the disk takes no events for so long that the queue is full: `count` goes on, loses events and \
     writes how many; `refuse` refuses requests with the status 503 from when the queue is half full.",
)
.default("count")
.dynamic()
.example("refuse")
.ours();

pub(super) static SECTION: Section = Section {
    title: "Audit log",
    intro: "Which events are written, and where: see the operators' page.",
    settings: &[
        &ENABLED,
        &INCLUDE,
        &EXCLUDE,
        &EMIT_REQUEST_BODY,
        &EMIT_CLUSTER_NAME,
        &EMIT_CLUSTER_UUID,
        &EMIT_NODE_NAME,
        &EMIT_NODE_ID,
        &EMIT_HOST_NAME,
        &EMIT_HOST_ADDRESS,
        &IGNORE.users,
        &IGNORE.realms,
        &IGNORE.roles,
        &IGNORE.indices,
        &IGNORE.actions,
        &MAX_SIZE,
        &MAX_FILES,
        &QUEUE_SIZE,
        &WHEN_FULL,
    ],
};
