//! Which addresses may connect. Source: node.md section 9.3.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

/// One rule: an address, a network in CIDR notation, or `_all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpRule {
    /// `_all`.
    All,
    /// The addresses whose first `bits` bits are those of `network`.
    Network { network: IpAddr, bits: u8 },
}

/// The text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "[{rule}] is neither an IP address, nor a network such as [10.0.0.0/8], nor [_all]; \
     host names are not taken, because who answers reverse lookups would decide who connects"
)]
pub struct IpRuleError {
    pub rule: String,
}

impl IpRule {
    /// Returns whether the rule is about the address. An IPv4 address in IPv6 form counts as IPv4.
    pub fn matches(&self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
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
}

impl FromStr for IpRule {
    type Err = IpRuleError;

    fn from_str(text: &str) -> Result<Self, IpRuleError> {
        let bad = || IpRuleError {
            rule: text.to_owned(),
        };
        if text == "_all" {
            return Ok(Self::All);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.trim_matches(['[', ']']);
        let network: IpAddr = address.parse().map_err(|_| bad())?;
        let (_, width) = octets(network);
        let bits = match bits {
            None => width,
            Some(bits) => bits.parse().map_err(|_| bad())?,
        };
        match u8::try_from(bits) {
            Ok(bits) if u32::from(bits) <= width => Ok(Self::Network { network, bits }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for IpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("_all"),
            Self::Network { network, bits } => write!(f, "{network}/{bits}"),
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
}

impl IpFilter {
    /// Returns the rule that keeps the address out, if one does.
    pub fn denied_by(&self, address: IpAddr) -> Option<IpRule> {
        let address = address.to_canonical();
        let let_in = self.own.iter().any(|own| own.to_canonical() == address)
            || self.allow.iter().any(|rule| rule.matches(address));
        match let_in {
            true => None,
            false => self.deny.iter().find(|rule| rule.matches(address)).copied(),
        }
    }
}

/// A filter that many read and that may be replaced while they do.
#[derive(Debug, Clone, Default)]
pub struct SharedIpFilter(Arc<RwLock<IpFilter>>);

impl SharedIpFilter {
    /// Returns the rule that keeps the address out, if one does.
    pub fn denied_by(&self, address: IpAddr) -> Option<IpRule> {
        let filter = self.0.read().unwrap_or_else(PoisonError::into_inner);
        filter.denied_by(address)
    }

    /// Replaces the rules; who is connected already stays, as with Elasticsearch.
    pub fn set(&self, filter: IpFilter) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }
}

impl From<IpFilter> for SharedIpFilter {
    fn from(filter: IpFilter) -> Self {
        Self(Arc::new(RwLock::new(filter)))
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
            own: Vec::new(),
            allow: rules(allow),
            deny: rules(deny),
        }
    }

    fn is_denied(filter: &IpFilter, address: &str) -> bool {
        filter.denied_by(address.parse().unwrap()).is_some()
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
            assert!(parsed.matches(inside.parse().unwrap()), "{rule} {inside}");
            assert!(
                !parsed.matches(outside.parse().unwrap()),
                "{rule} {outside}"
            );
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        for bad in [
            "",
            "es01.example",
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
        assert_eq!(
            filter.denied_by("10.0.0.6".parse().unwrap()),
            Some(IpRule::All)
        );
    }
}
