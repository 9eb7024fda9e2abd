//! A field of a document as highlighters read it: its values, their words, and where what is sought stands in them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use ringwall_api::ApiError;
use ringwall_index::FieldMapping;
use ringwall_index::mapping::Family;

use super::sought::{Positions, Test, Wanted, What};
use crate::control::Beat;
use crate::shard::Shard;

/// The values of a field. Offsets are in characters and count through all values, with one place between two.
pub(super) struct FieldText {
    pub(super) values: Vec<Value>,
    /// In the order of the text.
    pub(super) tokens: Vec<Token>,
}

pub(super) struct Value {
    /// Where the value begins.
    pub(super) start: usize,
    pub(super) chars: Vec<char>,
}

impl Value {
    pub(super) fn end(&self) -> usize {
        self.start + self.chars.len()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) position: u32,
}

/// A place that is highlighted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Matches of one number are of one thing.
    pub(super) of: usize,
    pub(super) boost: f32,
}

impl FieldText {
    /// Analyzes values. Words that begin after `limit` characters are left out.
    ///
    /// # Errors
    /// The search was stopped, or has no memory for them.
    pub(super) fn new(
        shard: &Shard<'_>,
        field: &FieldMapping,
        values: &[String],
        limit: Option<usize>,
    ) -> Result<Self, ApiError> {
        let mut text = Self {
            values: Vec::with_capacity(values.len()),
            tokens: Vec::new(),
        };
        let (mut start, mut next) = (0, 0);
        for value in values {
            shard.pulse.proceed()?;
            let chars: Vec<char> = value.chars().collect();
            let length = chars.len();
            let before = text.tokens.len();
            text.tokens
                .extend(tokens(field, value).into_iter().map(|token| Token {
                    start: start + token.start.min(token.end).min(length),
                    end: start + token.end.min(length),
                    position: next + token.position,
                    ..token
                }));
            let last = text.tokens[before..]
                .iter()
                .map(|token| token.position)
                .max();
            next = last.map_or(next, |last| last + 1) + field.position_increment_gap;
            text.values.push(Value { start, chars });
            start += length + 1;
        }
        if let Some(limit) = limit {
            text.tokens.retain(|token| token.start <= limit);
        }
        text.tokens.sort_by_key(|token| (token.start, token.end));
        Ok(text)
    }

    /// Returns the number of characters, with those between values.
    pub(super) fn length(&self) -> usize {
        self.values.last().map_or(0, Value::end)
    }

    /// Returns the places of what is sought, each as a whole, in the order of the text.
    pub(super) fn wholes(&self, wanted: &[&Wanted], beat: &mut Beat) -> Vec<Match> {
        let index = Index::of(self);
        let mut found = Vec::new();
        for (of, wanted) in wanted.iter().enumerate() {
            for places in index.occurrences(&wanted.what, beat) {
                let tokens = || places.iter().map(|place| &self.tokens[*place]);
                let ends = tokens()
                    .map(|t| t.start)
                    .min()
                    .zip(tokens().map(|t| t.end).max());
                if let Some((start, end)) = ends {
                    found.push(Match {
                        start,
                        end,
                        of,
                        boost: wanted.boost,
                    });
                }
            }
        }
        found.sort_by_key(|found| (found.start, found.end));
        found
    }

    /// Returns the words of what is sought: for each token the greatest boost of what it is part of. Of words that
    /// stand near one another every one counts.
    pub(super) fn words(&self, wanted: &[&Wanted], beat: &mut Beat) -> Words {
        let index = Index::of(self);
        let mut boosts: Vec<Option<f32>> = vec![None; self.tokens.len()];
        let mut phrases = Vec::new();
        for wanted in wanted {
            let found = match &wanted.what {
                What::Near { words, .. } => {
                    let each = words
                        .iter()
                        .filter_map(|word| index.by_text.get(word.as_str()));
                    each.flatten().map(|place| vec![*place]).collect()
                }
                what => index.occurrences(what, beat),
            };
            for places in found {
                let positions = || places.iter().map(|place| self.tokens[*place].position);
                if let (true, Some(ends)) =
                    (places.len() > 1, positions().min().zip(positions().max()))
                {
                    phrases.push(ends);
                }
                for place in places {
                    let boost = boosts[place].get_or_insert(wanted.boost);
                    *boost = boost.max(wanted.boost);
                }
            }
        }
        Words { boosts, phrases }
    }
}

