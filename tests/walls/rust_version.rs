//! The version of Rust that is promised is the one that is needed.

use crate::metadata;

/// Reads `1.95` or `1.95.0`.
fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn no_locked_dependency_needs_a_newer_rust_than_is_promised() {
    let packages = metadata::packages();
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
        "[rust-version = \"{promised}\"]: {}. Raise it in Cargo.toml and README.md, or lock an older version of the package",
        needed.join(", ")
    );
    let sentence = format!("a Rust toolchain ({promised} or newer)");
    assert!(
        metadata::read("README.md").contains(&sentence),
        "README.md does not say [{sentence}]"
    );
}
