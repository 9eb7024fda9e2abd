//! Which documents each query finds.

use serde_json::{Value, json};

use super::harness::Index;

fn library() -> Index {
    let mapping = json!({"properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "tag": {"type": "keyword"},
        "n": {"type": "long"},
        "price": {"type": "double"},
        "rate": {"type": "float"},
        "big": {"type": "unsigned_long"},
        "ok": {"type": "boolean"},
        "at": {"type": "date"},
        "day": {"type": "date", "format": "yyyy/MM/dd"},
        "ip": {"type": "ip"},
        "user": {"properties": {"name": {"type": "keyword"}, "bio": {"type": "text"}}},
        "hidden": {"type": "keyword", "index": false, "doc_values": false},
    }});
    let first = [
        json!({"_id": "1", "title": "The quick brown fox", "tag": "a", "n": 1, "price": 1.5,
            "ok": true, "at": "2024-03-15T00:00:00Z", "ip": "10.0.0.1", "rate": 0.1,
            "user": {"name": "ann", "bio": "likes foxes"}}),
        json!({"_id": "2", "title": "Quick thinking saves the day", "tag": ["b", "c"], "n": -5,
            "price": -2.25, "ok": false, "at": "2024-03-14T23:59:59.999Z", "ip": "10.1.2.3",
            "big": 18446744073709551615u64}),
    ];
    let second = [
        json!({"_id": "3", "title": "A lazy brown dog", "tag": "abc", "n": [7, 9],
            "at": 1709251200000i64, "day": "2024/02/29", "ip": "2001:db8::1", "big": 3}),
        json!({"_id": "4", "title": "brown fox, quick!", "tag": "A*b", "price": 3.0,
            "user": {"name": "bob"}}),
        json!({"_id": "5", "n": 100, "hidden": "x"}),
    ];
    Index::split(mapping, &[&[&first, &second]])
}

#[track_caller]
fn check(index: &Index, query: Value, expected: &[&str]) {
    assert_eq!(index.set(query.clone()), expected, "{query}");
}

#[test]
fn text() {
    let index = library();
    for (query, expected) in [
        (json!({"match_all": {}}), &["1", "2", "3", "4", "5"][..]),
        (json!({"match_none": {}}), &[]),
        (json!({"match": {"title": "QUICK"}}), &["1", "2", "4"]),
        (
            json!({"match": {"title": "quick dog"}}),
            &["1", "2", "3", "4"],
        ),
        (
            json!({"match": {"title": {"query": "quick fox", "operator": "and"}}}),
            &["1", "4"],
        ),
        (
            json!({"match": {"title": {"query": "quick brown dog", "minimum_should_match": 2}}}),
            &["1", "3", "4"],
        ),
        (
            json!({"match": {"title": {"query": "quikc", "fuzziness": "AUTO"}}}),
            &["1", "2", "4"],
        ),
        (
            json!({"match": {"title": {"query": "quikc", "fuzziness": 0}}}),
            &[],
        ),
        (
            json!({"match": {"title": {"query": "?!", "zero_terms_query": "all"}}}),
            &["1", "2", "3", "4", "5"],
        ),
        (json!({"match": {"title": "?!"}}), &[]),
        (json!({"match_phrase": {"title": "quick brown"}}), &["1"]),
        (
            json!({"match_phrase": {"title": {"query": "quick fox", "slop": 1}}}),
            &["1"],
        ),
        (json!({"match_phrase": {"title": "fox quick"}}), &["4"]),
        (json!({"match_phrase": {"title": "dog"}}), &["3"]),
        (
            json!({"match_phrase_prefix": {"title": "brown f"}}),
            &["1", "4"],
        ),
        (json!({"match_phrase_prefix": {"title": "la"}}), &["3"]),
        (
            json!({"match_bool_prefix": {"title": "lazy thin"}}),
            &["2", "3"],
        ),
        (
            json!({"multi_match": {"query": "foxes", "fields": ["title", "user.*"]}}),
            &["1"],
        ),
        (json!({"multi_match": {"query": "bob"}}), &["4"]),
        (
            json!({"multi_match": {"query": "quick brown", "type": "phrase", "fields": ["title^2"]}}),
            &["1"],
        ),
        // Terms of a text field are not analyzed.
        (json!({"term": {"title": "quick"}}), &["1", "2", "4"]),
        (json!({"term": {"title": "Quick"}}), &[]),
        (json!({"match": {"nowhere": "x"}}), &[]),
    ] {
        check(&index, query, expected);
    }
}