impl FieldText {
    /// Returns the places of words, each word of a kind of its own, and how often each stands in the text.
    pub(super) fn places_of_words(&self, words: &Words) -> (Vec<Match>, Vec<u32>) {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut times: Vec<u32> = Vec::new();
        let mut found = Vec::new();
        for (token, boost) in self.tokens.iter().zip(&words.boosts) {
            let Some(boost) = boost else { continue };
            let of = *numbers.entry(&token.text).or_insert_with(|| {
                times.push(0);
                times.len() - 1
            });
            times[of] += 1;
            found.push(Match {
                start: token.start,
                end: token.end,
                of,
                boost: *boost,
            });
        }
        (found, times)
    }
}

/// See [`FieldText::words`].
pub(super) struct Words {
    /// One for each token; `None` where nothing is sought.
    pub(super) boosts: Vec<Option<f32>>,
    /// The first and last position of each phrase.
    pub(super) phrases: Vec<(u32, u32)>,
}

/// Returns the words of one value. The one place where highlighters meet analyzers.
fn tokens(field: &FieldMapping, value: &str) -> Vec<Token> {
    if field.field_type.family() != Some(Family::Text) {
        let whole = Token {
            text: field
                .normalized(value)
                .map_or_else(|_| value.to_owned(), Cow::into_owned),
            start: 0,
            end: value.chars().count(),
            position: 0,
        };
        return if value.is_empty() {
            Vec::new()
        } else {
            vec![whole]
        };
    }
    let places = Places::of(value);
    let analyzed = field.analyzer.tokens(value).into_iter();
    analyzed
        .map(|token| Token {
            start: places.of_byte(token.offset_from),
            end: places.of_byte(token.offset_to),
            position: u32::try_from(token.position).unwrap_or(u32::MAX / 2),
            text: token.text,
        })
        .collect()
}

/// Which character begins at a byte.
enum Places {
    Same,
    Listed(Vec<usize>),
}

impl Places {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Same;
        }
        let mut places = Vec::with_capacity(text.len() + 1);
        for (place, c) in text.chars().enumerate() {
            places.extend(std::iter::repeat_n(place, c.len_utf8()));
        }
        places.push(places.last().map_or(0, |last| last + 1));
        Self::Listed(places)
    }

    fn of_byte(&self, byte: usize) -> usize {
        match self {
            Self::Same => byte,
            Self::Listed(places) => {
                let last = places.last().copied().unwrap_or(0);
                places.get(byte).copied().unwrap_or(last)
            }
        }
    }
}

/// The tokens of a text by their words and positions.
struct Index<'a> {
    tokens: &'a [Token],
    by_text: HashMap<&'a str, Vec<usize>>,
    /// Ordered.
    by_position: Vec<(u32, usize)>,
}

impl<'a> Index<'a> {
    fn of(text: &'a FieldText) -> Self {
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_position = Vec::with_capacity(text.tokens.len());
        for (place, token) in text.tokens.iter().enumerate() {
            by_text.entry(&token.text).or_default().push(place);
            by_position.push((token.position, place));
        }
        by_position.sort_unstable();
        Self {
            tokens: &text.tokens,
            by_text,
            by_position,
        }
    }

    /// Every place of something, each as its tokens.
    fn occurrences(&self, what: &What, beat: &mut Beat) -> Vec<Vec<usize>> {
        match what {
            What::Word(test) => {
                let places = self.places(test, beat).into_iter();
                places.map(|place| vec![place]).collect()
            }
            What::Phrase { words, slop: 0 } => self.exact(words, beat),
            What::Phrase { words, slop } => self.sloppy(words, i64::from(*slop), beat),
            What::Near { words, test } => {
                let mut positions: Positions<'_> = Positions::new();
                for word in words {
                    if let Some((text, places)) = self.by_text.get_key_value(word.as_str()) {
                        let places = places.iter().map(|place| self.tokens[*place].position);
                        positions.insert(text, places.collect());
                    }
                }
                let near = test(&positions, beat);
                let each = words
                    .iter()
                    .filter_map(|word| self.by_text.get(word.as_str()));
                let all: BTreeSet<usize> = each.flatten().copied().collect();
                let stands_near = |place: &usize| near.contains(&self.tokens[*place].position);
                all.into_iter()
                    .filter(stands_near)
                    .map(|place| vec![place])
                    .collect()
            }
        }
    }

