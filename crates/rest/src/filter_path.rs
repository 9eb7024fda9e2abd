//! `filter_path`: keeps or drops parts of an answer. Source: Elasticsearch reference, "Common options" (response
//! filtering).
//!
//! The patterns are run over the answer as one automaton. Its state below a key is the set of places in the
//! patterns that the keys so far lead to, each place once, so that an answer costs at most its number of keys
//! times the length of the patterns. What a key leads to is remembered, since the keys of an answer repeat.
//! Text is filtered as it is read: what is dropped is never built.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use ringwall_base::glob::{self, Syntax};
use ringwall_base::json;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::json::push_string;

/// Patterns over dotted paths: `*` within one level, `**` over one or more, `-` to exclude.
#[derive(Debug, Default)]
pub struct FilterPath {
    includes: Patterns,
    excludes: Patterns,
}

impl FilterPath {
    /// Reads the comma-separated parameter.
    pub fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for pattern in text.split(',').filter(|pattern| !pattern.is_empty()) {
            match pattern.strip_prefix('-') {
                Some(excluded) => filter.excludes.add(excluded),
                None => filter.includes.add(pattern),
            }
        }
        filter
    }

    /// Returns whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    /// Returns whether something is taken out of what is kept.
    pub fn excludes(&self) -> bool {
        !self.excludes.is_empty()
    }

    /// Returns what the patterns keep of an answer, without regard to exclusions; an empty object if that is nothing.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn included(&self, json: &[u8]) -> serde_json::Result<Vec<u8>> {
        if self.includes.is_empty() {
            return Ok(json.to_vec());
        }
        let walk = Walk {
            text: json::addresses(json),
            ..Walk::over(&self.includes)
        };
        let mut out = Vec::with_capacity(json.len().min(FIRST_OUTPUT));
        let mut reader = serde_json::Deserializer::from_slice(json);
        let kept = Kept {
            walk: &walk,
            state: walk.start(),
            out: &mut out,
        };
        let any = kept.deserialize(&mut reader)?;
        reader.end()?;
        if !any {
            out.extend_from_slice(b"{}");
        }
        Ok(out)
    }

    /// Returns what remains of an answer; an empty object if nothing does. Exclusions win.
    pub fn apply(&self, value: Value) -> Value {
        let mut kept = if self.includes.is_empty() {
            value
        } else {
            let walk = Walk::over(&self.includes);
            let start = walk.start();
            walk.include(value, &start)
                .unwrap_or_else(|| Value::Object(Map::new()))
        };
        if !self.excludes.is_empty() {
            let walk = Walk::over(&self.excludes);
            let start = walk.start();
            walk.exclude(&mut kept, &start);
        }
        kept
    }
}

/// Patterns as one row of segments, each pattern closed by [`Segment::End`].
#[derive(Debug, Default)]
struct Patterns {
    segments: Vec<Segment>,
    /// Where each pattern begins.
    starts: Vec<usize>,
}

#[derive(Debug, PartialEq)]
enum Segment {
    Key(String),
    /// `**`
    AnyDepth,
    End,
}

impl Patterns {
    fn add(&mut self, pattern: &str) {
        self.starts.push(self.segments.len());
        let segments = pattern.split('.').map(|segment| match segment {
            "**" => Segment::AnyDepth,
            key => Segment::Key(key.to_owned()),
        });
        self.segments.extend(segments);
        self.segments.push(Segment::End);
    }

    fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}

/// What may still follow at one place of an answer.
struct State {
    /// Places in the row of segments, in order, each once.
    places: Vec<usize>,
    /// Whether a pattern ends here.
    accepts: bool,
    known: RefCell<HashMap<String, Rc<State>>>,
}

/// What an output is given room for before it is known how long it gets, bytes.
const FIRST_OUTPUT: usize = 4 << 10;

