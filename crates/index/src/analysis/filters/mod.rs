//! Token filters: what is done to tokens. Source: Elasticsearch reference, "Token filter reference".

mod characters;
mod elision;
mod grams;
mod keyword;
mod pattern;
mod selection;
mod shingle;
pub(super) mod stem;
mod stop;
mod synonym;
mod word_delimiter;

use std::fmt;
use std::sync::Arc;

use ringwall_api::ApiError;

use super::params::Params;
use super::run::Run;
use super::token::{Stream, Token};

/// Changes tokens. They come and go in the order of their positions; what is kept meanwhile is noted in the [`Run`].
pub(super) trait TokenFilter: Send + Sync + fmt::Debug {
    fn apply<'a>(&'a self, tokens: Stream<'a>, run: &'a Run) -> Stream<'a>;

    /// Returns the filter to use instead, for one that reads its rules as the analyzer cuts texts before it; `None` for
    /// this one.
    fn prepared(&self, _cut: Cut<'_>) -> Option<Built> {
        None
    }

    /// Whether rules of a later filter may be cut by it: it makes one token of one.
    fn reads_rules(&self) -> bool {
        true
    }

    /// Whether queries follow tokens of several places as ways beside others. Not where they only join what stands there,
    /// too.
    fn makes_ways(&self) -> bool {
        true
    }

    /// Whether it has rules itself, which those of a later filter do not pass through.
    fn has_rules(&self) -> bool {
        false
    }
}

/// Cuts the text of a rule.
pub(super) type Cut<'a> = &'a dyn Fn(&str) -> Result<Vec<Token>, ApiError>;

pub(super) type Built = Result<Arc<dyn TokenFilter>, ApiError>;

/// A kind of filter.
pub(super) struct Kind {
    pub name: &'static str,
    /// Whether a normalizer may have it: it looks at characters, not at words.
    pub normalizes: bool,
    pub build: fn(&Params<'_>) -> Built,
}

const fn kind(name: &'static str, build: fn(&Params<'_>) -> Built) -> Kind {
    Kind {
        name,
        normalizes: false,
        build,
    }
}

const fn normalizing(name: &'static str, build: fn(&Params<'_>) -> Built) -> Kind {
    Kind {
        normalizes: true,
        ..kind(name, build)
    }
}

/// The kinds there are.
pub(super) const KINDS: &[Kind] = &[
    normalizing("lowercase", characters::lowercase),
    normalizing("uppercase", characters::uppercase),
    normalizing("asciifolding", characters::asciifolding),
    normalizing("trim", characters::trim),
    normalizing("decimal_digit", characters::decimal_digit),
    normalizing("elision", elision::elision),
    normalizing("pattern_replace", pattern::replace),
    normalizing("scandinavian_folding", characters::scandinavian_folding),
    normalizing(
        "scandinavian_normalization",
        characters::scandinavian_normalization,
    ),
    kind("apostrophe", elision::apostrophe),
    kind("common_grams", stop::common_grams),
    kind("edgeNGram", |params| grams::grams(params, true)),
    kind("edge_ngram", |params| grams::grams(params, true)),
    kind("fingerprint", selection::fingerprint),
    kind("keep", stop::keep),
    kind("keep_types", selection::keep_types),
    kind("keyword_marker", keyword::marker),
    kind("keyword_repeat", keyword::repeat),
    kind("length", selection::length),
    kind("limit", selection::limit),
    kind("nGram", |params| grams::grams(params, false)),
    kind("ngram", |params| grams::grams(params, false)),
    kind("pattern_capture", pattern::capture),
    kind("porter_stem", stem::porter),
    kind("remove_duplicates", selection::remove_duplicates),
    kind("reverse", characters::reverse),
    kind("shingle", shingle::shingle),
    kind("snowball", stem::snowball),
    kind("stemmer", stem::stemmer),
    kind("stemmer_override", keyword::stemmer_override),
    kind("stop", stop::stop),
    kind("synonym", |params| synonym::build(params, false)),
    kind("synonym_graph", |params| synonym::build(params, true)),
    kind("truncate", characters::truncate),
    kind("unique", selection::unique),
    kind("word_delimiter", |params| {
        word_delimiter::build(params, false)
    }),
    kind("word_delimiter_graph", |params| {
        word_delimiter::build(params, true)
    }),
];

/// Those that there are in Elasticsearch, and not here.
pub(super) const ABSENT: &[&str] = &[
    "arabic_normalization",
    "arabic_stem",
    "bengali_normalization",
    "brazilian_stem",
    "cjk_bigram",
    "cjk_width",
    "classic",
    "condition",
    "czech_stem",
    "delimited_payload",
    "dictionary_decompounder",
    "dutch_stem",
    "flatten_graph",
    "french_stem",
    "german_normalization",
    "german_stem",
    "hindi_normalization",
    "hunspell",
    "hyphenation_decompounder",
    "icu_collation",
    "icu_folding",
    "icu_normalizer",
    "icu_transform",
    "indic_normalization",
    "kstem",
    "kuromoji_baseform",
    "kuromoji_part_of_speech",
    "min_hash",
    "multiplexer",
    "nori_part_of_speech",
    "persian_normalization",
    "persian_stem",
    "phonetic",
    "predicate_token_filter",
    "russian_stem",
    "serbian_normalization",
    "sorani_normalization",
    "type_as_payload",
];
