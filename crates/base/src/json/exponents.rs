//! Numbers with an exponent as they are written: serde_json hands `1E5` over as `1e+5`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::string_end;
use super::{Key, KeySeed};

/// The numbers with an exponent of one text, in their order. They are looked for only once one has been met,
/// which is rare: the text is then read a second time.
#[derive(Debug, Default)]
pub struct Exponents {
    texts: Option<RefCell<VecDeque<String>>>,
    met: Cell<bool>,
}

impl Exponents {
    /// Looks for the numbers of a text, which must be JSON.
    pub fn of(text: &[u8]) -> Self {
        Self {
            texts: Some(RefCell::new(find(text))),
            met: Cell::new(false),
        }
    }

    /// Tells whether the text must be read again, with [`Exponents::of`].
    pub fn must_read_again(&self) -> bool {
        self.texts.is_none() && self.met.get()
    }

    /// Returns a number as it is written. Every number of the text has to be asked for, in order.
    ///
    /// # Errors
    /// When the text must be read again.
    pub fn written<E: Error>(&self, number: String) -> Result<String, E> {
        if !number.contains('e') {
            return Ok(number);
        }
        self.met.set(true);
        let Some(texts) = &self.texts else {
            return Err(E::custom("a number with an exponent"));
        };
        texts
            .borrow_mut()
            .pop_front()
            .ok_or_else(|| E::custom("a number that was not found"))
    }

    /// Reads over a value of the text at these addresses, asking for its numbers if they are counted.
    ///
    /// # Errors
    /// What the reader says.
    pub fn skip<'de, D: Deserializer<'de>>(
        &self,
        deserializer: D,
        text: &Range<usize>,
    ) -> Result<(), D::Error> {
        match self.texts {
            None => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            Some(_) => {
                let exponents = self;
                Skip { exponents, text }.deserialize(deserializer)
            }
        }
    }
}

fn find(text: &[u8]) -> VecDeque<String> {
    let mut found = VecDeque::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at + 1) + 1,
            b'-' | b'0'..=b'9' => {
                let rest = &text[at..];
                let end = rest
                    .iter()
                    .position(|byte| {
                        !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')
                    })
                    .unwrap_or(rest.len());
                let number = String::from_utf8_lossy(&rest[..end]);
                if number.contains(['e', 'E']) {
                    found.push_back(number.into_owned());
                }
                at += end;
            }
            _ => at += 1,
        }
    }
    found
}

#[derive(Clone, Copy)]
struct Skip<'e> {
    exponents: &'e Exponents,
    text: &'e Range<usize>,
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key_seed(KeySeed(self.text))? {
            if matches!(key, Key::NumberMark) {
                let number: String = entries.next_value()?;
                return self.exponents.written(number).map(|_| ());
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}
