//! Walks the JSON text of a document along the mapping.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::json::{self, Exponents};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use super::{METADATA_FIELDS, Values, dynamic, parsing_error};
use crate::field::scalar::{Rejection, Scalar};
use crate::mapping::{
    Dynamic, FieldMapping, MAX_NAME_BYTES, MAX_NAME_PARTS, Mapping, ObjectMapping, Property,
};

/// Collects the values of one document.
pub(super) struct Reader<'m> {
    mapping: &'m Mapping,
    id: &'m str,
    values: Values,
    update: Map<String, Value>,
    /// The dotted path of the value being read.
    path: String,
    /// Where the text lies in memory.
    text: Range<usize>,
    exponents: Exponents,
    /// What went wrong, while serde carries a placeholder up.
    error: Option<ApiError>,
    hasher: RandomState,
}

/// What the mapping has at the current path.
#[derive(Clone, Copy)]
enum Target<'m> {
    /// `None`: an object that the mapping does not have yet.
    Object(Option<&'m ObjectMapping>, Dynamic),
    Field(&'m FieldMapping),
    New(Dynamic),
    Skip,
}

impl<'m> Reader<'m> {
    pub(super) fn new(mapping: &'m Mapping, id: &'m str) -> Self {
        Self {
            mapping,
            id,
            values: Values::default(),
            update: Map::new(),
            path: String::new(),
            text: 0..0,
            exponents: Exponents::default(),
            error: None,
            hasher: RandomState::new(),
        }
    }

    /// As [`Reader::new`], for a text that has numbers with exponents.
    pub(super) fn with_exponents(mapping: &'m Mapping, id: &'m str, source: &[u8]) -> Self {
        Self {
            exponents: Exponents::of(source),
            ..Self::new(mapping, id)
        }
    }

    /// Tells whether the text must be read again, by [`Reader::with_exponents`].
    pub(super) fn must_read_again(&self) -> bool {
        self.exponents.must_read_again()
    }

    /// Reads the whole text.
    pub(super) fn read(&mut self, source: &[u8]) -> Result<(), ApiError> {
        self.text = json::addresses(source);
        let mut json = serde_json::Deserializer::from_slice(source);
        let root = &self.mapping.root;
        let dynamic = root.dynamic.unwrap_or_default();
        let target = if root.disabled {
            Target::Skip
        } else {
            Target::Object(Some(root), dynamic)
        };
        let result = RootSeed {
            reader: self,
            target,
        }
        .deserialize(&mut json)
        .and_then(|()| json.end());
        result.map_err(|error| {
            let at = format!("[{}:{}]", error.line(), error.column());
            match self.error.take() {
                Some(ours) if ours.code == ErrorCode::IllegalArgument => ours,
                Some(mut ours) => {
                    ours.reason = format!("{at} {}", ours.reason);
                    ours
                }
                None => {
                    let cause = ApiError::new(ErrorCode::JsonParse, error.to_string());
                    parsing_error(format!("{at} failed to parse: {error}")).caused_by(cause)
                }
            }
        })
    }

    pub(super) fn finish(self) -> Result<(Values, Option<Value>), ApiError> {
        let update = dynamic::finish(self.update);
        Ok((self.values, update))
    }

    fn fail<E: Error>(&mut self, error: ApiError) -> E {
        self.error = Some(error);
        E::custom("the document is refused")
    }

    /// Finds what the mapping has for a key of an object; a dotted key goes through objects.
    fn resolve<E: Error>(
        &mut self,
        object: Option<&'m ObjectMapping>,
        dynamic: Dynamic,
        key: &str,
    ) -> Result<Target<'m>, E> {
        let Some(mut object) = object else {
            return self.new_target(dynamic, key);
        };
        let mut dynamic = dynamic;
        let mut rest = key;
        loop {
            let (name, tail) = match rest.split_once('.') {
                Some((name, tail)) => (name, Some(tail)),
                None => (rest, None),
            };
            match (object.properties.get(name), tail) {
                (None, _) => return self.new_target(dynamic, rest),
                (Some(Property::Field(field)), None) => return Ok(Target::Field(field)),
                (Some(Property::Field(field)), Some(_)) => {
                    let error = parsing_error(format!(
                        "Could not dynamically add mapping for field [{}]. Existing mapping for \
                         [{}] must be of type object but found [{}].",
                        self.path,
                        field.path,
                        field.field_type.name()
                    ));
                    return Err(self.fail(error));
                }
                (Some(Property::Object(inner)), _) if inner.disabled => return Ok(Target::Skip),
                (Some(Property::Object(inner)), tail) => {
                    dynamic = inner.dynamic.unwrap_or(dynamic);
                    match tail {
                        None => return Ok(Target::Object(Some(inner), dynamic)),
                        Some(tail) => {
                            object = inner;
                            rest = tail;
                        }
                    }
                }
            }
        }
    }

    fn new_target<E: Error>(&mut self, dynamic: Dynamic, rest: &str) -> Result<Target<'m>, E> {
        match dynamic {
            Dynamic::True => Ok(Target::New(dynamic)),
            Dynamic::False => Ok(Target::Skip),
            Dynamic::Strict => {
                let parent = self
                    .path
                    .strip_suffix(rest)
                    .map_or("", |head| head.trim_end_matches('.'));
                let parent = if parent.is_empty() { "_doc" } else { parent };
                let name = rest.split('.').next().unwrap_or(rest);
                let error = ApiError::new(
                    ErrorCode::StrictDynamicMapping,
                    format!(
                        "mapping set to strict, dynamic introduction of [{name}] within [{parent}] \
                         is not allowed"
                    ),
                );
                Err(self.fail(error))
            }
        }
    }

    /// Defines the objects that a dotted name goes through, where templates do. Returns whether what is in them is
    /// looked at.
    fn open_parents(&mut self) -> bool {
        let options = &self.mapping.options;
        if options.dynamic_templates.is_empty() {
            return true;
        }
        let dots: Vec<usize> = self.path.match_indices('.').map(|(at, _)| at).collect();
        for at in dots {
            let parent = &self.path[..at];
            if self.mapping.is_object(parent) || !dynamic::is_templated(options, parent) {
                continue;
            }
            let (definition, within) = dynamic::object(options, parent, Dynamic::True);
            dynamic::add(&mut self.update, parent, definition);
            if within != Dynamic::True {
                return false;
            }
        }
        true
    }

    /// Begins to read an object at the current path.
    fn open<E: Error>(
        &mut self,
        target: Target<'m>,
    ) -> Result<(Option<&'m ObjectMapping>, Dynamic), E> {
        match target {
            Target::Object(object, dynamic) => Ok((object, dynamic)),
            Target::New(_) if !self.open_parents() => Ok((None, Dynamic::False)),
            Target::New(dynamic) => {
                let (definition, within) =
                    dynamic::object(&self.mapping.options, &self.path, dynamic);
                dynamic::add(&mut self.update, &self.path, definition);
                Ok((None, within))
            }
            // Nothing looks at what is in it.
            Target::Skip => Ok((None, Dynamic::False)),
            Target::Field(field) => Err(self.bad_value(
                field,
                "{...}",
                &format!(
                    "Can't get a value of type [{}] on a START_OBJECT",
                    field.field_type.name()
                ),
            )),
        }
    }

    fn scalar<E: Error>(&mut self, target: Target<'m>, scalar: &Scalar<'_>) -> Result<(), E> {
        match target {
            Target::Skip => Ok(()),
            Target::Field(field) => self.field_value(field, scalar, true),
            Target::New(_) if !self.open_parents() => Ok(()),
            Target::New(_) => {
                let definition = dynamic::definition(&self.mapping.options, &self.path, scalar);
                dynamic::add(&mut self.update, &self.path, definition);
                Ok(())
            }
            Target::Object(..) => {
                let error = parsing_error(format!(
                    "object mapping for [{0}] tried to parse field [{0}] as object, but found a \
                     concrete value",
                    self.path
                ));
                Err(self.fail(error))
            }
        }
    }

    fn field_value<E: Error>(
        &mut self,
        field: &'m FieldMapping,
        scalar: &Scalar<'_>,
        copy: bool,
    ) -> Result<(), E> {
        let mapper = field.field_type.mapper();
        if let Err(rejection) = mapper.add(field, scalar, &mut self.values) {
            self.rejected(field, scalar, rejection)?;
        }
        for sub in field.fields.values() {
            let mapper = sub.field_type.mapper();
            if let Err(rejection) = mapper.add(sub, scalar, &mut self.values) {
                self.rejected(sub, scalar, rejection)?;
            }
        }
        if copy {
            for target in &field.copy_to {
                self.copy_value(target, scalar)?;
            }
        }
        Ok(())
    }

    /// What stands for null in a field is its own: its multi-fields have theirs, or nothing.
    fn null<E: Error>(&mut self, field: &'m FieldMapping) -> Result<(), E> {
        let given = field.null_value.as_ref().and_then(Scalar::of);
        for known in std::iter::once(field).chain(field.fields.values().map(|sub| &**sub)) {
            let mapper = known.field_type.mapper();
            let Some(own) = known.null_value.as_ref().and_then(Scalar::of) else {
                continue;
            };
            if let Err(rejection) = mapper.add_null(known, &own, &mut self.values) {
                self.rejected(known, &own, rejection)?;
            }
        }
        if let Some(given) = &given {
            for target in &field.copy_to {
                self.copy_value(target, given)?;
            }
        }
        Ok(())
    }

    /// Reads a value whose type takes lists and objects.
    fn whole<E: Error>(&mut self, field: &'m FieldMapping, value: &Value) -> Result<(), E> {
        self.count_numbers(value)?;
        let value = match (value, &field.null_value) {
            (Value::Null, None) => return Ok(()),
            (Value::Null, Some(null)) => null,
            (value, _) => value,
        };
        let mapper = field.field_type.mapper();
        match mapper.add_whole(field, value, &mut self.values) {
            Ok(()) => Ok(()),
            Err(Rejection::Malformed(_)) if field.ignore_malformed => {
                self.values.ignore(&field.path);
                Ok(())
            }
            Err(Rejection::Malformed(reason)) => {
                Err(self.bad_value(field, &value.to_string(), &reason))
            }
            Err(Rejection::Refused(reason)) => Err(self.fail(parsing_error(reason))),
            Err(Rejection::Immense { bytes }) => Err(self.immense(field, bytes)),
        }
    }

    fn count_numbers<E: Error>(&self, value: &Value) -> Result<(), E> {
        match value {
            Value::Number(number) => self.exponents.written(number.to_string()).map(drop),
            Value::Array(items) => items.iter().try_for_each(|item| self.count_numbers(item)),
            Value::Object(members) => members.values().try_for_each(|v| self.count_numbers(v)),
            _ => Ok(()),
        }
    }

    fn copy_value<E: Error>(&mut self, target: &str, scalar: &Scalar<'_>) -> Result<(), E> {
        let mapping = self.mapping;
        if let Some(field) = mapping.field(target) {
            return self.field_value(field, scalar, false);
        }
        match mapping.root.dynamic.unwrap_or_default() {
            Dynamic::True => {
                let definition = dynamic::definition(&mapping.options, target, scalar);
                dynamic::add(&mut self.update, target, definition);
                Ok(())
            }
            Dynamic::False => Ok(()),
            Dynamic::Strict => {
                let error = ApiError::new(
                    ErrorCode::StrictDynamicMapping,
                    format!(
                        "mapping set to strict, dynamic introduction of [{target}] within [_doc] is \
                         not allowed"
                    ),
                );
                Err(self.fail(error))
            }
        }
    }

    fn rejected<E: Error>(
        &mut self,
        field: &FieldMapping,
        scalar: &Scalar<'_>,
        rejection: Rejection,
    ) -> Result<(), E> {
        match rejection {
            Rejection::Malformed(_) if field.ignore_malformed => {
                self.values.ignore(&field.path);
                Ok(())
            }
            Rejection::Malformed(reason) => Err(self.bad_value(field, &scalar.text(), &reason)),
            Rejection::Refused(reason) => Err(self.fail(parsing_error(reason))),
            Rejection::Immense { bytes } => Err(self.immense(field, bytes)),
        }
    }

    fn immense<E: Error>(&mut self, field: &FieldMapping, bytes: usize) -> E {
        let error = ApiError::illegal_argument(format!(
            "Document contains at least one immense term in field=\"{}\" (whose UTF8 encoding is \
             longer than the max length 32766), all of which were skipped.  Please correct the \
             analyzer to not produce such terms. original message: bytes can be at most 32766 in \
             length; got {bytes}",
            field.path
        ));
        self.fail(error)
    }

    fn bad_value<E: Error>(&mut self, field: &FieldMapping, preview: &str, reason: &str) -> E {
        let shown: String = preview.chars().take(PREVIEW_CHARS).collect();
        let error = parsing_error(format!(
            "failed to parse field [{}] of type [{}] in document with id '{}'. Preview of field's \
             value: '{shown}'",
            field.path,
            field.field_type.name(),
            self.id
        ))
        .caused_by(ApiError::illegal_argument(reason));
        self.fail(error)
    }

    fn check_key<E: Error>(&mut self, key: &str, seen: &mut Seen) -> Result<(), E> {
        if !seen.insert(self.hasher.hash_one(key)) {
            let cause = ApiError::new(ErrorCode::JsonParse, format!("Duplicate field '{key}'"));
            let error =
                parsing_error(format!("failed to parse: Duplicate field '{key}'")).caused_by(cause);
            return Err(self.fail(error));
        }
        if self.path.is_empty() && key.starts_with('_') && METADATA_FIELDS.contains(&key) {
            let error = parsing_error(format!(
                "Field [{key}] is a metadata field and cannot be added inside a document. Use the \
                 index API request parameters."
            ));
            return Err(self.fail(error));
        }
        // What reads mappings goes into the parts of a name one in the other.
        let parts = [self.path.as_str(), key]
            .into_iter()
            .flat_map(|name| name.split('.'))
            .count();
        if parts > MAX_NAME_PARTS || self.path.len() + key.len() > MAX_NAME_BYTES {
            let shown: String = key.chars().take(PREVIEW_CHARS).collect();
            let error = parsing_error(format!(
                "the name of the field [{}.{shown}] is too long: at most [{MAX_NAME_PARTS}] parts and [{MAX_NAME_BYTES}] bytes",
                self.path.chars().take(PREVIEW_CHARS).collect::<String>()
            ));
            return Err(self.fail(error));
        }
        let problem = if key.is_empty() {
            "field name cannot be an empty string"
        } else if json::is_reserved_key(key) {
            "field name is reserved"
        } else if key.contains(['\0', '\u{1}']) {
            "field name cannot contain the characters U+0000 and U+0001"
        } else if key.trim().is_empty() || (key.contains('.') && has_blank_part(key)) {
            "field name cannot contain only whitespace, start or end with a dot or have empty parts"
        } else {
            return Ok(());
        };
        let error = parsing_error(format!("{problem}: ['{}']", key.escape_debug()));
        Err(self.fail(error))
    }
}

