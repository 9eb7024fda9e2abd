//! Which names an index may have. Source: Elasticsearch reference, "Create index API" (names).

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::visible::{shown, unseen_character};

/// Checks the name of a new index.
///
/// # Errors
/// `invalid_index_name_exception` that says which rule is broken.
pub fn validate_index_name(name: &str) -> Result<(), ApiError> {
    match broken_rule(name) {
        None => Ok(()),
        Some(rule) => Err(invalid_index_name(name, &rule)),
    }
}

pub(crate) fn invalid_index_name(name: &str, rule: &str) -> ApiError {
    let name = shown(name);
    let reason = format!("Invalid index name [{name}], {rule}");
    ApiError::new(ErrorCode::InvalidIndexName, reason)
        .with("index_uuid", "_na_")
        .with("index", name)
}

fn broken_rule(name: &str) -> Option<String> {
    const FORBIDDEN: [char; 11] = [' ', '"', '*', '\\', '<', '|', ',', '>', '/', '?', '#'];
    if name.is_empty() {
        return Some("must not be empty".to_owned());
    }
    if name.contains(FORBIDDEN) {
        let listed: Vec<String> = FORBIDDEN.iter().map(char::to_string).collect();
        return Some(format!(
            "must not contain the following characters [{}]",
            listed.join(",")
        ));
    }
    if name.contains(':') {
        return Some("must not contain ':'".to_owned());
    }
    if name.starts_with(['_', '-', '+']) {
        return Some("must not start with '_', '-', or '+'".to_owned());
    }
    if name == "." || name == ".." {
        return Some("must not be '.' or '..'".to_owned());
    }
    if name.len() > 255 {
        return Some(format!("index name is too long, ({} > 255)", name.len()));
    }
    if name.to_lowercase() != name {
        return Some("must be lowercase".to_owned());
    }
    check_characters(name).err()
}

/// Refuses what no name may have because a person could not see it, or would read it otherwise. Errors: the rule.
pub(crate) fn check_characters(name: &str) -> Result<(), String> {
    match unseen_character(name) {
        None => Ok(()),
        Some(c) => Err(format!(
            "must not contain the character U+{:04X}",
            u32::from(c)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for name in ["logs", "logs-2026.11.23", ".hidden", "a", "日誌"] {
            assert!(validate_index_name(name).is_ok(), "{name}");
        }
        for name in [
            "a\u{1}",
            "a\u{202e}b",
            "a\u{a0}b",
            "a\u{200d}b",
            "\u{feff}a",
            "a\u{e0041}",
            "",
            "Logs",
            "_all",
            "-a",
            "+a",
            "a b",
            "a*",
            "a:b",
            ".",
            "..",
            "a,b",
            "a#b",
        ] {
            assert!(validate_index_name(name).is_err(), "{name}");
        }
        assert!(validate_index_name(&"a".repeat(256)).is_err());
        let error = validate_index_name("a\u{202e}b").unwrap_err();
        let told = "Invalid index name [a<U+202E>b], must not contain the character U+202E";
        assert_eq!(
            error.reason, told,
            "the error does not do what the name is refused for"
        );
    }
}
