use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn put(templates: &mut Templates, name: &str, body: Value) -> Result<(), ApiError> {
    let template = IndexTemplate::parse(name, &object(body))?;
    templates.apply(TemplateChange::PutIndex {
        name: name.to_owned(),
        template: Box::new(template),
        create: false,
    })
}

fn put_component(templates: &mut Templates, name: &str, body: Value) {
    let template = ComponentTemplate::parse(name, &object(body)).unwrap();
    let change = TemplateChange::PutComponent {
        name: name.to_owned(),
        template: Box::new(template),
        create: false,
    };
    templates.apply(change).unwrap();
}

fn delete(templates: &mut Templates, kind: Kind, names: &[&str]) -> Result<(), ApiError> {
    templates.apply(TemplateChange::Delete {
        kind,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    })
}

#[test]
fn the_template_of_the_highest_priority_counts_with_its_components() {
    let mut templates = Templates::default();
    put_component(
        &mut templates,
        "c",
        json!({"template": {"settings": {"number_of_shards": 2}}}),
    );
    put(
        &mut templates,
        "low",
        json!({"index_patterns": "a*", "priority": 1}),
    )
    .unwrap();
    put(
        &mut templates,
        "high",
        json!({"index_patterns": ["ab*"], "priority": 2, "composed_of": ["c"],
            "template": {"settings": {"index.number_of_replicas": 0}}, "allow_auto_create": false}),
    )
    .unwrap();
    assert_eq!(templates.resolve("ab1", false).layers.len(), 2);
    let (name, template) = templates.resolve("ab1", false).composable.unwrap();
    assert_eq!((name, template.allow_auto_create), ("high", Some(false)));
    assert_eq!(templates.resolve("ac", false).layers.len(), 0);
    assert!(templates.resolve("zz", false).composable.is_none());
    // One that exists is in use until its user is gone.
    let refused = delete(&mut templates, Kind::Component, &["c"]).unwrap_err();
    assert!(
        refused
            .reason
            .contains("[c] cannot be removed as they are still in use by index templates [high]")
    );
    let rival = put(
        &mut templates,
        "rival",
        json!({"index_patterns": "*b1", "priority": 2}),
    )
    .unwrap_err();
    assert!(
        rival
            .reason
            .contains("(high => [ab*]) that have the same priority [2]"),
        "{}",
        rival.reason
    );
    // Its own former self is no rival.
    put(
        &mut templates,
        "high",
        json!({"index_patterns": ["ab*", "z"], "priority": 2}),
    )
    .unwrap();
    delete(&mut templates, Kind::Component, &["c"]).unwrap();
    assert_eq!(
        delete(&mut templates, Kind::Index, &["high", "no"])
            .unwrap_err()
            .status,
        404
    );
    assert_eq!(templates.index.len(), 2);
}

#[test]
fn older_templates_are_laid_over_one_another_where_no_composable_one_fits() {
    let mut templates = Templates::default();
    for (name, order) in [("first", 5), ("second", -1)] {
        let body = json!({"index_patterns": ["l*"], "order": order, "version": order});
        let template = LegacyTemplate::parse(name, &object(body)).unwrap();
        let change = TemplateChange::PutLegacy {
            name: name.to_owned(),
            template: Box::new(template),
            create: true,
        };
        templates.apply(change.clone()).unwrap();
        assert!(
            templates
                .apply(change)
                .unwrap_err()
                .reason
                .contains("already exists")
        );
    }
    assert_eq!(templates.resolve("l1", false).layers.len(), 2);
    put(&mut templates, "all", json!({"index_patterns": ["*"]})).unwrap();
    assert_eq!(templates.resolve("l1", false).layers.len(), 0);
    // Those for all do not mean hidden indices.
    assert_eq!(templates.resolve("l1", true).layers.len(), 2);
    let (names, missing) = templates.names(Kind::Legacy, &["f*".to_owned(), "x".to_owned()]);
    assert_eq!((names.len(), missing.as_deref()), (1, Some("x")));
}

#[test]
fn what_no_template_can_be_is_refused_and_named() {
    for (name, body, part) in [
        ("t", json!({"priority": 1}), "Required [index_patterns]"),
        (
            "t",
            json!({"index_patterns": []}),
            "There must be at least one pattern",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "priority": -1}),
            "index template priority must be >= 0",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "foo": 1}),
            "[index_template] unknown field [foo]",
        ),
        (
            "T",
            json!({"index_patterns": ["q"]}),
            "name must be lower cased",
        ),
        (
            "_t",
            json!({"index_patterns": ["q"]}),
            "name must not start with '_'",
        ),
        (
            "t",
            json!({"index_patterns": ["q *"]}),
            "index_patterns [q *] must not contain a space",
        ),
        (
            "t",
            json!({"index_patterns": ["_q*"]}),
            "index_pattern [_q*] must not start with '_'",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "data_stream": {}}),
            "data streams are not supported",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "composed_of": ["no"]}),
            "[no] that do not exist",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "template": {"x": 1}}),
            "[template] unknown field [x]",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "template": {"aliases": {"q-*": {}}}}),
            "alias name [q-*]",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "template": {"settings": {"nope": 1}}}),
            "unknown setting [index.nope]",
        ),
        (
            "t",
            json!({"index_patterns": ["q"], "template": {"settings": {"number_of_shards": -1}}}),
            "index_template [t] invalid, cause [Validation Failed: 1: Failed to parse value [-1]",
        ),
    ] {
        let error = put(&mut Templates::default(), name, body).unwrap_err();
        assert!(
            error.status == 400 && error.reason.contains(part),
            "{}",
            error.reason
        );
    }
}

/// Every node compares the patterns when it applies the change: none may be held up.
#[test]
fn patterns_that_take_long_to_compare_are_refused() {
    let mut templates = Templates::default();
    let hostile = |letter: &str| -> Vec<String> {
        (0..60)
            .map(|n| format!("{}{n}", format!("*{letter}").repeat(120)))
            .collect()
    };
    put(&mut templates, "a", json!({"index_patterns": hostile("a")})).unwrap();
    let refused = put(&mut templates, "b", json!({"index_patterns": hostile("b")})).unwrap_err();
    assert!(
        refused.reason.contains("too many and too long"),
        "{}",
        refused.reason
    );
    for n in 0..500 {
        let pattern = format!("logs-{n}-production-*");
        put(
            &mut templates,
            &format!("t{n}"),
            json!({"index_patterns": [pattern], "priority": 5}),
        )
        .unwrap();
    }
}