fn has_blank_part(key: &str) -> bool {
    key.split('.').any(|part| part.trim().is_empty())
}

/// Keys of one object, by hash. The hash is keyed with random bits, so that nobody can make two
/// names collide.
#[derive(Default)]
struct Seen {
    few: SmallVec<[u64; 24]>,
    many: HashSet<u64>,
}

impl Seen {
    fn insert(&mut self, hash: u64) -> bool {
        if self.many.is_empty() {
            if self.few.contains(&hash) {
                return false;
            }
            self.few.push(hash);
            if self.few.len() > 64 {
                self.many.extend(self.few.drain(..));
            }
            return true;
        }
        self.many.insert(hash)
    }
}

struct RootSeed<'r, 'm> {
    reader: &'r mut Reader<'m>,
    target: Target<'m>,
}

impl<'de> DeserializeSeed<'de> for RootSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        // A root that is not an object is refused by `ObjectVisitor::expecting`.
        json.deserialize_map(ObjectVisitor {
            reader: self.reader,
            target: self.target,
        })
    }
}

struct ObjectVisitor<'r, 'm> {
    reader: &'r mut Reader<'m>,
    target: Target<'m>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_map(self.reader, self.target, map)
    }
}

fn read_map<'de, 'm, A: MapAccess<'de>>(
    reader: &mut Reader<'m>,
    target: Target<'m>,
    mut map: A,
) -> Result<(), A::Error> {
    if matches!(target, Target::Skip) {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(ValueSeed {
                reader: &mut *reader,
                target,
            })?;
        }
        return Ok(());
    }
    let mut seen = Seen::default();
    let mark = reader.path.len();
    let first = FirstKeySeed {
        reader: &mut *reader,
        target,
        seen: &mut seen,
    };
    let (object, dynamic, mut member) = match map.next_key_seed(first)? {
        None => return reader.open(target).map(|_| ()),
        Some(First::Number) => {
            let text = reader.exponents.written(map.next_value()?)?;
            return reader.scalar(target, &Scalar::Number(text.into()));
        }
        Some(First::Member {
            object,
            dynamic,
            target,
        }) => (object, dynamic, target),
    };
    loop {
        map.next_value_seed(ValueSeed {
            reader: &mut *reader,
            target: member,
        })?;
        reader.path.truncate(mark);
        let key = KeySeed {
            reader: &mut *reader,
            object,
            dynamic,
            seen: &mut seen,
        };
        let Some(next) = map.next_key_seed(key)? else {
            return Ok(());
        };
        member = next;
    }
}

