//! What `tests/simulation` lives by: where order and threads come in that a seed does not choose.

use std::path::{Path, PathBuf};

use crate::metadata;

/// Crates whose code the simulation runs.
const SIMULATED: [&str; 3] = ["node", "transport", "coordination"];
/// Of them, those that also block in it; the threads of the transport are for TLS.
const BLOCKING: [&str; 2] = ["node", "coordination"];

#[test]
fn every_select_says_which_branch_counts_first() {
    for name in SIMULATED {
        for (path, text) in sources(name) {
            for found in text.split("select! {").skip(1) {
                assert!(
                    found.trim_start().starts_with("biased;"),
                    "{} has a `select!` without `biased;`: which branch counts where both are ready would be chance \
                     (docs/decisions/0013-a-world-from-a-seed.md)",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn work_that_blocks_goes_the_one_way() {
    for name in BLOCKING {
        for (path, text) in sources(name) {
            assert!(
                path.ends_with("blocking.rs") || !text.contains("spawn_blocking"),
                "{}: spawn it by `ringwall_coordination::blocking`, which a simulation does in place",
                path.display()
            );
        }
    }
}

fn sources(name: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(
        &metadata::root().join("crates").join(name).join("src"),
        &mut found,
    );
    assert!(!found.is_empty(), "crates/{name} has no sources");
    found
}

fn collect(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}
