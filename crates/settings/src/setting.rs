//! One setting: key, type, default, bounds, properties and documentation in one place.

use std::fmt::Write as _;
use std::marker::PhantomData;

use crate::raw::RawValue;
use crate::types::SettingValue;

/// Of what a setting speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Of the node that it is given to; each may have another value.
    Node,
    /// Of the cluster: it is kept in the cluster state, or must be the same on every node that has it.
    Cluster,
}

impl Scope {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Cluster => "cluster",
        }
    }
}

/// What documentation and checks need to know of a setting, whatever its type.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// The key; for a family, the pattern `prefix<name>suffix` is in [`SettingSpec::pattern`].
    pub key: &'static str,
    /// One or more sentences; the first says what the setting does.
    pub doc: &'static str,
    /// A value other than the default, as written in elasticsearch.yml.
    pub example: Option<&'static str>,
    /// Of what it speaks.
    pub scope: Scope,
    /// May be changed while the cluster runs.
    pub is_dynamic: bool,
    /// Stays as it is while the node runs, and what it names is read again: a file when its content changes, a
    /// secret by `POST /_nodes/reload_secure_settings`.
    pub is_reloadable: bool,
    /// Why it should not be used any more, and what to use; begins in lower case, ends without a stop.
    pub deprecated: Option<&'static str>,
    /// Is stored in the keystore only.
    pub is_secure: bool,
    /// Never shown: its value is a secret, even though it is in elasticsearch.yml.
    pub is_filtered: bool,
    /// Ringwall's own; Elasticsearch does not know it.
    pub is_ours: bool,
    /// Kept in the cluster state and nowhere else: no node's own file can set it.
    pub is_in_cluster_state: bool,
    /// Settings whose value is the default, first set one first.
    pub fallbacks: &'static [&'static str],
}

/// A setting or family of settings that the registry lists.
pub trait SettingSpec: Sync {
    /// Returns the facts that do not depend on the type.
    fn info(&self) -> &Info;

    /// Returns the type in words: "time value", "list of texts".
    fn kind(&self) -> String;

    /// Returns whether the value is a list.
    fn is_list(&self) -> bool {
        false
    }

    /// Returns the default as documentation shows it; `None` if there is none.
    fn default_text(&self) -> Option<String>;

    /// Returns the key, or for a family the key with `<name>` in it.
    fn pattern(&self) -> String {
        self.info().key.to_owned()
    }

    /// Returns whether a key is this setting's, or of this family.
    fn matches(&self, key: &str) -> bool {
        self.info().key == key
    }

    /// Parses a value and drops it. The error says what is expected.
    fn check(&self, value: &RawValue) -> Result<(), String>;
}