/// What the first key of a map tells.
enum First<'m> {
    /// It is no object but a number: this is how serde_json hands one over whose text matters.
    Number,
    Member {
        object: Option<&'m ObjectMapping>,
        dynamic: Dynamic,
        target: Target<'m>,
    },
}

struct FirstKeySeed<'r, 's, 'm> {
    reader: &'r mut Reader<'m>,
    target: Target<'m>,
    seen: &'s mut Seen,
}

impl<'de, 'm> DeserializeSeed<'de> for FirstKeySeed<'_, '_, 'm> {
    type Value = First<'m>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<First<'m>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de, 'm> Visitor<'de> for FirstKeySeed<'_, '_, 'm> {
    type Value = First<'m>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<First<'m>, E> {
        if json::is_number_mark(key, &self.reader.text) {
            return Ok(First::Number);
        }
        self.visit_str(key)
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<First<'m>, E> {
        let (object, dynamic) = self.reader.open(self.target)?;
        let key_seed = KeySeed {
            reader: self.reader,
            object,
            dynamic,
            seen: self.seen,
        };
        Ok(First::Member {
            object,
            dynamic,
            target: key_seed.visit_str(key)?,
        })
    }
}

struct KeySeed<'r, 's, 'm> {
    reader: &'r mut Reader<'m>,
    object: Option<&'m ObjectMapping>,
    dynamic: Dynamic,
    seen: &'s mut Seen,
}

