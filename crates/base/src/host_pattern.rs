//! Names of hosts, with `*` for any run of characters. Source: Elasticsearch reference, "Restricting connections with
//! IP filtering".

use std::fmt;

use crate::glob::{self, Syntax};

/// A pattern such as `*.example.com` or `es01.example.com`; letters of either case are the same.
///
/// Its last label is whole, because it is what the owner of the names is told by: `es*` would be met by a host
/// of whoever owns any domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads a pattern. The error says what is expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let pattern = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let mut labels = pattern.split('.');
        let are_labels = labels.clone().all(|label| {
            let of_names = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '*';
            !label.is_empty() && label.chars().all(of_names)
        });
        let last = labels.next_back().unwrap_or_default();
        if !are_labels || last.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(NO_PATTERN);
        }
        if last.contains('*') {
            return Err(OPEN_END);
        }
        Ok(Self(pattern))
    }

    /// Returns whether a name, in lower case and without a dot at its end, is meant.
    pub fn matches(&self, name: &str) -> bool {
        glob::matches(&self.0, name, Syntax::Star)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a name that a reverse lookup gave as patterns are compared with; `None` for what is no name of a host,
/// above all for a number: a resolver would take it for the address that it writes, and so confirm it.
pub fn normalized(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let of_names = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let are_labels = name
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(of_names));
    let last = name.rsplit('.').next().unwrap_or_default();
    (are_labels && !last.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

const NO_PATTERN: &str = "it is neither an IP address, nor a network such as [10.0.0.0/8], nor the name of a host \
     such as [es01.example.com] or [*.example.com], nor [_all]";
const OPEN_END: &str = "anybody's host could have such a name: end the pattern with a domain that you own, such as \
     [es*.example.com], or write [_all]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run() {
        for (pattern, meant, not) in [
            ("*.Example.com", "es01.example.com", "example.com"),
            (
                "*.example.com.",
                "a.b.example.com",
                "es01.example.com.evil.net",
            ),
            ("es*.example.com", "es.example.com", "s1.example.com"),
            (
                "es*-*.dc*.example.com",
                "es1-b.dc2.example.com",
                "es1.dc2.example.com",
            ),
            ("es01.example.com", "es01.example.com", "es01.example.comm"),
            ("localhost", "localhost", "localhost.example.com"),
            ("a*a.example", "aa.example", "a.example"),
        ] {
            let pattern = HostPattern::parse(pattern).unwrap();
            assert!(pattern.matches(meant), "{pattern} {meant}");
            assert!(!pattern.matches(not), "{pattern} {not}");
        }
    }

    #[test]
    fn what_cannot_be_told_from_a_mistake_is_refused() {
        for wrong in [
            "",
            "10.0.0.300",
            "10.0.0/8",
            "_al",
            "a..b",
            "a b",
            "fe80::1",
            "es01:9300",
            "0x7f.1",
        ] {
            assert_eq!(HostPattern::parse(wrong), Err(NO_PATTERN), "{wrong}");
        }
        for open in ["*", "es*", "example.*", "*.c*m"] {
            assert_eq!(HostPattern::parse(open), Err(OPEN_END), "{open}");
        }
    }

    #[test]
    fn numbers_are_no_names() {
        assert_eq!(
            normalized("ES01.example.com.").as_deref(),
            Some("es01.example.com")
        );
        for wrong in [
            "",
            "192.0.2.1",
            "0300.0.2.1",
            "3221225985",
            "0xc0000201",
            "fe80::1%lo",
            "a..b",
            "a b",
        ] {
            assert_eq!(normalized(wrong), None, "{wrong}");
        }
    }
}