#[test]
fn exact_values() {
    let index = library();
    for (query, expected) in [
        (json!({"term": {"tag": "a"}}), &["1"][..]),
        (
            json!({"term": {"tag": {"value": "ABC", "case_insensitive": true}}}),
            &["3"],
        ),
        (json!({"term": {"title.raw": "A lazy brown dog"}}), &["3"]),
        (json!({"terms": {"tag": ["a", "c", "zzz"]}}), &["1", "2"]),
        (json!({"terms": {"tag": []}}), &[]),
        (json!({"term": {"n": 7}}), &["3"]),
        (json!({"term": {"n": "-5"}}), &["2"]),
        (json!({"term": {"n": 7.0}}), &["3"]),
        (json!({"term": {"n": 7.5}}), &[]),
        (json!({"terms": {"n": [1, 100]}}), &["1", "5"]),
        (json!({"term": {"price": -2.25}}), &["2"]),
        (json!({"terms": {"price": [1.5, 3, 4, 5, 6]}}), &["1", "4"]),
        (json!({"term": {"rate": 0.1}}), &["1"]),
        (json!({"term": {"big": "18446744073709551615"}}), &["2"]),
        (json!({"term": {"ok": true}}), &["1"]),
        (json!({"term": {"ok": "false"}}), &["2"]),
        (json!({"term": {"at": "2024-03-15"}}), &["1"]),
        (json!({"term": {"day": "2024/02/29"}}), &["3"]),
        (json!({"term": {"ip": "10.0.0.1"}}), &["1"]),
        (json!({"term": {"ip": "10.0.0.0/8"}}), &["1", "2"]),
        (json!({"term": {"ip": "::/0"}}), &["1", "2", "3"]),
        (json!({"match": {"n": "9"}}), &["3"]),
        (
            json!({"match": {"n": {"query": "nine", "lenient": true}}}),
            &[],
        ),
        (json!({"ids": {"values": ["2", "5", "77"]}}), &["2", "5"]),
        (json!({"term": {"_id": "4"}}), &["4"]),
        (json!({"terms": {"_id": ["4", "1"]}}), &["1", "4"]),
        (json!({"term": {"_seq_no": 0}}), &["1"]),
        (
            json!({"terms": {"_index": ["te*", "b"]}}),
            &["1", "2", "3", "4", "5"],
        ),
        (json!({"term": {"_index": "other"}}), &[]),
        (json!({"range": {"_seq_no": {"gte": 3}}}), &["4", "5"]),
    ] {
        check(&index, query, expected);
    }
}

#[test]
fn ranges() {
    let index = library();
    for (query, expected) in [
        (json!({"range": {"n": {"gt": 1, "lte": 9}}}), &["3"][..]),
        (json!({"range": {"n": {"gte": 1.5}}}), &["3", "5"]),
        (json!({"range": {"n": {"lt": -4.5}}}), &["2"]),
        (json!({"range": {"n": {}}}), &["1", "2", "3", "5"]),
        (json!({"range": {"n": {"gt": 9223372036854775807i64}}}), &[]),
        (
            json!({"range": {"n": {"from": 1, "to": 7, "include_upper": false}}}),
            &["1"],
        ),
        (
            json!({"range": {"price": {"gt": -2.25, "lt": 3.0}}}),
            &["1"],
        ),
        (
            json!({"range": {"price": {"gte": -2.25, "lte": 3}}}),
            &["1", "2", "4"],
        ),
        (json!({"range": {"rate": {"lte": 0.1}}}), &["1"]),
        (json!({"range": {"rate": {"gt": 0.1}}}), &[]),
        (json!({"range": {"big": {"gt": 3}}}), &["2"]),
        (json!({"range": {"big": {"gte": 0, "lte": 3}}}), &["3"]),
        (
            json!({"range": {"tag": {"gte": "a", "lt": "b"}}}),
            &["1", "3"],
        ),
        (
            json!({"range": {"ip": {"gte": "10.0.0.2", "lte": "10.255.0.0"}}}),
            &["2"],
        ),
        (json!({"range": {"ok": {"gte": true}}}), &["1"]),
        // Dates: now is 2024-03-15T13:45:30.123Z.
        (json!({"range": {"at": {"gte": "now/d"}}}), &["1"]),
        (
            json!({"range": {"at": {"gte": "now-1d/d", "lt": "now/d"}}}),
            &["2"],
        ),
        (json!({"range": {"at": {"lte": "2024-03-14"}}}), &["2", "3"]),
        (json!({"range": {"at": {"gt": "2024-03-14"}}}), &["1"]),
        (json!({"range": {"at": {"lt": "2024-03-14"}}}), &["3"]),
        (
            json!({"range": {"at": {"gte": "2024-03-15||-1d/d"}}}),
            &["1", "2"],
        ),
        (
            json!({"range": {"at": {"gte": "2024-03-15", "time_zone": "-01:00"}}}),
            &[],
        ),
        (
            json!({"range": {"at": {"gte": "2024-03-15", "time_zone": "+01:00"}}}),
            &["1", "2"],
        ),
        (
            json!({"range": {"at": {"gte": "15/03/2024", "format": "dd/MM/yyyy"}}}),
            &["1"],
        ),
        (json!({"range": {"at": {"gte": 1710460800000i64}}}), &["1"]),
        (
            json!({"range": {"day": {"gte": "2024/02/29", "lte": "2024/02/29"}}}),
            &["3"],
        ),
        (json!({"range": {"nowhere": {"gte": 1}}}), &[]),
    ] {
        check(&index, query, expected);
    }
}