impl<'de, 'm> DeserializeSeed<'de> for KeySeed<'_, '_, 'm> {
    type Value = Target<'m>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Target<'m>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for KeySeed<'_, '_, 'm> {
    type Value = Target<'m>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Target<'m>, E> {
        let reader = self.reader;
        reader.check_key(key, self.seen)?;
        if !reader.path.is_empty() {
            reader.path.push('.');
        }
        reader.path.push_str(key);
        reader.resolve(self.object, self.dynamic, key)
    }
}

struct ValueSeed<'r, 'm> {
    reader: &'r mut Reader<'m>,
    target: Target<'m>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if matches!(self.target, Target::Skip) {
            let reader = self.reader;
            return reader.exponents.skip(json, &reader.text);
        }
        if let Target::Field(field) = self.target
            && field.field_type.reads_whole()
        {
            let value = Value::deserialize(json)?;
            return self.reader.whole(field, &value);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.reader.scalar(self.target, &Scalar::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.reader.scalar(self.target, &Scalar::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let scalar = match i64::try_from(value) {
            Ok(int) => Scalar::Int(int),
            Err(_) => Scalar::Unsigned(value),
        };
        self.reader.scalar(self.target, &scalar)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.reader.scalar(self.target, &Scalar::Text(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.target {
            Target::Field(field) => self.reader.null(field),
            Target::Object(..) | Target::New(_) | Target::Skip => Ok(()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let seed = ValueSeed {
                reader: &mut *self.reader,
                target: self.target,
            };
            if items.next_element_seed(seed)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_map(self.reader, self.target, map)
    }
}

/// How much of a bad value an error shows.
const PREVIEW_CHARS: usize = 100;
