//! What Elasticsearch's JSON parser takes beyond the standard, as text that any parser takes.

/// Returns a text of the same length with spaces in place of a byte order mark and of comments
/// (`/* */`, `//`), and U+FFFD in place of halves of surrogate pairs; `None` if it has none of them.
pub fn lenient(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = text.to_vec();
    let mut changed = false;
    if text.starts_with(BYTE_ORDER_MARK) {
        blank(&mut out[..BYTE_ORDER_MARK.len()]);
        changed = true;
    }
    let mut at = 0;
    while at < out.len() {
        match out[at] {
            b'"' => {
                let end = string_end(&out, at + 1);
                changed |= mend_surrogates(&mut out[at + 1..end]);
                at = end + 1;
            }
            b'/' => {
                let length = comment_length(&out[at..]);
                blank(&mut out[at..at + length]);
                changed |= length > 0;
                at += length.max(1);
            }
            _ => at += 1,
        }
    }
    changed.then_some(out)
}

/// Line breaks stay, so that errors tell the right line.
fn blank(text: &mut [u8]) {
    for byte in text {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// The place of the closing quote, or the end of the text.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

/// How long the comment is that begins the text; 0 if none does or it does not end.
fn comment_length(text: &[u8]) -> usize {
    if text.starts_with(b"//") {
        let end = text.iter().position(|byte| *byte == b'\n');
        return end.unwrap_or(text.len());
    }
    if text.starts_with(b"/*") {
        let end = text[2..].windows(2).position(|pair| pair == b"*/");
        return end.map_or(0, |end| end + 4);
    }
    0
}

/// Replaces escaped halves of surrogate pairs within a string.
fn mend_surrogates(text: &mut [u8]) -> bool {
    let mut changed = false;
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' {
            at += 1;
            continue;
        }
        match escaped_unit(text, at) {
            Some(0xd800..=0xdbff)
                if matches!(escaped_unit(text, at + 6), Some(0xdc00..=0xdfff)) =>
            {
                at += 12;
            }
            Some(0xd800..=0xdfff) => {
                text[at + 2..at + 6].copy_from_slice(b"fffd");
                changed = true;
                at += 6;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    changed
}

/// The UTF-16 unit of an escape like `\u00e9`.
fn escaped_unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::parse;

    fn read(text: &str) -> String {
        parse(text.as_bytes()).map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    #[test]
    fn what_elasticsearch_takes_is_taken() {
        for (text, expected) in [
            ("\u{feff}{\"a\":1}", r#"{"a":1}"#),
            (
                "{\"a\" /* c, \"x\" */ : 1, // line \"\n \"b\":2}",
                r#"{"a":1,"b":2}"#,
            ),
            ("/**/{\"a\":1} // tail", r#"{"a":1}"#),
            (r#"{"a":"http://x/*y*/"}"#, r#"{"a":"http://x/*y*/"}"#),
            (r#"{"a":"x\ud800y"}"#, "{\"a\":\"x\u{fffd}y\"}"),
            (
                r#"["\udc00","\ud83d\ude00","\ud83d\u0041"]"#,
                "[\"\u{fffd}\",\"😀\",\"\u{fffd}A\"]",
            ),
            (r#"["\\ud800\ud800"]"#, "[\"\\\\ud800\u{fffd}\"]"),
            (r#"{"\ud800":1} /**/"#, "{\"\u{fffd}\":1}"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_elasticsearch_refuses_is_refused() {
        for text in [
            "{'a':1}",
            "{a:1}",
            "[1,]",
            "[NaN]",
            "[01]",
            "[.5]",
            "[1] /* open",
            "[1] /",
            "# c\n[1]",
            r#"["\q" /**/]"#,
            "[\"\t\"]",
            "",
            "//",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_safely(text in "[\\PC\"/*\\\\ud8c0\n]{0,60}") {
            if let Some(mended) = lenient(text.as_bytes()) {
                prop_assert_eq!(mended.len(), text.len());
                prop_assert!(std::str::from_utf8(&mended).is_ok());
            }
        }
    }
}
