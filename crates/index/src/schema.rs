//! How documents are laid out in the search index. The `search` crate builds its queries on this.
//!
//! The schema of a shard copy is fixed when the copy is made, while mappings grow. So values go by
//! *family* into fields that take any path:
//!
//! | mapping type | index field | form of a value |
//! |---|---|---|
//! | `keyword`, `wildcard` | [`KEYWORD`], JSON, key = path | raw term, no norms, no frequencies; string column |
//! | `ip` | [`KEYWORD`] | 32 lower-case hex digits of the IPv6 (or v4-mapped) address: sorts as addresses do |
//! | ranges | [`KEYWORD`] | [`crate::field::RangeOf::term`] |
//! | `long`, `integer`, `short`, `byte` | [`LONG`], JSON | `i64` term; `i64` column |
//! | `unsigned_long` | [`LONG`] | [`encode_unsigned`] |
//! | `boolean` | [`LONG`] | 0 or 1 |
//! | `double`, `float`, `half_float`, `scaled_float` | [`DOUBLE`], JSON, not in the inverted index | [`encode_double`]; `i64` column |
//! | `geo_point` | [`DOUBLE`] | [`crate::geo::GeoPoint::encode`]; `i64` column |
//! | `date` | [`DATE`], JSON, not in the inverted index | milliseconds since 1970; `i64` column |
//! | `text` | slot field `text_NN`, see [`Layout::text`] | analyzed, positions, norms |
//! | `text` beyond the slots | [`TEXT_OVERFLOW`], JSON | analyzed, positions, **no norms** |
//!
//! * Every number column is an `i64` column, in every segment, so readers never meet another type.
//!   The column of a path is opened by [`column_name`]; a term on a path is made by
//!   [`Layout::keyword_term`], [`Layout::long_term`] or [`Layout::text_term`].
//! * `doc_values: false` and `index: false` alone do not change the layout (they change what
//!   queries the mapping allows); both together leave the field out of the index.
//! * [`FIELD_NAMES`] holds the path of every leaf that has a value, as raw terms: `exists` is a
//!   term query on it, and its document frequency is the *N* of a field in BM25. A text field
//!   whose analysis gives no token is listed as [`name_without_tokens`].
//! * Routing and the paths of [`IGNORED`] are keywords too, of the paths `_routing` and `_ignored`.
//! * A text that an analyzer of settings made words of has its length in a column of its own, see [`length_column`]: words that
//!   stand at the place of others do not count.
//! * A text field is one real field per slot, so its norms and average length are its own. A slot
//!   costs one byte per document and copy even when unused.
//! * Values of an array are values of the path in order; values of one path follow one another.

use std::net::{IpAddr, Ipv6Addr};

use tantivy::schema::{
    BytesOptions, FAST, Field, IndexRecordOption, JsonObjectOptions, NumericOptions, STORED,
    Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::{Index, Term};

use crate::analysis::{DispatchTokenizer, TOKENIZER};
use crate::mapping::{FieldMapping, Mapping};

/// Raw document id, indexed and stored.
pub const ID: &str = "_id";
/// Routing, stored when given.
pub const ROUTING: &str = "_routing";
/// Sequence number, `u64` column.
pub const SEQ_NO: &str = "_seq_no";
/// Primary term, `u64` column.
pub const PRIMARY_TERM: &str = "_primary_term";
/// Version, `u64` column.
pub const VERSION: &str = "_version";
/// The document as given, stored bytes.
pub const SOURCE: &str = "_source";
/// Paths that have values, raw terms.
pub const FIELD_NAMES: &str = "_field_names";
/// Paths of which a value was left out, raw terms, stored.
pub const IGNORED: &str = "_ignored";
/// Keywords and addresses by path.
pub const KEYWORD: &str = "keyword";
/// Integers and booleans by path.
pub const LONG: &str = "long";
/// Encoded doubles by path.
pub const DOUBLE: &str = "double";
/// Dates by path.
pub const DATE: &str = "date";
/// Text of fields without a slot, by path.
pub const TEXT_OVERFLOW: &str = "text_overflow";

/// The schema of one shard copy with its fields resolved.
#[derive(Debug, Clone)]
pub struct Layout {
    pub schema: Schema,
    pub id: Field,
    pub routing: Field,
    pub seq_no: Field,
    pub primary_term: Field,
    pub version: Field,
    pub source: Field,
    pub field_names: Field,
    pub ignored: Field,
    pub keyword: Field,
    pub long: Field,
    pub double: Field,
    pub date: Field,
    pub text_overflow: Field,
    text: Vec<Field>,
}

/// Where the text of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextField {
    /// A field of its own.
    Slot(Field),
    /// The shared JSON field; terms carry the path, and there are no norms.
    Overflow(Field),
}

impl Layout {
    /// Returns the layout for a new shard copy: slots for the text fields of its mapping with room
    /// for more.
    pub fn for_mapping(mapping: &Mapping) -> Self {
        let wanted = mapping.text_slots().saturating_add(SPARE_SLOTS);
        let slots = wanted.next_multiple_of(8).clamp(MIN_SLOTS, MAX_SLOTS);
        Self::resolve(build_schema(slots))
    }

