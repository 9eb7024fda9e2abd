//! JSON as it comes in: the text of numbers is kept, a key that occurs twice is an error, and what
//! Elasticsearch's parser takes beyond the standard is taken too (see [`lenient`]).

mod exponents;
mod lenient;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use exponents::Exponents;
pub use lenient::lenient;

/// Reads a text as a tree. Numbers keep their text; a key that occurs twice is an error.
///
/// # Errors
/// What serde_json says of a text that [`lenient`] cannot mend either.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let error = match parse_strictly(text, Keys::Open) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match lenient(text) {
        Some(mended) => parse_strictly(&mended, Keys::Open),
        None => Err(error),
    }
}

/// As [`parse`], for what nodes tell one another as a tree: [reserved keys](is_reserved_key) are refused.
///
/// # Errors
/// As [`parse`].
pub fn parse_request(text: &[u8]) -> Result<Value, serde_json::Error> {
    let error = match parse_strictly(text, Keys::Checked) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match lenient(text) {
        Some(mended) => parse_strictly(&mended, Keys::Checked),
        None => Err(error),
    }
}

/// Returns the text with what [`lenient`] mends, if it does not parse as it is.
pub fn mended(text: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => lenient(text).map_or(Cow::Borrowed(text), Cow::Owned),
    }
}

/// Tells whether a key is one by which serde_json marks values that are no objects. A tree that has
/// such a key is not read back as it was written, so nobody may bring one in.
pub fn is_reserved_key(key: &str) -> bool {
    key.starts_with("$serde_json::private::")
}

/// Tells whether a key that was handed over while `text` is read marks a number whose text matters.
/// A key of the text itself marks nothing: it lies within the text.
pub fn is_number_mark(key: &str, text: &Range<usize>) -> bool {
    key == NUMBER_MARK && !text.contains(&(key.as_ptr() as usize))
}

/// Returns where a text lies in memory.
pub fn addresses(text: &[u8]) -> Range<usize> {
    let start = text.as_ptr() as usize;
    start..start + text.len()
}

/// Tells whether two trees hold the same values: numbers are compared by value, so that `1.10` is
/// `1.1`, but not `1` as `1.0`. The order of keys does not matter.
pub fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => same_number(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same_value(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, l)| right.get(key).is_some_and(|r| same_value(l, r)))
        }
        _ => left == right,
    }
}

fn same_number(left: &Number, right: &Number) -> bool {
    let (left, right) = (left.as_str(), right.as_str());
    if left == right {
        return true;
    }
    match (is_whole(left), is_whole(right)) {
        // Without leading zeros the text of a whole number is its value, but for that of zero.
        (true, true) => left.trim_start_matches('-') == "0" && right.trim_start_matches('-') == "0",
        (false, false) => left.parse::<f64>().ok() == right.parse::<f64>().ok(),
        _ => false,
    }
}

/// Tells whether a number is written as a whole one.
pub fn is_whole(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// How serde_json's readers announce a number by its text (feature `arbitrary_precision`).
pub(crate) const NUMBER_MARK: &str = "$serde_json::private::Number";

fn parse_strictly(text: &[u8], keys: Keys) -> Result<Value, serde_json::Error> {
    let read = |exponents: &Exponents| {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let text = &addresses(text);
        let value = Tree {
            text,
            keys,
            exponents,
        }
        .deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    };
    let exponents = Exponents::default();
    let first = read(&exponents);
    if exponents.must_read_again() {
        return read(&Exponents::of(text));
    }
    first
}

/// Whether keys are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Open,
    Checked,
}

/// Builds a [`Value`], refusing duplicate keys.
#[derive(Clone, Copy)]
struct Tree<'t> {
    text: &'t Range<usize>,
    keys: Keys,
    exponents: &'t Exponents,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key_seed(KeySeed(self.text))? {
            let Key::Member(key) = key else {
                let number: String = entries.next_value()?;
                return self.number(number).map(Value::Number);
            };
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("Duplicate field '{key}'")));
            }
            if self.keys == Keys::Checked && is_reserved_key(&key) {
                return Err(A::Error::custom(format!("field name '{key}' is reserved")));
            }
            let value = entries.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

impl Tree<'_> {
    fn number<E: serde::de::Error>(self, number: String) -> Result<Number, E> {
        match self.keys {
            // What nodes tell one another is read by serde_json, which has its own form of exponents.
            Keys::Checked => number.parse().map_err(E::custom),
            // The only way to a number of another form, though the documentation hides it.
            Keys::Open => Ok(Number::from_string_unchecked(
                self.exponents.written(number)?,
            )),
        }
    }
}

enum Key {
    NumberMark,
    Member(String),
}

struct KeySeed<'t>(&'t Range<usize>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key, E> {
        if is_number_mark(key, self.0) {
            return Ok(Key::NumberMark);
        }
        Ok(Key::Member(key.to_owned()))
    }
    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(Key::Member(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        for text in [
            "1.10",
            "1E400",
            "-0",
            "-0.0",
            "122.416294033786585",
            "9400111899223197428490",
            "[1e5,0.1e+1,{\"a\":-12.50}]",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_key_that_looks_like_the_mark_of_a_number_is_a_key() {
        for text in [
            r#"{"$serde_json::private::Number":"12"}"#,
            r#"{"$serde_json::private::Number":"x"}"#,
            r#"{"$serde_json::private::RawValue":"1"}"#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
            let error = parse_request(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is reserved"), "{error}");
        }
        let escaped = br#"{"\u0024serde_json::private::Number":"12"}"#;
        assert!(parse(escaped).unwrap().is_object());
        assert!(parse_request(escaped).is_err());
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        let error = parse(br#"{"a":{"b":1,"b":2}}"#).unwrap_err();
        assert!(error.to_string().contains("Duplicate field 'b'"));
    }

    #[test]
    fn trees_are_compared_by_value() {
        let same = |left: &str, right: &str| {
            same_value(
                &parse(left.as_bytes()).unwrap(),
                &parse(right.as_bytes()).unwrap(),
            )
        };
        assert!(same("1.10", "1.1") && same("1e2", "100.0") && same("-0", "0"));
        assert!(same(r#"{"a":[1.0],"b":null}"#, r#"{"b":null,"a":[1.00]}"#));
        assert!(!same("1", "1.0") && !same("9400111899223197428490", "9400111899223197428491"));
        assert!(!same("[1]", "[1,1]") && !same(r#"{"a":1}"#, r#"{"b":1}"#) && !same("1", "\"1\""));
    }
}
