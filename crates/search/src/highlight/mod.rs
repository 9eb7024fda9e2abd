//! `highlight`: fragments of a hit's texts, with what the query looks for marked. Source: Elasticsearch reference,
//! "Highlighting".
//!
//! The texts come from `_source` as the caller may see it, and are analyzed again, so that nothing depends on what the
//! index keeps. Kinds of queries say what they look for ([`Sought`]); [`text`] finds it in the words of a field; each
//! highlighter makes fragments of the places.

mod breaks;
mod fvh;
mod markup;
mod plain;
mod request;
mod sought;
mod text;
mod unified;

use std::collections::{BTreeSet, HashMap};

use ringwall_api::ApiError;
use ringwall_index::mapping::Family;
use ringwall_index::{FieldMapping, Leaf};
use serde_json::{Map, Value};

use self::markup::Markup;
pub use self::request::Highlight;
pub(crate) use self::request::parse;
use self::request::{Boundaries, HighlightedField, Options};
use self::sought::Wanted;
pub(crate) use self::sought::{Positions, Sought, Test, What};
use self::text::FieldText;
use crate::fetch::{collect, source_path};
use crate::parse::scalar_text;
use crate::query::Query;
use crate::request::SearchSource;
use crate::shard::Shard;

/// Highlights the hits of a shard.
pub(crate) struct Highlighter<'a> {
    shard: &'a Shard<'a>,
    fields: Vec<Prepared<'a>>,
    /// What the queries look for; see [`Prepared::sought`].
    sought: Vec<Sought>,
}

/// A field of the request.
struct Prepared<'a> {
    field: &'a HighlightedField,
    kind: Kind,
    /// Which of the queries is highlighted.
    sought: usize,
    /// The fields that the name stands for: each as it is named, and what is meant.
    named: Vec<(&'a str, &'a FieldMapping)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unified,
    Plain,
    Fvh,
}

impl<'a> Highlighter<'a> {
    /// Prepares what a search asks for; `None` if that is nothing. `query` is highlighted where no other is given.
    ///
    /// # Errors
    /// 400 when a query or a highlighter does not fit the mapping.
    pub(crate) fn of(
        shard: &'a Shard<'a>,
        source: &'a SearchSource,
        query: &Query,
    ) -> Result<Option<Self>, ApiError> {
        let Some(highlight) = &source.highlight else {
            return Ok(None);
        };
        let mut this = Self {
            shard,
            fields: Vec::with_capacity(highlight.fields.len()),
            sought: vec![Sought::of(shard, query, true)?],
        };
        for field in &highlight.fields {
            let named = fields_of(shard, field);
            if named.is_empty() {
                continue;
            }
            let kind = kind_of(field)?;
            let sought = match &field.options.query {
                None => 0,
                Some(own) => {
                    this.sought.push(Sought::of(shard, own, false)?);
                    this.sought.len() - 1
                }
            };
            this.fields.push(Prepared {
                field,
                kind,
                sought,
                named,
            });
        }
        Ok(Some(this))
    }

    /// Returns the fragments of a document by field, `None` if there are none.
    ///
    /// # Errors
    /// 400 where a field cannot be highlighted as asked, or is too long.
    pub(crate) fn of_document(
        &self,
        leaf: &Leaf<'_>,
        doc: u32,
        document: &Value,
    ) -> Result<Option<Value>, ApiError> {
        let mut shown = Map::new();
        let mut open = Gates {
            highlighter: self,
            leaf,
            doc,
            known: HashMap::new(),
        };
        for prepared in &self.fields {
            for (name, mapping) in &prepared.named {
                let before = self.shard.pulse.charged();
                let of_field = OfField {
                    shard: self.shard,
                    prepared,
                    name,
                    mapping,
                    doc,
                };
                let fragments = of_field.fragments(&mut open, document)?;
                self.shard.pulse.keep(before, 0);
                if !fragments.is_empty() {
                    let fragments: Vec<Value> = fragments.into_iter().map(Value::from).collect();
                    shown.insert((*name).to_owned(), fragments.into());
                }
            }
        }
        Ok((!shown.is_empty()).then_some(Value::Object(shown)))
    }
}

fn kind_of(field: &HighlightedField) -> Result<Kind, ApiError> {
    match field.options.kind.as_deref() {
        None | Some("unified") => Ok(Kind::Unified),
        Some("plain") => Ok(Kind::Plain),
        Some("fvh") => Ok(Kind::Fvh),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "unknown highlighter type [{other}] for the field [{}]",
            field.name
        ))),
    }
}

