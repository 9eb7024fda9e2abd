//! Percent-encoding of paths, queries and forms. Source: WHATWG URL Standard.

/// Returns a text as one segment of a path, or one value of a query: all but unreserved characters are encoded.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    // A segment of dots is a way up for whoever resolves the URL.
    match encoded.as_str() {
        "." | ".." => encoded.replace('.', "%2E"),
        _ => encoded,
    }
}

/// Returns the text of a segment; `None` when it is not of UTF-8.
pub fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text.as_bytes(), false)).ok()
}

/// Returns the pairs of a query or of a form, in their order. What is not UTF-8 is replaced.
pub fn pairs(text: &[u8]) -> Vec<(String, String)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let middle = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match middle {
                Some(middle) => (&pair[..middle], &pair[middle + 1..]),
                None => (pair, &pair[..0]),
            };
            let text = |part| String::from_utf8_lossy(&decode_bytes(part, true)).into_owned();
            (text(name), text(value))
        })
        .collect()
}

fn decode_bytes(text: &[u8], plus_is_space: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, behind @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                let (high, low) = (digit(*high).unwrap_or(0), digit(*low).unwrap_or(0));
                decoded.push(high * 16 + low);
                rest = behind;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for text in [
            "", "a b+c", "100%", "ü/..", "<script>", "a&b=c", "..", "%zz",
        ] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
            let form = format!("x={}&y", encode(text));
            let expected = [
                ("x".to_owned(), text.to_owned()),
                ("y".to_owned(), String::new()),
            ];
            assert_eq!(pairs(form.as_bytes()), expected);
        }
        assert!(!encode("a/..").contains('/'));
        assert_eq!(encode(".."), "%2E%2E");
        assert_eq!(decode("%ff"), None);
        assert_eq!(
            pairs(b"a=1+2&&b=%2"),
            [("a".into(), "1 2".into()), ("b".into(), "%2".into())]
        );
    }
}
