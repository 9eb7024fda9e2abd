//! What becomes of an index as a whole.

use super::*;

#[test]
fn snapshot_round_trips_and_newer_formats_are_refused() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    let bytes = cluster.state.to_snapshot();
    assert_eq!(ClusterState::from_snapshot(&bytes).unwrap(), cluster.state);
    assert!(ClusterState::from_snapshot(b"rubbish").is_err());
    let newer = ringwall_base::encoding::encode(&json!({"format": 99, "state": {}}));
    let error = ClusterState::from_snapshot(&newer).unwrap_err();
    assert!(error.to_string().contains("format 99"));
}

#[test]
fn mapping_update_needs_the_version_it_was_merged_into() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let index: IndexId = cluster.state.indices["logs"].id.clone();
    let put = |base_version| Change::PutMapping {
        index: index.clone(),
        base_version,
        mapping: json!({"properties": {}}),
    };
    assert!(cluster.try_apply(put(1)));
    assert!(!cluster.try_apply(put(1)));
    assert!(cluster.try_apply(put(2)));
}

fn blocked(cluster: &Cluster) -> Option<String> {
    let refused = cluster.state.check_blocks("logs", Level::Write);
    refused
        .err()
        .map(|error| format!("{} {}", error.status, error.reason))
}

#[test]
fn the_flood_stage_blocks_writes_until_the_disk_is_below_the_high_watermark() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    assert_eq!(blocked(&cluster), None);
    cluster.try_disk(2, DiskLevel::Flood);
    let text = "429 index [logs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index \
                has read-only-allow-delete block];";
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    // What a user takes off comes back while the disk is full.
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": null}));
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    let delete = Attempt {
        level: Level::MetadataWrite,
        deletes: true,
    };
    assert_eq!(cluster.state.check_blocks("logs", delete), Ok(()));
    assert_eq!(cluster.state.check_blocks("logs", Level::Read), Ok(()));
    cluster.try_disk(2, DiskLevel::High);
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    cluster.try_disk(2, DiskLevel::Low);
    assert_eq!(blocked(&cluster), None);
    // What a user puts on stays.
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": true}));
    cluster.try_disk(2, DiskLevel::Flood);
    cluster.try_disk(2, DiskLevel::Enough);
    assert_eq!(blocked(&cluster).as_deref(), Some(text));
    cluster.index_settings(json!({"index.blocks.read_only_allow_delete": false}));
    assert_eq!(blocked(&cluster), None);
    // A node that left holds nothing back.
    cluster.try_disk(2, DiskLevel::Flood);
    assert!(blocked(&cluster).is_some());
    cluster.leave(2);
    assert_eq!(blocked(&cluster), None);
}

#[test]
fn a_closed_index_is_neither_read_nor_written_and_keeps_its_copies() {
    let mut cluster = Cluster::of(2);
    cluster.create(1, 1);
    cluster.start_all();
    let index = cluster.state.indices["logs"].id.clone();
    let set = |closed| Change::SetClosed {
        indices: vec![index.clone()],
        closed,
    };
    let before = cluster.state.routing.clone();
    assert!(cluster.try_apply(set(true)));
    assert_eq!(cluster.state.routing, before);
    for level in [Level::Read, Level::Write] {
        let error = cluster.state.check_blocks("logs", level).unwrap_err();
        assert_eq!((error.status, error.reason.as_str()), (400, "closed"));
    }
    for level in [Level::MetadataRead, Level::MetadataWrite] {
        assert_eq!(cluster.state.check_blocks("logs", level), Ok(()));
    }
    assert!(cluster.try_apply(set(false)));
    assert_eq!(cluster.state.check_blocks("logs", Level::Write), Ok(()));
    let gone = Change::SetClosed {
        indices: vec![IndexId {
            name: "gone".to_owned(),
            uuid: "u".to_owned(),
        }],
        closed: true,
    };
    assert!(!cluster.try_apply(gone));
}

#[test]
fn an_alias_rolls_over_as_a_whole_or_not_at_all() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let source = cluster.state.indices["logs"].id.clone();
    let alias = |writes: Option<bool>| AliasMetadata {
        is_write_index: writes,
        ..AliasMetadata::default()
    };
    let add = |name: &str, writes| AliasChange::Add {
        index: source.clone(),
        alias: name.to_owned(),
        metadata: alias(writes),
    };
    let changes = vec![add("marked", Some(true)), add("plain", None)];
    cluster.apply(Change::UpdateAliases { changes });
    let roll = |alias: &str, source: &IndexId, name: &str| Change::Rollover {
        alias: alias.to_owned(),
        source: source.clone(),
        name: name.to_owned(),
        settings: IndexSettings::default(),
        mapping: json!({}),
        aliases: Aliases::new(),
    };
    // It writes elsewhere already, or the name is taken: nothing has changed.
    let stale = IndexId {
        uuid: "other".to_owned(),
        ..source.clone()
    };
    let before = cluster.state.clone();
    for refused in [
        roll("marked", &stale, "next"),
        roll("nothing", &source, "next"),
        roll("marked", &source, "logs"),
        roll("marked", &source, "plain"),
    ] {
        assert!(!cluster.try_apply(refused));
        assert_eq!(cluster.state, before);
    }
    assert!(cluster.try_apply(roll("marked", &source, "next")));
    let aliases = |cluster: &Cluster, index: &str| cluster.state.indices[index].aliases.clone();
    assert_eq!(aliases(&cluster, "logs")["marked"], alias(Some(false)));
    assert_eq!(aliases(&cluster, "next")["marked"], alias(Some(true)));
    assert!(!cluster.try_apply(roll("marked", &source, "again")));
    // Without a mark the old index loses the alias.
    assert!(cluster.try_apply(roll("plain", &source, "third")));
    assert!(!aliases(&cluster, "logs").contains_key("plain"));
    assert_eq!(aliases(&cluster, "third")["plain"], alias(None));
}