/// The fields that a name or pattern stands for; a pattern for those of text only.
fn fields_of<'a>(
    shard: &Shard<'a>,
    field: &'a HighlightedField,
) -> Vec<(&'a str, &'a FieldMapping)> {
    let mapping = shard.mapping();
    if !field.name.contains('*') {
        let meant = mapping.resolved(&field.name).into_iter();
        return meant.map(|meant| (field.name.as_str(), &**meant)).collect();
    }
    let needs_vectors = field.options.kind.as_deref() == Some("fvh");
    let named = shard.mapped_matching(&field.name);
    let named = named.filter_map(|named| Some((&*named.path, &**mapping.resolved(&named.path)?)));
    named
        .filter(|(_, meant)| {
            matches!(
                meant.field_type.family(),
                Some(Family::Text | Family::Keyword)
            ) && (!needs_vectors || meant.has_term_vectors())
        })
        .collect()
}

/// Which of the parts of queries a document matches.
struct Gates<'a> {
    highlighter: &'a Highlighter<'a>,
    leaf: &'a Leaf<'a>,
    doc: u32,
    known: HashMap<(usize, usize), bool>,
}

impl Gates<'_> {
    fn all_open(&mut self, sought: usize, gates: &[usize]) -> Result<bool, ApiError> {
        for gate in gates {
            let open = match self.known.get(&(sought, *gate)) {
                Some(open) => *open,
                None => {
                    let shard = self.highlighter.shard;
                    shard.pulse.check();
                    let weight = &self.highlighter.sought[sought].gates[*gate];
                    let open = self.leaf.matches(weight.as_ref(), self.doc);
                    let open = shard.pulse.of_engine(open)?;
                    shard.pulse.outcome()?;
                    let open = open.unwrap_or(false);
                    self.known.insert((sought, *gate), open);
                    open
                }
            };
            if !open {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One field of one document.
struct OfField<'a> {
    shard: &'a Shard<'a>,
    prepared: &'a Prepared<'a>,
    name: &'a str,
    mapping: &'a FieldMapping,
    doc: u32,
}

impl OfField<'_> {
    fn options(&self) -> &Options {
        &self.prepared.field.options
    }

    fn fragments(&self, gates: &mut Gates<'_>, document: &Value) -> Result<Vec<String>, ApiError> {
        let options = self.options();
        let kind = self.prepared.kind;
        if kind == Kind::Fvh && !self.mapping.has_term_vectors() {
            return Err(ApiError::illegal_argument(format!(
                "the field [{}] should be indexed with term vector with position offsets to be used with fast vector \
                 highlighter",
                self.name
            )));
        }
        if kind == Kind::Unified && options.boundaries == Some(Boundaries::Chars) {
            return Err(ApiError::illegal_argument(
                "Invalid boundary scanner type: chars",
            ));
        }
        let values = values(self.shard, self.mapping, document);
        if values.is_empty() {
            return Ok(Vec::new());
        }
        self.check_length(&values)?;
        let bytes: usize = values.iter().map(String::len).sum();
        self.shard.pulse.charge(bytes as u64 * BYTES_OF_TEXT)?;
        let charge_tags = |matches: usize| {
            let bytes = Markup::bytes_of_tags(options).saturating_mul(matches as u64);
            self.shard.pulse.charge(bytes)
        };
        let wholes = options.require_field_match && self.shard.context.limits.weight_matches;
        let mut beat = self.shard.pulse.beat();
        let fragments = match kind {
            Kind::Plain => {
                let wanted = self.wanted(gates, &self.mapping.path, false)?;
                let text = self.analyzed(self.mapping, &values)?;
                let words = text.words(&wanted, &mut beat);
                charge_tags(words.boosts.iter().flatten().count())?;
                plain::fragments(self.name, &text, &words, options)?
            }
            Kind::Fvh => {
                let mut parts = Vec::new();
                for field in self.matched_fields(false) {
                    let wanted = self.wanted(gates, &field.path, false)?;
                    parts.push((self.analyzed(field, &values)?, wanted));
                }
                charge_tags(parts.iter().map(|(text, _)| text.tokens.len()).sum())?;
                fvh::fragments(&parts, options, &mut beat)?
            }
            Kind::Unified if wholes => {
                let text = self.analyzed(self.mapping, &values)?;
                let mut found = Vec::new();
                let mut before = 0;
                for field in self.matched_fields(true) {
                    let wanted = self.wanted(gates, &field.path, true)?;
                    let own;
                    let read = match std::ptr::eq(field, self.mapping) {
                        true => &text,
                        false => {
                            own = self.analyzed(field, &values)?;
                            &own
                        }
                    };
                    let places = read.wholes(&wanted, &mut beat).into_iter();
                    found.extend(places.map(|place| text::Match {
                        of: place.of + before,
                        ..place
                    }));
                    before += wanted.len();
                }
                found.sort_by_key(|place| (place.start, place.end));
                charge_tags(found.len())?;
                unified::fragments(&text, &found, options, |_| 1)
            }
            Kind::Unified => {
                let wanted = self.wanted(gates, &self.mapping.path, false)?;
                let text = self.analyzed(self.mapping, &values)?;
                let words = text.words(&wanted, &mut beat);
                let (found, times) = text.places_of_words(&words);
                charge_tags(found.len())?;
                let frequency = |of: usize| times.get(of).copied().unwrap_or(1);
                unified::fragments(&text, &found, options, frequency)
            }
        };
        self.shard.pulse.outcome()?;
        Ok(fragments)
    }

    /// What is looked for in a field, where the document matches it if that is asked for.
    fn wanted<'w>(
        &self,
        gates: &mut Gates<'w>,
        path: &str,
        only_matched: bool,
    ) -> Result<Vec<&'w Wanted>, ApiError> {
        let highlighter = gates.highlighter;
        let sought = self.prepared.sought;
        let mut all = Vec::new();
        for wanted in &highlighter.sought[sought].wanted {
            if self.options().require_field_match && wanted.field != path {
                continue;
            }
            if !only_matched || gates.all_open(sought, &wanted.gates)? {
                all.push(wanted);
            }
        }
        Ok(all)
    }

    /// The fields whose matches count: those that are named, else the field itself.
    fn matched_fields(&self, and_itself: bool) -> Vec<&FieldMapping> {
        let named = &self.options().matched_fields;
        let mapping = self.shard.mapping();
        let mut fields: Vec<&FieldMapping> = named
            .iter()
            .filter_map(|name| mapping.resolved(name).map(|field| &**field))
            .filter(|field| field.has_term_vectors() || !self.mapping.has_term_vectors())
            .collect();
        let has_itself = fields.iter().any(|field| field.path == self.mapping.path);
        if named.is_empty() || (and_itself && !has_itself) {
            fields.push(self.mapping);
        }
        fields
    }

    fn analyzed(&self, field: &FieldMapping, values: &[String]) -> Result<FieldText, ApiError> {
        let limit = self.options().max_analyzed_offset;
        FieldText::new(self.shard, field, values, limit)
    }

    /// Refuses texts that would have to be analyzed beyond the limit of the index.
    fn check_length(&self, values: &[String]) -> Result<(), ApiError> {
        let most = self.shard.context.limits.max_analyzed_offset;
        let options = self.options();
        let is_cut = options
            .max_analyzed_offset
            .is_some_and(|asked| asked <= most);
        let lengths = values.iter().map(|value| value.chars().count());
        let length = match self.prepared.kind {
            _ if is_cut => return Ok(()),
            Kind::Fvh => return Ok(()),
            Kind::Unified if self.mapping.has_offsets() => return Ok(()),
            Kind::Unified => lengths.sum::<usize>() + values.len() - 1,
            Kind::Plain => lengths.max().unwrap_or(0),
        };
        if length <= most {
            return Ok(());
        }
        Err(ApiError::illegal_argument(format!(
            "The length [{length}] of field [{}] in doc[{}]/index[{}] exceeds the \
             [index.highlight.max_analyzed_offset] limit [{most}]. To avoid this error, set the query parameter \
             [max_analyzed_offset] to a value less than index setting [{most}] and this will tolerate long field \
             values by truncating them.",
            self.name, self.doc, self.shard.context.index
        )))
    }
}

/// The texts of a field in a document: its own, those of the field around a multi-field, those that are copied to it.
fn values(shard: &Shard<'_>, field: &FieldMapping, document: &Value) -> Vec<String> {
    let mapping = shard.mapping();
    let own = source_path(mapping, field);
    let copied = mapping
        .fields()
        .filter(|other| other.copy_to.iter().any(|target| target == own))
        .map(|other| &*other.path);
    let paths: BTreeSet<&str> = copied.chain([own]).collect();
    let mut found = Vec::new();
    for path in paths {
        collect(document, path, &mut found);
    }
    let is_keyword = field.field_type.family() == Some(Family::Keyword);
    let texts = found.into_iter().filter_map(scalar_text);
    texts
        .filter(|text| {
            // What is too long is not in the index either.
            let most = field.ignore_above.filter(|_| is_keyword);
            most.is_none_or(|most| text.encode_utf16().count() <= most)
        })
        .collect()
}

/// What a byte of a text takes while it is highlighted: its characters, its words, and where they are.
const BYTES_OF_TEXT: u64 = 24;
