//! Distinguished names: RFC 2253 text to DER and back.

use std::fmt;

use ringwall_base::visible::unseen_character;

use crate::PkiError;
use crate::der;

/// A distinguished name, for example `CN=node1,OU=search,DC=example,DC=com`.
///
/// Keeps the exact DER, so that an issuer name is copied byte for byte. `Display` writes RFC 2253 text
/// (first component of the text = last in the DER), as Java does. Source: RFC 2253, which Java's `X500Principal`
/// writes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DistinguishedName {
    der: Vec<u8>,
}

impl DistinguishedName {
    /// Returns the name with the one component `CN=<value>`; the value is taken literally.
    pub fn common_name(value: &str) -> Self {
        Self::encode(&[vec![(CN.to_vec(), AttributeValue::Text(value.to_owned()))]])
    }

    /// Returns the name of an instance: a full DN when the text contains `=`, else `CN=<text>`.
    ///
    /// Errors: [`PkiError::InvalidName`]. Source: Elasticsearch's `CertificateTool`.
    pub fn of_instance(text: &str) -> Result<Self, PkiError> {
        if text.contains('=') {
            Self::parse(text)
        } else {
            Ok(Self::common_name(text))
        }
    }

    /// Parses RFC 2253 text: `,` or `;` between components, `+` inside one, `\` escapes, quotes, `#hex`.
    ///
    /// Errors: [`PkiError::InvalidName`].
    pub fn parse(text: &str) -> Result<Self, PkiError> {
        let invalid = |reason: &str| PkiError::InvalidName {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let mut components = Vec::new();
        for component in split_unescaped(text, &[',', ';']) {
            let mut attributes = Vec::new();
            for attribute in split_unescaped(component, &['+']) {
                let (keyword, value) = attribute
                    .split_once('=')
                    .ok_or_else(|| invalid(&format!("[{}] has no '='", attribute.trim())))?;
                let oid = attribute_oid(keyword.trim())
                    .ok_or_else(|| invalid(&format!("unknown attribute [{}]", keyword.trim())))?;
                let value = parse_value(value).map_err(invalid)?;
                attributes.push((oid, value));
            }
            components.push(attributes);
        }
        components.reverse();
        Ok(Self::encode(&components))
    }

    /// Takes over an encoded name. The bytes are kept as they are.
    pub fn from_der(der: &[u8]) -> Self {
        Self { der: der.to_vec() }
    }

    /// Returns the DER of the name.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the text with a blank after each comma and with keywords for the rarer attributes
    /// (`CN=a, OU=b`), as `GET /_ssl/certificates` shows it. Source: Elasticsearch reference, "SSL certificate API".
    pub fn with_spaces(&self) -> String {
        self.text(", ", |attribute| attribute.text(true))
    }

    /// Returns the text of [`Self::with_spaces`] in which, unlike there, an equals sign within a value is escaped
    /// too (`OU=a\=b`). So a pattern such as `CN=(...)` never matches inside of the value of another attribute.
    pub fn for_patterns(&self) -> String {
        self.text(", ", |attribute| {
            match attribute.text(true).split_once('=') {
                Some((keyword, value)) => format!("{keyword}={}", value.replace('=', r"\=")),
                None => attribute.text(true),
            }
        })
    }

    /// Returns whether all of the name is well-formed and reads as what it is: every value that is text is valid in its
    /// kind of string, and has no character that a person does not see. Names of users are taken from such names only:
    /// `admin` with a line feed after it must not be `admin`.
    pub fn is_plain_text(&self) -> bool {
        let mut whole = der::Reader::new(&self.der);
        let Some(name) = whole.next_if(der::SEQUENCE) else {
            return false;
        };
        let mut sets = der::Reader::new(name.content);
        while let Some(set) = sets.next_if(der::SET) {
            let mut members = der::Reader::new(set.content);
            let mut count = 0;
            while let Some(member) = members.next_if(der::SEQUENCE) {
                count += 1;
                let mut pair = der::Reader::new(member.content);
                let oid = pair.next_if(der::OBJECT_IDENTIFIER);
                let is_plain = oid.is_some_and(|oid| der::oid_text(oid.content).is_some())
                    && pair
                        .next()
                        .is_some_and(|value| is_plain_value(value.tag, value.content))
                    && pair.is_empty();
                if !is_plain {
                    return false;
                }
            }
            if count == 0 || !members.is_empty() {
                return false;
            }
        }
        sets.is_empty() && whole.is_empty()
    }

    /// Returns the value of the most specific `CN`, if it is text.
    pub fn first_common_name(&self) -> Option<String> {
        self.first_value(&dotted(CN))
    }

    /// Returns the value of the most specific attribute of an object identifier, such as `2.5.4.3`, if it is text.
    /// Of several in one component the first in the DER is taken.
    pub fn first_value(&self, oid: &str) -> Option<String> {
        self.components()
            .into_iter()
            .rev()
            .flatten()
            .find(|attribute| attribute.oid == oid)
            .and_then(|attribute| decode_text(attribute.tag, &attribute.content))
    }

    /// Returns the object identifier of a keyword such as `CN`, or of its dotted form itself.
    pub fn oid_of(keyword: &str) -> Option<String> {
        attribute_oid(keyword.trim()).map(|arcs| dotted(&arcs))
    }

    /// Returns a text that is the same for names that directories take for the same: the case of values, the kind
    /// of their strings, repeated blanks, and the order within a component make no difference. Only for comparing.
    ///
    /// Source: Elasticsearch reference, "Mapping users and groups to roles"; X.520 caseIgnoreMatch, without its
    /// folding of rarer characters.
    pub fn normalized(&self) -> String {
        let components: Vec<String> = self
            .components()
            .into_iter()
            .rev()
            .map(|attributes| {
                let mut texts: Vec<String> = attributes.iter().map(Attribute::normalized).collect();
                texts.sort();
                texts.join("+")
            })
            .collect();
        components.join(",")
    }

    fn encode(components: &[Vec<(Vec<u64>, AttributeValue)>]) -> Self {
        let encoded: Vec<Vec<u8>> = components
            .iter()
            .map(|attributes| {
                let mut members: Vec<Vec<u8>> = attributes
                    .iter()
                    .map(|(oid, value)| der::sequence(&[&der::oid(oid), &value.encode(oid)]))
                    .collect();
                // DER orders the members of a SET OF by their bytes.
                members.sort();
                der::value(der::SET, &members.concat())
            })
            .collect();
        Self {
            der: der::value(der::SEQUENCE, &encoded.concat()),
        }
    }

    fn text(&self, separator: &str, attribute_text: impl Fn(&Attribute) -> String) -> String {
        let components: Vec<String> = self
            .components()
            .into_iter()
            .rev()
            .map(|attributes| {
                let texts: Vec<String> = attributes.iter().map(&attribute_text).collect();
                texts.join("+")
            })
            .collect();
        components.join(separator)
    }

    fn components(&self) -> Vec<Vec<Attribute>> {
        let Some(name) = der::Reader::new(&self.der).next_if(der::SEQUENCE) else {
            return Vec::new();
        };
        let mut components = Vec::new();
        let mut sets = der::Reader::new(name.content);
        while let Some(set) = sets.next() {
            let mut members = der::Reader::new(set.content);
            let mut attributes = Vec::new();
            while let Some(member) = members.next() {
                let mut pair = der::Reader::new(member.content);
                let oid = pair
                    .next_if(der::OBJECT_IDENTIFIER)
                    .and_then(|oid| der::oid_text(oid.content));
                if let (Some(oid), Some(value)) = (oid, pair.next()) {
                    attributes.push(Attribute {
                        oid,
                        tag: value.tag,
                        content: value.content.to_vec(),
                        raw: value.raw.to_vec(),
                    });
                }
            }
            components.push(attributes);
        }
        components
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(",", |attribute| attribute.text(false)))
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

/// A value on its way into DER.
enum AttributeValue {
    Text(String),
    /// DER given as `#hex`.
    Encoded(Vec<u8>),
}

impl AttributeValue {
    /// PrintableString when possible, else UTF8String; DC and emailAddress IA5String.
    fn encode(&self, oid: &[u64]) -> Vec<u8> {
        let text = match self {
            Self::Encoded(bytes) => return bytes.clone(),
            Self::Text(text) => text,
        };
        let tag = if (oid == DC || oid == EMAIL_ADDRESS) && text.is_ascii() {
            der::IA5_STRING
        } else if text.bytes().all(is_printable_string) {
            der::PRINTABLE_STRING
        } else {
            der::UTF8_STRING
        };
        der::value(tag, text.as_bytes())
    }
}

/// A decoded `type = value` pair.
struct Attribute {
    oid: String,
    tag: u8,
    content: Vec<u8>,
    raw: Vec<u8>,
}

impl Attribute {
    fn text(&self, all_keywords: bool) -> String {
        let keyword = KEYWORDS
            .iter()
            .find(|(_, oid, in_rfc)| (all_keywords || *in_rfc) && dotted(oid) == self.oid)
            .map(|(keyword, _, _)| *keyword);
        match (keyword, decode_text(self.tag, &self.content)) {
            (Some(keyword), Some(text)) => format!("{keyword}={}", escape(&text)),
            (keyword, _) => format!(
                "{}=#{}",
                keyword.unwrap_or(&self.oid),
                hex::encode(&self.raw)
            ),
        }
    }
}

impl Attribute {
    fn normalized(&self) -> String {
        match decode_text(self.tag, &self.content) {
            Some(text) => {
                let words: Vec<&str> = text.split_whitespace().collect();
                format!("{}={}", self.oid, escape(&words.join(" ").to_lowercase()))
            }
            None => format!("{}=#{}", self.oid, hex::encode(&self.raw)),
        }
    }
}

fn parse_value(text: &str) -> Result<AttributeValue, &'static str> {
    let text = trim_unescaped(text);
    if let Some(digits) = text.strip_prefix('#') {
        let bytes = hex::decode(digits).map_err(|_| "a value after '#' must be hexadecimal DER")?;
        let mut reader = der::Reader::new(&bytes);
        return match (reader.next(), reader.is_empty()) {
            (Some(_), true) => Ok(AttributeValue::Encoded(bytes)),
            _ => Err("a value after '#' must be one DER value"),
        };
    }
    let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    let text = if quoted {
        &text[1..text.len() - 1]
    } else {
        text
    };
    let value = unescape(text, quoted)?;
    if value.is_empty() {
        Err("a component has no value")
    } else {
        Ok(AttributeValue::Text(value))
    }
}

fn unescape(text: &str, quoted: bool) -> Result<String, &'static str> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                let first = rest.next().ok_or("a '\\' at the end escapes nothing")?;
                if first.is_ascii_hexdigit() {
                    let second = rest
                        .next()
                        .filter(u8::is_ascii_hexdigit)
                        .ok_or("'\\' needs two hex digits")?;
                    let pair = [first, second];
                    let decoded = hex::decode(pair).map_err(|_| "'\\' needs two hex digits")?;
                    out.extend(decoded);
                } else {
                    out.push(first);
                }
            }
            b'"' => return Err("an unescaped '\"' inside a value"),
            b'<' | b'>' if !quoted => return Err("an unescaped '<' or '>' inside a value"),
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| "escaped bytes are not UTF-8")
}

