//! From another form to JSON. Nothing is kept as a tree: values are written as they are read.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::breaker::Account;
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};

use super::Format;
use crate::json::push_string;

/// Writes a body as JSON, whose memory is charged.
///
/// # Errors
/// 400 for what the form does not allow and for what JSON cannot say, 429 where there is no room.
pub fn to_json(format: Format, body: &[u8], account: &Account) -> ApiResult<Vec<u8>> {
    // JSON has the longer words: at most so much for each byte of what is short in the others.
    account.charge(body.len() as u64 * GROWTH, "<parsed_request>")?;
    let malformed = |reason: String| {
        let reason = format!("malformed {}: {reason}", format.name());
        ApiError::new(ErrorCode::XContentParse, reason)
    };
    let read: Result<Json, String> = match format {
        Format::Json => return Ok(body.to_vec()),
        Format::Yaml => from_yaml(body),
        Format::Cbor => from_cbor(body),
        Format::Smile => from_smile(body),
    };
    let json = read.map_err(malformed)?.0;
    // YAML may say a thing once and mean it often.
    let beyond = (json.len() as u64).saturating_sub(body.len() as u64 * GROWTH);
    account.charge(beyond, "<parsed_request>")?;
    Ok(json)
}

/// What was said once may be referred to in two bytes, again and again.
fn from_smile(body: &[u8]) -> Result<Json, String> {
    let mut out = Vec::new();
    let part = Part {
        out: &mut out,
        is_key: false,
        limit: body.len().saturating_mul(GROWTH as usize),
    };
    let mut reader = serde_smile::Deserializer::from_slice(body);
    part.deserialize(&mut reader)
        .map_err(|error| error.to_string())?;
    Ok(Json(out))
}

fn from_yaml<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    // Words such as `no` and `n` are texts, as to Elasticsearch.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

fn from_cbor<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    // A mark that says that this is CBOR. Source: RFC 8949, section 3.4.6.
    let mut rest = body.strip_prefix(b"\xd9\xd9\xf7").unwrap_or(body);
    let read = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH)
        .map_err(|error| error.to_string())?;
    match rest.is_empty() {
        true => Ok(read),
        false => Err("there is something behind the value".to_owned()),
    }
}

/// JSON text, written from whatever a value is read from.
struct Json(Vec<u8>);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut out = Vec::new();
        let part = Part {
            out: &mut out,
            is_key: false,
            limit: usize::MAX,
        };
        part.deserialize(deserializer)?;
        Ok(Self(out))
    }
}

/// A value, or the key of a member.
struct Part<'a> {
    out: &'a mut Vec<u8>,
    is_key: bool,
    /// Bytes that may be written.
    limit: usize,
}

