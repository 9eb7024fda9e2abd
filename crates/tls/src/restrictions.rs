//! Which of the certificates that the trusted authorities vouch for are let in: `trust_restrictions`.
//! Source: Elastic's documentation of trust between deployments, `trust_restrictions.path`.

use std::path::{Path, PathBuf};

use regex::Regex;
use ringwall_base::glob::{self, Syntax};
use ringwall_pki::{CertificateInfo, SubjectAlternativeName};
use ringwall_settings::yaml::{self, Node, Value};
use rustls_pki_types::CertificateDer;

use crate::failure::FailureReason;

/// The part of a certificate that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestrictedField {
    /// Alternative names of type otherName with the object identifier of the common name.
    OtherNameCommonName,
    /// Alternative names of type dNSName.
    DnsName,
}

impl RestrictedField {
    /// Returns the field of that name in `trust_restrictions.x509_fields`.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "subjectaltname.othername.commonname" => Some(Self::OtherNameCommonName),
            "subjectaltname.dnsname" => Some(Self::DnsName),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::OtherNameCommonName => "subjectAltName.otherName.commonName",
            Self::DnsName => "subjectAltName.dnsName",
        }
    }
}

/// The names that a peer's certificate must have one of.
#[derive(Debug)]
pub(crate) struct Restrictions {
    file: PathBuf,
    fields: Vec<RestrictedField>,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    written: String,
    line: usize,
    /// `None` for a pattern of wildcards.
    regex: Option<Regex>,
}

impl Restrictions {
    /// Reads the file: `trust.subject_name`, a pattern or a list of them.
    ///
    /// Errors: what is wrong with the text, without the name of the file.
    pub(crate) fn parse(
        text: &str,
        file: &Path,
        fields: Vec<RestrictedField>,
    ) -> Result<Self, String> {
        let node = yaml::parse(text).map_err(|error| error.to_string())?;
        let mut patterns = Vec::new();
        collect("", &node, &mut patterns)?;
        if patterns.is_empty() {
            return Err("expected [trust.subject_name] with at least one pattern".to_owned());
        }
        let patterns = patterns
            .into_iter()
            .map(|(pattern, line)| Pattern::parse(pattern, line))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file: file.to_owned(),
            fields,
            patterns,
        })
    }

    /// Refuses a certificate that has none of the names.
    pub(crate) fn check(&self, leaf: &CertificateDer<'_>) -> Result<(), FailureReason> {
        let info = CertificateInfo::from_der(leaf)
            .map_err(|error| FailureReason::BadCertificate(error.to_string()))?;
        let names: Vec<String> = info
            .subject_alternative_names
            .iter()
            .filter_map(|name| match name {
                SubjectAlternativeName::CommonName(name) => self
                    .looks_at(RestrictedField::OtherNameCommonName)
                    .then(|| name.clone()),
                SubjectAlternativeName::Dns(name) => self
                    .looks_at(RestrictedField::DnsName)
                    .then(|| name.clone()),
                _ => None,
            })
            .collect();
        let is_trusted = |name: &String| self.patterns.iter().any(|pattern| pattern.matches(name));
        if names.iter().any(is_trusted) {
            return Ok(());
        }
        Err(FailureReason::Restricted {
            names,
            trusted: self.patterns(),
            file: self.file.clone(),
            fields: self.fields.iter().map(|field| field.name()).collect(),
        })
    }

    /// Returns the patterns as they are written, with their lines.
    pub(crate) fn patterns(&self) -> Vec<(String, usize)> {
        let patterns = self.patterns.iter();
        patterns
            .map(|pattern| (pattern.written.clone(), pattern.line))
            .collect()
    }

    fn looks_at(&self, field: RestrictedField) -> bool {
        self.fields.contains(&field)
    }
}

/// Gathers the patterns of `trust.subject_name`, in dotted or nested notation; refuses other keys.
fn collect(prefix: &str, node: &Node, patterns: &mut Vec<(String, usize)>) -> Result<(), String> {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let key = match prefix {
                    "" => entry.key.clone(),
                    prefix => format!("{prefix}.{}", entry.key),
                };
                if !["trust", "trust.subject_name"].contains(&key.as_str()) {
                    return Err(format!(
                        "line {}: unknown key [{key}], expected [trust.subject_name]",
                        entry.line
                    ));
                }
                collect(&key, &entry.value, patterns)?;
            }
            Ok(())
        }
        Value::Text(text) if prefix == "trust.subject_name" => {
            patterns.push((text.clone(), node.line));
            Ok(())
        }
        Value::List(items) if prefix == "trust.subject_name" => {
            for item in items {
                collect(prefix, item, patterns)?;
            }
            Ok(())
        }
        Value::Null if prefix.is_empty() => Ok(()),
        _ => Err(format!(
            "line {}: expected [trust.subject_name] with a pattern or a list of patterns",
            node.line
        )),
    }
}

impl Pattern {
    /// `*` stands for any text, `?` for one character, `\` takes the next as it is; `/regex/` is a regular
    /// expression for the whole name.
    fn parse(written: String, line: usize) -> Result<Self, String> {
        let regex = match written
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
        {
            Some(expression) => {
                let regex = Regex::new(&format!("^(?s:{expression})$")).map_err(|error| {
                    format!("the pattern [{written}] is no regular expression: {error}")
                })?;
                Some(regex)
            }
            None => None,
        };
        Ok(Self {
            written,
            line,
            regex,
        })
    }

    fn matches(&self, name: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(name),
            None => glob::matches(&self.written, name, Syntax::Wildcard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern.to_owned(), 1).unwrap().matches(name)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("node1", "node1", true),
            ("node1", "node11", false),
            ("*.ring", "a.b.ring", true),
            ("*.ring", "aring", false),
            ("node?", "node7", true),
            ("node?", "node", false),
            (r"node\*", "node*", true),
            (r"node\*", "node1", false),
            ("/node[0-9]+/", "node42", true),
            ("/node[0-9]+/", "xnode42", false),
            ("a|b", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(
            Pattern::parse("/(/".to_owned(), 1)
                .unwrap_err()
                .contains("[/(/]")
        );
    }

    #[test]
    fn both_notations_are_read_and_others_refused() {
        let fields = || vec![RestrictedField::DnsName];
        for text in [
            "trust.subject_name: a",
            "trust:\n  subject_name: [a, 'b*']",
            "trust.subject_name:\n  - a\n  - b",
        ] {
            let parsed = Restrictions::parse(text, Path::new("names.yml"), fields()).unwrap();
            assert_eq!(parsed.patterns[0].written, "a", "{text}");
        }
        for (text, reason) in [
            ("", "at least one pattern"),
            ("trust.subject_name: []", "at least one pattern"),
            ("trust.subject: a", "line 1: unknown key [trust.subject]"),
            ("trust: a", "line 1: expected"),
            ("a: [", "line"),
        ] {
            let error = Restrictions::parse(text, Path::new("names.yml"), fields()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
