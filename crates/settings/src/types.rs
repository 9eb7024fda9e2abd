//! The types of setting values, and how each reads its text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ringwall_base::{ByteSizeValue, IpRule, IpRuleError, SecretString, TimeValue};

use crate::memory;
use crate::raw::RawValue;

/// A type that a setting can have.
pub trait SettingValue: Sized {
    /// The type in words, for errors and documentation.
    const KIND: &'static str;
    /// Whether a YAML list is a value.
    const IS_LIST: bool = false;

    /// Reads a value. The error says what is expected, without key and value.
    fn parse(value: &RawValue) -> Result<Self, String>;

    /// Returns the value of a setting that is not set and has no default.
    fn absent() -> Option<Self> {
        None
    }

    /// Returns the number that bounds apply to.
    fn magnitude(&self) -> Option<i128> {
        None
    }

    /// Returns a bound as the user would write it.
    fn show_magnitude(bound: i64) -> String {
        bound.to_string()
    }
}

/// Returns the one text of a value that is no list.
pub(crate) fn text(value: &RawValue) -> Result<&str, String> {
    match value {
        RawValue::Text(text) => Ok(text),
        RawValue::List(items) if items.len() == 1 => Ok(&items[0]),
        RawValue::List(_) => Err("expected one value, found a list".to_owned()),
    }
}

impl SettingValue for bool {
    const KIND: &'static str = "boolean";

    fn parse(value: &RawValue) -> Result<Self, String> {
        match text(value)? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            )),
        }
    }
}

impl SettingValue for String {
    const KIND: &'static str = "text";

    fn parse(value: &RawValue) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

impl SettingValue for i64 {
    const KIND: &'static str = "integer";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?;
        text.trim()
            .parse()
            .map_err(|_| "expected an integer".to_owned())
    }

    fn magnitude(&self) -> Option<i128> {
        Some(i128::from(*self))
    }
}

impl SettingValue for usize {
    const KIND: &'static str = "integer";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?;
        text.trim()
            .parse()
            .map_err(|_| "expected an integer of 0 or more".to_owned())
    }

    fn magnitude(&self) -> Option<i128> {
        i128::try_from(*self).ok()
    }
}

impl SettingValue for f64 {
    const KIND: &'static str = "number";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let number: Option<Self> = text(value)?.trim().parse().ok();
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| "expected a number".to_owned())
    }

    /// The whole number at or below it, which is what bounds are about.
    fn magnitude(&self) -> Option<i128> {
        Some(self.floor() as i128)
    }
}

impl SettingValue for Vec<IpRule> {
    const KIND: &'static str = "list of IP addresses, networks, names of hosts or `_all`";
    const IS_LIST: bool = true;

