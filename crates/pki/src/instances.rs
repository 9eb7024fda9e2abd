//! The nodes that certificates are made for, and the YAML file that lists them.
//! Source: Elasticsearch reference, "elasticsearch-certutil" (`--in`).

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Deserialize;

use crate::{DistinguishedName, NodeCertParams};

/// One node, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The name as given: alias in the keystore.
    pub name: String,
    /// Name of its directory and files.
    pub filename: String,
    pub dn: DistinguishedName,
    pub ips: Vec<IpAddr>,
    pub dns: Vec<String>,
    pub common_names: Vec<String>,
}

impl Instance {
    /// Returns what its certificate is to say.
    pub fn params(&self) -> NodeCertParams {
        NodeCertParams {
            name: self.dn.clone(),
            dns: self.dns.clone(),
            ips: self.ips.clone(),
            common_names: self.common_names.clone(),
            ..NodeCertParams::default()
        }
    }
}

/// An entry of a file that is no node: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidInstance {
    pub name: String,
    pub wrong: Vec<String>,
}

/// The text is no YAML file of instances.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InstancesError(String);

/// Reads the text of a file of instances. Each entry is a node, or what is wrong with it; of two with
/// one file name the second is wrong.
///
/// ```
/// let read = ringwall_pki::instances::parse("instances:\n  - name: n1\n    ip: 192.0.2.1\n").unwrap();
/// assert_eq!(read[0].as_ref().unwrap().filename, "n1");
/// ```
pub fn parse(text: &str) -> Result<Vec<Result<Instance, InvalidInstance>>, InstancesError> {
    let file: InstancesFile = serde_saphyr::from_str(text).map_err(|error| {
        let has_list = text
            .lines()
            .any(|line| line.trim_end().starts_with("instances:"));
        InstancesError(match has_list {
            true => error.to_string(),
            false => NO_LIST.to_owned(),
        })
    })?;
    let mut filenames = HashSet::new();
    let entries = file.instances.into_iter().map(|entry| {
        let name = entry.name.clone();
        let checked = entry.details().check().and_then(|instance| {
            if filenames.insert(instance.filename.clone()) {
                return Ok(instance);
            }
            Err(vec![format!(
                "the filename [{}] is used by another instance",
                instance.filename
            )])
        });
        checked.map_err(|wrong| InvalidInstance { name, wrong })
    });
    Ok(entries.collect())
}

/// One node as given.
#[derive(Debug, Default)]
pub struct Details {
    pub name: String,
    pub filename: String,
    pub ips: Vec<String>,
    pub dns: Vec<String>,
    pub common_names: Vec<String>,
}

impl Details {
    /// Checks everything and returns the node, or all that is wrong.
    pub fn check(self) -> Result<Instance, Vec<String>> {
        let mut wrong = Vec::new();
        if self.name.is_empty() {
            wrong.push("instance name may not be null".to_owned());
        }
        // The alias of the trusted CA beside the node's key.
        if self.name.eq_ignore_ascii_case("ca") {
            wrong.push("[ca] may not be used as an instance name".to_owned());
        }
        let dn = DistinguishedName::of_instance(&self.name);
        if let Err(error) = &dn {
            wrong.push(error.to_string());
        }
        if !is_filename(&self.filename) {
            wrong.push(format!("[{}] is not a valid filename", self.filename));
        }
        let mut ips = Vec::with_capacity(self.ips.len());
        for text in &self.ips {
            match text.parse() {
                Ok(ip) => ips.push(ip),
                Err(_) => wrong.push(format!("[{text}] is not a valid IP address")),
            }
        }
        wrong.extend(self.dns.iter().filter_map(|dns| no_dns_name(dns)));
        match dn {
            Ok(dn) if wrong.is_empty() => Ok(Instance {
                name: self.name,
                filename: self.filename,
                dn,
                ips,
                dns: self.dns,
                common_names: self.common_names,
            }),
            _ => Err(wrong),
        }
    }
}

/// Returns why a text can be no DNS name of a certificate; `None` where it can.
pub fn no_dns_name(text: &str) -> Option<String> {
    let bare = text.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() {
        return Some(format!(
            "[{text}] is an IP address, which nobody looks for among DNS names; name it as an IP address"
        ));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return Some(format!(
            "[{text}] is a URL and not a valid DNS name; name its host alone, [{host}]"
        ));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        return Some(format!(
            "[{text}] is not a valid DNS name; name it without the port, [{host}]"
        ));
    }
    // Underscores are no hostname's, but some networks have them.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    let is_good = !text.is_empty() && text.len() <= DNS_MAX && text.chars().all(is_plain);
    (!is_good).then(|| format!("[{text}] is not a valid DNS name"))
}

