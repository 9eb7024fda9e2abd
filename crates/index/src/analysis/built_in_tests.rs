//! The analyzers that are always there.

use super::marked::DispatchTokenizer;
use super::*;
use proptest::prelude::*;
use tantivy::tokenizer::TokenStream;

fn words(analyzer: Analyzer, text: &str) -> Vec<String> {
    analyzer.tokens(text).into_iter().map(|t| t.text).collect()
}

fn marked(analyzer: Analyzer, text: &str) -> String {
    mark(
        &analyzer,
        Gap::Wider(0),
        text.to_owned(),
        None,
        &mut Spent::default(),
    )
    .unwrap()
    .text
}

fn dispatched(marked: &str) -> Vec<(usize, String)> {
    let mut analyzer = DispatchTokenizer::analyzer();
    let mut stream = analyzer.token_stream(marked);
    let mut found = Vec::new();
    while let Some(token) = stream.next() {
        found.push((token.position, token.text.clone()));
    }
    found
}

#[test]
fn analyzers_split_as_documented() {
    let text = "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.";
    let cases = [
        (
            Analyzer::Standard,
            "the 2 quick brown foxes jumped over the lazy dog's bone",
        ),
        (
            Analyzer::Simple,
            "the quick brown foxes jumped over the lazy dog s bone",
        ),
        (
            Analyzer::Whitespace,
            "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.",
        ),
        (
            Analyzer::Stop,
            "quick brown foxes jumped over lazy dog s bone",
        ),
        (
            Analyzer::English,
            "2 quick brown fox jump over lazi dog bone",
        ),
    ];
    for (analyzer, expected) in cases {
        let shown = format!("{analyzer:?}");
        assert_eq!(words(analyzer, text).join(" "), expected, "{shown}");
    }
    assert_eq!(words(Analyzer::Keyword, "New York"), ["New York"]);
}

#[test]
fn marked_text_selects_the_analyzer() {
    assert_eq!(
        dispatched(&marked(Analyzer::Keyword, "A b")),
        [(0, "A b".into())]
    );
    assert_eq!(
        dispatched(&marked(Analyzer::Stop, "of the Rings")),
        [(2, "rings".into())]
    );
    // Text of a user that begins with the mark is still analyzed by `standard`.
    assert_eq!(
        dispatched(&marked(Analyzer::Standard, "\u{1}kA b")).len(),
        2
    );
}

/// Asked of Elasticsearch 8.19.
#[test]
fn words_of_many_scripts_and_emoji() {
    for (text, standard, simple) in [
        ("I 😀 you", "i|😀|you", "i|you"),
        ("👍🏽 ok", "👍🏽|ok", "ok"),
        ("🇩🇪 flag", "🇩🇪|flag", "flag"),
        (
            "👨\u{200d}👩\u{200d}👧 family",
            "👨\u{200d}👩\u{200d}👧|family",
            "family",
        ),
        ("1️⃣ key #️⃣ *️⃣ #", "1️⃣|key|#️⃣|*️⃣", "key"),
        ("© ® → ★ ⌚ ♥", "©|®|★|⌚|♥", ""),
        ("x😀y", "x|😀|y", "x|y"),
        ("สวัสดีครับ ผม", "สวัสดีครับ|ผม", "สว|สด|คร|บ|ผม"),
        ("ລາວ ພາສາ", "ລາວ|ພາສາ", "ລາວ|ພາສາ"),
        ("ខ្មែរ", "ខ្មែរ", "ខ|ម|រ"),
        ("မြန်မာ", "မြန်မာ", "မ|န|မ"),
        (
            "İstanbul ISTANBUL ıI",
            "istanbul|istanbul|ıi",
            "istanbul|istanbul|ıi",
        ),
        ("ΌΣΟΣ Σ ẞ Ǆ", "όσοσ|σ|ß|ǆ", "όσοσ|σ|ß|ǆ"),
        ("日本語 テスト", "日|本|語|テスト", "日本語|テスト"),
        ("한국어", "한국어", "한국어"),
        ("नमस्ते", "नमस्ते", "नमस|त"),
        ("a\u{301} can’t", "a\u{301}|can’t", "a|can|t"),
    ] {
        assert_eq!(
            words(Analyzer::Standard, text).join("|"),
            standard,
            "{text}"
        );
        assert_eq!(words(Analyzer::Simple, text).join("|"), simple, "{text}");
        let indexed: Vec<String> = dispatched(text).into_iter().map(|token| token.1).collect();
        assert_eq!(indexed.join("|"), standard, "{text}");
        assert!(has_tokens(text));
    }
    for text in ["", "- →", "\u{fe0e}", "#"] {
        assert!(
            !has_tokens(text) && words(Analyzer::Standard, text).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn long_words_are_cut() {
    let long = "x".repeat(300);
    assert_eq!(words(Analyzer::Standard, &long).len(), 2);
    assert_eq!(dispatched(&long).len(), 2);
}

proptest! {
    #[test]
    fn ascii_path_equals_unicode_segmentation(text in "[ -~]{0,40}") {
        let fast: Vec<String> = dispatched(&text).into_iter().map(|t| t.1).collect();
        prop_assert_eq!(fast, words(Analyzer::Standard, &text));
    }
}