    /// Returns the layout of an existing index, or the name of the field it lacks.
    pub fn open(schema: Schema) -> Result<Self, String> {
        for name in FIXED {
            if schema.get_field(name).is_err() {
                return Err(format!("the index has no field [{name}]"));
            }
        }
        Ok(Self::resolve(schema))
    }

    /// Returns where the text of a mapped text field is.
    pub fn text(&self, field: &FieldMapping) -> TextField {
        self.slot(field.text_slot)
            .map_or(TextField::Overflow(self.text_overflow), TextField::Slot)
    }

    pub(crate) fn slot(&self, slot: Option<u16>) -> Option<Field> {
        self.text.get(usize::from(slot?)).copied()
    }

    /// Returns the term of one analyzed token of a text field.
    pub fn text_term(&self, field: &FieldMapping, token: &str) -> Term {
        match self.text(field) {
            TextField::Slot(slot) => Term::from_field_text(slot, token),
            TextField::Overflow(json) => json_text_term(json, &field.path, token),
        }
    }

    /// Returns the term of a keyword (or [`encode_ip`] address).
    pub fn keyword_term(&self, path: &str, value: &str) -> Term {
        json_text_term(self.keyword, path, value)
    }

    /// Returns the term of an integer or boolean.
    pub fn long_term(&self, path: &str, value: i64) -> Term {
        let mut term = Term::from_field_json_path(self.long, &escape(path), true);
        term.append_type_and_fast_value(value);
        term
    }

    /// Returns the term that finds documents with a value for a leaf path.
    pub fn exists_term(&self, path: &str) -> Term {
        Term::from_field_text(self.field_names, path)
    }

    /// Returns the term of a document id.
    pub fn id_term(&self, id: &str) -> Term {
        Term::from_field_text(self.id, id)
    }

    fn resolve(schema: Schema) -> Self {
        // Invariant: `open` checked every name, and `build_schema` adds every name.
        let field = |name: &str| schema.get_field(name).expect("a fixed field of the schema");
        let text = (0..MAX_SLOTS)
            .map_while(|slot| schema.get_field(&slot_name(slot)).ok())
            .collect();
        Self {
            id: field(ID),
            routing: field(ROUTING),
            seq_no: field(SEQ_NO),
            primary_term: field(PRIMARY_TERM),
            version: field(VERSION),
            source: field(SOURCE),
            field_names: field(FIELD_NAMES),
            ignored: field(IGNORED),
            keyword: field(KEYWORD),
            long: field(LONG),
            double: field(DOUBLE),
            date: field(DATE),
            text_overflow: field(TEXT_OVERFLOW),
            text,
            schema,
        }
    }
}

/// Returns the entry of [`FIELD_NAMES`] for a text that has no tokens. No path has such a name.
pub fn name_without_tokens(path: &str) -> String {
    format!("{path}\0")
}

/// Returns the name under which `FastFieldReaders` opens the column of a path, or `None` for text,
/// which has none: `fast_fields().column_opt::<i64>(&name)` or `.str(&name)`.
pub fn column_name(field: &FieldMapping) -> Option<String> {
    let family = field.field_type.family()?.column()?;
    Some(format!("{family}.{}", escape(&field.path)))
}

/// Returns the path of the lengths of a text in [`DOUBLE`]. No field has such a name.
pub(crate) fn length_path(path: &str) -> String {
    format!("\u{2}{path}")
}

/// Returns the name of the `i64` column of the lengths of a text, whole numbers as Lucene keeps them. Documents have one whose
/// words an analyzer of settings made; the others are as long as their words are many.
pub fn length_column(field: &FieldMapping) -> String {
    format!("{DOUBLE}.{}", escape(&length_path(&field.path)))
}

/// Returns an integer that sorts as the double does: by total order, with `-0.0` taken as `0.0`.
pub fn encode_double(value: f64) -> i64 {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = value.to_bits().cast_signed();
    // Negative doubles sort backwards by their bits.
    if bits < 0 { !bits ^ i64::MIN } else { bits }
}

/// Returns the double of [`encode_double`].
pub fn decode_double(encoded: i64) -> f64 {
    let bits = if encoded < 0 {
        !(encoded ^ i64::MIN)
    } else {
        encoded
    };
    f64::from_bits(bits.cast_unsigned())
}

/// Returns an integer that sorts as the unsigned one does.
pub fn encode_unsigned(value: u64) -> i64 {
    (value ^ (1 << 63)).cast_signed()
}

/// Returns the unsigned integer of [`encode_unsigned`].
pub fn decode_unsigned(encoded: i64) -> u64 {
    encoded.cast_unsigned() ^ (1 << 63)
}

/// Returns the keyword form of an address.
pub fn encode_ip(address: IpAddr) -> String {
    let v6 = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    format!("{:032x}", u128::from(v6))
}

