//! Stemmers, by the algorithms of Snowball. Source: Elasticsearch reference, "Stemmer token filter" and "Snowball token
//! filter".

use std::fmt;
use std::sync::Arc;

use frostem::Algorithm;
use ringwall_api::ApiError;

use super::{Built, TokenFilter, characters};
use crate::analysis::params::Params;
use crate::analysis::run::Run;
use crate::analysis::token::Stream;
use crate::analysis::words::without_possessive;

struct Stemmer {
    algorithm: Algorithm,
    inner: frostem::Stemmer,
}

impl fmt::Debug for Stemmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stemmer").field(&self.algorithm).finish()
    }
}

fn built(algorithm: Algorithm) -> Built {
    Ok(Arc::new(Stemmer {
        algorithm,
        inner: frostem::Stemmer::new(algorithm),
    }))
}

/// Names of languages in lower case. Dutch of Lucene is the one that Snowball now calls after Porter.
const LANGUAGES: &[(&str, Algorithm)] = &[
    ("armenian", Algorithm::Armenian),
    ("basque", Algorithm::Basque),
    ("catalan", Algorithm::Catalan),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::DutchPorter),
    ("estonian", Algorithm::Estonian),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("german2", Algorithm::German),
    ("hungarian", Algorithm::Hungarian),
    ("irish", Algorithm::Irish),
    ("italian", Algorithm::Italian),
    ("lithuanian", Algorithm::Lithuanian),
    ("lovins", Algorithm::Lovins),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("turkish", Algorithm::Turkish),
];

fn algorithm(name: &str) -> Option<Algorithm> {
    let found = LANGUAGES.iter().find(|(known, _)| *known == name);
    found.map(|(_, algorithm)| *algorithm)
}

pub(super) fn stemmer(params: &Params<'_>) -> Built {
    let given = match params.text("language")? {
        Some(language) => Some(language),
        None => params.text("name")?,
    };
    let name = given.unwrap_or_else(|| "porter".to_owned());
    match name.to_lowercase().as_str() {
        "english" | "porter" => porter(params),
        "porter2" => built(Algorithm::English),
        "possessive_english" => possessive(),
        "minimal_english" => {
            characters::each(|text| singular(text).unwrap_or_else(|| text.to_owned()))
        }
        "dutch_kp" | "kp" => built(Algorithm::Dutch),
        known => match algorithm(known) {
            Some(algorithm) => built(algorithm),
            None => Err(absent(&name, params)),
        },
    }
}

pub(super) fn snowball(params: &Params<'_>) -> Built {
    let name = params
        .text("language")?
        .unwrap_or_else(|| "English".to_owned());
    match name.to_lowercase().as_str() {
        "english" => built(Algorithm::English),
        "porter" => porter(params),
        "kp" => built(Algorithm::Dutch),
        known => match algorithm(known) {
            Some(algorithm) => built(algorithm),
            None => Err(absent(&name, params)),
        },
    }
}

pub(super) fn porter(_: &Params<'_>) -> Built {
    Ok(Arc::new(PorterFilter(Porter::default())))
}

#[derive(Debug)]
struct PorterFilter(Porter);

impl TokenFilter for PorterFilter {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            if !token.is_keyword {
                token.text = self.0.stem(&token.text);
            }
            token
        }))
    }
}

/// The stemmer of Porter as he wrote it in C, which departs from his paper: words of two letters stay, and `bli` and `logi`
/// become `ble` and `log`. Snowball's is that of the paper.
pub(in crate::analysis) struct Porter(frostem::Stemmer);

impl Default for Porter {
    fn default() -> Self {
        Self(frostem::Stemmer::new(Algorithm::Porter))
    }
}

impl fmt::Debug for Porter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Porter")
    }
}

