//! Access and refresh tokens as their holders have them, and how one pair comes out of another.
//! Source: Elasticsearch reference, "Get token API"; RFC 6749; RFC 6750.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ringwall_api::security::{
    Principal, REUSE_MS, Refreshed, StoredSecret, StoredToken, TokenHolder, TokenKind,
};
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::token_hash;

/// A token as its holder has it: which of which pair, and the secret that proves it.
pub struct Token {
    pub kind: TokenKind,
    /// Of the pair: 20 characters of URL-safe base64.
    pub id: String,
    secret: Secret,
}

type Secret = Zeroizing<[u8; SECRET]>;

impl Token {
    fn new(kind: TokenKind, id: &str, secret: Secret) -> Self {
        let id = id.to_owned();
        Self { kind, id, secret }
    }

    /// Returns the text that goes behind `Authorization: Bearer`; to clients it says nothing.
    pub fn text(&self) -> SecretString {
        let mut bytes = Zeroizing::new(vec![VERSION, kind_byte(self.kind)]);
        bytes.extend(URL_SAFE_NO_PAD.decode(&self.id).unwrap_or_default());
        bytes.extend(*self.secret);
        URL_SAFE_NO_PAD.encode(&*bytes).into()
    }

    /// Reads a token; `None` when it is none of that kind.
    pub fn parse(text: &str, kind: TokenKind) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let rest = bytes.strip_prefix(&[VERSION, kind_byte(kind)])?;
        let (id, secret) = rest.split_at_checked(ID)?;
        let secret = Zeroizing::new(<[u8; SECRET]>::try_from(secret).ok()?);
        Some(Self::new(kind, &URL_SAFE_NO_PAD.encode(id), secret))
    }

    /// Returns whether this is one of the pair, whatever has become of it.
    pub fn is_of(&self, pair: &StoredToken) -> bool {
        let stored = match self.kind {
            TokenKind::Access => Some(&pair.access),
            TokenKind::Refresh => pair.refresh.as_ref(),
        };
        self.id == pair.id
            && stored.is_some_and(|stored| token_hash::matches(&self.secret_text(), &stored.hash))
    }

    fn secret_text(&self) -> SecretString {
        URL_SAFE_NO_PAD.encode(*self.secret).into()
    }

    fn stored(&self, expires_ms: u64) -> StoredSecret {
        StoredSecret {
            hash: token_hash::hash(&self.secret_text()),
            expires_ms,
            is_invalidated: false,
        }
    }
}

/// A pair that was just made: what to keep, and what to tell once.
pub struct NewTokens {
    pub stored: StoredToken,
    pub access: SecretString,
    pub refresh: Option<SecretString>,
}

/// Makes a pair, or an access token alone. Times are in milliseconds, the first since the epoch.
pub fn issue(
    holder: TokenHolder,
    client: Principal,
    with_refresh: bool,
    now_ms: u64,
    lifetime_ms: u64,
) -> NewTokens {
    let id = new_id();
    let access = Token::new(TokenKind::Access, &id, random_secret());
    let refresh = with_refresh.then(|| Token::new(TokenKind::Refresh, &id, random_secret()));
    pair(holder, client, access, refresh, now_ms, lifetime_ms)
}

/// Makes the pair that follows one whose refresh token this is, and what tells how its secrets come out of the token.
pub fn refresh(
    old: &StoredToken,
    token: &Token,
    now_ms: u64,
    lifetime_ms: u64,
) -> (NewTokens, String) {
    let (id, nonce) = (new_id(), URL_SAFE_NO_PAD.encode(random_bytes::<NONCE>()));
    let [access, refresh] = following(token, &id, &nonce);
    let (holder, client) = (old.holder.clone(), old.client.clone());
    let tokens = pair(holder, client, access, Some(refresh), now_ms, lifetime_ms);
    (tokens, nonce)
}

/// Returns the texts of the pair that a refresh token was given for, access token first.
pub fn again(token: &Token, refreshed: &Refreshed) -> [SecretString; 2] {
    following(token, &refreshed.into, &refreshed.nonce).map(|token| token.text())
}

