//! The little DER that we write and read ourselves: definite lengths, one-byte tags.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const TELETEX_STRING: u8 = 0x14;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The DER of NULL.
pub(crate) const NULL: &[u8] = &[0x05, 0x00];
/// The DER of TRUE.
pub(crate) const TRUE: &[u8] = &[0x01, 0x01, 0xff];

/// Returns one value: tag, length, content.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let length = content.len().to_be_bytes();
        let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// Returns a SEQUENCE of already encoded parts.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// Returns the context tag `[number]` around already encoded content.
pub(crate) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    value(0xa0 | number, content)
}

/// Returns a non-negative INTEGER from big-endian bytes, in the shortest form.
pub(crate) fn unsigned_integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes[zeros..].to_vec();
    if content.first().is_none_or(|byte| byte & 0x80 != 0) {
        content.insert(0, 0);
    }
    value(INTEGER, &content)
}

/// Returns a BIT STRING of whole octets.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], bytes].concat())
}

/// Returns an OBJECT IDENTIFIER. The caller passes at least two arcs, the first at most 2.
pub(crate) fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = Vec::new();
    let first = arcs.first().copied().unwrap_or_default();
    let second = arcs.get(1).copied().unwrap_or_default();
    push_base128(&mut content, first * 40 + second);
    for arc in arcs.iter().skip(2) {
        push_base128(&mut content, *arc);
    }
    value(OBJECT_IDENTIFIER, &content)
}

/// Returns the dotted text of an OBJECT IDENTIFIER's content, or `None` when it is malformed.
pub(crate) fn oid_text(content: &[u8]) -> Option<String> {
    let mut arcs = Vec::new();
    let mut arc: u64 = 0;
    for byte in content {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        }
    }
    if content.last().is_none_or(|byte| byte & 0x80 != 0) {
        return None;
    }
    let first = (arcs[0] / 40).min(2);
    let mut text = format!("{first}.{}", arcs[0] - first * 40);
    for arc in &arcs[1..] {
        text.push_str(&format!(".{arc}"));
    }
    Some(text)
}

/// One decoded value and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// Tag, length and content.
    pub(crate) raw: &'a [u8],
}

/// Walks the values of a SEQUENCE's content one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next value, or `None` at the end or when the bytes are no DER.
    pub(crate) fn next(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let raw = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Value { tag, content, raw })
    }

    /// Returns the next value when it has this tag; otherwise consumes nothing.
    pub(crate) fn next_if(&mut self, tag: u8) -> Option<Value<'a>> {
        let mut ahead = *self;
        let value = ahead.next().filter(|value| value.tag == tag)?;
        *self = ahead;
        Some(value)
    }
}

fn push_base128(out: &mut Vec<u8>, number: u64) {
    let groups = (64 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let continued = if group == 0 { 0 } else { 0x80 };
        out.push((number >> (7 * group)) as u8 & 0x7f | continued);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_are_encoded_as_the_standard_shows() {
        assert_eq!(
            oid(&[1, 2, 840, 113549]),
            [0x06, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]
        );
        assert_eq!(
            oid_text(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]).as_deref(),
            Some("1.2.840.113549")
        );
        assert_eq!(
            oid_text(&[0x55, 0x1d, 0x25, 0x00]).as_deref(),
            Some("2.5.29.37.0")
        );
        assert_eq!(oid_text(&[]), None);
        assert_eq!(oid_text(&[0x2a, 0x86]), None);
    }

    #[test]
    fn integers_are_never_negative_and_shortest() {
        assert_eq!(unsigned_integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned_integer(&[]), [2, 1, 0]);
    }

    #[test]
    fn long_values_are_read_back() {
        let content = vec![7u8; 70_000];
        let encoded = value(OCTET_STRING, &content);
        let mut reader = Reader::new(&encoded);
        assert_eq!(
            reader.next().map(|value| value.content),
            Some(content.as_slice())
        );
        assert!(reader.is_empty());
        assert!(Reader::new(&encoded[..100]).next().is_none());
    }
}