impl Porter {
    pub(in crate::analysis) fn stem(&self, word: &str) -> String {
        if word.len() > LONGEST_WORD || word.chars().take(3).count() < 3 {
            return word.to_owned();
        }
        for (ends, by) in DEPARTURES {
            let found = ends.iter().find_map(|end| word.strip_suffix(end));
            if let Some(stem) = found.filter(|stem| has_measure(stem)) {
                return self.0.stem(&format!("{stem}{by}")).into_owned();
            }
        }
        self.0.stem(word).into_owned()
    }
}

/// What the first steps make `bli` and `logi` of.
const DEPARTURES: [([&str; 5], &str); 2] = [
    (["bly", "bli", "blies", "blied", "blying"], "ble"),
    (["logy", "logi", "logies", "logied", "logying"], "log"),
];

/// Whether a consonant follows a vowel somewhere.
fn has_measure(stem: &str) -> bool {
    let mut was_vowel = false;
    let mut last = ' ';
    for c in stem.chars() {
        let is_vowel = match c {
            'a' | 'e' | 'i' | 'o' | 'u' => true,
            // It is one behind a consonant.
            'y' => last != ' ' && !was_vowel,
            _ => false,
        };
        if was_vowel && !is_vowel {
            return true;
        }
        (was_vowel, last) = (is_vowel, c);
    }
    false
}

fn absent(name: &str, params: &Params<'_>) -> ApiError {
    let known: Vec<&str> = LANGUAGES.iter().map(|(name, _)| *name).collect();
    params.wrong(format!(
        "the stemmer [{name}] is not supported by Ringwall; there are english, minimal_english, porter2, \
         possessive_english, dutch_kp and [{}]",
        known.join(", ")
    ))
}

impl TokenFilter for Stemmer {
    fn apply<'a>(&'a self, tokens: Stream<'a>, _run: &'a Run) -> Stream<'a> {
        Box::new(tokens.map(|mut token| {
            // A word that is longer than any is none.
            if token.is_keyword || token.text.len() > LONGEST_WORD {
                return token;
            }
            let stem = self.inner.stem(&token.text);
            if stem != token.text {
                token.text = stem.into_owned();
            }
            token
        }))
    }
}

/// Bytes of a word that stemmers look at.
const LONGEST_WORD: usize = 4096;

/// Takes `'s` off.
fn possessive() -> Built {
    characters::each(|text| without_possessive(text).to_owned())
}

/// Takes the plural of English off, as Harman's S-stemmer does.
fn singular(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    let at = |back: usize| bytes.len().checked_sub(back).map(|at| bytes[at]);
    if bytes.len() < 3 || at(1) != Some(b's') {
        return None;
    }
    let cut = |count: usize| word[..word.len() - count].to_owned();
    match (at(4), at(3), at(2)) {
        (_, _, Some(b'u' | b's')) => None,
        (Some(b'a' | b'e'), Some(b'i'), Some(b'e')) => None,
        (Some(_), Some(b'i'), Some(b'e')) => Some(cut(3) + "y"),
        (_, Some(b'i' | b'a' | b'o' | b'e'), Some(b'e')) => None,
        _ => Some(cut(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked of Lucene's.
    #[test]
    fn porter_departs_from_his_paper() {
        let porter = Porter::default();
        for (word, stem) in [
            ("is", "is"),
            ("psychology", "psycholog"),
            ("technologies", "technolog"),
            ("possibly", "possibl"),
            ("fly", "fly"),
            ("quickly", "quickli"),
            ("generously", "gener"),
            ("lazy", "lazi"),
        ] {
            assert_eq!(porter.stem(word), stem, "{word}");
        }
    }

    #[test]
    fn plurals_of_english() {
        for (word, stem) in [
            ("queries", "query"),
            ("phrases", "phrase"),
            ("corpus", "corpus"),
            ("stress", "stress"),
            ("kings", "king"),
            ("panels", "panel"),
            ("aerodynamics", "aerodynamic"),
            ("congress", "congress"),
            ("serpents", "serpent"),
            ("is", "is"),
        ] {
            let made = singular(word).unwrap_or_else(|| word.to_owned());
            assert_eq!(made, stem, "{word}");
        }
    }
}