#[test]
fn patterns_and_existence() {
    let index = library();
    for (query, expected) in [
        (json!({"prefix": {"tag": "a"}}), &["1", "3"][..]),
        (
            json!({"prefix": {"tag": {"value": "A", "case_insensitive": true}}}),
            &["1", "3", "4"],
        ),
        (json!({"prefix": {"title": "thin"}}), &["2"]),
        (json!({"wildcard": {"tag": "a*c"}}), &["3"]),
        (json!({"wildcard": {"tag": {"wildcard": "A\\*?"}}}), &["4"]),
        (json!({"regexp": {"tag": "[ab]"}}), &["1", "2"]),
        (json!({"fuzzy": {"tag": "abd"}}), &["3"]),
        (
            json!({"fuzzy": {"user.name": {"value": "bab", "fuzziness": 1}}}),
            &["4"],
        ),
        (json!({"exists": {"field": "n"}}), &["1", "2", "3", "5"]),
        (json!({"exists": {"field": "title"}}), &["1", "2", "3", "4"]),
        (json!({"exists": {"field": "user"}}), &["1", "4"]),
        (json!({"exists": {"field": "user.*"}}), &["1", "4"]),
        (
            json!({"exists": {"field": "_id"}}),
            &["1", "2", "3", "4", "5"],
        ),
        (json!({"exists": {"field": "nowhere"}}), &[]),
    ] {
        check(&index, query, expected);
    }
}

#[test]
fn compounds() {
    let index = library();
    let quick = json!({"match": {"title": "quick"}});
    let fox = json!({"match": {"title": "fox"}});
    let positive = json!({"range": {"n": {"gt": 0}}});
    for (query, expected) in [
        (json!({"bool": {}}), &["1", "2", "3", "4", "5"][..]),
        (
            json!({"bool": {"must": quick, "filter": [positive]}}),
            &["1"],
        ),
        (json!({"bool": {"must_not": [quick]}}), &["3", "5"]),
        (
            json!({"bool": {"should": [fox, positive]}}),
            &["1", "3", "4", "5"],
        ),
        (
            json!({"bool": {"should": [fox, positive, quick], "minimum_should_match": 2}}),
            &["1", "4"],
        ),
        (
            json!({"bool": {"should": [fox, positive], "minimum_should_match": "100%"}}),
            &["1"],
        ),
        (
            json!({"bool": {"filter": quick, "should": [positive]}}),
            &["1", "2", "4"],
        ),
        (
            json!({"bool": {"filter": quick, "should": [positive], "minimum_should_match": 1}}),
            &["1"],
        ),
        // Where nothing else must match, one of the optional clauses must.
        (
            json!({"bool": {"should": [fox], "minimum_should_match": 0}}),
            &["1", "4"],
        ),
        (
            json!({"bool": {"should": [fox], "filter": quick, "minimum_should_match": 0}}),
            &["1", "2", "4"],
        ),
        (
            json!({"bool": {"should": [fox, positive], "minimum_should_match": 3}}),
            &[],
        ),
        (
            json!({"bool": {"should": [], "minimum_should_match": 1}}),
            &["1", "2", "3", "4", "5"],
        ),
        (json!({"constant_score": {"filter": fox}}), &["1", "4"]),
        (
            json!({"dis_max": {"queries": [fox, positive]}}),
            &["1", "3", "4", "5"],
        ),
        (
            json!({"boosting": {"positive": quick, "negative": fox, "negative_boost": 0.1}}),
            &["1", "2", "4"],
        ),
    ] {
        check(&index, query, expected);
    }
}