#[test]
fn blocks_refuse_in_the_words_of_elasticsearch() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    let refused = |cluster: &Cluster, level: Level| {
        let error = cluster.state.check_blocks("logs", level).err()?;
        Some((error.status, error.reason))
    };
    for (key, level, text) in [
        (
            "read_only",
            Level::Write,
            "FORBIDDEN/5/index read-only (api)",
        ),
        (
            "read_only",
            Level::MetadataWrite,
            "FORBIDDEN/5/index read-only (api)",
        ),
        ("read", Level::Read, "FORBIDDEN/7/index read (api)"),
        ("write", Level::Write, "FORBIDDEN/8/index write (api)"),
        (
            "metadata",
            Level::MetadataRead,
            "FORBIDDEN/9/index metadata (api)",
        ),
    ] {
        let key = format!("index.blocks.{key}");
        assert_eq!(refused(&cluster, level), None);
        cluster.index_settings(json!({&key: true}));
        let expected = format!("index [logs] blocked by: [{text}];");
        assert_eq!(refused(&cluster, level), Some((403, expected)));
        cluster.index_settings(json!({&key: null}));
    }
    cluster.index_settings(json!({"index.blocks.metadata": true}));
    cluster.settings(json!({"cluster.blocks.read_only": "true"}));
    let both = "index [logs] blocked by: [FORBIDDEN/9/index metadata (api), FORBIDDEN/6/cluster read-only (api)];";
    let expected = Some((403, both.to_owned()));
    assert_eq!(refused(&cluster, Level::MetadataWrite), expected);
    let error = cluster
        .state
        .check_cluster_blocks(Level::Write)
        .unwrap_err();
    assert_eq!(
        error.reason,
        "blocked by: [FORBIDDEN/6/cluster read-only (api)];"
    );
    cluster.settings(json!({"cluster.blocks.read_only_allow_delete": "true"}));
    let delete = Attempt {
        level: Level::MetadataWrite,
        deletes: true,
    };
    assert_eq!(cluster.state.check_cluster_blocks(delete), Ok(()));
    assert!(
        cluster
            .state
            .check_cluster_blocks(Level::MetadataWrite)
            .is_err()
    );
}

/// What an earlier version took is in the log for ever, whatever is refused today.
#[test]
fn a_log_of_earlier_rules_is_applied_as_it_was_then() {
    let create = |name: &str, aliases: Value| Change::CreateIndex {
        name: name.into(),
        settings: IndexSettings::parse(&json!({})).unwrap(),
        mapping: Value::Null,
        aliases: serde_json::from_value(aliases).unwrap(),
    };
    let both = [
        create(
            "first",
            json!({"all": {"is_write_index": true}, "odd": null}),
        ),
        create("second", json!({"all": {"is_write_index": true}})),
        create("all", json!({})),
    ];
    for rules in [0, crate::command::RULES] {
        let mut cluster = Cluster::of(1);
        for (number, change) in both.iter().enumerate() {
            let command = Command {
                now_ms: 0,
                seed: format!("index{number}"),
                rules,
                change: change.clone(),
            };
            let taken = cluster.state.apply(command).result.is_ok();
            assert_eq!(
                taken,
                rules == 0 || number == 0,
                "{number} by rules {rules}"
            );
        }
    }
}

/// Copies of an open index would take new analyzers at different times, and fields may name analyzers that nobody tried.
#[test]
fn how_texts_are_read_changes_in_a_closed_index_with_the_mapping_that_was_tried() {
    let mut cluster = Cluster::of(1);
    cluster.create(1, 0);
    cluster.start_all();
    let tried = cluster.state.indices["logs"].clone();
    let body = json!({"analysis": {"analyzer": {"a": {"type": "stop"}}}});
    let closed = Updated {
        as_closed: true,
        ..open(&tried.id)
    };
    let change = Change::PutIndexSettings {
        index: tried.id.clone(),
        base_version: tried.settings_version,
        base_mapping: Some(tried.mapping_version),
        settings: tried.settings.updated(&body, &closed).unwrap(),
    };
    assert!(!cluster.try_apply(change.clone()));
    cluster.apply(Change::SetClosed {
        indices: vec![tried.id.clone()],
        closed: true,
    });
    let mut late = cluster.state.clone();
    cluster.apply(change.clone());
    assert!(
        !cluster.state.indices["logs"]
            .settings
            .reads_texts_as(&tried.settings)
    );
    std::mem::swap(&mut cluster.state, &mut late);
    cluster.apply(Change::PutMapping {
        index: tried.id.clone(),
        base_version: tried.mapping_version,
        mapping: json!({"properties": {"t": {"type": "text"}}}),
    });
    assert!(!cluster.try_apply(change));
}
