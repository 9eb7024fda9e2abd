//! The settings in force on this node: its own, with those of the cluster over them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ringwall_cluster::ClusterSettings;
use ringwall_settings::{RawValue, Setting, SettingValue, Settings};
use serde_json::Value;

/// Settings that follow the cluster state. Static ones never change.
pub struct LiveSettings {
    node: Settings,
    current: ArcSwap<Settings>,
}

impl LiveSettings {
    /// Begins with the node's own.
    pub fn new(node: Settings) -> Self {
        Self {
            current: ArcSwap::from_pointee(node.clone()),
            node,
        }
    }

    /// Returns the value in force.
    pub fn get<T: SettingValue>(&self, setting: &Setting<T>) -> T {
        self.current.load().get(setting)
    }

    /// Returns all settings in force.
    pub fn current(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    /// Returns the node's own settings.
    pub fn node(&self) -> &Settings {
        &self.node
    }

    /// Returns what would be in force with those cluster settings.
    pub fn overlaid(&self, cluster: &ClusterSettings) -> Settings {
        let values = cluster
            .in_force()
            .filter_map(|(key, value)| Some((key.clone(), raw_value(value)?)));
        self.node.overlaid(values)
    }

    /// Takes over what the cluster settings are now. Returns the result.
    pub fn follow(&self, cluster: &ClusterSettings) -> Arc<Settings> {
        let settings = Arc::new(self.overlaid(cluster));
        self.current.store(settings.clone());
        settings
    }
}

/// Returns a stored or requested value; `None` for what is no value of a setting.
pub fn raw_value(value: &Value) -> Option<RawValue> {
    match value {
        Value::String(text) => Some(RawValue::Text(text.clone())),
        Value::Bool(_) | Value::Number(_) => Some(RawValue::Text(value.to_string())),
        Value::Array(items) => items
            .iter()
            .map(|item| match raw_value(item)? {
                RawValue::Text(text) => Some(text),
                RawValue::List(_) => None,
            })
            .collect::<Option<_>>()
            .map(RawValue::List),
        Value::Null | Value::Object(_) => None,
    }
}

/// Returns a value as it is stored and shown.
pub fn shown(value: &RawValue) -> Value {
    match value {
        RawValue::Text(text) => Value::String(text.clone()),
        RawValue::List(items) => items.iter().cloned().map(Value::String).collect(),
    }
}
