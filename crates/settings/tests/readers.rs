//! A setting that nothing reads would promise what is not there.

use std::path::Path;

#[test]
fn every_setting_is_read_by_some_crate() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut registry = String::new();
    let mut readers = String::new();
    let mut directories = vec![crates.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let text = || std::fs::read_to_string(&path).unwrap();
            if path.is_dir() && !path.ends_with("tests") {
                directories.push(path);
            } else if NO_READERS.iter().any(|file| path.ends_with(file)) {
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                match path.parent().unwrap().ends_with("registry") {
                    true => registry.push_str(&text()),
                    false => readers.push_str(&text()),
                }
            }
        }
    }
    let mut unread = Vec::new();
    for part in registry.split("pub static ").skip(1) {
        let (name, kind) = part.split_once(':').unwrap();
        let is_setting = ["Setting<", "AffixSetting<", "SecureSetting"]
            .iter()
            .any(|known| kind.trim_start().starts_with(known));
        // Those of the cluster state: a test of the node compares them with what is read there.
        let in_cluster_state = kind.contains(".in_cluster_state()") || kind.contains("= filter(");
        if is_setting && !in_cluster_state && !readers.contains(name) {
            unread.push(name);
        }
    }
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// To compare a value with others, or to document it, gives it no effect.
const NO_READERS: [&str; 2] = ["settings/src/rules.rs", "settings/src/docs.rs"];

/// A dynamic setting that is read once, at the start, would be accepted and have no effect: it is looked up where it is
/// used, in the settings in force, or taken over by what is told of every change.
#[test]
fn every_dynamic_setting_is_read_from_the_settings_in_force() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut registry = String::new();
    let mut live = String::new();
    let mut directories = vec![crates.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                directories.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text: String = std::fs::read_to_string(&path)
                .unwrap()
                .split_whitespace()
                .collect();
            match path.parent().unwrap().ends_with("registry") {
                true => registry.push_str(&text),
                false if FOLLOWERS.iter().any(|file| path.ends_with(file)) => live.push_str(&text),
                false => {
                    let reads = text.split("services.settings.get(&").skip(1);
                    reads.for_each(|read| live.push_str(&read[..read.len().min(120)]));
                }
            }
        }
    }
    let mut stale = Vec::new();
    for part in registry.split("pubstatic").skip(1) {
        let (name, body) = part.split_once(':').unwrap();
        // Those of the cluster state: a test of the node compares them with what is read there.
        if body.contains(".dynamic()")
            && !body.contains(".in_cluster_state()")
            && !live.contains(name)
        {
            stale.push(name.to_owned());
        }
    }
    assert!(registry.contains(".dynamic()"));
    assert!(stale.is_empty(), "read at the start only: {stale:?}");
}

/// Where settings are at hand that are those in force, or are handed over whenever they change.
const FOLLOWERS: [&str; 8] = [
    "node/src/audit/settings.rs",
    "node/src/breakers.rs",
    "node/src/follow_settings.rs",
    "node/src/replication/primary.rs",
    "node/src/disk.rs",
    "node/src/disk/health.rs",
    "node/src/services.rs",
    "settings/src/allocation_types.rs",
];
