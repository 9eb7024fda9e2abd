use ringwall_api::auth::RealmRef;
use ringwall_api::security::{Principal, REUSE_MS, TokenHolder};

use super::*;

const HOUR: u64 = 3_600_000;

fn holder(name: &str, realm: &str) -> TokenHolder {
    TokenHolder {
        who: Principal {
            username: name.to_owned(),
            realm: RealmRef {
                name: format!("default_{realm}"),
                realm_type: realm.to_owned(),
            },
            api_key: None,
        },
        user: None,
        run_by: None,
    }
}

/// A pair that was made at 0 and refreshes until 24 hours.
fn pair(id: &str, holder: TokenHolder) -> StoredToken {
    let secret = |expires_ms| StoredSecret {
        hash: "h".to_owned(),
        expires_ms,
        is_invalidated: false,
    };
    StoredToken {
        id: id.to_owned(),
        client: holder.who.clone(),
        holder,
        access: secret(HOUR),
        refresh: Some(secret(24 * HOUR)),
        refreshed: None,
    }
}

fn of_ann(id: &str) -> StoredToken {
    pair(id, holder("ann", "native"))
}

fn with(ids: &[&str]) -> Tokens {
    let mut tokens = Tokens::default();
    for id in ids {
        tokens.create(of_ann(id), 100, 0).unwrap();
    }
    tokens
}

fn access_holds(tokens: &Tokens, id: &str) -> bool {
    tokens.get(id).is_some_and(|pair| pair.access.holds(1))
}

#[test]
fn a_pair_is_refreshed_once() {
    let mut tokens = with(&["a1"]);
    let nonce = || "n".to_owned();
    tokens.refresh("a1", of_ann("b1"), nonce(), 100, 5).unwrap();
    // Of two that come at once, consensus lets one through.
    let late = tokens.refresh("a1", of_ann("c1"), nonce(), 100, 5);
    assert_eq!(late.unwrap_err().code, ErrorCode::VersionConflict);
    assert!(tokens.get("c1").is_none());
    assert_eq!(
        tokens.get("a1").unwrap().refreshed.as_ref().unwrap().into,
        "b1"
    );
    assert!(
        tokens
            .refresh("gone", of_ann("c1"), nonce(), 100, 5)
            .is_err()
    );
    // Nor after its end, nor once it is invalidated.
    let expired = tokens.refresh("b1", of_ann("c1"), nonce(), 100, 24 * HOUR);
    assert!(expired.is_err());
    tokens.invalidate(&TokensMeant::One {
        id: "b1".to_owned(),
        kind: TokenKind::Refresh,
    });
    assert!(tokens.refresh("b1", of_ann("c1"), nonce(), 100, 5).is_err());
    assert!(access_holds(&tokens, "b1"), "the other of the pair goes on");
}

#[test]
fn what_is_meant_ends_for_good() {
    let mut tokens = with(&["a1", "a2", "b1"]);
    tokens
        .create(pair("c1", holder("bob", "native")), 100, 0)
        .unwrap();
    tokens
        .create(pair("c2", holder("ann", "file")), 100, 0)
        .unwrap();
    tokens.invalidate(&TokensMeant::One {
        id: "a2".to_owned(),
        kind: TokenKind::Access,
    });
    assert!(!access_holds(&tokens, "a2"));
    let of = |username: Option<&str>, realm: Option<&str>| TokensMeant::Of {
        username: username.map(str::to_owned),
        realm_name: realm.map(str::to_owned),
    };
    tokens.invalidate(&of(Some("ann"), Some("default_native")));
    let left: Vec<&str> = ["a1", "a2", "b1", "c1", "c2"]
        .into_iter()
        .filter(|id| access_holds(&tokens, id))
        .collect();
    assert_eq!(left, ["c1", "c2"]);
    tokens.invalidate(&of(None, Some("default_file")));
    assert!(access_holds(&tokens, "c1") && !access_holds(&tokens, "c2"));
}

#[test]
fn whoever_gets_the_name_of_a_deleted_user_gets_no_tokens_of_it() {
    let mut tokens = with(&["a1"]);
    let mut acting = pair("b1", holder("bob", "native"));
    acting.holder.run_by = Some(Box::new(holder("ann", "native")));
    tokens.create(acting, 100, 0).unwrap();
    tokens
        .create(pair("c1", holder("ann", "file")), 100, 0)
        .unwrap();
    tokens.forget_user("ann", "native");
    let left: Vec<&str> = tokens.iter().map(|token| token.id.as_str()).collect();
    assert_eq!((left, tokens.len()), (vec!["c1"], 1));
}

#[test]
fn their_number_is_bounded_and_what_has_ended_makes_room() {
    let mut tokens = Tokens::default();
    tokens.create(of_ann("a1"), 2, 0).unwrap();
    tokens.create(of_ann("b1"), 2, 0).unwrap();
    let full = tokens.create(of_ann("c1"), 2, 1).unwrap_err();
    assert!(full.reason.contains("max_tokens"), "{}", full.reason);
    assert!(
        tokens.create(of_ann("a1"), 3, 1).is_err(),
        "the id is taken"
    );
    // A pair that was refreshed long ago, and whose access token has expired, is good for nothing.
    tokens
        .refresh("a1", of_ann("c1"), "n".to_owned(), 3, HOUR - REUSE_MS)
        .unwrap();
    assert!(tokens.create(of_ann("d1"), 3, HOUR - 1).is_err());
    tokens.create(of_ann("d1"), 3, HOUR).unwrap();
    let ids = |tokens: &Tokens| {
        tokens
            .iter()
            .map(|token| token.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&tokens), ["b1", "c1", "d1"]);
    // Without need of room, those go that have ended.
    tokens.create(of_ann("c2"), 100, 24 * HOUR).unwrap();
    assert_eq!((ids(&tokens), tokens.len()), (vec!["c2".to_owned()], 1));
}

#[test]
fn they_are_stored_and_read_again() {
    let tokens = with(&["a1", "b1", "b2"]);
    let text = serde_json::to_string(&tokens).unwrap();
    let again: Tokens = serde_json::from_str(&text).unwrap();
    assert_eq!((again.len(), again), (3, tokens));
}
