//! The version of Rust that is promised is the one that is needed.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Reads `1.95` or `1.95.0`.
fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn no_locked_dependency_needs_a_newer_rust_than_is_promised() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let promised = packages
        .iter()
        .find(|package| package["name"] == env!("CARGO_PKG_NAME"))
        .and_then(|package| package["rust_version"].as_str())
        .unwrap();
    let needed: Vec<String> = packages
        .iter()
        .filter_map(|package| Some((package, package["rust_version"].as_str()?)))
        .filter(|(_, needed)| version(needed) > version(promised))
        .map(|(package, needed)| format!("{} needs {needed}", package["name"]))
        .collect();
    assert!(
        needed.is_empty(),
        "[rust-version = \"{promised}\"]: {}",
        needed.join(", ")
    );
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let sentence = format!("a Rust toolchain ({promised} or newer)");
    assert!(
        readme.contains(&sentence),
        "README.md does not say [{sentence}]"
    );
}