#[test]
fn query_strings() {
    let index = library();
    for (text, expected) in [
        ("title:quick AND title:fox", &["1", "4"][..]),
        ("quick -fox", &["2"]),
        ("title:(lazy OR thinking)", &["2", "3"]),
        ("title:\"quick brown\"", &["1"]),
        ("n:[1 TO 9}", &["1", "3"]),
        ("n:>=100", &["5"]),
        ("tag:a*", &["1", "3"]),
        ("title:THIN*", &["2"]),
        ("title:quikc~", &["1", "2", "4"]),
        ("tag:/[ab]/", &["1", "2"]),
        ("_exists_:price", &["1", "2", "4"]),
        ("ok:true", &["1"]),
        ("at:[now-1d/d TO now/d}", &["2"]),
        ("*", &["1", "2", "3", "4", "5"]),
        ("user.\\*:ann", &["1"]),
        ("nowhere:x", &[]),
        ("NOT _exists_:n", &["4"]),
    ] {
        check(&index, json!({"query_string": {"query": text}}), expected);
    }
    check(
        &index,
        json!({"query_string": {"query": "quick fox", "default_field": "title",
            "default_operator": "AND"}}),
        &["1", "4"],
    );
    for (text, expected) in [
        ("quick + fox", &["1", "4"][..]),
        ("lazy | thinking", &["2", "3"]),
        ("\"quick brown\"", &["1"]),
        ("quick + -fox", &["2"]),
        ("thin*", &["2"]),
        ("((((", &[]),
    ] {
        let query = json!({"simple_query_string": {"query": text, "fields": ["title"]}});
        check(&index, query, expected);
    }
}

#[test]
fn wrong_values_are_refused() {
    let index = library();
    for (query, reason) in [
        (
            json!({"term": {"n": "nine"}}),
            "failed to create query: For input string: \"nine\"",
        ),
        (
            json!({"term": {"ok": "maybe"}}),
            "failed to create query: Can't parse boolean value [maybe], expected [true] or [false]",
        ),
        (
            json!({"range": {"at": {"gte": "soon"}}}),
            "failed to parse date field [soon] with format [strict_date_optional_time||epoch_millis]",
        ),
        (
            json!({"term": {"ip": "10.0.0"}}),
            "failed to create query: '10.0.0' is not an IP string literal, for field [ip]",
        ),
        (
            json!({"prefix": {"n": "1"}}),
            "Can only use prefix queries on keyword, text and wildcard fields - not on [n] which \
             is of type [long]",
        ),
        (
            json!({"term": {"hidden": "x"}}),
            "failed to create query: Cannot search on field [hidden] since it is not indexed nor \
             has doc values.",
        ),
        (
            json!({"query_string": {"query": "a AND"}}),
            "Failed to parse query [a AND]: an operator has nothing to its right at character 6",
        ),
    ] {
        let error = index.error(json!({"query": query}));
        assert_eq!((error.status, error.reason.as_str()), (400, reason));
    }
}

#[test]
fn rounding_goes_away_from_what_must_not_match() {
    let mapping = json!({"properties": {"at": {"type": "date"}}});
    let docs = [
        json!({"_id": "october", "at": "2014-10-31T23:59:59.999Z"}),
        json!({"_id": "first", "at": "2014-11-01T00:00:00.000Z"}),
        json!({"_id": "last", "at": "2014-11-30T23:59:59.999Z"}),
        json!({"_id": "december", "at": "2014-12-01T00:00:00.000Z"}),
    ];
    let index = Index::new(mapping, &docs);
    for (bound, expected) in [
        (json!({"gt": "2014-11-18||/M"}), &["december"][..]),
        (
            json!({"gte": "2014-11-18||/M"}),
            &["december", "first", "last"],
        ),
        (json!({"lt": "2014-11-18||/M"}), &["october"]),
        (
            json!({"lte": "2014-11-18||/M"}),
            &["first", "last", "october"],
        ),
        // What is missing in a date is filled the same way.
        (json!({"gt": "2014-11"}), &["december"]),
        (json!({"gte": "2014-11"}), &["december", "first", "last"]),
        (json!({"lt": "2014-11"}), &["october"]),
        (json!({"lte": "2014-11"}), &["first", "last", "october"]),
        (
            json!({"lte": 2014}),
            &["december", "first", "last", "october"],
        ),
        (json!({"gt": 2014}), &[]),
        // The zone moves the ends of the month, and dates without one, but not `now` or a date
        // that has one.
        (
            json!({"gte": "2014-11-18||/M", "time_zone": "-01:00"}),
            &["december", "last"],
        ),
        (json!({"lt": "2014-11-01", "time_zone": "+01:00"}), &[]),
        (
            json!({"lt": "2014-11-01T00:00:00Z", "time_zone": "+01:00"}),
            &["october"],
        ),
        (
            json!({"lt": "now", "time_zone": "+14:00"}),
            &["december", "first", "last", "october"],
        ),
        (
            json!({"gte": "2014-12-01||-1M/M", "lt": "2014-12-01||/M"}),
            &["first", "last"],
        ),
        (
            json!({"gte": "01/11/2014||+1M", "format": "dd/MM/yyyy"}),
            &["december"],
        ),
    ] {
        check(&index, json!({"range": {"at": bound}}), expected);
    }
    for bad in [
        "2014-11-18||/x",
        "now+",
        "2014-13",
        "2014-11-18||1d",
        "now/2d",
    ] {
        let error = index.error(json!({"query": {"range": {"at": {"gte": bad}}}}));
        assert_eq!(error.status, 400, "{bad}");
    }
}