impl Part<'_> {
    fn push<E>(self, text: impl fmt::Display) -> Result<(), E> {
        let text = text.to_string();
        match self.is_key {
            true => push_string(self.out, &text),
            false => self.out.extend_from_slice(text.as_bytes()),
        }
        Ok(())
    }

    fn refuse_as_key<E: de::Error>(&self, what: &str) -> Result<(), E> {
        match self.is_key {
            true => Err(E::custom(format!("{what} cannot be the name of a field"))),
            false => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.is_key {
            // What looks like a number or a boolean is the name of a field all the same.
            true => deserializer.deserialize_str(self),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what JSON can say")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.push(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.push(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.push(value)
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<(), E> {
        self.push(value)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<(), E> {
        self.push(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        match serde_json::Number::from_f64(value) {
            Some(number) => self.push(number),
            None => Err(E::custom(format!("[{value}] is no number in JSON"))),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        push_string(self.out, value);
        Ok(())
    }

    /// As Elasticsearch shows them.
    fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<(), E> {
        push_string(self.out, &STANDARD.encode(value));
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.push("null")
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.push("null")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.refuse_as_key::<A::Error>("a list")?;
        let (out, limit) = (self.out, self.limit);
        out.push(b'[');
        let start = out.len();
        loop {
            let before = out.len();
            if before > limit {
                return Err(de::Error::custom("it says too much in too few bytes"));
            }
            if before > start {
                out.push(b',');
            }
            let item = Part {
                out: &mut *out,
                is_key: false,
                limit,
            };
            if items.next_element_seed(item)?.is_none() {
                out.truncate(before);
                break;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.refuse_as_key::<A::Error>("an object")?;
        let (out, limit) = (self.out, self.limit);
        out.push(b'{');
        let start = out.len();
        loop {
            let before = out.len();
            if before > limit {
                return Err(de::Error::custom("it says too much in too few bytes"));
            }
            if before > start {
                out.push(b',');
            }
            let key = Part {
                out: &mut *out,
                is_key: true,
                limit,
            };
            if members.next_key_seed(key)?.is_none() {
                out.truncate(before);
                break;
            }
            out.push(b':');
            members.next_value_seed(Part {
                out: &mut *out,
                is_key: false,
                limit,
            })?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// A character of one byte takes six where it must be escaped.
const GROWTH: u64 = 6;

/// As of JSON bodies.
const MAX_DEPTH: usize = 128;

#[cfg(test)]
mod tests {
    use ringwall_base::breaker::{Breakers, Limits, Purpose};
    use serde_json::{Value, json};

    use super::*;
    use crate::formats::write;

    fn read(format: Format, body: &[u8]) -> Result<Value, String> {
        let account = Account::open(&Breakers::new(Limits::none()), Purpose::Request);
        let text = to_json(format, body, &account).map_err(|error| error.reason)?;
        crate::json::parse(&text).map_err(|error| error.reason)
    }

    #[test]
    fn what_is_written_in_a_form_is_read_from_it() {
        let value = json!({
            "text": "a \"quoted\" line\nand\u{1}ä", "yes": "yes", "n": "null", "": "~", "1": [[], {}, [1, [2]]],
            "numbers": [0, -1, 18_446_744_073_709_551_615_u64, 1.5, -2.25e300], "flags": [true, false, null],
            "deep": {"a.b": {"c": [{"d": 1, "e": [{"f": {}}]}]}},
        });
        for format in [Format::Yaml, Format::Cbor, Format::Smile] {
            let written = write(format, &value);
            assert_eq!(read(format, &written), Ok(value.clone()), "{format:?}");
        }
    }

    #[test]
    fn what_json_cannot_say_and_what_is_malformed_is_refused() {
        for (format, body) in [
            (Format::Yaml, &b"a: [1"[..]),
            (Format::Yaml, b"a: 1\na: 2\n"),
            (Format::Yaml, b"a: .nan"),
            (Format::Yaml, b"a: \xff"),
            (Format::Cbor, b"\xa1\x61a"),
            // NaN, something behind the value, a list as key, and a list that says to be of 2^62 items.
            (Format::Cbor, b"\xf9\x7e\x00"),
            (Format::Cbor, b"\x01\x01"),
            (Format::Cbor, b"\xa1\x80\x01"),
            (Format::Cbor, b"\x9b\x40\0\0\0\0\0\0\0"),
            (Format::Smile, b"{}"),
            (Format::Smile, b":)\n\x01\xf8"),
        ] {
            let error = read(format, body).unwrap_err();
            assert!(
                error.contains("malformed") || error.contains("uplicate"),
                "{error}"
            );
        }
        // A text of 60 bytes, and then 1 000 references of one byte to it.
        let text = "x".repeat(60);
        let said = [
            b":)\n\x02\xf8".as_slice(),
            &[0x7b],
            text.as_bytes(),
            &[0x01; 1000],
            b"\xf9",
        ]
        .concat();
        let refused = read(Format::Smile, &said).unwrap_err();
        assert!(refused.contains("too few bytes"), "{refused}");
        let deep = [&[0x81; 1000][..], &[0x01]].concat();
        assert!(read(Format::Cbor, &deep).is_err());
        // A key twice is refused as it is in JSON.
        assert!(read(Format::Cbor, b"\xa2\x61a\x01\x61a\x02").is_err());
    }

    #[test]
    fn yaml_of_people_is_read() {
        let body = b"# what people write\nquery:\n  match: {t: plain words}\nn: no\nsize: 3\nsort:\n- _doc\n- t: {order: desc}\n";
        assert_eq!(
            read(Format::Yaml, body),
            Ok(
                json!({"query": {"match": {"t": "plain words"}}, "n": "no", "size": 3, "sort": ["_doc", {"t": {"order": "desc"}}]})
            )
        );
        assert_eq!(
            read(Format::Cbor, b"\xd9\xd9\xf7\xa1\x61a\x41\xff"),
            Ok(json!({"a": "/w=="}))
        );
    }
}
