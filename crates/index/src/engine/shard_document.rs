//! A document in the form the search library takes, borrowing rather than copying.

use std::sync::Arc;

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};
use tantivy::schema::Field;
use tantivy::schema::document::{
    DeserializeError, Document, DocumentDeserialize, DocumentDeserializer, OwnedValue,
    ReferenceValue, ReferenceValueLeaf, Value,
};

use crate::document::{ParsedDocument, Values};
use crate::schema::{IGNORED, Layout, ROUTING, length_path};
use crate::similarity::kept_length;

/// What the engine knows of an operation on a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DocumentVersion {
    pub seq_no: SeqNo,
    pub primary_term: Term,
    pub version: u64,
}

/// A document ready to be added.
pub(crate) struct ShardDocument {
    fields: Vec<(Field, Item)>,
}

enum Item {
    Text(String),
    Name(Arc<str>),
    Number(u64),
    Bytes(Bytes),
    Texts(Vec<(Arc<str>, String)>),
    Numbers(Vec<(Arc<str>, i64)>),
}

impl ShardDocument {
    pub(crate) fn new(layout: &Layout, document: ParsedDocument, at: DocumentVersion) -> Self {
        let mut values = document.values;
        add_metadata(&mut values, document.routing.as_deref());
        let mut fields = Vec::with_capacity(12 + values.names.len() + values.text.len());
        fields.push((layout.id, Item::Text(document.id)));
        if let Some(routing) = document.routing {
            fields.push((layout.routing, Item::Text(routing)));
        }
        // Sequence numbers of documents are never negative.
        fields.push((layout.seq_no, Item::Number(at.seq_no.cast_unsigned())));
        fields.push((layout.primary_term, Item::Number(at.primary_term)));
        fields.push((layout.version, Item::Number(at.version)));
        fields.push((layout.source, Item::Bytes(document.source)));
        fields.extend(named(layout.field_names, values.names));
        fields.extend(named(layout.ignored, values.ignored));
        if !values.keyword.is_empty() {
            fields.push((layout.keyword, Item::Texts(values.keyword)));
        }
        let lengths = values.lengths.iter();
        let kept = lengths.map(|(path, length)| (length_path(path).into(), kept_length(*length)));
        values.double.extend(kept);
        for (field, numbers) in [
            (layout.long, values.long),
            (layout.double, values.double),
            (layout.date, values.date),
        ] {
            if !numbers.is_empty() {
                fields.push((field, Item::Numbers(numbers)));
            }
        }
        let mut overflow = Vec::new();
        for text in values.text {
            match layout.slot(text.slot) {
                Some(slot) => fields.push((slot, Item::Text(text.marked))),
                None => overflow.push((text.path, text.marked)),
            }
        }
        if !overflow.is_empty() {
            fields.push((layout.text_overflow, Item::Texts(overflow)));
        }
        Self { fields }
    }
}

/// Routing and left-out fields are searched as keywords of their own names.
fn add_metadata(values: &mut Values, routing: Option<&str>) {
    if let Some(routing) = routing {
        let path: Arc<str> = ROUTING.into();
        values.names.push(Arc::clone(&path));
        values.keyword.push((path, routing.to_owned()));
    }
    if !values.ignored.is_empty() {
        let path: Arc<str> = IGNORED.into();
        values.names.push(Arc::clone(&path));
        let ignored = values.ignored.iter();
        let ignored = ignored.map(|ignored| (Arc::clone(&path), ignored.to_string()));
        values.keyword.extend(ignored);
    }
}

fn named(field: Field, names: Vec<Arc<str>>) -> impl Iterator<Item = (Field, Item)> {
    names.into_iter().map(move |name| (field, Item::Name(name)))
}

impl Document for ShardDocument {
    type Value<'a> = ItemRef<'a>;
    type FieldsValuesIter<'a> = FieldsIter<'a>;

    fn iter_fields_and_values(&self) -> FieldsIter<'_> {
        FieldsIter(self.fields.iter())
    }
}

pub(crate) struct FieldsIter<'a>(std::slice::Iter<'a, (Field, Item)>);

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (Field, ItemRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (field, item) = self.0.next()?;
        let item = match item {
            Item::Text(text) => ItemRef::Text(text),
            Item::Name(name) => ItemRef::Text(name),
            Item::Number(number) => ItemRef::Number(*number),
            Item::Bytes(bytes) => ItemRef::Bytes(bytes),
            Item::Texts(pairs) => ItemRef::Texts(pairs),
            Item::Numbers(pairs) => ItemRef::Numbers(pairs),
        };
        Some((*field, item))
    }
}

/// A borrowed value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ItemRef<'a> {
    Text(&'a str),
    Number(u64),
    Signed(i64),
    Bytes(&'a [u8]),
    Texts(&'a [(Arc<str>, String)]),
    Numbers(&'a [(Arc<str>, i64)]),
}

impl<'a> Value<'a> for ItemRef<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = PairsIter<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        let leaf = match *self {
            Self::Text(text) => ReferenceValueLeaf::Str(text),
            Self::Number(number) => ReferenceValueLeaf::U64(number),
            Self::Signed(number) => ReferenceValueLeaf::I64(number),
            Self::Bytes(bytes) => ReferenceValueLeaf::Bytes(bytes),
            Self::Texts(pairs) => return ReferenceValue::Object(PairsIter::Texts(pairs.iter())),
            Self::Numbers(pairs) => {
                return ReferenceValue::Object(PairsIter::Numbers(pairs.iter()));
            }
        };
        ReferenceValue::Leaf(leaf)
    }
}

pub(crate) enum PairsIter<'a> {
    Texts(std::slice::Iter<'a, (Arc<str>, String)>),
    Numbers(std::slice::Iter<'a, (Arc<str>, i64)>),
}

impl<'a> Iterator for PairsIter<'a> {
    type Item = (&'a str, ItemRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Texts(pairs) => pairs
                .next()
                .map(|(path, text)| (&**path, ItemRef::Text(text))),
            Self::Numbers(pairs) => pairs
                .next()
                .map(|(path, number)| (&**path, ItemRef::Signed(*number))),
        }
    }
}

/// The stored fields of a document, as read back.
pub(crate) struct StoredFields(pub Vec<(Field, OwnedValue)>);

impl DocumentDeserialize for StoredFields {
    fn deserialize<'de, D>(mut deserializer: D) -> Result<Self, DeserializeError>
    where
        D: DocumentDeserializer<'de>,
    {
        let mut fields = Vec::with_capacity(deserializer.size_hint());
        while let Some(pair) = deserializer.next_field()? {
            fields.push(pair);
        }
        Ok(Self(fields))
    }
}
