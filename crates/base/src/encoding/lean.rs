//! Numbers of JSON trees as numbers. With their text kept, serde_json hands each over as a structure
//! of one text; on the wire that would be five times as long, and nothing that an older node reads.
//! This passes every value on as it is, but a number as the integer or double that has its text.

use serde::Serialize;
use serde::ser::{self, Error as _, Serializer};
use serde_json::{Number, Value};

use crate::json::NUMBER_MARK;

/// A value that is written with its numbers as numbers.
pub(super) struct Lean<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Serialize + ?Sized> Serialize for Lean<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(LeanSerializer(serializer))
    }
}

struct LeanSerializer<S>(S);

macro_rules! pass_on {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> { self.0.$method(value) })*
    };
}

impl<S: Serializer> Serializer for LeanSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = LeanParts<S::SerializeSeq>;
    type SerializeTuple = LeanParts<S::SerializeTuple>;
    type SerializeTupleStruct = LeanParts<S::SerializeTupleStruct>;
    type SerializeTupleVariant = LeanParts<S::SerializeTupleVariant>;
    type SerializeMap = LeanParts<S::SerializeMap>;
    type SerializeStruct = LeanStruct<S>;
    type SerializeStructVariant = LeanParts<S::SerializeStructVariant>;

    pass_on!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str
    );

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Lean(value))
    }
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Lean(value))
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0
            .serialize_newtype_variant(name, index, variant, &Lean(value))
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(length).map(LeanParts)
    }
    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(length).map(LeanParts)
    }
    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, length).map(LeanParts)
    }
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.0
            .serialize_tuple_variant(name, index, variant, length)
            .map(LeanParts)
    }
    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(length).map(LeanParts)
    }
    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        if name == NUMBER_MARK {
            return Ok(LeanStruct::Number {
                serializer: self.0,
                text: String::new(),
            });
        }
        self.0.serialize_struct(name, length).map(LeanStruct::Other)
    }
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.0
            .serialize_struct_variant(name, index, variant, length)
            .map(LeanParts)
    }
    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The parts of a compound value.
struct LeanParts<C>(C);

macro_rules! parts {
    ($($trait:ident $method:ident),*) => {
        $(impl<C: ser::$trait> ser::$trait for LeanParts<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.0.$method(&Lean(value))
            }
            fn end(self) -> Result<C::Ok, C::Error> {
                self.0.end()
            }
        })*
    };
}

parts!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

impl<C: ser::SerializeMap> ser::SerializeMap for LeanParts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.0.serialize_key(&Lean(key))
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.0.serialize_value(&Lean(value))
    }
    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

impl<C: ser::SerializeStructVariant> ser::SerializeStructVariant for LeanParts<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        self.0.serialize_field(key, &Lean(value))
    }
    fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
        self.0.skip_field(key)
    }
    fn end(self) -> Result<C::Ok, C::Error> {
        self.0.end()
    }
}

/// A structure, or a number in the guise of one.
enum LeanStruct<S: Serializer> {
    Number { serializer: S, text: String },
    Other(S::SerializeStruct),
}

impl<S: Serializer> ser::SerializeStruct for LeanStruct<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::Other(inner) => inner.serialize_field(key, &Lean(value)),
            Self::Number { text, .. } => match serde_json::to_value(value) {
                Ok(Value::String(found)) => {
                    *text = found;
                    Ok(())
                }
                _ => Err(S::Error::custom("a number without its text")),
            },
        }
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        match self {
            Self::Other(inner) => inner.skip_field(key),
            Self::Number { .. } => Ok(()),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Other(inner) => ser::SerializeStruct::end(inner),
            Self::Number { serializer, text } => number(serializer, &text),
        }
    }
}

/// Writes a number as what reads back with the same text.
fn number<S: Serializer>(serializer: S, text: &str) -> Result<S::Ok, S::Error> {
    if text != "-0" {
        if let Ok(unsigned) = text.parse::<u64>() {
            return serializer.serialize_u64(unsigned);
        }
        if let Ok(signed) = text.parse::<i64>() {
            return serializer.serialize_i64(signed);
        }
    }
    let double = text.parse().ok().and_then(Number::from_f64);
    match double {
        Some(same) if same.as_str() == text => {
            serializer.serialize_f64(same.as_f64().unwrap_or_default())
        }
        _ => {
            let mut marked = serializer.serialize_struct(NUMBER_MARK, 1)?;
            ser::SerializeStruct::serialize_field(&mut marked, NUMBER_MARK, text)?;
            ser::SerializeStruct::end(marked)
        }
    }
}
