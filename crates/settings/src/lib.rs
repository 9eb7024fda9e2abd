//! The settings of a node and the keystore with its secrets.
//!
//! Entry points: [`Settings::load`] reads elasticsearch.yml, `-E` overrides and the keystore, and
//! reports all mistakes at once; [`Settings::get`] returns typed values; [`registry`] holds every
//! setting with its documentation; [`keystore::Keystore`] reads and writes elasticsearch.keystore.
//!
//! Invariants: a loaded [`Settings`] holds only known settings with valid values; secrets are never
//! shown; [`yaml`] is the only module that knows the YAML parser. Absent on purpose: reading TLS
//! files and the rules between TLS settings (crate `tls`), and the dynamic settings of a cluster
//! (crate `cluster`).

mod allocation_types;
pub mod console;
pub mod docs;
pub mod host;
pub mod keystore;
mod memory;
mod problem;
mod raw;
pub mod realms;
pub mod registry;
mod rules;
mod setting;
mod settings;
mod types;
pub mod yaml;

pub use allocation_types::{
    AllocationEnable, Bound, Headroom, NodeValues, RebalanceEnable, Watermark, Watermarks,
};
pub use docs::{annotated_yml, reference_markdown};
pub use keystore::{Keystore, KeystoreError, KeystoreFile};
pub use problem::{Problem, SettingsError, Warning};
pub use raw::{RawValue, Source};
pub use setting::{
    AffixSetting, Info, Scope, SecureAffixSetting, SecureSetting, Setting, SettingSpec,
};
pub use settings::{Settings, check_dynamic};
pub use types::{
    ClientAuthentication, DiscoveryType, MemorySize, NodeRole, NodeRoles, Patterns, PortRange,
    PublishPort, SettingValue, StoreType, VerificationMode, WhenFull,
};
