//! Analyzers of settings. Most cases are examples of Elasticsearch's reference.

use ringwall_api::ApiError;
use serde_json::{Value, json};

use super::marked::{DispatchTokenizer, Marked};
use super::*;

fn analysis(settings: &Value) -> Result<Analysis, ApiError> {
    Analysis::parse(settings, Limits::default())
}

fn assembled(tokenizer: &Value, char_filters: &[Value], filters: &[Value]) -> Chain {
    let assembly = Assembly {
        tokenizer: Some(tokenizer.clone()),
        char_filters: char_filters.to_vec(),
        filters: filters.to_vec(),
        has_index: true,
    };
    Analysis::none().assemble(&assembly).unwrap()
}

fn tokens(chain: &Chain, text: &str) -> Vec<AnalyzedToken> {
    chain
        .analyzed(text, usize::MAX, &mut Spent::default())
        .unwrap()
        .tokens
}

fn words(chain: &Chain, text: &str) -> Vec<String> {
    let tokens = tokens(chain, text).into_iter();
    tokens.map(|token| token.text).collect()
}

/// Text, first and last byte, position, places.
fn places(chain: &Chain, text: &str) -> Vec<(String, usize, usize, usize, usize)> {
    let tokens = tokens(chain, text).into_iter();
    tokens
        .map(|t| (t.text, t.start, t.end, t.position, t.length))
        .collect()
}

#[test]
fn tokenizers_cut_as_documented() {
    for (tokenizer, text, expected) in [
        (json!("standard"), "The 2 QUICK dog's", "The|2|QUICK|dog's"),
        (
            json!({"type": "standard", "max_token_length": 5}),
            "jumped over",
            "jumpe|d|over",
        ),
        (json!("letter"), "2 QUICK dog's", "QUICK|dog|s"),
        (json!("lowercase"), "2 QUICK dog's", "quick|dog|s"),
        (json!("whitespace"), "a-b  c", "a-b|c"),
        (json!("keyword"), "New York", "New York"),
        (
            json!("pattern"),
            "The foo_bar_size's default is 5.",
            "The|foo_bar_size|s|default|is|5",
        ),
        (
            json!({"type": "pattern", "pattern": ","}),
            "comma,separated,,values",
            "comma|separated|values",
        ),
        (
            json!({"type": "pattern", "pattern": "\"((?:\\\\\"|[^\"]|\\\\\")+)\"", "group": 1}),
            "\"value\", \"value with embedded \\\" quote\"",
            "value|value with embedded \\\" quote",
        ),
        (json!("ngram"), "Quick F", "Q|Qu|u|ui|i|ic|c|ck|k|k | | F|F"),
        (json!("edge_ngram"), "Quick Fox", "Q|Qu"),
        (
            json!({"type": "edge_ngram", "min_gram": 2, "max_gram": 10, "token_chars": ["letter", "digit"]}),
            "2 Quick Foxes.",
            "Qu|Qui|Quic|Quick|Fo|Fox|Foxe|Foxes",
        ),
        (
            json!("path_hierarchy"),
            "/one/two/three",
            "/one|/one/two|/one/two/three",
        ),
        (
            json!({"type": "path_hierarchy", "delimiter": "-", "replacement": "/", "skip": 2}),
            "one-two-three-four-five",
            "/three|/three/four|/three/four/five",
        ),
        (
            json!({"type": "path_hierarchy", "delimiter": "-", "replacement": "/", "skip": 2, "reverse": true}),
            "one-two-three-four-five",
            "one/two/three/|two/three/|three/",
        ),
        (
            json!({"type": "char_group", "tokenize_on_chars": ["whitespace", "-", "\n"]}),
            "The QUICK brown-fox",
            "The|QUICK|brown|fox",
        ),
    ] {
        let chain = assembled(&tokenizer, &[], &[]);
        assert_eq!(words(&chain, text).join("|"), expected, "{tokenizer}");
    }
}

