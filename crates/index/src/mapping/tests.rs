use super::*;

fn parse(json: Value) -> Mapping {
    Mapping::parse(&json).unwrap()
}

#[track_caller]
fn refused(json: Value) -> String {
    Mapping::parse(&json).unwrap_err().reason
}

#[test]
fn shows_what_was_given_without_defaults() {
    let mapping = parse(json!({
        "dynamic": false,
        "_meta": {"by": "me"},
        "properties": {
            "title": {"type": "text", "index": true, "analyzer": "english",
                "fields": {"raw": {"type": "keyword", "ignore_above": 64}}},
            "user.name": {"type": "keyword", "doc_values": true},
            "empty": {"type": "object"},
            "off": {"type": "object", "enabled": false},
            "when": {"type": "date", "format": "yyyy/MM/dd||epoch_second"},
        }
    }));
    assert_eq!(
        mapping.to_json(),
        json!({
            "_meta": {"by": "me"},
            "dynamic": "false",
            "properties": {
                "empty": {"type": "object"},
                "off": {"type": "object", "enabled": false},
                "title": {"type": "text", "analyzer": "english",
                    "fields": {"raw": {"type": "keyword", "ignore_above": 64}}},
                "user": {"properties": {"name": {"type": "keyword"}}},
                "when": {"type": "date", "format": "yyyy/MM/dd||epoch_second"},
            }
        })
    );
    assert_eq!(mapping.field("title.raw").unwrap().ignore_above, Some(64));
    assert!(mapping.is_object("user") && mapping.field("user").is_none());
    assert_eq!(mapping.fields_under("user").count(), 1);
    assert_eq!(mapping.total_fields(), 4 + 3);
}

#[test]
fn an_alias_names_a_field_that_is_there() {
    let mapping = parse(
        json!({"properties": {"k": {"type": "keyword"}, "o": {"properties": {
        "a": {"type": "alias", "path": "k"}}}}}),
    );
    assert_eq!(&*mapping.resolved("o.a").unwrap().path, "k");
    assert_eq!(
        Mapping::parse_stored(&mapping.to_stored_json()).unwrap(),
        mapping
    );
    for (path, expected) in [
        (
            "nope",
            "an alias must refer to an existing field in the mappings",
        ),
        (
            "o",
            "an alias must refer to an existing field in the mappings",
        ),
        ("o.a", "an alias cannot refer to another alias"),
        ("c", "an alias cannot refer to itself"),
    ] {
        let update = json!({"properties": {"c": {"type": "alias", "path": path}}});
        assert_eq!(
            mapping.merge(&update).unwrap_err().reason,
            format!("Invalid [path] value [{path}] for field alias [c]: {expected}.")
        );
    }
    for (definition, expected) in [
        (
            json!({"type": "alias"}),
            "The [path] property must be specified for field [c].",
        ),
        (
            json!({"type": "keyword", "fields": {"x": {"type": "alias", "path": "k"}}}),
            "Type [alias] cannot be used in multi field",
        ),
    ] {
        let reason = refused(json!({"properties": {"k": {"type": "keyword"}, "c": definition}}));
        assert_eq!(reason, format!("Failed to parse mapping: {expected}"));
    }
}

#[test]
fn stored_form_keeps_slots_and_the_shown_form_hides_them() {
    let first = parse(json!({"properties": {"b": {"type": "text"}, "z": {"type": "text"}}}));
    let grown = first
        .merge(&json!({"properties": {
            "a": {"type": "text", "fields": {"en": {"type": "text", "analyzer": "english"}}},
            "off": {"type": "text", "index": false},
            "k": {"type": "keyword", "fields": {"t": {"type": "text"}}},
        }}))
        .unwrap();
    let slot = |path: &str| grown.field(path).unwrap().text_slot;
    assert_eq!(
        [
            slot("b"),
            slot("z"),
            slot("a"),
            slot("a.en"),
            slot("k.t"),
            slot("off")
        ],
        [Some(0), Some(1), Some(2), Some(3), Some(4), None]
    );
    assert_eq!(
        Mapping::parse_stored(&grown.to_stored_json()).unwrap(),
        grown
    );
    assert!(!grown.to_json().to_string().contains("_text_slot"));
    let reason = refused(json!({"properties": {"a": {"type": "text", "_text_slot": 3}}}));
    assert!(
        reason.contains("unknown parameter [_text_slot]"),
        "{reason}"
    );
}

