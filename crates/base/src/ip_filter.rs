//! Who may connect, by address or by name. Source: Elasticsearch reference, "Restricting connections with IP
//! filtering".

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use crate::host_pattern::HostPattern;

/// One rule: an address, a network in CIDR notation, the name of a host, or `_all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IpRule {
    /// `_all`.
    All,
    /// The addresses whose first `bits` bits are those of `network`.
    Network { network: IpAddr, bits: u8 },
    /// The addresses of hosts with such a name.
    Host(HostPattern),
}

/// The text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{rule}] is no rule: {reason}")]
pub struct IpRuleError {
    pub rule: String,
    pub reason: &'static str,
}

impl IpRule {
    /// Returns whether the rule is about an address, whose name is given if it is known. An IPv4 address in IPv6
    /// form counts as IPv4.
    pub fn matches(&self, address: IpAddr, name: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Host(pattern) => name.is_some_and(|name| pattern.matches(name)),
            Self::Network { network, bits } => {
                let (network, width) = octets(*network);
                let (address, other_width) = octets(address.to_canonical());
                let shift = width - u32::from(*bits);
                width == other_width
                    && network.checked_shr(shift).unwrap_or(0)
                        == address.checked_shr(shift).unwrap_or(0)
            }
        }
    }

    /// Returns the network of an address or of CIDR notation.
    fn network(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let (_, width) = octets(network);
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        let bits = u8::try_from(bits).ok().filter(|_| bits <= width)?;
        Some(Self::Network { network, bits })
    }
}

impl FromStr for IpRule {
    type Err = IpRuleError;

    fn from_str(text: &str) -> Result<Self, IpRuleError> {
        if text == "_all" {
            return Ok(Self::All);
        }
        if let Some(network) = Self::network(text) {
            return Ok(network);
        }
        HostPattern::parse(text)
            .map(Self::Host)
            .map_err(|reason| IpRuleError {
                rule: text.to_owned(),
                reason,
            })
    }
}

impl fmt::Display for IpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("_all"),
            Self::Network { network, bits } => write!(f, "{network}/{bits}"),
            Self::Host(pattern) => write!(f, "{pattern}"),
        }
    }
}

/// Allow rules before deny rules, the first that matches decides, and who matches none is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpFilter {
    /// The node's own bound addresses, let in whatever the rules say.
    pub own: Vec<IpAddr>,
    pub allow: Vec<IpRule>,
    pub deny: Vec<IpRule>,
    /// The key that `deny` was read from, for who is to change it.
    pub deny_setting: String,
}

/// The rule that keeps an address out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub rule: IpRule,
    /// The key of the list with the rule.
    pub setting: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the rule [{}] of [{}] is about it",
            self.rule, self.setting
        )
    }
}

/// What the rules say of an address whose name is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    LetIn,
    Denied(Denied),
    /// It depends on the name.
    ByName,
}

impl IpFilter {
    /// Decides by the address alone where that is enough.
    pub fn decide(&self, address: IpAddr) -> Decision {
        let has_names = |rules: &[IpRule]| rules.iter().any(|rule| matches!(rule, IpRule::Host(_)));
        match self.denied_by(address, None) {
            Some(_) if has_names(&self.allow) => Decision::ByName,
            Some(denied) => Decision::Denied(denied),
            None if has_names(&self.deny) && !self.allows(address, None) => Decision::ByName,
            None => Decision::LetIn,
        }
    }

    /// Returns the rule that keeps an address out, if one does. Without a name, rules about names match nothing.
    pub fn denied_by(&self, address: IpAddr, name: Option<&str>) -> Option<Denied> {
        if self.allows(address, name) {
            return None;
        }
        let rule = self.deny.iter().find(|rule| rule.matches(address, name))?;
        Some(Denied {
            rule: rule.clone(),
            setting: self.deny_setting.clone(),
        })
    }

    fn allows(&self, address: IpAddr, name: Option<&str>) -> bool {
        let address = address.to_canonical();
        self.own.iter().any(|own| own.to_canonical() == address)
            || self.allow.iter().any(|rule| rule.matches(address, name))
    }