/// A setting of elasticsearch.yml with values of type `T`.
#[derive(Debug)]
pub struct Setting<T> {
    pub(crate) info: Info,
    default: DefaultValue,
    min: Option<i64>,
    max: Option<i64>,
    marker: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum DefaultValue {
    /// `T` has a value of its own for "not set".
    Absent,
    Text(&'static str),
    /// Found at run time; with a description for the documentation.
    Computed(fn() -> String, &'static str),
}

impl<T: SettingValue> Setting<T> {
    /// Returns a static node setting without a default, whose type has a value for "not set".
    pub const fn new(key: &'static str, doc: &'static str) -> Self {
        Self {
            info: Info {
                key,
                doc,
                example: None,
                scope: Scope::Node,
                is_dynamic: false,
                is_reloadable: false,
                deprecated: None,
                is_secure: false,
                is_filtered: false,
                is_ours: false,
                is_in_cluster_state: false,
                fallbacks: &[],
            },
            default: DefaultValue::Absent,
            min: None,
            max: None,
            marker: PhantomData,
        }
    }

    /// Sets the default, as it would be written in elasticsearch.yml.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.default = DefaultValue::Text(text);
        self
    }

    /// Sets a default found at run time.
    pub const fn computed(mut self, value: fn() -> String, description: &'static str) -> Self {
        self.default = DefaultValue::Computed(value, description);
        self
    }

    /// Names the settings whose values are the default, most specific first.
    pub const fn fallback(mut self, keys: &'static [&'static str]) -> Self {
        self.info.fallbacks = keys;
        self
    }

    /// Sets an example for the documentation.
    pub const fn example(mut self, text: &'static str) -> Self {
        self.info.example = Some(text);
        self
    }

    /// Bounds the value: numbers as they are, times in milliseconds, sizes in bytes.
    pub const fn between(mut self, min: i64, max: i64) -> Self {
        self.min = Some(min);
        self.max = Some(max);
        self
    }

    /// Bounds the value from below; units as in [`Setting::between`].
    pub const fn at_least(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    /// Marks a setting that may change while the cluster runs. Its value is then kept in the cluster state.
    pub const fn dynamic(mut self) -> Self {
        self.info.is_dynamic = true;
        self.info.scope = Scope::Cluster;
        self
    }

    /// Marks a setting that is read from the cluster state, where all nodes see the same.
    pub const fn in_cluster_state(mut self) -> Self {
        self.info.is_in_cluster_state = true;
        self
    }

    /// Marks a setting that must be the same on every node.
    pub const fn cluster_wide(mut self) -> Self {
        self.info.scope = Scope::Cluster;
        self
    }

    /// Marks a setting that names files which are read again when they change.
    pub const fn reloadable(mut self) -> Self {
        self.info.is_reloadable = true;
        self
    }

    /// Marks a setting that should not be used any more; see [`Info::deprecated`].
    pub const fn deprecated(mut self, why: &'static str) -> Self {
        self.info.deprecated = Some(why);
        self
    }

    /// Marks a setting whose value is never shown.
    pub const fn filtered(mut self) -> Self {
        self.info.is_filtered = true;
        self
    }

    /// Marks a setting that Elasticsearch does not have.
    pub const fn ours(mut self) -> Self {
        self.info.is_ours = true;
        self
    }

    /// Returns the key.
    pub const fn key(&self) -> &'static str {
        self.info.key
    }

    /// Parses a value and checks its bounds. The error says what is expected.
    pub fn parse(&self, value: &RawValue) -> Result<T, String> {
        let parsed = T::parse(value)?;
        let Some(magnitude) = parsed.magnitude() else {
            return Ok(parsed);
        };
        match (self.min, self.max) {
            (Some(min), _) if magnitude < i128::from(min) => {
                Err(format!("must be >= {}", T::show_magnitude(min)))
            }
            (_, Some(max)) if magnitude > i128::from(max) => {
                Err(format!("must be <= {}", T::show_magnitude(max)))
            }
            _ => Ok(parsed),
        }
    }

    /// Returns the built-in default, without regard to fallbacks.
    pub fn default_value(&self) -> T {
        let parsed = match self.default {
            DefaultValue::Absent => T::absent().ok_or_else(|| "no default".to_owned()),
            DefaultValue::Text(text) => self.parse(&RawValue::Text(text.to_owned())),
            DefaultValue::Computed(value, _) => self.parse(&RawValue::Text(value())),
        };
        // Invariant: a test parses the default of every registered setting.
        parsed.expect("the default of a setting is valid")
    }
}

impl<T: SettingValue> SettingSpec for Setting<T> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn kind(&self) -> String {
        let mut kind = T::KIND.to_owned();
        if let Some(min) = self.min {
            let _ = write!(kind, ", at least {}", T::show_magnitude(min));
        }
        if let Some(max) = self.max {
            let _ = write!(kind, ", at most {}", T::show_magnitude(max));
        }
        kind
    }

    fn is_list(&self) -> bool {
        T::IS_LIST
    }

    fn default_text(&self) -> Option<String> {
        match self.default {
            DefaultValue::Absent => None,
            DefaultValue::Text(text) => Some(text.to_owned()),
            DefaultValue::Computed(_, description) => Some(description.to_owned()),
        }
    }

    fn check(&self, value: &RawValue) -> Result<(), String> {
        self.parse(value).map(drop)
    }
}

/// A family of settings, one for each name between a prefix and a suffix:
/// `node.attr.<name>`, `xpack.security.authc.realms.native.<name>.order`.
#[derive(Debug)]
pub struct AffixSetting<T> {
    pub(crate) setting: Setting<T>,
    pub(crate) suffix: &'static str,
}

impl<T: SettingValue> AffixSetting<T> {
    /// Returns the family whose keys start with the key of `setting` and end with `suffix`.
    pub const fn new(setting: Setting<T>, suffix: &'static str) -> Self {
        Self { setting, suffix }
    }

    /// Returns the name in a key of this family. With a suffix it has no dot.
    pub fn name_in<'a>(&self, key: &'a str) -> Option<&'a str> {
        name_between(key, self.setting.info.key, self.suffix)
    }

    /// Returns the key for a name.
    pub fn key_for(&self, name: &str) -> String {
        format!("{}{name}{}", self.setting.info.key, self.suffix)
    }
}