/// Writes the parts of a value that any pattern reaches. Returns whether there are any; else nothing is written.
struct Kept<'a, 'w> {
    walk: &'a Walk<'w>,
    state: Rc<State>,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Kept<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Kept<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let begin = self.out.len();
        let mut any = false;
        loop {
            let before = self.out.len();
            self.out.push(if any { b',' } else { b'[' });
            let item = Kept {
                walk: self.walk,
                state: self.state.clone(),
                out: self.out,
            };
            match items.next_element_seed(item)? {
                Some(true) => any = true,
                Some(false) => self.out.truncate(before),
                None => {
                    self.out.truncate(before);
                    break;
                }
            }
        }
        match any {
            true => self.out.push(b']'),
            false => self.out.truncate(begin),
        }
        Ok(any)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let begin = self.out.len();
        let mut any = false;
        loop {
            let before = self.out.len();
            let key = Key {
                walk: self.walk,
                above: &self.state,
                out: self.out,
                opens: if any { b',' } else { b'{' },
            };
            let Some(below) = entries.next_key_seed(key)? else {
                break;
            };
            let Some(below) = below else {
                entries.next_value::<IgnoredAny>()?;
                return Ok(false);
            };
            let kept = if below.accepts {
                let raw: &RawValue = entries.next_value()?;
                self.out.extend_from_slice(raw.get().as_bytes());
                true
            } else if below.places.is_empty() {
                entries.next_value::<IgnoredAny>()?;
                false
            } else {
                entries.next_value_seed(Kept {
                    walk: self.walk,
                    state: below,
                    out: self.out,
                })?
            };
            match kept {
                true => any = true,
                false => self.out.truncate(before),
            }
        }
        match any {
            true => self.out.push(b'}'),
            false => self.out.truncate(begin),
        }
        Ok(any)
    }
}

/// Writes a key that may have something below it, and returns the state there; `None` where it is no key but the
/// mark of a number.
struct Key<'a, 'w> {
    walk: &'a Walk<'w>,
    above: &'a State,
    out: &'a mut Vec<u8>,
    opens: u8,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<Rc<State>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Option<Rc<State>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        if json::is_number_mark(key, &self.walk.text) {
            return Ok(None);
        }
        self.visit_str(key)
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let below = self.walk.below(self.above, key);
        if below.accepts || !below.places.is_empty() {
            self.out.push(self.opens);
            push_string(self.out, key);
            self.out.push(b':');
        }
        Ok(Some(below))
    }
}

/// One run of patterns over an answer.
struct Walk<'a> {
    patterns: &'a Patterns,
    /// Where the answer lies in memory, if it is read as text.
    text: Range<usize>,
    /// How many more places may be remembered: bounds the memory, not what is found.
    memory: Cell<usize>,
}

/// Places of all remembered states together.
const MEMORY: usize = 1 << 16;

impl<'a> Walk<'a> {
    fn over(patterns: &'a Patterns) -> Self {
        Self {
            patterns,
            text: 0..0,
            memory: Cell::new(MEMORY),
        }
    }

    fn start(&self) -> Rc<State> {
        self.state(self.patterns.starts.clone())
    }

    /// Returns the state of some places, which come in order.
    fn state(&self, mut places: Vec<usize>) -> Rc<State> {
        places.dedup();
        let before = places.len();
        places.retain(|place| self.patterns.segments[*place] != Segment::End);
        Rc::new(State {
            accepts: places.len() < before,
            places,
            known: RefCell::default(),
        })
    }

    /// Returns the state below a key.
    fn below(&self, state: &State, key: &str) -> Rc<State> {
        if let Some(known) = state.known.borrow().get(key) {
            return known.clone();
        }
        let mut places = Vec::new();
        for place in &state.places {
            match &self.patterns.segments[*place] {
                Segment::AnyDepth => places.extend([*place, place + 1]),
                Segment::Key(pattern) if glob::matches(pattern, key, Syntax::Star) => {
                    places.push(place + 1);
                }
                Segment::Key(_) | Segment::End => {}
            }
        }
        let below = self.state(places);
        let cost = below.places.len() + 1;
        if let Some(left) = self.memory.get().checked_sub(cost) {
            self.memory.set(left);
            state
                .known
                .borrow_mut()
                .insert(key.to_owned(), below.clone());
        }
        below
    }