#[test]
fn refuses_what_it_does_not_understand() {
    let cases = [
        (
            json!({"properties": {"a": {"type": "texd"}}}),
            "Failed to parse mapping: The mapper type [texd] declared on field [a] does not exist. \
             It might have been created within a future version or requires a plugin to be \
             installed. Check the documentation.",
        ),
        (
            json!({"properties": {"a": {"type": "keyword", "analyzer": "simple"}}}),
            "Failed to parse mapping: unknown parameter [analyzer] on mapper [a] of type [keyword]",
        ),
        (
            json!({"properties": {"a": {"type": "text", "analyzer": "nope"}}}),
            "Failed to parse mapping: analyzer [nope] has not been configured in mappings",
        ),
        (
            json!({"properties": {"a": {"index": false}}}),
            "Failed to parse mapping: No type specified for field [a]",
        ),
        (
            json!({"propertys": {}}),
            "Failed to parse mapping: Root mapping definition has unsupported parameters:  [propertys : {}]",
        ),
        (
            json!({"properties": {"a": {"type": "long", "null_value": "x"}}}),
            "Failed to parse mapping: Error parsing [null_value] on field [a]: For input string: \"x\"",
        ),
        (
            json!({"properties": {"a": {"type": "date", "format": "yyyy-bb"}}}),
            "Failed to parse mapping: Invalid format: [yyyy-bb]: Unknown pattern letter: b",
        ),
        (
            json!({"properties": {"a": {"type": "scaled_float"}}}),
            "Failed to parse mapping: Field [a] misses required parameter [scaling_factor]",
        ),
        (
            json!({"properties": {"a": {"type": "long"}, "a.b": {"type": "long"}}}),
            "Failed to parse mapping: can't merge a non object mapping [a] with an object mapping",
        ),
        (
            json!({"properties": {"": {"type": "long"}}}),
            "field name cannot be an empty string",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(refused(json.clone()), expected, "{json}");
    }
    for json in [
        json!({"dynamic": "runtime"}),
        json!({"dynamic": "maybe"}),
        json!({"properties": {"a..b": {"type": "long"}}}),
        json!({"properties": {"a": {"type": "object", "foo": 1}}}),
        json!({"properties": {"a": 3}}),
        json!({"properties": [1]}),
        json!([]),
        json!({"_routing": {"needed": true}}),
        json!({"_source": {"enabled": false}}),
        json!({"properties": {"a": {"type": "keyword", "fields": {"b": {"type": "keyword", "fields": {"c": {"type": "text"}}}}}}}),
    ] {
        Mapping::parse(&json).unwrap_err();
    }
}

#[test]
fn merge_adds_and_refuses_changes() {
    let base = parse(json!({"properties": {
        "a": {"type": "text"},
        "k": {"type": "keyword"},
        "o": {"properties": {"x": {"type": "long"}}},
    }}));
    let ok = base
        .merge(&json!({"dynamic": "strict", "properties": {
            "k": {"type": "keyword", "ignore_above": 10, "fields": {"t": {"type": "text"}}},
            "o": {"properties": {"y": {"type": "double"}}},
        }}))
        .unwrap();
    assert!(ok.field("o.x").is_some() && ok.field("o.y").is_some() && ok.field("k.t").is_some());
    assert_eq!(ok.field("k").unwrap().ignore_above, Some(10));
    // A multi-field stays when the update does not name it.
    let again = ok
        .merge(&json!({"properties": {"k": {"type": "keyword"}}}))
        .unwrap();
    assert!(again.field("k.t").is_some());

    let cases = [
        (
            json!({"properties": {"a": {"type": "keyword"}}}),
            "mapper [a] cannot be changed from type [text] to [keyword]",
        ),
        (
            json!({"properties": {"a": {"properties": {"b": {"type": "long"}}}}}),
            "can't merge a non object mapping [a] with an object mapping",
        ),
        (
            json!({"properties": {"o": {"type": "long"}}}),
            "can't merge a non object mapping [o] with an object mapping",
        ),
        (
            json!({"properties": {"a": {"type": "text", "analyzer": "simple"}}}),
            "Mapper for [a] conflicts with existing mapper:\n\tCannot update parameter [analyzer] from [default] to [simple]",
        ),
    ];
    for (update, expected) in cases {
        assert_eq!(
            base.merge(&update).unwrap_err().reason,
            expected,
            "{update}"
        );
    }
}

#[test]
fn limits_hold() {
    let many: Map<String, Value> = (0..1000)
        .map(|i| (format!("f{i}"), json!({"type": "long"})))
        .collect();
    let full = parse(json!({"properties": many}));
    let error = full.merge(&json!({"properties": {"x": {"type": "long"}, "y": {"type": "long"}}}));
    assert_eq!(
        error.unwrap_err().reason,
        "Limit of total fields [1000] has been exceeded while adding new fields [2]"
    );
    let deep = format!("{}x", "o.".repeat(20));
    let reason = refused(json!({"properties": {deep: {"type": "long"}}}));
    assert!(
        reason.starts_with("Limit of mapping depth [20]"),
        "{reason}"
    );
}

/// What Elasticsearch's reference lists for texts and keywords is shown as it was given, or refused by its name.
#[test]
fn every_parameter_of_texts_is_in_force_or_refused() {
    for (kind, parameter, value, is_there) in [
        ("text", "analyzer", json!("whitespace"), true),
        ("text", "copy_to", json!(["b"]), true),
        ("text", "eager_global_ordinals", json!(true), true),
        ("text", "fielddata", json!(true), false),
        (
            "text",
            "fielddata_frequency_filter",
            json!({"min": 0.1}),
            false,
        ),
        ("text", "fields", json!({"k": {"type": "keyword"}}), true),
        ("text", "index", json!(false), true),
        ("text", "index_options", json!("docs"), true),
        ("text", "index_options", json!("freqs"), true),
        ("text", "index_options", json!("offsets"), true),
        ("text", "index_phrases", json!(true), false),
        ("text", "index_prefixes", json!({}), false),
        ("text", "meta", json!({"unit": "m"}), true),
        ("text", "norms", json!(false), true),
        ("text", "position_increment_gap", json!(5), true),
        ("text", "search_analyzer", json!("whitespace"), true),
        ("text", "search_quote_analyzer", json!("whitespace"), true),
        ("text", "similarity", json!("boolean"), true),
        ("text", "similarity", json!("classic"), false),
        ("text", "store", json!(true), true),
        ("text", "term_vector", json!("yes"), true),
        ("text", "null_value", json!("x"), false),
        ("keyword", "doc_values", json!(false), true),
        ("keyword", "eager_global_ordinals", json!(true), true),
        ("keyword", "ignore_above", json!(5), true),
        ("keyword", "index_options", json!("freqs"), false),
        ("keyword", "index_options", json!("positions"), false),
        ("keyword", "norms", json!(true), false),
        ("keyword", "null_value", json!("x"), true),
        ("keyword", "normalizer", json!("lowercase"), true),
        ("keyword", "similarity", json!("boolean"), true),
        ("keyword", "split_queries_on_whitespace", json!(true), false),
        ("keyword", "script", json!("x"), false),
        ("keyword", "time_series_dimension", json!(true), false),
    ] {
        let mapping = json!({"properties": {"a": {"type": kind, parameter: value}}});
        match Mapping::parse(&mapping) {
            Ok(mapping) => {
                assert!(is_there, "{kind} {parameter} {value}");
                let stored = Mapping::parse_stored(&mapping.to_stored_json()).unwrap();
                for mapping in [mapping, stored] {
                    assert_eq!(mapping.to_json()["properties"]["a"][parameter], value);
                }
            }
            Err(error) => {
                assert!(!is_there, "{kind} {parameter} {value}: {}", error.reason);
                let named = error.reason.to_lowercase();
                assert!(named.contains(parameter), "{parameter}: {}", error.reason);
            }
        }
    }
}
