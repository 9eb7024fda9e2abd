//! Enrolment tokens: what a new node or console needs to find a cluster, trust it and be let in.
//! Source: Elasticsearch reference, "elasticsearch-create-enrollment-token" and "Enroll node API".

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use base64::engine::{DecodePaddingMode, Engine as _};
use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The content of an enrolment token. It is good for half an hour, as its API key is.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrollmentToken {
    /// Of the node that made it.
    pub version: String,
    /// `host:port` of HTTP, the best first.
    pub addresses: Vec<String>,
    /// SHA-256 of the HTTP CA's certificate, 64 lower-case hex digits.
    pub fingerprint: String,
    /// `id:secret` of an API key that may do nothing but enrol.
    pub api_key: SecretString,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    ver: String,
    adr: Vec<String>,
    fgr: String,
    key: String,
}

impl Drop for Written {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl EnrollmentToken {
    /// Returns the token as it is handed over.
    pub fn encode(&self) -> SecretString {
        let written = Written {
            ver: self.version.clone(),
            adr: self.addresses.clone(),
            fgr: self.fingerprint.clone(),
            key: self.api_key.expose().to_owned(),
        };
        let json = Zeroizing::new(serde_json::to_vec(&written).expect("strings become JSON"));
        URL_SAFE.encode(&*json).into()
    }

    /// Reads a token. Errors: why it is none; nothing of it is quoted.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err("it is longer than any token");
        }
        let standard = Zeroizing::new(text.replace('-', "+").replace('_', "/"));
        let json = LENIENT.decode(standard.as_bytes()).map(Zeroizing::new);
        let json = json.map_err(|_| "it is not base64; was it copied whole?")?;
        let mut written: Written = serde_json::from_slice(&json)
            .map_err(|_| "it does not hold exactly the fields ver, adr, fgr and key")?;
        let is_digest =
            written.fgr.len() == 64 && written.fgr.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_digest {
            return Err("its field fgr is not a SHA-256 fingerprint");
        }
        if !written.key.contains(':') {
            return Err("its field key is not an API key");
        }
        if written.adr.is_empty() || !written.adr.iter().all(|address| is_address(address)) {
            return Err("its field adr is not a list of addresses with ports");
        }
        Ok(Self {
            version: std::mem::take(&mut written.ver),
            addresses: std::mem::take(&mut written.adr),
            fingerprint: written.fgr.to_ascii_lowercase(),
            api_key: written.key.as_str().into(),
        })
    }
}

/// What goes into a URL: nothing but `host:port`.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(allowed) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Returns the addresses that others can use, out of those that a node is bound to or published as: no
/// wildcards; loopback only if there is nothing else; IPv4 first. Source: Elasticsearch reference,
/// "elasticsearch-create-enrollment-token" and "Enroll node API".
pub fn reachable_addresses(addresses: &[String]) -> Vec<String> {
    let mut usable: Vec<(bool, &String)> = Vec::new();
    let mut loopback: Vec<(bool, &String)> = Vec::new();
    for address in addresses {
        let parsed = address.parse::<std::net::SocketAddr>().ok();
        let is_v6 = parsed.is_some_and(|parsed| parsed.is_ipv6());
        match parsed.map(|parsed| parsed.ip()) {
            Some(ip) if ip.is_unspecified() => {}
            Some(ip) if ip.is_loopback() => loopback.push((is_v6, address)),
            _ => usable.push((is_v6, address)),
        }
    }
    let mut chosen = if usable.is_empty() { loopback } else { usable };
    chosen.sort_by_key(|(is_v6, _)| *is_v6);
    let mut addresses: Vec<String> = Vec::new();
    for (_, address) in chosen {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    addresses
}

const MAX_BYTES: usize = 64 * 1024;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn token() -> EnrollmentToken {
        EnrollmentToken {
            version: "8.17.0".to_owned(),
            addresses: vec!["10.0.0.1:9200".to_owned(), "[::1]:9200".to_owned()],
            fingerprint: "ab".repeat(32),
            api_key: "id:secret".into(),
        }
    }

    #[test]
    fn tokens_come_back_in_either_alphabet_with_or_without_padding() {
        let text = token().encode();
        let text = text.expose();
        let json = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        assert!(
            json.starts_with(r#"{"ver":"8.17.0","adr":["10.0.0.1:9200","[::1]:9200"],"fgr":"abab"#),
            "{json}"
        );
        assert!(json.ends_with(r#","key":"id:secret"}"#));
        for variant in [
            text.to_owned(),
            format!(" {text}\n"),
            text.trim_end_matches('=').to_owned(),
        ] {
            assert_eq!(EnrollmentToken::parse(&variant).unwrap(), token());
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_quoted() {
        let good: Value =
            serde_json::from_slice(&STANDARD.decode(token().encode().expose()).unwrap()).unwrap();
        let with = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            STANDARD.encode(changed.to_string())
        };
        for (text, part) in [
            (String::new(), "fields"),
            ("%%%".to_owned(), "base64"),
            ("YWJj".to_owned(), "fields"),
            (with("more", json!(1)), "fields"),
            (with("key", Value::Null), "fields"),
            (with("key", json!("secret")), "key"),
            (with("fgr", json!("ab")), "fgr"),
            (with("adr", json!([])), "adr"),
            (with("adr", json!(["host"])), "adr"),
            (with("adr", json!(["user@host/x?:9200"])), "adr"),
            ("A".repeat(100_000), "longer"),
        ] {
            let why = EnrollmentToken::parse(&text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn addresses_that_others_can_use() {
        let choose = |addresses: &[&str]| {
            let owned: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
            reachable_addresses(&owned).join(" ")
        };
        assert_eq!(
            choose(&[
                "[::]:9200",
                "[fe80::1]:9200",
                "10.0.0.1:9200",
                "10.0.0.1:9200",
                "127.0.0.1:9200"
            ]),
            "10.0.0.1:9200 [fe80::1]:9200"
        );
        assert_eq!(
            choose(&["0.0.0.0:9200", "[::1]:9200", "127.0.0.1:9200"]),
            "127.0.0.1:9200 [::1]:9200"
        );
        assert_eq!(choose(&["es-1.example:9200"]), "es-1.example:9200");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = EnrollmentToken::parse(&text);
            let _ = EnrollmentToken::parse(&STANDARD.encode(text));
        }
    }
}