#[test]
fn filters_change_tokens_as_documented() {
    for (tokenizer, filter, text, expected) in [
        ("standard", json!("lowercase"), "THE Quick", "the|quick"),
        ("standard", json!("uppercase"), "the Quick ß", "THE|QUICK|ß"),
        (
            "standard",
            json!("asciifolding"),
            "açaí à la carte",
            "acai|a|la|carte",
        ),
        (
            "standard",
            json!({"type": "asciifolding", "preserve_original": true}),
            "açaí la",
            "acai|açaí|la",
        ),
        ("keyword", json!("trim"), " fox ", "fox"),
        ("standard", json!("reverse"), "quick fox", "kciuq|xof"),
        (
            "standard",
            json!("truncate"),
            "the extravagantly",
            "the|extravagan",
        ),
        ("whitespace", json!("decimal_digit"), "१-one ३", "1-one|3"),
        (
            "standard",
            json!("elision"),
            "j’examine près du wharf",
            "examine|près|du|wharf",
        ),
        (
            "standard",
            json!({"type": "elision", "articles": ["j", "l"]}),
            "j’examine l'avion",
            "examine|avion",
        ),
        (
            "standard",
            json!("apostrophe"),
            "Istanbul'a veya",
            "Istanbul|veya",
        ),
        (
            "standard",
            json!("stop"),
            "a quick fox over the dog",
            "quick|fox|over|dog",
        ),
        (
            "standard",
            json!({"type": "stop", "stopwords": ["Quick", "_german_"], "ignore_case": true}),
            "Der quick Hund",
            "Hund",
        ),
        (
            "standard",
            json!({"type": "keep", "keep_words": ["dog", "fox"]}),
            "the quick fox and the dog",
            "fox|dog",
        ),
        (
            "whitespace",
            json!({"type": "length", "min": 0, "max": 4}),
            "the quick brown fox",
            "the|fox",
        ),
        (
            "standard",
            json!({"type": "limit", "max_token_count": 2}),
            "a b c",
            "a|b",
        ),
        (
            "whitespace",
            json!("unique"),
            "the quick fox jumps the lazy fox",
            "the|quick|fox|jumps|lazy",
        ),
        (
            "standard",
            json!("stemmer"),
            "the foxes jumping quickly",
            "the|fox|jump|quickli",
        ),
        (
            "standard",
            json!({"type": "stemmer", "language": "possessive_english"}),
            "dog's",
            "dog",
        ),
        (
            "standard",
            json!({"type": "snowball", "language": "Russian"}),
            "кошки",
            "кошк",
        ),
        (
            "standard",
            json!("ngram"),
            "Quick fox",
            "Q|Qu|u|ui|i|ic|c|ck|k|f|fo|o|ox|x",
        ),
        (
            "standard",
            json!({"type": "edge_ngram", "max_gram": 3}),
            "quick",
            "q|qu|qui",
        ),
        (
            "standard",
            json!({"type": "edge_ngram", "side": "back"}),
            "quick",
            "k|ck",
        ),
        (
            "whitespace",
            json!("shingle"),
            "quick brown fox",
            "quick|quick brown|brown|brown fox|fox",
        ),
        (
            "whitespace",
            json!({"type": "pattern_replace", "pattern": "(dog)", "replacement": "watch$1s"}),
            "foxes lazy dogs",
            "foxes|lazy|watchdogss",
        ),
        (
            "keyword",
            json!("word_delimiter_graph"),
            "Neil's-Super-Duper-XL500--42+AutoCoder",
            "Neil|Super|Duper|XL|500|42|Auto|Coder",
        ),
        (
            "keyword",
            json!({"type": "word_delimiter_graph", "catenate_all": true}),
            "super-duper-xl-500",
            "superduperxl500|super|duper|xl|500",
        ),
        (
            "keyword",
            json!({"type": "word_delimiter_graph", "preserve_original": true}),
            "super-duper",
            "super-duper|super|duper",
        ),
        (
            "keyword",
            json!({"type": "word_delimiter", "catenate_words": true}),
            "super-duper-xl",
            "super|superduperxl|duper|xl",
        ),
    ] {
        let chain = assembled(&tokenizer.into(), &[], std::slice::from_ref(&filter));
        assert_eq!(words(&chain, text).join("|"), expected, "{filter}");
    }
}