/// What a refresh token is good for.
pub enum Refreshes<'a> {
    /// A new pair.
    Once(&'a StoredToken),
    /// The pair that it was given for a moment ago.
    Again(&'a Refreshed),
}

/// Returns what a refresh token that this client shows is good for. Errors: why it is for nothing, as Elasticsearch
/// says it.
pub fn judge_refresh<'a>(
    stored: Option<&'a StoredToken>,
    token: &Token,
    client: &Principal,
    now_ms: u64,
) -> Result<Refreshes<'a>, &'static str> {
    let is_it = |stored: &&StoredToken| token.kind == TokenKind::Refresh && token.is_of(stored);
    let stored = stored.filter(is_it);
    let stored = stored.ok_or(CANNOT_REFRESH)?;
    let held = stored.refresh.as_ref().ok_or(CANNOT_REFRESH)?;
    if held.is_invalidated {
        return Err("token has been invalidated");
    }
    if held.expires_ms <= now_ms {
        return Err("refresh token is expired");
    }
    if stored.client != *client {
        return Err("tokens must be refreshed by the creating client");
    }
    match &stored.refreshed {
        None => Ok(Refreshes::Once(stored)),
        Some(refreshed) if refreshed.at_ms.saturating_add(REUSE_MS) > now_ms => {
            Ok(Refreshes::Again(refreshed))
        }
        Some(_) => Err("token has already been refreshed more than 30 seconds in the past"),
    }
}

/// Elasticsearch's words for a token that is none.
pub const CANNOT_REFRESH: &str = "could not refresh the requested token";

fn pair(
    holder: TokenHolder,
    client: Principal,
    access: Token,
    refresh: Option<Token>,
    now_ms: u64,
    lifetime_ms: u64,
) -> NewTokens {
    let refreshable_until = now_ms.saturating_add(REFRESHABLE_MS);
    NewTokens {
        stored: StoredToken {
            id: access.id.clone(),
            holder,
            client,
            access: access.stored(now_ms.saturating_add(lifetime_ms)),
            refresh: refresh
                .as_ref()
                .map(|refresh| refresh.stored(refreshable_until)),
            refreshed: None,
        },
        access: access.text(),
        refresh: refresh.map(|refresh| refresh.text()),
    }
}

/// The pair whose secrets come out of the one of a refresh token, so that who shows the token again is told the same
/// without its having been kept. It is the one-step key derivation of NIST SP 800-56C: a hash of a counter, the secret,
/// and what is fixed; all parts have fixed lengths.
fn following(token: &Token, id: &str, nonce: &str) -> [Token; 2] {
    [TokenKind::Access, TokenKind::Refresh].map(|kind| {
        let digest = Sha256::new()
            .chain_update(1u32.to_be_bytes())
            .chain_update(*token.secret)
            .chain_update([VERSION, kind_byte(kind)])
            .chain_update(id)
            .chain_update(nonce)
            .finalize();
        let digest = Zeroizing::new(<[u8; 32]>::from(digest));
        let mut secret = Zeroizing::new([0; SECRET]);
        secret.copy_from_slice(&digest[..SECRET]);
        Token::new(kind, id, secret)
    })
}

fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<ID>())
}

fn random_secret() -> Secret {
    Zeroizing::new(random_bytes())
}

fn kind_byte(kind: TokenKind) -> u8 {
    match kind {
        TokenKind::Access => 1,
        TokenKind::Refresh => 2,
    }
}