impl<T: SettingValue> SettingSpec for AffixSetting<T> {
    fn info(&self) -> &Info {
        &self.setting.info
    }

    fn kind(&self) -> String {
        self.setting.kind()
    }

    fn is_list(&self) -> bool {
        T::IS_LIST
    }

    fn default_text(&self) -> Option<String> {
        self.setting.default_text()
    }

    fn pattern(&self) -> String {
        self.key_for("<name>")
    }

    fn matches(&self, key: &str) -> bool {
        self.name_in(key).is_some()
    }

    fn check(&self, value: &RawValue) -> Result<(), String> {
        self.setting.check(value)
    }
}

/// A setting of the keystore.
#[derive(Debug)]
pub struct SecureSetting {
    pub(crate) info: Info,
}

impl SecureSetting {
    /// Returns a secure setting.
    pub const fn new(key: &'static str, doc: &'static str) -> Self {
        Self {
            info: Info {
                key,
                doc,
                example: None,
                scope: Scope::Node,
                is_dynamic: false,
                is_reloadable: false,
                deprecated: None,
                is_secure: true,
                is_filtered: true,
                is_ours: false,
                is_in_cluster_state: false,
                fallbacks: &[],
            },
        }
    }

    /// Marks a secret that is taken up by `POST /_nodes/reload_secure_settings`.
    pub const fn reloadable(mut self) -> Self {
        self.info.is_reloadable = true;
        self
    }

    /// Returns the key.
    pub const fn key(&self) -> &'static str {
        self.info.key
    }
}

impl SettingSpec for SecureSetting {
    fn info(&self) -> &Info {
        &self.info
    }

    fn kind(&self) -> String {
        "secret text, in the keystore".to_owned()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn check(&self, _: &RawValue) -> Result<(), String> {
        Err("it must be stored in the keystore".to_owned())
    }
}

/// A family of settings of the keystore, as [`AffixSetting`] is one of elasticsearch.yml.
#[derive(Debug)]
pub struct SecureAffixSetting {
    prefix: SecureSetting,
    suffix: &'static str,
}

impl SecureAffixSetting {
    /// Returns the family whose keys start with the key of `prefix` and end with `suffix`.
    pub const fn new(prefix: SecureSetting, suffix: &'static str) -> Self {
        Self { prefix, suffix }
    }

    /// Returns the key for a name.
    pub fn key_for(&self, name: &str) -> String {
        format!("{}{name}{}", self.prefix.info.key, self.suffix)
    }
}

impl SettingSpec for SecureAffixSetting {
    fn info(&self) -> &Info {
        &self.prefix.info
    }

    fn kind(&self) -> String {
        self.prefix.kind()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn pattern(&self) -> String {
        self.key_for("<name>")
    }

    fn matches(&self, key: &str) -> bool {
        name_between(key, self.prefix.info.key, self.suffix).is_some()
    }

    fn check(&self, value: &RawValue) -> Result<(), String> {
        self.prefix.check(value)
    }
}

/// Returns the name in a key of a family. With a suffix it has no dot.
fn name_between<'a>(key: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let is_name = !name.is_empty() && (suffix.is_empty() || !name.contains('.'));
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use ringwall_base::TimeValue;

    use super::*;

    #[test]
    fn bounds_are_told_in_the_unit_of_the_type() {
        let setting = Setting::<TimeValue>::new("a.b", "A.")
            .default("5s")
            .between(100, 60_000);
        let check = |text: &str| setting.check(&RawValue::Text(text.into()));
        assert_eq!(check("50ms"), Err("must be >= 100ms".into()));
        assert_eq!(check("2m"), Err("must be <= 1m".into()));
        assert_eq!(check("1s"), Ok(()));
        assert_eq!(setting.kind(), "time value, at least 100ms, at most 1m");
        assert_eq!(setting.default_value(), TimeValue::from_secs(5));
    }

    #[test]
    fn families_know_their_names() {
        let family = AffixSetting::new(Setting::<i64>::new("realms.", "A.").default("0"), ".order");
        assert_eq!(family.name_in("realms.native1.order"), Some("native1"));
        assert_eq!(family.name_in("realms..order"), None);
        assert_eq!(family.name_in("realms.a.b.order"), None);
        assert_eq!(family.pattern(), "realms.<name>.order");
        let attributes = AffixSetting::new(Setting::<String>::new("node.attr.", "A."), "");
        assert_eq!(attributes.name_in("node.attr.rack.row"), Some("rack.row"));
    }
}