    /// Returns what lets in an address that is not denied, in Elasticsearch's words.
    fn allowed_by(&self, address: IpAddr, name: Option<&str>) -> String {
        let address = address.to_canonical();
        if self.own.iter().any(|own| own.to_canonical() == address) {
            return format!("allow {address}");
        }
        match self.allow.iter().find(|rule| rule.matches(address, name)) {
            Some(rule) => format!("allow {rule}"),
            None => "allow default:accept_all".to_owned(),
        }
    }
}

/// Who is told whom a filter lets in.
pub trait FilterWatch: fmt::Debug + Send + Sync {
    /// Is told what has been decided about a peer of a listener, and by which rule. Must not wait.
    fn decided(&self, profile: &str, peer: SocketAddr, is_let_in: bool, rule: &str);
}

/// Tells the names of addresses.
pub trait ReverseNames: fmt::Debug + Send + Sync {
    /// Returns the name of an address as [`normalized`](crate::host_pattern::normalized) writes it; `None` where there
    /// is none, where the name does not resolve to the address in turn, or where it takes too long.
    fn confirmed_name(&self, address: IpAddr) -> NameFuture<'_>;
}

/// What a lookup comes to.
pub type NameFuture<'a> = Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>>;

/// A filter that many read and that may be replaced while they do.
#[derive(Debug, Clone, Default)]
pub struct SharedIpFilter {
    rules: Arc<RwLock<IpFilter>>,
    /// Without it, rules about names match nothing.
    names: Option<Arc<dyn ReverseNames>>,
    watch: Arc<OnceLock<Watch>>,
}

#[derive(Debug)]
struct Watch {
    profile: String,
    watcher: Arc<dyn FilterWatch>,
}

impl SharedIpFilter {
    /// Returns a filter that asks for the names of addresses there.
    pub fn with_names(names: Arc<dyn ReverseNames>) -> Self {
        Self {
            names: Some(names),
            ..Self::default()
        }
    }

    /// Sets who is told of every decision from now on, of this filter and its clones. There is one watcher.
    pub fn watch(&self, profile: &str, watcher: Arc<dyn FilterWatch>) {
        let watch = Watch {
            profile: profile.to_owned(),
            watcher,
        };
        let taken = self.watch.set(watch).is_err();
        debug_assert!(!taken, "two watchers of one filter");
    }

    /// Decides by the address alone where that is enough. Does not wait.
    pub fn decide(&self, peer: SocketAddr) -> Decision {
        let rules = self.read();
        let decision = rules.decide(peer.ip());
        match &decision {
            Decision::LetIn => self.tell(&rules, peer, None, None),
            Decision::Denied(denied) => self.tell(&rules, peer, None, Some(denied)),
            Decision::ByName => {}
        }
        decision
    }

    /// Returns the rule that keeps the peer out, if one does. Waits for its name: not for accept loops.
    pub async fn denied_by_name(&self, peer: SocketAddr) -> Option<Denied> {
        let address = peer.ip();
        let name = match &self.names {
            Some(names) => names.confirmed_name(address.to_canonical()).await,
            None => None,
        };
        let rules = self.read();
        let denied = rules.denied_by(address, name.as_deref());
        self.tell(&rules, peer, name.as_deref(), denied.as_ref());
        denied
    }

    fn tell(
        &self,
        rules: &IpFilter,
        peer: SocketAddr,
        name: Option<&str>,
        denied: Option<&Denied>,
    ) {
        let Some(Watch { profile, watcher }) = self.watch.get() else {
            return;
        };
        let rule = match denied {
            Some(denied) => format!("deny {}", denied.rule),
            None => rules.allowed_by(peer.ip(), name),
        };
        watcher.decided(profile, peer, denied.is_none(), &rule);
    }

    /// Returns whether no rule keeps anybody out.
    pub fn is_open(&self) -> bool {
        self.read().deny.is_empty()
    }