/// Returns the address of [`encode_ip`], version 4 where it was.
pub fn decode_ip(encoded: &str) -> Option<IpAddr> {
    let v6 = Ipv6Addr::from(u128::from_str_radix(encoded, 16).ok()?);
    Some(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4))
}

/// Registers our tokenizer; every index must have it before it is read or written.
pub(crate) fn register_tokenizers(index: &Index) {
    index
        .tokenizers()
        .register(TOKENIZER, DispatchTokenizer::analyzer());
}

fn json_text_term(field: Field, path: &str, value: &str) -> Term {
    let mut term = Term::from_field_json_path(field, &escape(path), true);
    term.append_type_and_str(value);
    term
}

/// The search library reads `\` in a path as an escape.
fn escape(path: &str) -> std::borrow::Cow<'_, str> {
    if path.contains('\\') {
        path.replace('\\', "\\\\").into()
    } else {
        path.into()
    }
}

fn build_schema(slots: u16) -> Schema {
    let mut builder = SchemaBuilder::new();
    let raw = raw_terms();
    builder.add_text_field(ID, raw.clone().set_stored());
    builder.add_text_field(ROUTING, TextOptions::default().set_stored());
    for name in [SEQ_NO, PRIMARY_TERM, VERSION] {
        builder.add_u64_field(name, NumericOptions::from(FAST));
    }
    builder.add_bytes_field(SOURCE, BytesOptions::from(STORED));
    builder.add_text_field(FIELD_NAMES, raw.clone());
    builder.add_text_field(IGNORED, raw.set_stored());
    let json = JsonObjectOptions::default().set_expand_dots_enabled();
    let indexed = raw_indexing();
    let columns = json.clone().set_fast(RAW);
    builder.add_json_field(
        KEYWORD,
        columns.clone().set_indexing_options(indexed.clone()),
    );
    builder.add_json_field(LONG, columns.clone().set_indexing_options(indexed));
    builder.add_json_field(DOUBLE, columns.clone());
    builder.add_json_field(DATE, columns);
    builder.add_json_field(TEXT_OVERFLOW, json.set_indexing_options(text_indexing()));
    let text = TextOptions::default().set_indexing_options(text_indexing());
    for slot in 0..slots {
        builder.add_text_field(&slot_name(slot), text.clone());
    }
    builder.build()
}

fn raw_indexing() -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(RAW)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false)
}

fn raw_terms() -> TextOptions {
    TextOptions::default().set_indexing_options(raw_indexing())
}

fn text_indexing() -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(true)
}

fn slot_name(slot: u16) -> String {
    format!("text_{slot:02}")
}

/// The search library's tokenizer that makes one token of everything.
const RAW: &str = "raw";

/// A slot costs a byte per document, so there are few to begin with: fields that a dynamic mapping
/// adds beyond these lose only norms.
const MIN_SLOTS: u16 = 16;
const SPARE_SLOTS: u16 = 8;
const MAX_SLOTS: u16 = 256;

const FIXED: [&str; 13] = [
    ID,
    ROUTING,
    SEQ_NO,
    PRIMARY_TERM,
    VERSION,
    SOURCE,
    FIELD_NAMES,
    IGNORED,
    KEYWORD,
    LONG,
    DOUBLE,
    DATE,
    TEXT_OVERFLOW,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn slots_grow_with_the_mapping() {
        let slots = |fields: usize| {
            let properties: serde_json::Map<_, _> = (0..fields)
                .map(|i| (format!("f{i:03}"), json!({"type": "text"})))
                .collect();
            let mapping = Mapping::parse(&json!({"properties": properties})).unwrap();
            let layout = Layout::for_mapping(&mapping);
            let last = mapping.fields().last().unwrap().clone();
            (
                layout.text.len(),
                matches!(layout.text(&last), TextField::Slot(_)),
            )
        };
        assert_eq!(slots(1), (16, true));
        assert_eq!(slots(20), (32, true));
        assert_eq!(slots(400), (256, false));
    }

    #[test]
    fn addresses_round_trip_in_order() {
        let order = ["::1", "0.0.0.1", "10.0.0.1", "192.168.1.1", "2001:db8::1"];
        let encoded: Vec<String> = order
            .iter()
            .map(|text| encode_ip(text.parse().unwrap()))
            .collect();
        assert!(encoded.is_sorted());
        for (text, encoded) in order.iter().zip(encoded) {
            assert_eq!(decode_ip(&encoded).unwrap().to_string(), *text);
        }
    }

    proptest! {
        #[test]
        fn doubles_keep_their_order(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(decode_double(encode_double(a)), a);
            prop_assert_eq!(encode_double(a).cmp(&encode_double(b)), a.partial_cmp(&b).unwrap());
        }

        #[test]
        fn unsigned_keep_their_order(a: u64, b: u64) {
            prop_assert_eq!(decode_unsigned(encode_unsigned(a)), a);
            prop_assert_eq!(encode_unsigned(a).cmp(&encode_unsigned(b)), a.cmp(&b));
        }
    }
}
