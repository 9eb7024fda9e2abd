//! Which names an index may have. Source: data.md section 2.1.

use ringwall_api::{ApiError, ErrorCode};

/// Checks the name of a new index.
///
/// # Errors
/// `invalid_index_name_exception` that says which rule is broken.
pub fn validate_index_name(name: &str) -> Result<(), ApiError> {
    match broken_rule(name) {
        None => Ok(()),
        Some(rule) => Err(ApiError::new(
            ErrorCode::InvalidIndexName,
            format!("Invalid index name [{name}], {rule}"),
        )
        .with("index_uuid", "_na_")
        .with("index", name)),
    }
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
    None
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
            "", "Logs", "_all", "-a", "+a", "a b", "a*", "a:b", ".", "..", "a,b", "a#b",
        ] {
            assert!(validate_index_name(name).is_err(), "{name}");
        }
        assert!(validate_index_name(&"a".repeat(256)).is_err());
    }
}