    /// Returns the parts of a value that any pattern reaches; `None` if there are none.
    fn include(&self, value: Value, state: &State) -> Option<Value> {
        if state.accepts {
            return Some(value);
        }
        if state.places.is_empty() {
            return None;
        }
        match value {
            Value::Object(object) => {
                let kept: Map<String, Value> = object
                    .into_iter()
                    .filter_map(|(key, child)| {
                        let child = self.include(child, &self.below(state, &key))?;
                        Some((key, child))
                    })
                    .collect();
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(items) => {
                let kept: Vec<Value> = items
                    .into_iter()
                    .filter_map(|item| self.include(item, state))
                    .collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            _ => None,
        }
    }

    fn exclude(&self, value: &mut Value, state: &State) {
        match value {
            Value::Object(object) => object.retain(|key, child| {
                let below = self.below(state, key);
                if below.accepts {
                    return false;
                }
                let had_children = has_children(child);
                if !below.places.is_empty() {
                    self.exclude(child, &below);
                }
                !had_children || has_children(child)
            }),
            Value::Array(items) => items.retain_mut(|item| {
                let had_children = has_children(item);
                self.exclude(item, state);
                !had_children || has_children(item)
            }),
            _ => {}
        }
    }
}

fn has_children(value: &Value) -> bool {
    match value {
        Value::Object(object) => !object.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_as_published() {
        let answer = json!({
            "took": 3,
            "errors": true,
            "items": [
                {"index": {"_id": "1", "status": 201}},
                {"index": {"_id": "2", "status": 400, "error": {"type": "x", "reason": "y"}}},
            ],
            "nodes": {"n1": {"version": "8", "http": {"publish_address": "a"}}},
        });
        for (filter, expected) in [
            ("took", json!({"took": 3})),
            (
                "errors,items.*.error",
                json!({"errors": true, "items": [{"index": {"error": {"type": "x", "reason": "y"}}}]}),
            ),
            (
                "items.*.status",
                json!({"items": [{"index": {"status": 201}}, {"index": {"status": 400}}]}),
            ),
            (
                "nodes.*.http.publish_address",
                json!({"nodes": {"n1": {"http": {"publish_address": "a"}}}}),
            ),
            (
                "**.type",
                json!({"items": [{"index": {"error": {"type": "x"}}}]}),
            ),
            ("err*", json!({"errors": true})),
            ("t*k", json!({"took": 3})),
            ("nothing", json!({})),
            ("-items,-nodes", json!({"took": 3, "errors": true})),
            (
                "items.*.error,-**.reason",
                json!({"items": [{"index": {"error": {"type": "x"}}}]}),
            ),
            ("nodes.*.**.version", json!({})),
            ("took.**", json!({})),
            ("**.took", json!({})),
            ("-**.took,took", json!({"took": 3})),
            (
                "nodes.**",
                json!({"nodes": {"n1": {"version": "8", "http": {"publish_address": "a"}}}}),
            ),
            (
                "nodes.**.version",
                json!({"nodes": {"n1": {"version": "8"}}}),
            ),
        ] {
            let filter = FilterPath::parse(filter);
            assert_eq!(filter.apply(answer.clone()), expected, "{filter:?}");
            assert_eq!(filtered(&filter, &answer), expected, "{filter:?}");
        }
    }

    /// The reader hands such numbers over as maps.
    #[test]
    fn numbers_are_leaves_and_keep_their_text() {
        let answer = br#"{"s":1.50,"h":[{"s":1.0E2,"b":9400111899223197428490},-0.0]}"#;
        for (filter, expected) in [
            ("s", r#"{"s":1.50}"#),
            (
                "s.*,h.*",
                r#"{"h":[{"s":1.0E2,"b":9400111899223197428490}]}"#,
            ),
            ("**.s", r#"{"h":[{"s":1.0E2}]}"#),
            ("h.b.**", "{}"),
            ("*.b", r#"{"h":[{"b":9400111899223197428490}]}"#),
        ] {
            let kept = FilterPath::parse(filter).included(answer).unwrap();
            assert_eq!(String::from_utf8(kept).unwrap(), expected, "{filter}");
        }
    }

    /// As text is filtered.
    fn filtered(filter: &FilterPath, answer: &Value) -> Value {
        let text = serde_json::to_vec_pretty(answer).unwrap();
        let kept = filter.included(&text).unwrap();
        let kept = serde_json::from_slice(&kept).unwrap();
        match filter.excludes() {
            true => filter.apply(kept),
            false => kept,
        }
    }

    /// By definition, at any cost.
    fn reaches(pattern: &[&str], path: &[String]) -> bool {
        match (pattern, path) {
            ([], path) => path.is_empty(),
            (["**", rest @ ..], path) => (1..=path.len()).any(|n| reaches(rest, &path[n..])),
            ([first, rest @ ..], [key, path @ ..]) => {
                glob::matches(first, key, Syntax::Star) && reaches(rest, path)
            }
            (_, []) => false,
        }
    }

    fn naive(value: &Value, path: &mut Vec<String>, patterns: &[Vec<&str>]) -> Option<Value> {
        if patterns.iter().any(|pattern| reaches(pattern, path)) {
            return Some(value.clone());
        }
        match value {
            Value::Object(object) => {
                let mut kept = Map::new();
                for (key, child) in object {
                    path.push(key.clone());
                    if let Some(child) = naive(child, path, patterns) {
                        kept.insert(key.clone(), child);
                    }
                    path.pop();
                }
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(items) => {
                let kept: Vec<Value> = items
                    .iter()
                    .filter_map(|item| naive(item, path, patterns))
                    .collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            _ => None,
        }
    }

    fn answers() -> impl Strategy<Value = Value> {
        let leaf = any::<u8>().prop_map(Value::from);
        leaf.prop_recursive(5, 60, 4, |inner| {
            prop_oneof![
                prop::collection::vec(("[ab]{1,2}", inner.clone()), 1..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
                prop::collection::vec(inner, 1..3).prop_map(Value::Array),
            ]
        })
    }

    fn patterns() -> impl Strategy<Value = String> {
        let segment = prop_oneof!["[ab]{1,2}", "a\\*|\\*b|\\*", Just("**".to_owned())];
        let pattern = prop::collection::vec(segment, 1..5).prop_map(|parts| parts.join("."));
        prop::collection::vec(pattern, 1..4).prop_map(|patterns| patterns.join(","))
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(answer in answers(), text in patterns()) {
            let parts: Vec<Vec<&str>> = text.split(',').map(|p| p.split('.').collect()).collect();
            let expected = naive(&answer, &mut Vec::new(), &parts)
                .unwrap_or_else(|| Value::Object(Map::new()));
            let filter = FilterPath::parse(&text);
            prop_assert_eq!(&filtered(&filter, &answer), &expected);
            prop_assert_eq!(filter.apply(answer), expected);
        }
    }

    /// What tries again what failed, or keeps a place twice, does not end within the life of the test.
    #[test]
    fn no_pattern_costs_more_than_its_length_at_each_key() {
        let deep = |leaf: Value| (0..100).fold(leaf, |child, _| json!({"a": child}));
        let wide: Map<String, Value> = (0..1000)
            .map(|n| (format!("a{n}"), deep(json!(n))))
            .collect();
        let answer = Value::Object(wide);
        for text in [
            ["**"; 300].join(".") + ".b",
            ["**.a"; 300].join(".") + ".b",
            ["**.b"; 300].join(","),
            "*".repeat(1000) + "!",
            "*a".repeat(500) + "!",
        ] {
            let kept = FilterPath::parse(&text).apply(answer.clone());
            assert_eq!(kept, json!({}));
        }
    }
}