/// The first byte of a token; tokens of service accounts begin with another.
const VERSION: u8 = 1;
/// Bytes.
const ID: usize = 15;
const SECRET: usize = 16;
const NONCE: usize = 15;
/// How long a refresh token is good: 24 hours. Source: Elasticsearch reference, "Get token API".
const REFRESHABLE_MS: u64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringwall_api::auth::RealmRef;

    use super::*;

    fn who(name: &str) -> Principal {
        Principal {
            username: name.to_owned(),
            realm: RealmRef {
                name: "default_native".to_owned(),
                realm_type: "native".to_owned(),
            },
            api_key: None,
        }
    }

    fn issued() -> NewTokens {
        let holder = TokenHolder {
            who: who("ann"),
            user: None,
            run_by: None,
        };
        issue(holder, who("app"), true, 1000, 500)
    }

    fn read(text: &SecretString, kind: TokenKind) -> Token {
        Token::parse(text.expose(), kind).unwrap()
    }

    #[test]
    fn a_token_is_of_its_pair_and_kind_alone() {
        let (one, other) = (issued(), issued());
        let refresh = one.refresh.unwrap();
        assert!(read(&one.access, TokenKind::Access).is_of(&one.stored));
        assert!(read(&refresh, TokenKind::Refresh).is_of(&one.stored));
        assert!(!read(&one.access, TokenKind::Access).is_of(&other.stored));
        assert!(Token::parse(one.access.expose(), TokenKind::Refresh).is_none());
        assert!(Token::parse(refresh.expose(), TokenKind::Access).is_none());
        // With the id of one pair and the secret of the other's.
        let mut forged = read(&other.access, TokenKind::Access);
        forged.id.clone_from(&one.stored.id);
        assert!(!forged.is_of(&one.stored));
        // With the secret of the other kind.
        let mut forged = read(&refresh, TokenKind::Refresh);
        forged.kind = TokenKind::Access;
        assert!(!forged.is_of(&one.stored));
        assert!(crate::files::ServiceAccountToken::parse_bearer(one.access.expose()).is_none());
    }

    #[test]
    fn nothing_that_is_kept_is_a_secret() {
        let first = issued();
        let token = read(&first.refresh.unwrap(), TokenKind::Refresh);
        let (next, nonce) = refresh(&first.stored, &token, 2000, 500);
        let mut old = first.stored;
        old.refreshed = Some(Refreshed {
            at_ms: 2000,
            into: next.stored.id.clone(),
            nonce,
        });
        let kept = serde_json::to_string(&[&old, &next.stored]).unwrap();
        let shown = format!("{old:?}");
        for token in [
            token,
            read(&first.access, TokenKind::Access),
            read(&next.access, TokenKind::Access),
            read(&next.refresh.unwrap(), TokenKind::Refresh),
        ] {
            assert!(!kept.contains(token.secret_text().expose()));
            assert!(!kept.contains(token.text().expose()));
        }
        assert!(!shown.contains("SSHA256"), "{shown}");
    }

    #[test]
    fn a_refresh_token_gives_one_pair_for_its_client_while_it_holds() {
        let first = issued();
        let token = read(first.refresh.as_ref().unwrap(), TokenKind::Refresh);
        let judge = |stored: &StoredToken, client: &str, now| match judge_refresh(
            Some(stored),
            &token,
            &who(client),
            now,
        ) {
            Ok(Refreshes::Once(_)) => "once",
            Ok(Refreshes::Again(_)) => "again",
            Err(why) => why,
        };
        let mut stored = first.stored;
        assert_eq!(judge(&stored, "app", 1001), "once");
        let foreign = "tokens must be refreshed by the creating client";
        assert_eq!(judge(&stored, "ann", 1001), foreign);
        let end = 1000 + REFRESHABLE_MS;
        assert_eq!(judge(&stored, "app", end - 1), "once");
        assert_eq!(judge(&stored, "app", end), "refresh token is expired");
        let (next, nonce) = refresh(&stored, &token, 2000, 500);
        stored.refreshed = Some(Refreshed {
            at_ms: 2000,
            into: next.stored.id.clone(),
            nonce,
        });
        assert_eq!(judge(&stored, "app", 31_999), "again");
        assert_eq!(judge(&stored, "ann", 31_999), foreign);
        let told = again(&token, stored.refreshed.as_ref().unwrap());
        assert_eq!(told, [next.access, next.refresh.unwrap()]);
        assert!(judge(&stored, "app", 32_000).contains("more than 30 seconds"));
        stored.refresh.as_mut().unwrap().is_invalidated = true;
        assert_eq!(judge(&stored, "app", 2001), "token has been invalidated");
        let unknown = judge_refresh(None, &token, &who("app"), 1);
        assert_eq!(unknown.err(), Some(CANNOT_REFRESH));
        let access = read(&first.access, TokenKind::Access);
        let other_kind = judge_refresh(Some(&stored), &access, &who("app"), 1);
        assert_eq!(other_kind.err(), Some(CANNOT_REFRESH));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            let _ = Token::parse(&text, TokenKind::Access);
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Token::parse(&URL_SAFE_NO_PAD.encode(bytes), TokenKind::Refresh);
        }
    }
}
