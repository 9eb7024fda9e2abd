//! What a JSON text takes in memory once it is read into a tree, told before it is.

/// The bounds of the tree of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeSize {
    /// At least as many as the tree has values; keys count as values.
    pub values: u64,
    /// Bytes that the tree takes.
    pub bytes: u64,
}

/// Returns the bounds of a text's tree. Commas and colons are counted wherever they stand, so a text with many of
/// them in its strings counts as more than it is.
pub fn tree_size(text: &[u8]) -> TreeSize {
    let separators = text
        .iter()
        .filter(|byte| matches!(byte, b',' | b':'))
        .count();
    let values = separators as u64 + 1;
    TreeSize {
        values,
        bytes: values * VALUE_BYTES + text.len() as u64,
    }
}

/// A value of the tree with its share of what lists and maps allocate ahead, bytes.
const VALUE_BYTES: u64 = 112;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &serde_json::Value) -> u64 {
        match value {
            serde_json::Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
            serde_json::Value::Object(entries) => {
                1 + entries.values().map(|value| 1 + values(value)).sum::<u64>()
            }
            _ => 1,
        }
    }

    #[test]
    fn a_tree_has_no_more_than_was_told() {
        assert!(std::mem::size_of::<serde_json::Value>() as u64 * 3 / 2 <= VALUE_BYTES);
        for text in [
            "0",
            "{}",
            r#"{"query":{"terms":{"f":[0,0,0,0]}}}"#,
            r#"[{"a":1,"b":[[],[],{}]},"x,y"]"#,
        ] {
            let value = serde_json::from_str(text).unwrap();
            // Every level that is opened holds one value without a separator of its own.
            let opened = text.matches(['{', '[']).count() as u64;
            let told = tree_size(text.as_bytes()).values;
            assert!(told + opened >= values(&value), "{text} {told}");
        }
    }
}
