//! What cargo knows of the workspace and of every locked package.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

pub fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What cargo prints when called in the root.
pub fn cargo(arguments: &[&str]) -> String {
    let told = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    String::from_utf8(told.stdout).unwrap()
}

/// Every package of the lock file, ours included. Cargo is asked once.
pub fn packages() -> &'static [Value] {
    static PACKAGES: LazyLock<Value> = LazyLock::new(|| {
        let told = cargo(&["metadata", "--format-version", "1"]);
        serde_json::from_str::<Value>(&told).unwrap()["packages"].take()
    });
    PACKAGES.as_array().unwrap()
}

/// One of our crates: its name without `ringwall-`, and what its manifest names.
pub struct Crate {
    pub name: String,
    pub dependencies: Vec<Dependency>,
}

pub struct Dependency {
    /// The package, without `ringwall-` where it is ours.
    pub package: String,
    pub ours: bool,
    /// For tests only.
    pub dev: bool,
}

/// The crates of the workspace.
pub fn crates() -> Vec<Crate> {
    packages()
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| Crate {
            name: short(package["name"].as_str().unwrap()),
            dependencies: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .map(|dependency| Dependency {
                    package: short(dependency["name"].as_str().unwrap()),
                    ours: dependency["source"].is_null(),
                    dev: dependency["kind"] == "dev",
                })
                .collect(),
        })
        .collect()
}

fn short(package: &str) -> String {
    package.trim_start_matches("ringwall-").to_owned()
}
