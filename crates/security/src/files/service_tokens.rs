//! `service_tokens` (`namespace/service/name:hash`), and the tokens themselves.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use zeroize::Zeroizing;

use super::FileProblem;
use super::lines::Lines;
use super::rules::check_token_name;
use crate::hash::check_stored;

/// The principals that service account tokens can be for.
pub const SERVICE_ACCOUNTS: &[&str] = &[
    "elastic/fleet-server",
    "elastic/kibana",
    "elastic/enterprise-search-server",
];

/// The service account tokens of a node, by `principal/name`, hashed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceTokensFile(Lines);

impl ServiceTokensFile {
    /// Reads the text of a file. Lines with a bad name or hash are problems; they are kept and ignored.
    pub fn parse(text: &str) -> (Self, Vec<FileProblem>) {
        let (lines, problems) = Lines::parse(
            text,
            |key, hash| {
                let (principal, name) = key
                    .rsplit_once('/')
                    .ok_or_else(|| format!("[{key}] is not of the form namespace/service/token"))?;
                if !SERVICE_ACCOUNTS.contains(&principal) {
                    return Err(format!("there is no service account [{principal}]"));
                }
                check_token_name(name)?;
                check_stored(hash).map_err(|error| format!("service token [{key}]: {error}"))
            },
            |_, _| None,
        );
        (Self(lines), problems)
    }

    /// Returns the stored hash of a token's secret.
    pub fn hash(&self, principal: &str, name: &str) -> Option<&str> {
        self.0.get(&format!("{principal}/{name}"))
    }

    /// Returns `principal/name` of every token, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.entries().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// Adds a token or replaces its hash.
    pub fn put(&mut self, principal: &str, name: &str, hash: &str) {
        self.0.put(&format!("{principal}/{name}"), hash);
    }

    /// Removes a token. Returns whether it was there.
    pub fn remove(&mut self, principal: &str, name: &str) -> bool {
        self.0.remove(&format!("{principal}/{name}"))
    }

    /// Returns the text to write.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// A token as its holder has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceAccountToken {
    /// Such as `elastic/kibana`.
    pub principal: String,
    pub name: String,
    pub secret: SecretString,
}

impl ServiceAccountToken {
    /// Returns a new token with a secret of 128 random bits.
    pub fn generate(principal: &str, name: &str) -> Self {
        let random = Zeroizing::new(random_bytes::<16>());
        Self {
            principal: principal.to_owned(),
            name: name.to_owned(),
            secret: URL_SAFE_NO_PAD.encode(*random).into(),
        }
    }

    /// Returns the text that goes behind `Authorization: Bearer`. Source: Elasticsearch reference, "Service
    /// accounts".
    pub fn bearer(&self) -> SecretString {
        let mut bytes = Zeroizing::new(PREFIX.to_vec());
        bytes.extend(self.principal.as_bytes());
        bytes.push(b'/');
        bytes.extend(self.name.as_bytes());
        bytes.push(b':');
        bytes.extend(self.secret.expose().as_bytes());
        STANDARD_NO_PAD.encode(&*bytes).into()
    }

    /// Reads a bearer text; `None` when it is no service account token.
    pub fn parse_bearer(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(LENIENT.decode(text.trim()).ok()?);
        let text = std::str::from_utf8(bytes.strip_prefix(PREFIX)?).ok()?;
        let (key, secret) = text.split_once(':')?;
        let (principal, name) = key.rsplit_once('/')?;
        check_token_name(name).ok()?;
        let is_long_enough = secret.chars().count() >= MIN_SECRET_CHARS;
        (principal.split('/').count() == 2 && is_long_enough).then(|| Self {
            principal: principal.to_owned(),
            name: name.to_owned(),
            secret: secret.into(),
        })
    }
}

/// Version 1 of the format, as Elasticsearch writes it.
const PREFIX: &[u8] = &[0, 1, 0, 1];
/// Source: Elasticsearch reference, "Service accounts".
const MIN_SECRET_CHARS: usize = 10;
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made() {
        let token = ServiceAccountToken::generate("elastic/kibana", "t-1");
        let bearer = token.bearer();
        assert!(bearer.expose().starts_with("AAEAAW"), "{}", bearer.expose());
        assert_eq!(
            ServiceAccountToken::parse_bearer(bearer.expose()),
            Some(token)
        );
        assert!(!format!("{:?}", ServiceAccountToken::generate("a/b", "c")).contains("expose"));
    }

    #[test]
    fn tokens_are_kept_by_principal_and_name() {
        let hash = "{PBKDF2_STRETCH}10000$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let text = format!(
            "elastic/kibana/b:{hash}\nelastic/nobody/x:{hash}\nelastic/fleet-server/a:{hash}\nelastic/kibana/c:plain\n"
        );
        let (mut tokens, problems) = ServiceTokensFile::parse(&text);
        assert_eq!(
            tokens.names(),
            ["elastic/fleet-server/a", "elastic/kibana/b"]
        );
        assert_eq!(problems.len(), 2);
        tokens.put("elastic/kibana", "d", hash);
        assert!(tokens.remove("elastic/kibana", "b"));
        assert_eq!(tokens.hash("elastic/kibana", "d"), Some(hash));
        assert_eq!(tokens.hash("elastic/kibana", "b"), None);
    }

    proptest! {
        #[test]
        fn any_bearer_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = ServiceAccountToken::parse_bearer(&text);
        }

        #[test]
        fn any_bytes_behind_the_prefix_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut all = PREFIX.to_vec();
            all.extend(bytes);
            let _ = ServiceAccountToken::parse_bearer(&STANDARD_NO_PAD.encode(all));
        }
    }
}