#[test]
fn keywords_are_not_stemmed() {
    let marker = json!({"type": "keyword_marker", "keywords": ["jumping"]});
    let chain = assembled(&"whitespace".into(), &[], &[marker, "stemmer".into()]);
    assert_eq!(
        words(&chain, "foxes running and jumping"),
        ["fox", "run", "and", "jumping"]
    );
    let repeat = ["keyword_repeat", "stemmer", "remove_duplicates"].map(Value::from);
    let chain = assembled(&"whitespace".into(), &[], &repeat);
    assert_eq!(words(&chain, "foxes fox"), ["foxes", "fox", "fox"]);
}

#[test]
fn places_survive_what_filters_do() {
    let stop_shingle = ["stop", "shingle"].map(Value::from);
    let chain = assembled(&"whitespace".into(), &[], &stop_shingle);
    let at =
        |text: &str, start, end, position, length| (text.to_owned(), start, end, position, length);
    assert_eq!(
        places(&chain, "sun of man"),
        [
            at("sun", 0, 3, 0, 1),
            at("sun _", 0, 7, 0, 2),
            at("_ man", 7, 10, 1, 2),
            at("man", 7, 10, 2, 1),
        ]
    );
    let delimiter = json!({"type": "word_delimiter_graph", "catenate_words": true});
    let chain = assembled(&"whitespace".into(), &[], &[delimiter]);
    assert_eq!(
        places(&chain, "Wi-Fi is"),
        [
            at("WiFi", 0, 5, 0, 2),
            at("Wi", 0, 2, 0, 1),
            at("Fi", 3, 5, 1, 1),
            at("is", 6, 8, 2, 1),
        ]
    );
    let strip = assembled(&"standard".into(), &["html_strip".into()], &[]);
    assert_eq!(
        places(&strip, "<p>I&apos;m so <b>happy</b>!</p>"),
        [
            at("I'm", 3, 11, 0, 1),
            at("so", 12, 14, 1, 1),
            at("happy", 18, 27, 2, 1),
        ]
    );
    let stages = strip.stages(
        "<p>I&apos;m so <b>happy</b>!</p>",
        10,
        &mut Spent::default(),
    );
    assert_eq!(
        stages.unwrap().char_filters,
        [("html_strip".to_owned(), "\nI'm so happy!\n".to_owned())]
    );
}

#[test]
fn char_filters_change_texts_as_documented() {
    for (filter, text, expected) in [
        (
            json!({"type": "mapping", "mappings": ["٢ => 2", "٥ => 5", ":) => _happy_"]}),
            "is ٢٥ :)",
            "is 25 _happy_",
        ),
        (
            json!({"type": "mapping", "mappings": ["a => 1", "ab => 2", "- =>"]}),
            "ab-a",
            "21",
        ),
        (
            json!({"type": "pattern_replace", "pattern": "(\\d+)-", "replacement": "$1_"}),
            "My card is 123-456-789",
            "My card is 123_456_789",
        ),
        (
            json!({"type": "html_strip", "escaped_tags": ["b"]}),
            "<i>so <b>happy</b></i>",
            "so <b>happy</b>",
        ),
        (
            json!("html_strip"),
            "a<br/>b &lt;c&#62; d<!-- x -->e <script>f()</script>g",
            "a\nb <c> de \ng",
        ),
    ] {
        let chain = assembled(&"keyword".into(), std::slice::from_ref(&filter), &[]);
        assert_eq!(words(&chain, text), [expected], "{filter}");
    }
}

#[test]
fn synonyms_stand_where_their_words_do() {
    let synonym = |synonyms: Value| json!({"type": "synonym", "synonyms": synonyms});
    let chain = |synonyms: Value| {
        let filters = ["lowercase".into(), synonym(synonyms)];
        assembled(&"whitespace".into(), &[], &filters)
    };
    let told = |chain: &Chain, text: &str| -> Vec<(String, usize)> {
        let tokens = tokens(chain, text).into_iter();
        tokens.map(|t| (t.text, t.position)).collect()
    };
    let expected = |words: &[(&str, usize)]| -> Vec<(String, usize)> {
        words
            .iter()
            .map(|(word, at)| ((*word).to_owned(), *at))
            .collect()
    };
    let both = chain(json!(["Fast, quick", "# a remark"]));
    assert_eq!(
        told(&both, "A quick fox"),
        expected(&[("a", 0), ("quick", 1), ("fast", 1), ("fox", 2)])
    );
    let explicit = chain(json!(["i-pod, i pod => ipod"]));
    assert_eq!(
        told(&explicit, "my i pod here"),
        expected(&[("my", 0), ("ipod", 1), ("here", 2)])
    );
    let longer = chain(json!(["dns => domain name system"]));
    assert_eq!(
        told(&longer, "dns is"),
        expected(&[("domain", 0), ("is", 1), ("name", 1), ("system", 2)])
    );
    let first = json!({"type": "synonym", "synonyms": ["a, b, c"], "expand": false});
    let first = assembled(&"whitespace".into(), &[], &[first]);
    assert_eq!(told(&first, "c x"), expected(&[("a", 0), ("x", 1)]));
}

