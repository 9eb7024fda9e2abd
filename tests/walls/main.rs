//! The walls of the repository, checked from what `cargo metadata` and the files themselves say. Needs no tool beside
//! cargo and no network, so it runs in every `cargo test --workspace`. Each failure names the way out.

mod crates;
mod documents;
mod libraries;
mod licences;
mod metadata;
mod planted;
mod rust_version;
mod simulated;