/// Splits at separators that are neither escaped nor quoted.
fn split_unescaped<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped, mut quoted) = (0, false, false);
    for (position, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && separators.contains(&character) => {
                parts.push(&text[start..position]);
                start = position + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Trims blanks at both ends, but not a blank escaped by `\`.
fn trim_unescaped(text: &str) -> &str {
    let text = text.trim_start_matches(' ');
    let trimmed = text.trim_end_matches(' ');
    let backslashes = trimmed
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count();
    if backslashes % 2 == 1 && trimmed.len() < text.len() {
        &text[..trimmed.len() + 1]
    } else {
        trimmed
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (position, character) in text.chars().enumerate() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (position == 0 && matches!(character, ' ' | '#'))
            || (position == last && character == ' ');
        if special {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn attribute_oid(keyword: &str) -> Option<Vec<u64>> {
    let upper = keyword.to_ascii_uppercase();
    if let Some((_, oid, _)) = KEYWORDS.iter().find(|(known, _, _)| *known == upper) {
        return Some(oid.to_vec());
    }
    let dotted = upper.strip_prefix("OID.").unwrap_or(&upper);
    let arcs: Vec<u64> = dotted
        .split('.')
        .map(|arc| arc.parse::<u32>().ok().map(u64::from))
        .collect::<Option<_>>()?;
    let plausible = arcs.len() >= 2 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
    plausible.then_some(arcs)
}

fn decode_text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING | NUMERIC_STRING => {
            String::from_utf8(content.to_vec()).ok()
        }
        der::TELETEX_STRING => Some(content.iter().map(|byte| char::from(*byte)).collect()),
        // Two bytes a character: half a one is no text.
        der::BMP_STRING if content.len().is_multiple_of(2) => {
            let units = content
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// Returns whether a value is no text at all, as a serial number may be, or text as [`DistinguishedName::is_plain_text`]
/// asks. What the kinds of strings may hold: X.680 section 41.
fn is_plain_value(tag: u8, content: &[u8]) -> bool {
    let is_text = match tag {
        der::UTF8_STRING | der::TELETEX_STRING | der::BMP_STRING => true,
        // Names with `@`, `*`, `_` and `&` in a PrintableString are everywhere.
        der::PRINTABLE_STRING | der::IA5_STRING => content.is_ascii(),
        NUMERIC_STRING => content
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b' '),
        UNIVERSAL_STRING | VISIBLE_STRING | GENERAL_STRING | GRAPHIC_STRING | VIDEOTEX_STRING => {
            false
        }
        _ => return true,
    };
    is_text && decode_text(tag, content).is_some_and(|text| unseen_character(&text).is_none())
}

fn is_printable_string(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte)
}

fn dotted(arcs: &[u64]) -> String {
    arcs.iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

const NUMERIC_STRING: u8 = 0x12;
const VIDEOTEX_STRING: u8 = 0x15;
const GRAPHIC_STRING: u8 = 0x19;
const VISIBLE_STRING: u8 = 0x1a;
const GENERAL_STRING: u8 = 0x1b;
const UNIVERSAL_STRING: u8 = 0x1c;
const CN: &[u64] = &[2, 5, 4, 3];
const DC: &[u64] = &[0, 9, 2342, 19200300, 100, 1, 25];
const EMAIL_ADDRESS: &[u64] = &[1, 2, 840, 113549, 1, 9, 1];

/// Keyword, object identifier, and whether RFC 2253 itself defines the keyword. The first keyword of an
/// identifier is the one written.
const KEYWORDS: &[(&str, &[u64], bool)] = &[
    ("CN", CN, true),
    ("C", &[2, 5, 4, 6], true),
    ("L", &[2, 5, 4, 7], true),
    ("ST", &[2, 5, 4, 8], true),
    ("S", &[2, 5, 4, 8], true),
    ("STREET", &[2, 5, 4, 9], true),
    ("O", &[2, 5, 4, 10], true),
    ("OU", &[2, 5, 4, 11], true),
    ("DC", DC, true),
    ("UID", &[0, 9, 2342, 19200300, 100, 1, 1], true),
    ("SURNAME", &[2, 5, 4, 4], false),
    ("SERIALNUMBER", &[2, 5, 4, 5], false),
    ("T", &[2, 5, 4, 12], false),
    ("TITLE", &[2, 5, 4, 12], false),
    ("GIVENNAME", &[2, 5, 4, 42], false),
    ("INITIALS", &[2, 5, 4, 43], false),
    ("GENERATION", &[2, 5, 4, 44], false),
    ("DNQ", &[2, 5, 4, 46], false),
    ("DNQUALIFIER", &[2, 5, 4, 46], false),
    ("EMAILADDRESS", EMAIL_ADDRESS, false),
    ("E", EMAIL_ADDRESS, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_well_formed_text_is_plain() {
        let of = |tag: u8, content: &[u8]| {
            let pair = der::sequence(&[&der::oid(CN), &der::value(tag, content)]);
            let set = der::value(der::SET, &pair);
            DistinguishedName::from_der(&der::value(der::SEQUENCE, &set))
        };
        for (tag, content) in [
            (der::UTF8_STRING, "Jörg Müller, Ops".as_bytes()),
            (der::PRINTABLE_STRING, b"*.example.com"),
            (der::IA5_STRING, b"a@example.com"),
            (der::TELETEX_STRING, b"J\xf6rg"),
            (der::BMP_STRING, b"\0a\0d"),
            (NUMERIC_STRING, b"12 3"),
        ] {
            assert!(of(tag, content).is_plain_text(), "{tag:#x} {content:?}");
        }
        for (tag, content) in [
            (der::UTF8_STRING, &b"admin\n"[..]),
            (der::UTF8_STRING, b"ad\0min"),
            (der::UTF8_STRING, b"admin\xff"),
            (der::UTF8_STRING, "admin\u{200b}".as_bytes()),
            (der::UTF8_STRING, "\u{202e}nimda".as_bytes()),
            (der::PRINTABLE_STRING, b"admin\x7f"),
            (der::PRINTABLE_STRING, "admïn".as_bytes()),
            (der::IA5_STRING, b"admin\t"),
            (der::TELETEX_STRING, b"admin\x1b"),
            (NUMERIC_STRING, b"12a"),
            // Half a character, half a pair, an end of text.
            (der::BMP_STRING, b"\0a\0d\0m\0i\0nx"),
            (der::BMP_STRING, b"\0a\xd8\0"),
            (der::BMP_STRING, b"\0a\0\0"),
            (UNIVERSAL_STRING, b"\0\0\0a"),
        ] {
            assert!(!of(tag, content).is_plain_text(), "{tag:#x} {content:?}");
        }
        // Bytes that no reader of the name comes to.
        let whole = DistinguishedName::common_name("admin").as_der().to_vec();
        let longer = [&whole[..], b"\x05\0"].concat();
        assert!(DistinguishedName::from_der(&whole).is_plain_text());
        assert!(!DistinguishedName::from_der(&longer).is_plain_text());
        assert!(!DistinguishedName::from_der(b"").is_plain_text());
        let odd = of(der::BMP_STRING, b"\0a\0d\0m\0i\0nx");
        assert_eq!(odd.first_common_name(), None);
        assert!(odd.to_string().starts_with("CN=#"), "{odd}");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(
            DistinguishedName::parse(text).unwrap().to_string(),
            expected
        );
    }

    #[test]
    fn names_survive_parsing_and_printing() {
        check(
            "CN=node5,OU=IT,DC=example,DC=com",
            "CN=node5,OU=IT,DC=example,DC=com",
        );
        check(" cn = a ; o = b ", "CN=a,O=b");
        check(r"CN=Smith\, John,O=a\+b", r"CN=Smith\, John,O=a\+b");
        check(r#"CN="Smith, John""#, r"CN=Smith\, John");
        check(r"CN=L\C3\BCbeck", "CN=Lübeck");
        check("CN=a+OU=b,C=DE", "CN=a+OU=b,C=DE");
        check("2.5.4.3=x", "CN=x");
        check("CN=#0c0161", "CN=a");
        check(
            "EMAILADDRESS=a@b.example",
            "1.2.840.113549.1.9.1=#160b6140622e6578616d706c65",
        );
    }

    #[test]
    fn the_last_component_of_the_text_is_first_in_the_bytes() {
        let name = DistinguishedName::parse("CN=a,DC=com").unwrap();
        let dc = hex::decode("310d300b060a0992268993f22c64011916").unwrap();
        assert_eq!(
            &name.as_der()[2..4],
            &[0x31, 0x13],
            "{}",
            hex::encode(name.as_der())
        );
        assert_eq!(&name.as_der()[6..18], &dc[4..16]);
    }

    #[test]
    fn string_types_follow_java() {
        assert!(
            hex::encode(DistinguishedName::common_name("node").as_der()).ends_with("13046e6f6465")
        );
        assert!(
            hex::encode(DistinguishedName::common_name("a_b").as_der()).ends_with("0c03615f62")
        );
        let dc = DistinguishedName::parse("DC=com").unwrap();
        assert!(hex::encode(dc.as_der()).ends_with("1603636f6d"));
    }

    #[test]
    fn the_spaced_form_names_rare_attributes() {
        let name = DistinguishedName::parse("EMAILADDRESS=a@b.example,O=c").unwrap();
        assert_eq!(name.with_spaces(), "EMAILADDRESS=a@b.example, O=c");
        assert_eq!(name.for_patterns(), name.with_spaces());
    }

    #[test]
    fn a_value_cannot_look_like_another_attribute_to_a_pattern() {
        let name = DistinguishedName::parse(r"OU=x\, CN=root\, y,OU=CN=root,CN=ann").unwrap();
        assert_eq!(
            name.for_patterns(),
            r"OU=x\, CN\=root\, y, OU=CN\=root, CN=ann"
        );
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in [
            "", "node", "CN=", "X=1", "CN=a,", r"CN=a\", "CN=#zz", "1=2", "3.1=a", "CN=a\"b",
        ] {
            assert!(
                matches!(
                    DistinguishedName::parse(text),
                    Err(PkiError::InvalidName { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn names_that_directories_take_for_the_same_are_normalized_alike() {
        let normalized = |text: &str| DistinguishedName::parse(text).unwrap().normalized();
        let ann = normalized("CN=Ann Lee,OU=People,DC=example,DC=com");
        for same in [
            "cn=ann lee, ou=people, dc=EXAMPLE, dc=com",
            " CN = Ann   Lee ;OU=People,DC=example,DC=com",
            r"2.5.4.3=\41nn\20Lee,OU=People,DC=example,DC=com",
            "CN=#0c07416e6e204c6565,OU=People,DC=example,DC=com",
        ] {
            assert_eq!(normalized(same), ann, "{same}");
        }
        for other in [
            "CN=AnnLee,OU=People,DC=example,DC=com",
            "OU=People,CN=Ann Lee,DC=example,DC=com",
            "CN=Ann Lee,OU=People,DC=example",
            r"CN=Ann Lee\,OU\=People,DC=example,DC=com",
        ] {
            assert_ne!(normalized(other), ann, "{other}");
        }
        assert_eq!(normalized("CN=a+OU=b,O=c"), normalized("OU=B+CN=A,O=C"));
        assert_ne!(normalized(r"CN=\#41"), normalized("CN=#0c0141"));
    }

    #[test]
    fn attributes_are_found_by_keyword_and_identifier() {
        let name = DistinguishedName::parse("UID=ann,OU=a,OU=b,CN=Ann").unwrap();
        let value = |keyword| name.first_value(&DistinguishedName::oid_of(keyword)?);
        assert_eq!(value("uid").as_deref(), Some("ann"));
        assert_eq!(value("ou").as_deref(), Some("a"));
        assert_eq!(value("OID.2.5.4.3").as_deref(), Some("Ann"));
        assert_eq!(value("O"), None);
        assert_eq!(DistinguishedName::oid_of("nonsense"), None);
    }

    #[test]
    fn an_instance_name_without_equals_is_taken_literally() {
        let name = DistinguishedName::of_instance("a,b").unwrap();
        assert_eq!(name.first_common_name().as_deref(), Some("a,b"));
        assert_eq!(
            DistinguishedName::of_instance("CN=x,O=y")
                .unwrap()
                .to_string(),
            "CN=x,O=y"
        );
    }
}