/// Returns whether a text can be the name of a node's directory and files. Source: Elasticsearch reference,
/// "elasticsearch-certutil".
pub fn is_filename(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!@#$%^&{}[]()_+-=,.~'` ".contains(&byte);
    (1..=FILENAME_MAX).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

/// Source: Elasticsearch reference, "elasticsearch-certutil" (`--in`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstancesFile {
    instances: Vec<InstanceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceEntry {
    name: String,
    filename: Option<String>,
    #[serde(default)]
    ip: OneOrMany,
    #[serde(default)]
    dns: OneOrMany,
    #[serde(default)]
    cn: OneOrMany,
}

impl InstanceEntry {
    fn details(self) -> Details {
        Details {
            filename: self.filename.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            ips: self.ip.into_vec(),
            dns: self.dns.into_vec(),
            common_names: self.cn.into_vec(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

const NO_LIST: &str = "it has no list of instances: begin the file with a line [instances:], and below it list each \
                       node, such as [  - name: es01]";

/// Source: RFC 1035 section 2.3.4.
const DNS_MAX: usize = 253;

/// 255 bytes less the longest extension.
const FILENAME_MAX: usize = 251;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_no_client_asks_for_are_refused() {
        for (text, part) in [
            ("192.0.2.1", "IP address"),
            ("::1", "IP address"),
            ("https://es01:9200/", "host alone, [es01]"),
            ("es01:9300", "without the port, [es01]"),
            ("es 01", "not a valid"),
            ("", "not a valid"),
        ] {
            let wrong = no_dns_name(text).unwrap();
            assert!(wrong.contains(part), "{wrong}");
        }
        for text in [
            "es01",
            "*.example.org",
            "es_01.local",
            "xn--d1acufc.example",
        ] {
            assert_eq!(no_dns_name(text), None);
        }
        let error = parse("- name: es01\n").unwrap_err().to_string();
        assert!(error.contains("[instances:]"), "{error}");
    }

    #[test]
    fn filenames_follow_the_rule() {
        for good in ["node1", "cn=node5,ou=it", "a b", "x`~'"] {
            assert!(is_filename(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "a/b",
            "a\\b",
            "a:b",
            "ä",
            &"x".repeat(252),
        ] {
            assert!(!is_filename(bad), "{bad}");
        }
    }

    #[test]
    fn yaml_takes_one_or_many() {
        let read = parse(
            "instances:\n  - name: n1\n    ip: 192.0.2.1\n    dns: [a.example, '*.b']\n    cn: x\n  \
             - name: CN=n2,O=o\n    filename: two\n    ip: ['2001:db8::1']\n",
        );
        let read: Result<Vec<Instance>, _> = read.unwrap().into_iter().collect();
        let read = read.unwrap();
        assert_eq!(read[0].ips, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((read[0].dns.len(), read[0].common_names.len()), (2, 1));
        assert_eq!(
            (read[1].filename.as_str(), read[1].dn.to_string().as_str()),
            ("two", "CN=n2,O=o")
        );
    }

    #[test]
    fn yaml_is_strict() {
        for content in [
            "instances:\n  - name: a\n    port: 1\n",
            "nodes: []\n",
            "instances:\n  - ip: 1.2.3.4\n",
            "- a",
        ] {
            assert!(parse(content).is_err(), "{content}");
        }
        let read = parse(
            "instances:\n  - name: a\n    ip: x\n  - name: b\n  - name: c\n    filename: b\n",
        );
        let wrong: Vec<_> = read.unwrap().into_iter().map(Result::err).collect();
        let invalid = |name: &str, wrong: &str| {
            Some(InvalidInstance {
                name: name.to_owned(),
                wrong: vec![wrong.to_owned()],
            })
        };
        assert_eq!(
            wrong,
            [
                invalid("a", "[x] is not a valid IP address"),
                None,
                invalid("c", "the filename [b] is used by another instance"),
            ]
        );
        assert_eq!(parse("instances: []\n"), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "[ -~\n\t\u{e4}]{0,80}") {
            let _ = parse(&text);
            let _ = parse(&format!("instances:\n  - name: {text}\n"));
        }
    }
}
