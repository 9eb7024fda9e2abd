use serde_json::json;

use super::*;
use crate::analysis::Analyzer;
use crate::schema::{decode_double, decode_unsigned};

fn mapping(json: Value) -> Mapping {
    Mapping::parse(&json).unwrap()
}

fn parse(mapping: &Mapping, source: &str) -> Result<ParsedDocument, ApiError> {
    parse_document(
        mapping,
        "1",
        None,
        Bytes::copy_from_slice(source.as_bytes()),
    )
}

#[test]
fn dynamic_mapping_follows_the_table() {
    let text =
        json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    let cases = [
        (r#"{"a":"x"}"#, json!({"a": text})),
        (r#"{"a":1}"#, json!({"a": {"type": "long"}})),
        (r#"{"a":1.5}"#, json!({"a": {"type": "float"}})),
        (r#"{"a":true}"#, json!({"a": {"type": "boolean"}})),
        (r#"{"a":"2024-01-31"}"#, json!({"a": {"type": "date"}})),
        (
            r#"{"a":"2024-01-31T10:00:00Z"}"#,
            json!({"a": {"type": "date"}}),
        ),
        (
            r#"{"a":"2015/09/02"}"#,
            json!({"a": {"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}}),
        ),
        (
            r#"{"a":"2015/09/02 10:00:00"}"#,
            json!({"a": {"type": "date", "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"}}),
        ),
        (r#"{"a":"2015/09/02 10:00:00 +0000"}"#, json!({"a": text})),
        (r#"{"a":"2022/05"}"#, json!({"a": text})),
        (r#"{"a":"2022-05"}"#, json!({"a": {"type": "date"}})),
        (r#"{"a":"2022-05-1"}"#, json!({"a": text})),
        (r#"{"a":"2022-13"}"#, json!({"a": text})),
        (r#"{"a":"2022-05T10"}"#, json!({"a": {"type": "date"}})),
        (r#"{"a":"2022-05-01T"}"#, json!({"a": {"type": "date"}})),
        (r#"{"a":"2022-05-01T1"}"#, json!({"a": text})),
        (
            r#"{"a":"2022-05-01T10:00:00,5Z"}"#,
            json!({"a": {"type": "date"}}),
        ),
        (
            r#"{"a":"2022-05-01T10:00:00.1234567891Z"}"#,
            json!({"a": text}),
        ),
        (r#"{"a":"-2022-05-01"}"#, json!({"a": {"type": "date"}})),
        (r#"{"a":"12022-05-01"}"#, json!({"a": text})),
        (r#"{"a":"+2022-05-01"}"#, json!({"a": text})),
        (r#"{"a":"2024"}"#, json!({"a": text})),
        (r#"{"a":[null,2,"x"]}"#, json!({"a": {"type": "long"}})),
        (
            r#"{"a":{"b":{"c":1}}}"#,
            json!({"a": {"properties": {"b": {"properties": {"c": {"type": "long"}}}}}}),
        ),
        (
            r#"{"a.b":1,"a":{"c":true}}"#,
            json!({"a": {"properties": {"b": {"type": "long"}, "c": {"type": "boolean"}}}}),
        ),
        (
            r#"{"a":[{"b":1},{"c":2}]}"#,
            json!({"a": {"properties": {"b": {"type": "long"}, "c": {"type": "long"}}}}),
        ),
        (r#"{"a":{}}"#, json!({"a": {"type": "object"}})),
    ];
    for (source, properties) in cases {
        let parsed = parse(&Mapping::default(), source).unwrap();
        assert_eq!(
            parsed.mapping_update,
            Some(json!({"properties": properties})),
            "{source}"
        );
        // The update is a valid mapping, and with it the document needs nothing more.
        let grown = Mapping::default()
            .merge(&parsed.mapping_update.unwrap())
            .unwrap();
        if !source.contains(r#""x"]"#) {
            assert_eq!(
                parse(&grown, source).unwrap().mapping_update,
                None,
                "{source}"
            );
        }
    }
    for source in ["{}", r#"{"a":null}"#, r#"{"a":[]}"#, r#"{"a":[null]}"#] {
        assert_eq!(
            parse(&Mapping::default(), source).unwrap().mapping_update,
            None,
            "{source}"
        );
    }
}

#[test]
fn numeric_detection_and_dynamic_settings() {
    let numeric = mapping(json!({"numeric_detection": true, "date_detection": false}));
    let update = parse(&numeric, r#"{"a":"1","b":"1.5","c":"2024-01-01"}"#)
        .unwrap()
        .mapping_update
        .unwrap();
    assert_eq!(update["properties"]["a"]["type"], "long");
    assert_eq!(update["properties"]["b"]["type"], "float");
    assert_eq!(update["properties"]["c"]["type"], "text");

    let off = mapping(
        json!({"dynamic": false, "properties": {"o": {"dynamic": true, "properties": {}}}}),
    );
    let update = parse(&off, r#"{"a":1,"b":{"c":1},"o":{"x":1}}"#)
        .unwrap()
        .mapping_update;
    assert_eq!(
        update,
        Some(json!({"properties": {"o": {"properties": {"x": {"type": "long"}}}}}))
    );

    let strict = mapping(
        json!({"dynamic": "strict", "properties": {"o": {"properties": {"x": {"type": "long"}}}}}),
    );
    let error = parse(&strict, r#"{"o":{"y":1}}"#).unwrap_err();
    assert_eq!(error.code, ErrorCode::StrictDynamicMapping);
    assert!(
        error.reason.ends_with(
            "mapping set to strict, dynamic introduction of [y] within [o] is not allowed"
        ),
        "{error}"
    );
    let error = parse(&strict, r#"{"a":1}"#).unwrap_err();
    assert!(error.reason.contains("[a] within [_doc]"), "{error}");
}

#[test]
fn values_go_to_their_families() {
    let mapping = mapping(json!({"properties": {
        "t": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 5}}, "copy_to": "all"},
        "all": {"type": "text"},
        "i": {"type": "integer"}, "u": {"type": "unsigned_long"}, "b": {"type": "boolean"},
        "d": {"type": "double"}, "f": {"type": "float"}, "h": {"type": "half_float"},
        "s": {"type": "scaled_float", "scaling_factor": 100},
        "w": {"type": "date", "format": "yyyyMMdd"}, "ip": {"type": "ip"},
        "n": {"type": "keyword", "null_value": "NONE"},
        "gone": {"type": "long", "index": false, "doc_values": false},
        "soft": {"type": "long", "ignore_malformed": true},
    }}));
    let source = r#"{"t":["ab","longer text"],"i":["7",8.9,-3],"u":18446744073709551615,"b":["true",false,""],
        "d":"1e3","f":0.1,"h":0.1,"s":1.239,"w":20240229,"ip":"10.0.0.1","n":null,"gone":5,"soft":"x"}"#;
    let values = parse(&mapping, source).unwrap().values;
    let long = |path: &str| -> Vec<i64> {
        values
            .long
            .iter()
            .filter(|(p, _)| &**p == path)
            .map(|(_, v)| *v)
            .collect()
    };
    let double = |path: &str| -> f64 {
        decode_double(values.double.iter().find(|(p, _)| &**p == path).unwrap().1)
    };
    assert_eq!(long("i"), [7, 8, -3]);
    assert_eq!(decode_unsigned(long("u")[0]), u64::MAX);
    assert_eq!(long("b"), [1, 0, 0]);
    assert!(long("gone").is_empty() && long("soft").is_empty());
    assert_eq!(double("d"), 1000.0);
    assert_eq!(double("f"), f64::from(0.1f32));
    assert_eq!(double("h"), 0.099_975_585_937_5);
    assert_eq!(double("s"), 1.24);
    assert_eq!(values.date[0].1, 1_709_164_800_000);
    let keywords: Vec<(&str, &str)> = values
        .keyword
        .iter()
        .map(|(p, v)| (&**p, v.as_str()))
        .collect();
    assert_eq!(
        keywords,
        [
            ("t.raw", "ab"),
            ("ip", "00000000000000000000ffff0a000001"),
            ("n", "NONE"),
        ]
    );
    let texts: Vec<(&str, &str)> = values
        .text
        .iter()
        .map(|t| (&*t.path, t.marked.as_str()))
        .collect();
    // Further values stand apart from the first.
    let longer = analysis::mark(
        &Analyzer::Standard,
        Gap::Wider(99),
        "longer text".to_owned(),
        None,
        &mut analysis::Spent::default(),
    );
    let longer = longer.unwrap().text;
    assert_eq!(
        texts,
        [
            ("t", "ab"),
            ("all", "ab"),
            ("t", longer.as_str()),
            ("all", longer.as_str())
        ]
    );
    let ignored: Vec<&str> = values.ignored.iter().map(|p| &**p).collect();
    assert_eq!(ignored, ["t.raw", "soft"]);
    assert!(!values.names.iter().any(|name| &**name == "gone"));
}

#[test]
fn half_floats_round_like_the_format() {
    let mapping = mapping(json!({"properties": {"h": {"type": "half_float"}}}));
    let half = |text: &str| {
        parse(&mapping, &format!("{{\"h\":{text}}}")).map(|p| decode_double(p.values.double[0].1))
    };
    for (text, expected) in [
        ("1", 1.0),
        ("2049", 2048.0),
        ("2051", 2052.0),
        ("65504", 65504.0),
        ("5.960464477539063e-8", 5.960464477539063e-8),
        ("1e-9", 0.0),
        ("-1.0009765625", -1.0009765625),
    ] {
        assert_eq!(half(text).unwrap(), expected, "{text}");
    }
    half("65520").unwrap_err();
}

#[test]
fn bad_values_are_explained() {
    let mapping = mapping(json!({"properties": {
        "n": {"type": "long"}, "byte": {"type": "byte"}, "b": {"type": "boolean"}, "w": {"type": "date"},
        "ip": {"type": "ip"}, "o": {"properties": {"x": {"type": "long"}}}, "strict": {"type": "long", "coerce": false},
        "f": {"type": "float"},
    }}));
    let cases = [
        (
            r#"{"n":"abc"}"#,
            "failed to parse field [n] of type [long] in document with id '1'. Preview of field's value: 'abc'",
            "For input string: \"abc\"",
        ),
        (
            r#"{"n":9223372036854775808}"#,
            "failed to parse field [n] of type [long] in document with id '1'. Preview of field's value: '9223372036854775808'",
            "Value [9223372036854775808] is out of range for a long",
        ),
        (
            r#"{"byte":128}"#,
            "failed to parse field [byte] of type [byte] in document with id '1'. Preview of field's value: '128'",
            "Value [128] is out of range for a byte",
        ),
        (
            r#"{"b":"yes"}"#,
            "failed to parse field [b] of type [boolean] in document with id '1'. Preview of field's value: 'yes'",
            "Failed to parse value [yes] as only [true] or [false] are allowed.",
        ),
        (
            r#"{"w":"soon"}"#,
            "failed to parse field [w] of type [date] in document with id '1'. Preview of field's value: 'soon'",
            "failed to parse date field [soon] with format [strict_date_optional_time||epoch_millis]",
        ),
        (
            r#"{"ip":"1.2.3"}"#,
            "failed to parse field [ip] of type [ip] in document with id '1'. Preview of field's value: '1.2.3'",
            "'1.2.3' is not an IP string literal.",
        ),
        (
            r#"{"strict":"1"}"#,
            "failed to parse field [strict] of type [long] in document with id '1'. Preview of field's value: '1'",
            "Long value passed as String",
        ),
        (
            r#"{"f":1e39}"#,
            "failed to parse field [f] of type [float] in document with id '1'. Preview of field's value: '1e39'",
            "[float] supports only finite values, but got [1e39]",
        ),
    ];
    for (source, reason, cause) in cases {
        let error = parse(&mapping, source).unwrap_err();
        assert_eq!(error.code, ErrorCode::DocumentParsing, "{source}");
        assert!(
            error.reason.starts_with("[1:") && error.reason.ends_with(reason),
            "{source}: {error}"
        );
        assert_eq!(error.caused_by.unwrap().reason, cause, "{source}");
    }
    for (source, part) in [
        (
            r#"{"o":1}"#,
            "object mapping for [o] tried to parse field [o] as object, but found a concrete value",
        ),
        (
            r#"{"n":{"x":1}}"#,
            "failed to parse field [n] of type [long]",
        ),
        (
            r#"{"n.x":1}"#,
            "Existing mapping for [n] must be of type object but found [long].",
        ),
        (
            r#"{"_id":1}"#,
            "Field [_id] is a metadata field and cannot be added inside a document.",
        ),
        (r#"{"n":1,"n":2}"#, "Duplicate field 'n'"),
        (r#"{"x":{"a":1,"\u0061":2}}"#, "Duplicate field 'a'"),
        (r#"{"":1}"#, "field name cannot be an empty string"),
        (r#"{"a..b":1}"#, "field name cannot"),
        (r#"{"a\u0000":1}"#, "field name cannot"),
        (r#"{"n":1"#, "failed to parse"),
        (r#"{"n":1} x"#, "failed to parse"),
        ("[1]", "failed to parse"),
        ("", "failed to parse"),
    ] {
        let error = parse(&mapping, source).unwrap_err();
        assert!(error.reason.contains(part), "{source}: {error}");
    }
}

#[test]
fn immense_terms_and_ids_are_refused() {
    let mapping = mapping(json!({"properties": {"k": {"type": "keyword"}}}));
    let error = parse(&mapping, &format!(r#"{{"k":"{}"}}"#, "x".repeat(32_767))).unwrap_err();
    assert_eq!(error.code, ErrorCode::IllegalArgument);
    assert!(
        error
            .reason
            .starts_with("Document contains at least one immense term in field=\"k\"")
    );
    assert!(parse(&mapping, &format!(r#"{{"k":"{}"}}"#, "x".repeat(32_766))).is_ok());
    let error = parse_document(&mapping, "", None, Bytes::from_static(b"{}")).unwrap_err();
    assert_eq!(error.reason, "if _id is specified it must not be empty");
    let long = "é".repeat(257);
    let error = parse_document(&mapping, &long, None, Bytes::from_static(b"{}")).unwrap_err();
    assert!(
        error
            .reason
            .ends_with("is too long, must be no longer than 512 bytes but was: 514")
    );
}

#[test]
fn wide_objects_keep_duplicate_checks() {
    let fields: Vec<String> = (0..500).map(|i| format!("\"f{i}\":1")).collect();
    let off = mapping(json!({"dynamic": false}));
    assert!(parse(&off, &format!("{{{}}}", fields.join(","))).is_ok());
    let error = parse(&off, &format!("{{{},\"f250\":2}}", fields.join(","))).unwrap_err();
    assert!(error.reason.contains("Duplicate field 'f250'"), "{error}");
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(source in "[{}\\[\\]\":,a-c0-9.\\\\ue-]{0,40}") {
        let _ = parse(&Mapping::default(), &source);
    }
}

/// As a real Elasticsearch maps the same document.
#[test]
fn dynamic_templates_define_new_fields() {
    let templates = json!([
        {"a": {"match": "*_k", "mapping": {"type": "keyword"}}},
        {"b": {"match_mapping_type": "string", "match": ["s_*", "t_*"], "unmatch": "*_x",
            "mapping": {"type": "keyword", "copy_to": "{name}_copy", "meta": {"t": "{dynamic_type}"}}}},
        {"c": {"path_match": "o.*", "path_unmatch": "o.skip*", "match_mapping_type": "long", "mapping": {"type": "integer"}}},
        {"d": {"match_mapping_type": "double", "mapping": {"index": false}}},
        {"e": {"match": "off", "match_mapping_type": "object", "mapping": {"enabled": false}}},
        {"f": {"match_pattern": "regex", "match": "^re\\d+$", "mapping": {"type": "{dynamic_type}", "meta": {"x": "{dynamic_type}"}}}},
        {"g": {"match_mapping_type": ["date", "boolean"], "mapping": {"index": false}}},
        {"h": {"match_mapping_type": "*", "unmatch_mapping_type": ["object", "string"], "mapping": {"doc_values": false}}},
    ]);
    let mapping = mapping(json!({"dynamic_templates": templates}));
    assert_eq!(mapping.to_json(), json!({"dynamic_templates": templates}));
    let document = r#"{"x_k":"1","n_k":5,"s_1":"a","s_x":"c","o":{"n":1,"skip1":2,"p":{"q":3}},"d":1.5,"off":{"z":1},
        "re1":"x","re2":1,"re3":1.5,"re4":true,"re5":"2020-01-01","dt":"2020-01-01","sl":"2020/01/01","bo":true,"lg":7,"st":"plain"}"#;
    let update = parse(&mapping, document).unwrap().mapping_update.unwrap();
    let grown = mapping.merge(&update).unwrap();
    // What is copied is there when the document is read again.
    let update = parse(&grown, document).unwrap().mapping_update.unwrap();
    let grown = grown.merge(&update).unwrap();
    let text =
        json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
    let expected = json!({
        "bo": {"type": "boolean", "index": false}, "d": {"type": "float", "index": false},
        "dt": {"type": "date", "index": false},
        "sl": {"type": "date", "index": false, "format": "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis"},
        "lg": {"type": "long", "doc_values": false}, "n_k": {"type": "keyword"}, "x_k": {"type": "keyword"},
        "o": {"properties": {"n": {"type": "integer"}, "p": {"properties": {"q": {"type": "integer"}}},
            "skip1": {"type": "long", "doc_values": false}}},
        "off": {"type": "object", "enabled": false},
        "re1": {"type": "text", "meta": {"x": "text"}}, "re2": {"type": "long", "meta": {"x": "long"}},
        "re3": {"type": "float", "index": false}, "re4": {"type": "boolean", "meta": {"x": "boolean"}},
        "re5": {"type": "date", "meta": {"x": "date"}},
        "s_1": {"type": "keyword", "meta": {"t": "text"}, "copy_to": "s_1_copy"},
        "s_1_copy": {"type": "keyword", "meta": {"t": "text"}, "copy_to": "s_1_copy_copy"},
        "s_x": text, "st": text,
    });
    let shown = grown.to_json();
    for (name, definition) in expected.as_object().unwrap() {
        let mut found = shown["properties"][name].clone();
        if let Some([one]) = found["copy_to"].as_array().map(Vec::as_slice) {
            found["copy_to"] = one.clone();
        }
        let found = match definition.get("copy_to") {
            Some(_) => found,
            None => shown["properties"][name].clone(),
        };
        assert_eq!(&found, definition, "{name}");
    }
    let names = expected.as_object().unwrap().len();
    assert_eq!(
        shown["properties"].as_object().unwrap().len(),
        names,
        "{shown}"
    );
    assert!(parse(&grown, document).unwrap().mapping_update.is_none());
    // An update of the mapping gives all templates anew.
    let other =
        json!({"dynamic_templates": [{"z": {"match": "zz", "mapping": {"type": "keyword"}}}]});
    assert_eq!(
        grown.merge(&other).unwrap().to_json()["dynamic_templates"],
        other["dynamic_templates"]
    );
    let none = grown.merge(&json!({"dynamic_templates": []})).unwrap();
    assert!(none.to_json().get("dynamic_templates").is_none());
}

#[test]
fn dynamic_templates_that_define_nothing_are_refused() {
    for (templates, part) in [
        (json!({"a": {}}), "An array of named objects is expected"),
        (
            json!([{"a": {"mapping": {}}, "b": {}}]),
            "must be defined with a name",
        ),
        (
            json!([{"a": {"match": "x"}}]),
            "template [a] must have either mapping or runtime set",
        ),
        (
            json!([{"a": {"match": "x", "runtime": {"type": "keyword"}}}]),
            "there are no runtime fields",
        ),
        (
            json!([{"a": {"match": "x", "foo": 1, "mapping": {}}}]),
            "Illegal dynamic template parameter: [foo]",
        ),
        (
            json!([{"a": {"match_mapping_type": "nope", "mapping": {}}}]),
            "No field type matched on [nope]",
        ),
        (
            json!([{"a": {"match_pattern": "foo", "match": "x", "mapping": {}}}]),
            "No matching pattern matched on [foo]",
        ),
        (
            json!([{"a": {"match_pattern": "regex", "match": "(", "mapping": {}}}]),
            "Pattern [(] of type [regex] is invalid. Cannot create dynamic template [a].",
        ),
        // What would take long to fill in, or to match.
        (
            json!([{"a": {"match": "x", "mapping": {"meta": {"a": "{name}".repeat(1000)}}}}]),
            "has [6005] bytes, of which it may have [4096]",
        ),
        (
            json!([{"a": {"match": "x", "mapping": {"meta": {"a": "{name}".repeat(20)}}}}]),
            "names the field [20] times, of which it may [16]",
        ),
        (
            json!([{"a": {"match_pattern": "regex", "match": "\\w{160}", "mapping": {}}}]),
            "is invalid. Cannot create dynamic template [a].",
        ),
        (
            json!([{"a": {"match_pattern": "regex", "match": "a)|(.*", "mapping": {}}}]),
            "is invalid. Cannot create dynamic template [a].",
        ),
        (
            json!(vec![json!({"a": {"match": "x", "mapping": {}}}); 1001]),
            "of which a mapping may have [1000]",
        ),
        (
            json!([{"a": {"match": "x", "mapping": {"type": "nope"}}}]),
            "dynamic template [a] has invalid content",
        ),
        (
            json!([{"a": {"match_mapping_type": "long", "mapping": {"type": "long", "foo": 1}}}]),
            "attempted to validate it with the following match_mapping_type: [long]",
        ),
    ] {
        let error = Mapping::parse(&json!({"dynamic_templates": templates})).unwrap_err();
        assert!(error.reason.contains(part), "{}", error.reason);
    }
}

/// However a name is spelled, its objects are what the templates say. As a real Elasticsearch maps them.
#[test]
fn dynamic_templates_define_the_objects_of_dotted_names() {
    let mapping = mapping(json!({"dynamic_templates": [
        {"o": {"match": "a", "match_mapping_type": "object", "mapping": {"enabled": false}}},
        {"p": {"match": "b*", "match_mapping_type": "object", "mapping": {"type": "object", "dynamic": false}}},
    ]}));
    let quiet = json!({"type": "object", "dynamic": "false"});
    for (document, expected) in [
        (
            r#"{"a.x":1}"#,
            json!({"a": {"type": "object", "enabled": false}}),
        ),
        (r#"{"b1.x":1}"#, json!({"b1": quiet})),
        (r#"{"b3.c.d":1,"b3":{"z":1}}"#, json!({"b3": quiet})),
        (
            r#"{"c.b4.y":{"z":1}}"#,
            json!({"c": {"properties": {"b4": quiet}}}),
        ),
        (
            r#"{"c.d":1}"#,
            json!({"c": {"properties": {"d": {"type": "long"}}}}),
        ),
    ] {
        let update = parse(&mapping, document).unwrap().mapping_update.unwrap();
        let grown = mapping.merge(&update).unwrap();
        assert_eq!(grown.to_json()["properties"], expected, "{document}");
        assert!(
            parse(&grown, document).unwrap().mapping_update.is_none(),
            "{document}"
        );
    }
}

/// Mappings are read part by part, one in the other: a name of very many would end the process.
#[test]
fn names_have_a_bounded_number_of_parts() {
    let mapping = Mapping::default();
    let long = vec!["a"; 100_000].join(".");
    let error = parse(&mapping, &format!("{{\"{long}\":1}}")).unwrap_err();
    assert!(
        error.reason.contains("at most [200] parts"),
        "{}",
        error.reason
    );
    let half = vec!["a"; 120].join(".");
    let error = parse(&mapping, &format!("{{\"{half}\":{{\"{half}\":1}}}}")).unwrap_err();
    assert!(
        error.reason.contains("at most [200] parts"),
        "{}",
        error.reason
    );
    let error = Mapping::parse(&json!({"properties": {long: {"type": "long"}}})).unwrap_err();
    assert!(
        error.reason.contains("at most [200] parts"),
        "{}",
        error.reason
    );
    let error = parse(&mapping, &format!("{{\"{}\":1}}", "a".repeat(40_000))).unwrap_err();
    assert!(error.reason.contains("[32766] bytes"), "{}", error.reason);
    let deep = vec!["a"; 150].join(".");
    assert!(
        parse(&mapping, &format!("{{\"{deep}\":1}}"))
            .unwrap()
            .mapping_update
            .is_some()
    );
}