    /// Replaces the rules; who is connected already stays, as with Elasticsearch.
    pub fn set(&self, filter: IpFilter) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    fn read(&self) -> RwLockReadGuard<'_, IpFilter> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<IpFilter> for SharedIpFilter {
    fn from(filter: IpFilter) -> Self {
        Self {
            rules: Arc::new(RwLock::new(filter)),
            ..Self::default()
        }
    }
}

/// Returns the address as a number and its width in bits.
fn octets(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<IpRule> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn filter(allow: &[&str], deny: &[&str]) -> IpFilter {
        IpFilter {
            allow: rules(allow),
            deny: rules(deny),
            ..IpFilter::default()
        }
    }

    fn is_denied(filter: &IpFilter, address: &str) -> bool {
        filter.denied_by(address.parse().unwrap(), None).is_some()
    }

    #[test]
    fn rules_match_addresses_and_networks() {
        for (rule, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("10.1.2.3/0", "200.1.1.1", "::1"),
            ("192.168.1.128/25", "::ffff:192.168.1.200", "192.168.1.1"),
            ("2001:db8::/32", "2001:db8:1::5", "2001:db9::"),
            ("::/0", "fe80::1", "127.0.0.1"),
            ("[::1]", "::1", "::2"),
        ] {
            let parsed: IpRule = rule.parse().unwrap();
            assert!(
                parsed.matches(inside.parse().unwrap(), None),
                "{rule} {inside}"
            );
            assert!(
                !parsed.matches(outside.parse().unwrap(), None),
                "{rule} {outside}"
            );
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/-1",
            "_al",
            "*",
        ] {
            assert!(bad.parse::<IpRule>().is_err(), "{bad}");
        }
    }

    #[test]
    fn allow_comes_before_deny_and_silence_lets_in() {
        assert!(!is_denied(&filter(&["10.0.0.1"], &[]), "10.0.0.2"));
        let strict = filter(&["10.0.0.1"], &["_all"]);
        assert!(!is_denied(&strict, "10.0.0.1"));
        assert!(is_denied(&strict, "10.0.0.2"));
        let both = filter(&["10.0.0.1"], &["10.0.0.0/24"]);
        assert!(!is_denied(&both, "10.0.0.1"));
        assert!(is_denied(&both, "10.0.0.9"));
        assert!(!is_denied(&both, "10.0.1.9"));
    }

    #[test]
    fn the_nodes_own_addresses_are_let_in() {
        let mut filter = filter(&[], &["_all"]);
        filter.own = vec!["10.0.0.5".parse().unwrap()];
        assert!(!is_denied(&filter, "::ffff:10.0.0.5"));
        assert!(is_denied(&filter, "10.0.0.6"));
    }

    #[test]
    fn a_name_is_asked_for_only_where_it_matters() {
        let at = |filter: &IpFilter, address: &str| filter.decide(address.parse().unwrap());
        let named = |filter: &IpFilter, name| filter.denied_by("192.0.2.1".parse().unwrap(), name);
        let allow = filter(&["10.0.0.1", "*.example.com"], &["_all"]);
        assert_eq!(at(&allow, "10.0.0.1"), Decision::LetIn);
        assert_eq!(at(&allow, "192.0.2.1"), Decision::ByName);
        assert_eq!(named(&allow, Some("es01.example.com")), None);
        assert!(named(&allow, Some("es01.example.net")).is_some());
        assert!(named(&allow, None).is_some(), "no name matches no rule");

        let deny = filter(&["10.0.0.1"], &["10.0.0.0/8", "*.example.com"]);
        assert_eq!(at(&deny, "10.0.0.1"), Decision::LetIn);
        assert!(matches!(at(&deny, "10.0.0.2"), Decision::Denied(_)));
        assert_eq!(at(&deny, "192.0.2.1"), Decision::ByName);
        assert!(named(&deny, Some("es01.example.com")).is_some());
        assert_eq!(named(&deny, None), None);

        let open = filter(&["*.example.com"], &[]);
        assert_eq!(at(&open, "192.0.2.1"), Decision::LetIn);
    }
}