#[test]
fn analyzers_of_settings_are_found_by_name() {
    let analysis = analysis(&json!({
        "analyzer": {
            "mine": {"tokenizer": "cut", "char_filter": ["html_strip"], "filter": ["lowercase", "short"]},
            "stopped": {"type": "standard", "stopwords": ["a", "b"], "max_token_length": "3"},
            "english": {"type": "english", "stopwords": "_none_"},
            "default": {"type": "whitespace"},
        },
        "tokenizer": {"cut": {"type": "pattern", "pattern": "-"}},
        "filter": {"short": {"type": "truncate", "length": "3"}},
        "normalizer": {"folded": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
    }))
    .unwrap();
    let words = |name: &str, text: &str| -> Vec<String> {
        let tokens = analysis.analyzer(name).unwrap().tokens(text);
        tokens.into_iter().map(|token| token.text).collect()
    };
    assert_eq!(words("mine", "<b>Quick</b>-FOX"), ["qui", "fox"]);
    assert_eq!(words("stopped", "a b cdefghi"), ["cde", "fgh", "i"]);
    assert_eq!(words("english", "The dog's running"), ["the", "dog", "run"]);
    assert_eq!(words("default", "A-b c"), ["A-b", "c"]);
    assert_eq!(words("standard", "A-b"), ["a", "b"]);
    assert!(analysis.analyzer("none").is_none());
    let folded = analysis.normalizer("folded").unwrap();
    assert_eq!(
        folded
            .normalized("Müller Ö", &mut Spent::default())
            .unwrap(),
        "muller o"
    );
    assert!(analysis.normalizer("lowercase").is_some() && analysis.normalizer("none").is_none());
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    for (settings, reason) in [
        (
            json!({"analyzer": {"a": {"tokenizer": "whitespace", "filter": ["nope"]}}}),
            "Custom Analyzer [a] failed to find filter under name [nope]",
        ),
        (
            json!({"analyzer": {"a": {"tokenizer": "nope"}}}),
            "Custom Analyzer [a] failed to find tokenizer under name [nope]",
        ),
        (
            json!({"analyzer": {"a": {"tokenizer": "standard", "char_filter": "nope"}}}),
            "Custom Analyzer [a] failed to find char_filter under name [nope]",
        ),
        (
            json!({"analyzer": {"a": {"type": "custom", "filter": ["lowercase"]}}}),
            "Custom Analyzer [a] must be configured with a tokenizer",
        ),
        (
            json!({"analyzer": {"a": {"filter": ["lowercase"]}}}),
            "analyzer [a] must specify either an analyzer type, or a tokenizer",
        ),
        (
            json!({"analyzer": {"a": {"type": "nope"}}}),
            "Unknown analyzer type [nope] for [a]",
        ),
        (
            json!({"analyzer": {"a": {"type": "kuromoji"}}}),
            "analyzer type [kuromoji] of [a] is not supported by Ringwall",
        ),
        (
            json!({"filter": {"f": {"type": "nope"}}}),
            "Unknown filter type [nope] for [f]",
        ),
        (
            json!({"filter": {"f": {"type": "phonetic"}}}),
            "filter type [phonetic] of [f] is not supported by Ringwall",
        ),
        (
            json!({"filter": {"f": {"min": 1}}}),
            "filter [f] must specify either an analyzer type, or a tokenizer",
        ),
        (
            json!({"filter": {"f": {"type": "stop", "stopwords_path": "x"}}}),
            "[f]: the parameter [stopwords_path] of filter type [stop] is not supported by Ringwall",
        ),
        (
            json!({"tokenizer": {"t": {"type": "nope"}}}),
            "Unknown tokenizer type [nope] for [t]",
        ),
        (
            json!({"tokenizer": {"t": {"type": "ngram", "min_gram": 1, "max_gram": 5}}}),
            "[index.max_ngram_diff]",
        ),
        (
            json!({"char_filter": {"c": {"type": "nope"}}}),
            "Unknown char_filter type [nope] for [c]",
        ),
        (
            json!({"char_filter": {"c": {"type": "pattern_replace", "pattern": "a(?=b)"}}}),
            "look-around, references back and possessive quantifiers are not supported by Ringwall",
        ),
        (
            json!({"normalizer": {"n": {"type": "custom", "filter": ["stop"]}}}),
            "Custom normalizer [n] may not use filter [stop]",
        ),
        (
            json!({"filters": {}}),
            "[index.analysis.filters] is not supported by Ringwall",
        ),
    ] {
        let error = analysis(&settings).unwrap_err();
        assert!(
            error.reason.contains(reason),
            "{settings}: {}",
            error.reason
        );
    }
}

/// Operators read which parts there are.
#[test]
fn the_page_of_analysis_names_every_part() {
    let page = include_str!("../../../../docs/analysis.md");
    let row = |part: &str| {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| {part} |")))
            .unwrap();
        let mut cells = row.split('|').skip(2).map(str::to_owned);
        (cells.next().unwrap(), cells.next().unwrap())
    };
    let holds = |cell: &str, name: &str| cell.contains(&format!("`{name}`"));
    let (here, absent) = row("tokenizers");
    assert!(tokenizers::KINDS.iter().all(|(name, _)| holds(&here, name)));
    assert!(tokenizers::ABSENT.iter().all(|name| holds(&absent, name)));
    let (here, absent) = row("token filters");
    for kind in filters::KINDS {
        assert!(holds(&here, kind.name), "{}", kind.name);
    }
    for name in filters::ABSENT {
        assert!(holds(&absent, name), "{name}");
    }
    let (here, absent) = row("char filters");
    assert!(
        char_filters::KINDS
            .iter()
            .all(|(name, ..)| holds(&here, name))
    );
    assert!(char_filters::ABSENT.iter().all(|name| holds(&absent, name)));
}

/// A slot of the schema has one tokenizer, which gets the tokens of a chain as they were made.
#[test]
fn tokens_of_a_chain_reach_the_index_as_they_are() {
    let chain = assembled(
        &"standard".into(),
        &[],
        &[
            json!({"type": "stop", "stopwords": ["b:1,2"]}),
            "shingle".into(),
        ],
    );
    let text = "Ä b:c, 1,2:3";
    let analyzer = Analyzer::Custom(Arc::new(chain));
    let marked = mark(
        &analyzer,
        Gap::Wider(0),
        text.to_owned(),
        None,
        &mut Spent::default(),
    )
    .unwrap()
    .text;
    let mut tokenizer = DispatchTokenizer::analyzer();
    let mut stream = tokenizer.token_stream(&marked);
    let mut seen = Vec::new();
    while let Some(token) = stream.next() {
        seen.push((token.text.clone(), token.position));
    }
    let made: Vec<_> = analyzer
        .tokens(text)
        .into_iter()
        .map(|token| (token.text, token.position))
        .collect();
    assert_eq!(seen, made);
    assert!(seen.len() > 4 && has_tokens(&marked));
    let empty = mark(
        &analyzer,
        Gap::Wider(9),
        "...".to_owned(),
        None,
        &mut Spent::default(),
    )
    .unwrap()
    .text;
    assert!(!has_tokens(&empty));
}

/// A short rule asks for as many words as there are on both sides, multiplied: it is counted before they are made.
#[test]
fn words_of_both_sides_of_a_rule_are_counted_as_they_multiply() {
    let limits = Limits {
        ngrams: 1,
        shingles: 1,
        bytes: 1 << 20,
    };
    let side = |word: &str| vec![word; 1 << 11].join(",");
    for rule in [format!("{} => {}", side("a"), side("b")), side("a")] {
        for lenient in [true, false] {
            let filter = json!({"type": "synonym", "synonyms": [rule], "lenient": lenient});
            let assembly = Assembly {
                tokenizer: Some("standard".into()),
                char_filters: Vec::new(),
                filters: vec![filter],
                has_index: true,
            };
            let analysis = Analysis::parse(&Value::Null, limits).unwrap();
            let refused = analysis.assemble(&assembly).unwrap_err();
            assert_eq!(refused.reason, "failed to build synonyms");
        }
    }
}

#[test]
fn ways_of_synonyms_are_a_graph() {
    let filter =
        json!({"type": "synonym_graph", "synonyms": ["dns, domain name system", "a b => c"]});
    let chain = assembled(&"whitespace".into(), &[], &[filter]);
    let at = |text: &str, position, length| (text.to_owned(), position, length);
    let told = |text: &str| -> Vec<(String, usize, usize)> {
        let tokens = tokens(&chain, text).into_iter();
        tokens.map(|t| (t.text, t.position, t.length)).collect()
    };
    assert_eq!(
        told("dns is"),
        [
            at("domain", 0, 1),
            at("dns", 0, 3),
            at("name", 1, 1),
            at("system", 2, 1),
            at("is", 3, 1),
        ]
    );
    assert_eq!(
        told("x a b y"),
        [at("x", 0, 1), at("c", 1, 1), at("y", 2, 1)]
    );
}

/// A few parameters ask for more than any machine has.
#[test]
fn what_a_text_becomes_is_bounded() {
    let limits = Limits {
        ngrams: usize::MAX,
        shingles: usize::MAX,
        bytes: 1 << 20,
    };
    let long = "ab ".repeat(1 << 17);
    let word = "a".repeat(1 << 18);
    let twice = || json!({"type": "pattern_replace", "pattern": "(.+)", "replacement": "$1$1"});
    let mapped = json!({"type": "mapping", "mappings": [format!("a => {}", "b".repeat(1000))]});
    for (tokenizer, char_filters, filters, text) in [
        (
            json!("keyword"),
            vec![],
            vec![json!({"type": "edge_ngram", "max_gram": 1 << 30})],
            &word,
        ),
        (
            json!("keyword"),
            vec![],
            vec![json!({"type": "ngram", "max_gram": 1 << 30})],
            &word,
        ),
        (
            json!({"type": "ngram", "max_gram": 1 << 30}),
            vec![],
            vec![],
            &word,
        ),
        (
            json!({"type": "edge_ngram", "max_gram": 1 << 30}),
            vec![],
            vec![],
            &word,
        ),
        (
            json!("whitespace"),
            vec![],
            vec![json!({"type": "shingle", "max_shingle_size": 200})],
            &long,
        ),
        (json!("keyword"), vec![], vec![twice(); 30], &word),
        (json!("keyword"), vec![twice(); 30], vec![], &word),
        (json!("keyword"), vec![mapped], vec![], &word),
        (
            json!("path_hierarchy"),
            vec![],
            vec![],
            &"/a".repeat(1 << 16),
        ),
        (
            json!("keyword"),
            vec![],
            vec![json!("word_delimiter_graph")],
            &"a-".repeat(1 << 17),
        ),
        (
            json!("whitespace"),
            vec![],
            vec![json!("keyword_repeat"); 20],
            &long,
        ),
        (
            json!("whitespace"),
            vec![],
            vec![
                json!({"type": "synonym", "synonyms": [(0..200).map(|n| format!("w{n}")).chain(["ab".to_owned()]).collect::<Vec<_>>().join(",")]}),
            ],
            &long,
        ),
        (
            json!("standard"),
            vec![],
            vec![json!("fingerprint")],
            &(0..1 << 16).map(|n| format!("w{n} ")).collect(),
        ),
    ] {
        let settings = json!({});
        let shown = format!("{tokenizer} {char_filters:?} {filters:?}");
        let shown: String = shown.chars().take(200).collect();
        let analysis = Analysis::parse(&settings, limits).unwrap();
        let assembly = Assembly {
            tokenizer: Some(tokenizer),
            char_filters,
            filters,
            has_index: true,
        };
        let chain = analysis.assemble(&assembly).unwrap();
        let outcome = chain.for_each(text, &mut Spent::default(), |_| true);
        assert_eq!(outcome, Err(Exceeded::Made(1 << 20)), "{shown}");
        let analyzer = Analyzer::Custom(Arc::new(chain));
        let marked = mark(
            &analyzer,
            Gap::Wider(0),
            text.clone(),
            None,
            &mut Spent::default(),
        );
        assert!(marked.is_err(), "{shown}");
    }
}

/// What one word becomes is counted before it is there: it may be all words that a filter has.
#[test]
fn words_that_synonyms_put_off_are_counted() {
    let limits = Limits {
        ngrams: 1,
        shingles: 1,
        bytes: 1 << 20,
    };
    let many: Vec<String> = (0..1 << 13).map(|n| format!("w{n}")).collect();
    let rule = format!("a => {}", many.join(","));
    for kind in ["synonym", "synonym_graph"] {
        let assembly = Assembly {
            tokenizer: Some("standard".into()),
            char_filters: Vec::new(),
            filters: vec![json!({"type": kind, "synonyms": [rule]})],
            has_index: true,
        };
        let analysis = Analysis::parse(&Value::Null, limits).unwrap();
        let chain = analysis.assemble(&assembly).unwrap();
        // The first is not seen either: all that it brings does not fit.
        let mut seen = 0;
        let outcome = chain.for_each("a", &mut Spent::default(), |_| {
            seen += 1;
            true
        });
        assert_eq!((outcome, seen), (Err(Exceeded::Made(1 << 20)), 0), "{kind}");
        // What is handed on is held no more.
        let rule = format!("a => {}", many[..1 << 10].join(","));
        let assembly = Assembly {
            filters: vec![json!({"type": kind, "synonyms": [rule]})],
            ..assembly
        };
        let chain = analysis.assemble(&assembly).unwrap();
        let text = "a ".repeat(20);
        assert_eq!(tokens(&chain, &text).len(), 20 << 10, "{kind}");
    }
}

/// A document is bounded by what all of its texts become together.
#[test]
fn texts_of_a_document_share_what_they_may_become() {
    let limits = Limits {
        ngrams: 1,
        shingles: 1,
        bytes: 1 << 20,
    };
    let grown = json!({"type": "pattern_replace", "pattern": "a", "replacement": "b".repeat(1000)});
    for (char_filters, filters) in [
        (vec![grown.clone()], vec![]),
        (vec![], vec![grown, json!("stop")]),
    ] {
        let assembly = Assembly {
            tokenizer: Some("keyword".into()),
            char_filters,
            filters,
            has_index: true,
        };
        let analysis = Analysis::parse(&Value::Null, limits).unwrap();
        let chain = analysis.assemble(&assembly).unwrap();
        let mut spent = Spent::default();
        let taken = (0..2000).take_while(|_| chain.for_each("a", &mut spent, |_| true).is_ok());
        let taken = taken.count();
        assert!((900..1100).contains(&taken), "{taken}");
    }
    // And by what its patterns look at.
    let far = json!({"type": "pattern", "pattern": "a(?s:.*)z|a"});
    let assembly = Assembly {
        tokenizer: Some(far),
        char_filters: Vec::new(),
        filters: Vec::new(),
        has_index: true,
    };
    let chain = Analysis::none().assemble(&assembly).unwrap();
    let text = "a".repeat(1 << 10);
    let mut spent = Spent::but_looks(1 << 20);
    assert!(chain.for_each(&text, &mut spent, |_| true).is_ok());
    let more = (0..9).any(|_| chain.for_each(&text, &mut spent, |_| true).is_err());
    assert!(more);
}

/// A filter that parts what others have joined does not know where the parts were in the text.
#[test]
fn offsets_stand_between_characters() {
    let filters = ["shingle", "nGram", "word_delimiter"].map(Value::from);
    let chain = assembled(&"ngram".into(), &[], &filters);
    let text = "ö&";
    for token in tokens(&chain, text) {
        let places = [token.start, token.end];
        assert!(
            places.iter().all(|at| text.is_char_boundary(*at)),
            "{token:?}"
        );
    }
}

/// Texts that are read to the end again and again take no longer for it.
#[test]
fn markup_that_does_not_end_is_read_once() {
    let strip = assembled(&"keyword".into(), &["html_strip".into()], &[]);
    for piece in [
        "<!--",
        "<a \"",
        "<a \"<a \" ",
        "<script>",
        "<!",
        "<a '\"",
        "&",
        "<",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        assert!(tokens(&strip, &text).len() <= 1, "{piece}");
    }
}

mod chains {
    use super::*;
    use proptest::prelude::*;

    fn tokenizer() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!("standard")),
            Just(json!("whitespace")),
            Just(json!("keyword")),
            Just(json!("letter")),
            Just(json!("pattern")),
            Just(json!("path_hierarchy")),
            Just(json!("ngram")),
            Just(json!({"type": "edge_ngram", "max_gram": 9, "token_chars": ["letter"]})),
            Just(json!({"type": "char_group", "tokenize_on_chars": ["whitespace", "-"]})),
        ]
    }

    fn char_filter() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!("html_strip")),
            Just(json!({"type": "mapping", "mappings": ["ab => xyz", "a =>", "ö => oe"]})),
            Just(json!({"type": "pattern_replace", "pattern": "(b+)", "replacement": "<$1$1>"})),
        ]
    }

    fn filter() -> impl Strategy<Value = Value> {
        let plain = super::super::filters::KINDS.iter().map(|kind| kind.name);
        let needs = [
            "keep",
            "keep_types",
            "keyword_marker",
            "pattern_capture",
            "pattern_replace",
            "stemmer_override",
            "synonym",
            "synonym_graph",
        ];
        let plain: Vec<Value> = plain
            .filter(|name| !needs.contains(name))
            .map(Value::from)
            .collect();
        let given = [
            json!({"type": "shingle", "min_shingle_size": 3, "max_shingle_size": 4}),
            json!({"type": "edge_ngram", "max_gram": 7, "side": "back", "preserve_original": true}),
            json!({"type": "word_delimiter_graph", "catenate_all": true, "preserve_original": true}),
            json!({"type": "pattern_replace", "pattern": "a", "replacement": "bcd"}),
            json!({"type": "pattern_capture", "patterns": ["(a+)", "b(.)"]}),
            json!({"type": "keyword_marker", "keywords": ["ab"]}),
            json!({"type": "common_grams", "common_words": ["a", "b"]}),
            json!({"type": "stop", "stopwords": ["a"], "ignore_case": true}),
        ];
        proptest::sample::select([plain, given.to_vec()].concat())
    }

    proptest! {
        /// No chain makes more than it may; places only grow, offsets are in the text, and what is marked is what was made.
        #[test]
        fn keep_to_their_bounds(
            tokenizer in tokenizer(),
            char_filters in proptest::collection::vec(char_filter(), 0..3),
            filters in proptest::collection::vec(filter(), 0..5),
            text in "([aAbBö<>&/ .-]|<b>|don't|XL500 ){0,60}",
            bytes in 64_usize..100_000,
        ) {
            let limits = Limits { ngrams: 10, shingles: 10, bytes };
            let analysis = Analysis::parse(&Value::Null, limits).unwrap();
            let assembly = Assembly { tokenizer: Some(tokenizer), char_filters, filters, has_index: true };
            let chain = analysis.assemble(&assembly).unwrap();
            let mut made = Vec::new();
            let outcome = chain.for_each(&text, &mut Spent::default(), |token| {
                made.push(token);
                true
            });
            let sum: usize = made.iter().map(|token| token.text.len()).sum();
            prop_assert!(sum <= bytes);
            let mut last = 0;
            for token in &made {
                prop_assert!(token.position >= last, "{:?}", made);
                last = token.position;
                prop_assert!(token.start <= token.end && token.end <= text.len(), "{:?}", token);
                prop_assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end));
            }
            let analyzer = Analyzer::Custom(Arc::new(chain));
            let marked = mark(&analyzer, Gap::Wider(0), text.clone(), None, &mut Spent::default());
            prop_assert_eq!(marked.is_ok(), outcome.is_ok());
            if let Ok(Marked { text: marked, .. }) = marked {
                let mut tokenizer = DispatchTokenizer::analyzer();
                let mut stream = tokenizer.token_stream(&marked);
                let mut seen = Vec::new();
                while let Some(token) = stream.next() {
                    seen.push((token.text.clone(), token.position));
                }
                let made: Vec<_> = made.into_iter().map(|token| (token.text, token.position)).collect();
                prop_assert_eq!(seen, made);
                prop_assert!(outcome.unwrap() > last || text.is_empty() || last == 0);
            }
        }
    }
}