    fn parse(value: &RawValue) -> Result<Self, String> {
        let items = <Vec<String> as SettingValue>::parse(value)?;
        let rules = items.iter().map(|item| item.parse());
        rules
            .collect::<Result<_, IpRuleError>>()
            .map_err(|error| error.to_string())
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl SettingValue for TimeValue {
    const KIND: &'static str = "time value";

    fn parse(value: &RawValue) -> Result<Self, String> {
        text(value)?
            .parse()
            .map_err(|_| format!("as a time value: {UNIT_MISSING} (d, h, m, s, ms, micros, nanos)"))
    }

    /// Milliseconds; -1 for "never".
    fn magnitude(&self) -> Option<i128> {
        Some(self.duration().map_or(-1, |duration| {
            i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
        }))
    }

    fn show_magnitude(bound: i64) -> String {
        u64::try_from(bound).map_or_else(
            |_| bound.to_string(),
            |millis| Self::from_millis(millis).to_string(),
        )
    }
}

impl SettingValue for ByteSizeValue {
    const KIND: &'static str = "size in bytes";

    fn parse(value: &RawValue) -> Result<Self, String> {
        text(value)?
            .parse()
            .map_err(|_| format!("as a size in bytes: {UNIT_MISSING} (b, kb, mb, gb, tb, pb)"))
    }

    fn magnitude(&self) -> Option<i128> {
        Some(i128::from(self.bytes()))
    }

    fn show_magnitude(bound: i64) -> String {
        Self::from_bytes(u64::try_from(bound).unwrap_or(0)).to_string()
    }
}

impl SettingValue for PathBuf {
    const KIND: &'static str = "path";

    fn parse(value: &RawValue) -> Result<Self, String> {
        match text(value)? {
            "" => Err("expected a path".to_owned()),
            path => Ok(Self::from(path)),
        }
    }
}

impl SettingValue for SecretString {
    const KIND: &'static str = "secret text";

    fn parse(value: &RawValue) -> Result<Self, String> {
        text(value).map(Self::from)
    }
}

/// "Not set" is a value; so is the empty text. Source: Elasticsearch reference, "Security settings in Elasticsearch".
impl<T: SettingValue> SettingValue for Option<T> {
    const KIND: &'static str = T::KIND;
    const IS_LIST: bool = T::IS_LIST;

    fn parse(value: &RawValue) -> Result<Self, String> {
        match value {
            RawValue::Text(text) if text.is_empty() => Ok(None),
            _ => T::parse(value).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn magnitude(&self) -> Option<i128> {
        self.as_ref().and_then(T::magnitude)
    }

    fn show_magnitude(bound: i64) -> String {
        T::show_magnitude(bound)
    }
}

impl SettingValue for Vec<String> {
    const KIND: &'static str = "list of texts";
    const IS_LIST: bool = true;

    fn parse(value: &RawValue) -> Result<Self, String> {
        let items = value.items();
        if items.iter().any(|item| item.trim().is_empty()) {
            return Err("the list has an empty item".to_owned());
        }
        Ok(items)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Patterns of names. An empty one is for what has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(pub Vec<String>);

impl SettingValue for Patterns {
    const KIND: &'static str = "list of patterns";
    const IS_LIST: bool = true;

    fn parse(value: &RawValue) -> Result<Self, String> {
        Ok(Self(value.items()))
    }
}

/// What is done when a queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Go on, and count what is lost.
    Count,
    /// Take nothing that would put more into it.
    Refuse,
}

impl SettingValue for WhenFull {
    const KIND: &'static str = "`count` or `refuse`";

    fn parse(value: &RawValue) -> Result<Self, String> {
        match text(value)? {
            "count" => Ok(Self::Count),
            "refuse" => Ok(Self::Refuse),
            _ => Err("expected [count] or [refuse]".to_owned()),
        }
    }
}

/// A TCP port, or a range of which the first free port is taken. 0 lets the system choose.
/// Source: Elasticsearch reference, "Networking".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    pub first: u16,
    /// Not below `first`.
    pub last: u16,
}

impl PortRange {
    /// Returns the ports in the order they are tried.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }
}

impl SettingValue for PortRange {
    const KIND: &'static str = "port or range of ports";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?;
        let port = |text: &str| {
            text.trim().parse::<u16>().map_err(|_| {
                "expected a port from 0 to 65535 or a range such as 9200-9300".to_owned()
            })
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if first > last {
            return Err("the range ends before it starts".to_owned());
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Memory in bytes, given as a size or as a share of the memory that the node may use (`10%`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize {
    bytes: u64,
    is_share: bool,
}

impl MemorySize {
    /// Returns the size in bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Returns a share of so much memory, but at least [`SHARE_MIN`].
    fn share(percent: f64, memory: u64) -> Self {
        let bytes = (memory as f64 * percent / 100.0) as u64;
        Self {
            bytes: bytes.max(SHARE_MIN),
            is_share: true,
        }
    }
}

/// A port that others are told; none is told where it is -1 or not set, and others dial the one that is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublishPort(pub Option<u16>);

impl SettingValue for PublishPort {
    const KIND: &'static str = "port";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?;
        match text.trim().parse::<i64>() {
            Ok(-1) => Ok(Self(None)),
            Ok(port @ 1..=65535) => Ok(Self(u16::try_from(port).ok())),
            _ => Err("expected a port from 1 to 65535, or -1 for the one that is bound".to_owned()),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self(None))
    }
}

impl SettingValue for MemorySize {
    const KIND: &'static str = "size in bytes or percentage of memory";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let Some(percent) = text(value)?.trim().strip_suffix('%') else {
            let bytes = ByteSizeValue::parse(value)?.bytes();
            let is_share = false;
            return Ok(Self { bytes, is_share });
        };
        let percent = percent.trim().parse::<f64>().ok();
        let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
        let percent = percent.ok_or_else(|| {
            "expected a percentage of the memory, above 0% and up to 100%, or a size such as 256mb"
                .to_owned()
        })?;
        Ok(Self::share(percent, memory::available()))
    }

    /// The operator bounds a share by its percentage, not in bytes: it must be valid on every machine.
    fn magnitude(&self) -> Option<i128> {
        (!self.is_share).then_some(i128::from(self.bytes))
    }

    fn show_magnitude(bound: i64) -> String {
        ByteSizeValue::show_magnitude(bound)
    }
}

/// The least memory that a share comes to, with which a node still works: 16 MiB.
const SHARE_MIN: u64 = 16 << 20;

/// Defines an enumeration of texts that is the type of a setting.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $($variants:tt)+) => {
        choice_of_texts! { $(#[$doc])* $name, $($variants)+ }

        impl SettingValue for $name {
            const KIND: &'static str = $kind;

            fn parse(value: &RawValue) -> Result<Self, String> {
                text(value)?.parse()
            }
        }
    };
}

/// Defines an enumeration of texts with its parser.
macro_rules! choice_of_texts {
    ($(#[$doc:meta])* $name:ident, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the text that stands for the value in elasticsearch.yml.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let lower = text.trim().to_ascii_lowercase();
                Self::ALL
                    .iter()
                    .copied()
                    .find(|choice| choice.as_str().eq_ignore_ascii_case(&lower))
                    .ok_or_else(|| {
                        let known = Self::ALL.iter().map(|choice| choice.as_str());
                        format!("expected one of {}", known.collect::<Vec<_>>().join(", "))
                    })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// How far a peer's certificate is checked. Source: Elasticsearch reference, "Security settings in Elasticsearch"
    /// (`verification_mode`).
    VerificationMode, "one of full, certificate, none",
    Full = "full",
    Certificate = "certificate",
    None = "none",
}

choice! {
    /// Whether an accepting side asks for a certificate. Source: Elasticsearch reference, "Security settings in
    /// Elasticsearch" (`client_authentication`).
    ClientAuthentication, "one of required, optional, none",
    Required = "required",
    Optional = "optional",
    None = "none",
}

choice_of_texts! {
    /// Format of a file with keys or certificates. Source: Elasticsearch reference, "Security settings in
    /// Elasticsearch" (`keystore.type`).
    StoreType,
    Pkcs12 = "PKCS12",
    Jks = "jks",
}

impl SettingValue for StoreType {
    const KIND: &'static str = "one of PKCS12, jks";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let text = text(value)?;
        if text.trim().eq_ignore_ascii_case("PKCS11") {
            return Err(
                "keys on a hardware token (PKCS11) are not supported; name a PKCS#12 or PEM file instead"
                    .to_owned(),
            );
        }
        text.parse()
    }
}

choice! {
    /// How a node finds others. Source: Elasticsearch reference, "Discovery and cluster formation settings".
    DiscoveryType, "one of multi-node, single-node",
    MultiNode = "multi-node",
    /// Elects itself and ignores others.
    SingleNode = "single-node",
}

choice! {
    /// What a node does in the cluster. Source: Elasticsearch reference, "Node".
    NodeRole, "node role",
    Master = "master",
    Data = "data",
    DataContent = "data_content",
    DataHot = "data_hot",
    DataWarm = "data_warm",
    DataCold = "data_cold",
    DataFrozen = "data_frozen",
    Ingest = "ingest",
    Ml = "ml",
    RemoteClusterClient = "remote_cluster_client",
    Transform = "transform",
    VotingOnly = "voting_only",
}

/// The roles of a node, each once, in the order of [`NodeRole::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRoles(Vec<NodeRole>);

impl NodeRoles {
    /// Returns whether the node has the role.
    pub fn has(&self, role: NodeRole) -> bool {
        self.0.contains(&role)
    }

    /// Returns whether the node may be elected master or vote.
    pub fn is_master_eligible(&self) -> bool {
        self.has(NodeRole::Master)
    }

    /// Returns whether the node holds shards: it has `data` or a data tier.
    pub fn holds_data(&self) -> bool {
        self.0.iter().any(|role| role.as_str().starts_with("data"))
    }

    /// Returns the roles.
    pub fn iter(&self) -> impl Iterator<Item = NodeRole> {
        self.0.iter().copied()
    }
}

impl SettingValue for NodeRoles {
    const KIND: &'static str = "list of node roles";
    const IS_LIST: bool = true;

    fn parse(value: &RawValue) -> Result<Self, String> {
        let mut roles = Vec::new();
        for item in value.items() {
            let role = item
                .parse::<NodeRole>()
                .map_err(|expected| format!("unknown role [{item}]; {expected}"))?;
            roles.push(role);
        }
        roles.sort_unstable();
        roles.dedup();
        let roles = Self(roles);
        if roles.has(NodeRole::VotingOnly) && !roles.is_master_eligible() {
            return Err(
                "voting-only node must be master-eligible: add the role [master]".to_owned(),
            );
        }
        Ok(roles)
    }
}

const UNIT_MISSING: &str = "unit is missing or unrecognized";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_size_or_a_share() {
        let parse = |text: &str| MemorySize::parse(&RawValue::Text(text.to_owned()));
        assert_eq!(parse("20mb").unwrap().bytes(), 20 << 20);
        let share = parse("20%").unwrap().bytes();
        assert_eq!(share, MemorySize::share(20.0, memory::available()).bytes());
        assert_eq!(parse("12.5 %").map(|size| size.is_share), Ok(true));
        assert_eq!(MemorySize::share(10.0, 10 << 30).bytes(), 1 << 30);
        // A small machine gets what a node needs.
        assert_eq!(MemorySize::share(0.1, 1 << 30).bytes(), SHARE_MIN);
        for text in ["0%", "-1%", "101%", "%", "x%", "NaN%", "inf%"] {
            assert!(parse(text).unwrap_err().contains("above 0%"), "{text}");
        }
        assert!(parse("20").unwrap_err().contains("unit is missing"));
    }

    fn parse<T: SettingValue>(text: &str) -> Result<T, String> {
        T::parse(&RawValue::Text(text.into()))
    }

    #[test]
    fn booleans_are_strict() {
        assert_eq!(parse::<bool>("true"), Ok(true));
        for wrong in ["yes", "1", "True", "", "on"] {
            let error = parse::<bool>(wrong).unwrap_err();
            assert!(error.contains("as only [true] or [false] are allowed."));
        }
    }

    #[test]
    fn times_and_sizes_need_units() {
        assert_eq!(parse::<TimeValue>("5s"), Ok(TimeValue::from_secs(5)));
        assert!(parse::<TimeValue>("5").unwrap_err().contains(UNIT_MISSING));
        assert!(
            parse::<ByteSizeValue>("5")
                .unwrap_err()
                .contains(UNIT_MISSING)
        );
    }

    #[test]
    fn lists_have_three_forms_and_no_empty_items() {
        assert_eq!(
            parse::<Vec<String>>("a, b"),
            Ok(vec!["a".into(), "b".into()])
        );
        assert_eq!(parse::<Vec<String>>(""), Ok(Vec::new()));
        assert_eq!(
            Vec::<String>::parse(&RawValue::List(Vec::new())),
            Ok(Vec::new())
        );
        assert!(parse::<Vec<String>>("a,,b").is_err());
        assert!(String::parse(&RawValue::List(vec!["a".into(), "b".into()])).is_err());
    }

    #[test]
    fn ports() {
        let range = parse::<PortRange>("9200-9300").unwrap();
        assert_eq!(
            (range.first, range.last, range.ports().count()),
            (9200, 9300, 101)
        );
        assert_eq!(parse::<PortRange>("0").unwrap().to_string(), "0");
        for wrong in ["", "http", "9300-9200", "70000", "1-2-3", "-1"] {
            assert!(parse::<PortRange>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles() {
        let roles = parse::<NodeRoles>("master, data_hot, master").unwrap();
        assert_eq!(
            roles.iter().collect::<Vec<_>>(),
            [NodeRole::Master, NodeRole::DataHot]
        );
        assert!(roles.holds_data());
        assert_eq!(parse::<NodeRoles>("").unwrap().iter().count(), 0);
        let unknown = parse::<NodeRoles>("client").unwrap_err();
        assert!(unknown.starts_with("unknown role [client]"));
        assert!(parse::<NodeRoles>("voting_only").is_err());
    }

    #[test]
    fn choices_ignore_case_and_name_the_legal_values() {
        assert_eq!(parse("FULL"), Ok(VerificationMode::Full));
        assert_eq!(parse("pkcs12"), Ok(StoreType::Pkcs12));
        assert_eq!(
            parse::<VerificationMode>("strict"),
            Err("expected one of full, certificate, none".into())
        );
    }

    #[test]
    fn an_empty_text_is_not_set() {
        assert_eq!(parse::<Option<PathBuf>>(""), Ok(None));
        assert_eq!(parse::<Option<PathBuf>>("a"), Ok(Some("a".into())));
    }
}
