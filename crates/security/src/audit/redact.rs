//! What of a request may be written: everything but secrets.

use ringwall_base::json;
use serde_json::Value;

/// Bodies that are longer, in bytes, are told by their length.
const MAX_BODY: usize = 64 << 10;

/// Returns the body of a request as it may be written: without the members whose names say that they are secret. A body
/// that cannot be read is told by its length, as nobody knows what is in it.
pub(super) fn body(body: &[u8]) -> String {
    if body.len() > MAX_BODY {
        return format!("[{} bytes, more than are written]", body.len());
    }
    let unreadable = || format!("[{} bytes that are no JSON]", body.len());
    let Ok(text) = std::str::from_utf8(body) else {
        return unreadable();
    };
    match without_secrets(text) {
        Some(shown) => shown,
        None => {
            // As `_bulk` has them: one value to a line.
            let lines = text.lines().map(|line| match line.trim().is_empty() {
                true => Some(String::new()),
                false => without_secrets(line),
            });
            let lines: Option<Vec<String>> = lines.collect();
            lines.map_or_else(unreadable, |lines| lines.join("\n"))
        }
    }
}

/// Returns what a caller has written without its secret members.
pub(super) fn value(written: &Value) -> Value {
    let mut shown = written.clone();
    remove(&mut shown);
    shown
}

/// Returns the query of a URL without its secret parameters, and without a body in it that has secrets.
pub(super) fn query(query: &str) -> String {
    let kept = query.split('&').filter(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name);
        let has_secrets = || {
            let value = decoded(value);
            value.trim_start().starts_with(['{', '['])
                && without_secrets(&value).is_none_or(|shown| shown != value)
        };
        !is_secret(&name, &Value::Null) && !has_secrets()
    });
    kept.collect::<Vec<_>>().join("&")
}

/// Returns the text as it is when nothing in it is secret, else without what is; `None` if it is no JSON.
fn without_secrets(text: &str) -> Option<String> {
    let mut value = json::parse(text.as_bytes()).ok()?;
    Some(match remove(&mut value) {
        true => value.to_string(),
        false => text.to_owned(),
    })
}

/// Removes secret members at any depth. Returns whether there were any.
fn remove(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|name, value| !is_secret(name, value));
            let mut found = members.len() < before;
            for value in members.values_mut() {
                found |= remove(value);
            }
            found
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |found, item| remove(item) | found),
        _ => false,
    }
}

/// Returns whether the name of a member says that its value is secret.
fn is_secret(name: &str, value: &Value) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or(&name);
    ["password", "passwd", "passphrase", "secret", "credential"]
        .iter()
        .any(|word| name.contains(word))
        || last == "token"
        || last == "tokens"
        || last.ends_with("_token")
        || last.ends_with("_tokens")
        || ["authorization",
            "client_authentication", "encoded", "private_key", "kerberos_ticket", "assertion"].contains(&last)
        // In a grant it is the description of a key.
        || (last == "api_key" && !value.is_object())
}

/// Returns a part of a query as it was before it was encoded; what is wrongly encoded stays.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = match bytes[at] {
            b'+' => b' ',
            b'%' => {
                let digits = bytes.get(at + 1..at + 3);
                let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        at += 2;
                        byte
                    }
                    None => b'%',
                }
            }
            other => other,
        };
        decoded.push(byte);
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CANARY: &str = "hunter2-canary";

    #[test]
    fn what_is_not_secret_stays_as_it_was_written() {
        let text =
            "{ \"query\": {\"match\": {\"tokenizer\": 1.50}},\n \"api_key\": {\"name\": \"k\"} }";
        assert_eq!(body(text.as_bytes()), text);
        let lines = "{\"index\":{}}\n{\"x\":1}\n";
        assert_eq!(body(lines.as_bytes()), lines.trim_end());
    }

    #[test]
    fn what_cannot_be_read_is_not_written() {
        let broken = format!("{{\"password\": \"{CANARY}\"");
        let expected = format!("[{} bytes that are no JSON]", broken.len());
        assert_eq!(body(broken.as_bytes()), expected);
        let twice = format!(r#"{{"a": "{CANARY}", "a": 1}}"#);
        assert!(!body(twice.as_bytes()).contains(CANARY));
        assert_eq!(body(&[0xff, 0xfe]), "[2 bytes that are no JSON]");
        let long = vec![b' '; MAX_BODY + 1];
        assert_eq!(body(&long), "[65537 bytes, more than are written]");
    }

    #[test]
    fn queries_lose_their_secrets() {
        for (given, expected) in [
            ("pretty&q=x", "pretty&q=x"),
            ("Access_Token=hunter2-canary&v", "v"),
            ("pass%77ord=hunter2-canary", ""),
            ("source=%7B%22password%22%3A%22hunter2-canary%22%7D&v", "v"),
            ("source=%7B%22a%22%3A1%7D", "source=%7B%22a%22%3A1%7D"),
            ("source=%7Bhunter2-canary", ""),
        ] {
            assert_eq!(query(given), expected, "{given}");
        }
    }

    /// A tree with secrets under names that say so, at any depth.
    fn tree() -> impl Strategy<Value = Value> {
        let secret = prop::sample::select(vec![
            "password",
            "Password_Hash",
            "secure_settings_password",
            "access_token",
            "refresh_token",
            "token",
            "client_secret",
            "client_authentication",
            "api_key",
            "encoded",
            "xpack.http.ssl.keystore.secure_password",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            let secret = secret.clone();
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                (
                    prop::collection::btree_map("[a-z]{1,6}", inner, 0..4),
                    prop::option::of(secret)
                )
                    .prop_map(|(members, secret)| {
                        let mut object: serde_json::Map<String, Value> =
                            members.into_iter().collect();
                        if let Some(name) = secret {
                            object.insert(name.to_owned(), CANARY.into());
                        }
                        Value::Object(object)
                    }),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_secret_is_written(value in tree(), pretty: bool, lines in 1..3usize) {
            let text = match pretty && lines == 1 {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => vec![value.to_string(); lines].join("\n"),
            };
            prop_assert!(!body(text.as_bytes()).contains(CANARY), "{text}");
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let shown = decoded(&query(&format!("source={encoded}")));
            prop_assert!(!shown.contains(CANARY), "{text}");
        }
    }
}