    /// The tokens that are a word.
    fn places(&self, test: &Test, beat: &mut Beat) -> Vec<usize> {
        match test {
            Test::Is(text) => self.by_text.get(text.as_str()).cloned().unwrap_or_default(),
            Test::Passes(passes) => {
                let mut found: Vec<usize> = Vec::new();
                for (text, places) in &self.by_text {
                    if !beat.steps(16) {
                        break;
                    }
                    if passes(text) {
                        found.extend(places);
                    }
                }
                found.sort_unstable();
                found
            }
        }
    }

    fn at(&self, position: u32) -> impl Iterator<Item = usize> + '_ {
        let first = self.by_position.partition_point(|(at, _)| *at < position);
        let there = self.by_position[first..].iter();
        there
            .take_while(move |(at, _)| *at == position)
            .map(|(_, place)| *place)
    }

    fn exact(&self, words: &[(u32, Test)], beat: &mut Beat) -> Vec<Vec<usize>> {
        let Some(((first, test), others)) = words.split_first() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for place in self.places(test, beat) {
            if !beat.steps(u32::try_from(words.len()).unwrap_or(u32::MAX)) {
                break;
            }
            let begins = self.tokens[place].position;
            let mut phrase = vec![place];
            for (offset, test) in others {
                let position = begins.saturating_add(offset - first);
                let there = |place: &usize| test.is_met(&self.tokens[*place].text);
                phrase.extend(self.at(position).find(there));
            }
            if phrase.len() == words.len() {
                found.push(phrase);
            }
        }
        found
    }

    /// Narrowest windows whose words are moved by `slop` places at most, as Lucene's `SloppyPhraseMatcher` finds them.
    fn sloppy(&self, words: &[(u32, Test)], slop: i64, beat: &mut Beat) -> Vec<Vec<usize>> {
        // For each word its places, by where the phrase would begin.
        let mut lists: Vec<Vec<(i64, usize)>> = Vec::with_capacity(words.len());
        for (offset, test) in words {
            let begins = |place: usize| {
                let position = i64::from(self.tokens[place].position);
                (position - i64::from(*offset), place)
            };
            let mut list: Vec<_> = self.places(test, beat).into_iter().map(begins).collect();
            list.sort_unstable();
            if list.is_empty() {
                return Vec::new();
            }
            lists.push(list);
        }
        let mut at = vec![0_usize; lists.len()];
        let mut found = Vec::new();
        loop {
            let starts = || lists.iter().zip(&at).map(|(list, at)| list[*at].0);
            let Some((least, _)) = starts().enumerate().min_by_key(|(_, start)| *start) else {
                break;
            };
            let most = starts().max().unwrap_or(0);
            let others = starts().enumerate().filter(|(word, _)| *word != least);
            let next = others.map(|(_, start)| start).min().unwrap_or(most);
            let narrower = |at: usize| lists[least].get(at).filter(|(start, _)| *start <= next);
            if narrower(at[least] + 1).is_some() {
                at[least] += 1;
            } else {
                if most - lists[least][at[least]].0 <= slop {
                    let places = lists.iter().zip(&at).map(|(list, at)| list[*at].1);
                    let places: Vec<usize> = places.collect();
                    let apart: BTreeSet<usize> = places.iter().copied().collect();
                    if apart.len() == places.len() {
                        found.push(places);
                    }
                }
                at[least] += 1;
            }
            if at[least] >= lists[least].len()
                || !beat.steps(u32::try_from(words.len()).unwrap_or(u32::MAX))
            {
                break;
            }
        }
        found
    }
}
