//! The `plain` highlighter: the text in pieces of about one size, the best by the words they have. Source: Lucene's
//! `Highlighter`, `SimpleFragmenter` and `SimpleSpanFragmenter`.

use std::collections::{BTreeSet, HashMap};

use ringwall_api::ApiError;

use super::markup::Markup;
use super::request::Options;
use super::text::{FieldText, Token, Value, Words};

/// Returns the fragments.
///
/// # Errors
/// 400 for a fragmenter that there is not.
pub(super) fn fragments(
    name: &str,
    text: &FieldText,
    words: &Words,
    options: &Options,
) -> Result<Vec<String>, ApiError> {
    let spans = match options.fragmenter.as_deref() {
        None | Some("span") => true,
        Some("simple") => false,
        Some(other) => {
            return Err(ApiError::illegal_argument(format!(
                "unknown fragmenter option [{other}] for the field [{name}]"
            )));
        }
    };
    let most = usize::try_from(options.number_of_fragments.max(1)).unwrap_or(1);
    // By the position that each begins at; of several the first.
    let mut phrases = HashMap::new();
    for (first, last) in &words.phrases {
        phrases.entry(*first).or_insert(*last);
    }
    let mut found = Vec::new();
    for value in &text.values {
        let mut pieces = Cutting::new(value, words, &phrases, options, spans).cut(text);
        pieces.retain(|piece| piece.score > 0.0);
        // The best, of equal ones the first, in the order of the text.
        let mut places: Vec<usize> = (0..pieces.len()).collect();
        places.sort_by(|one, two| pieces[*two].score.total_cmp(&pieces[*one].score));
        let chosen: BTreeSet<usize> = places.into_iter().take(most).collect();
        let chosen = pieces
            .into_iter()
            .enumerate()
            .filter(|(place, _)| chosen.contains(place));
        found.extend(chosen.map(|(_, piece)| piece));
    }
    if options.by_score {
        found.sort_by(|one, two| two.score.total_cmp(&one.score));
    }
    let takes_all = options.number_of_fragments == 0 && text.values.len() > 1;
    if !takes_all {
        found.truncate(most);
    }
    if found.is_empty() {
        return Ok(without_match(text, options).into_iter().collect());
    }
    Ok(found.into_iter().map(|piece| piece.shown).collect())
}

struct Piece {
    shown: String,
    score: f32,
    /// The words that are counted already.
    counted: BTreeSet<String>,
}

impl Piece {
    fn empty() -> Self {
        Self {
            shown: String::new(),
            score: 0.0,
            counted: BTreeSet::new(),
        }
    }
}

/// Words that lie over one another.
struct Group {
    start: usize,
    end: usize,
    /// Of those that are sought, else of all.
    shown: (usize, usize),
    is_sought: bool,
}

struct Cutting<'a> {
    value: &'a Value,
    words: &'a Words,
    phrases: &'a HashMap<u32, u32>,
    options: &'a Options,
    spans: bool,
    pieces: Vec<Piece>,
    /// Up to where the text is written.
    written: usize,
    group: Option<Group>,
    /// The position that the fragmenter thinks it is at.
    position: i64,
    waits_for: Option<i64>,
    before: Option<u32>,
}

impl<'a> Cutting<'a> {
    fn new(
        value: &'a Value,
        words: &'a Words,
        phrases: &'a HashMap<u32, u32>,
        options: &'a Options,
        spans: bool,
    ) -> Self {
        Self {
            value,
            words,
            phrases,
            options,
            spans,
            pieces: vec![Piece::empty()],
            written: value.start,
            group: None,
            position: -1,
            waits_for: None,
            before: None,
        }
    }

    fn cut(mut self, text: &FieldText) -> Vec<Piece> {
        let before = |end: usize| text.tokens.partition_point(|token| token.start < end);
        let mut pieces_begun = 1;
        for place in before(self.value.start)..before(self.value.end()) {
            let (token, boost) = (&text.tokens[place], self.words.boosts[place]);
            let distinct = self
                .group
                .as_ref()
                .is_some_and(|group| token.start >= group.end);
            if distinct {
                self.write_group();
                if self.begins_piece(token, boost.is_some(), pieces_begun) {
                    pieces_begun += 1;
                    self.pieces.push(Piece::empty());
                }
            }
            self.add(token, boost);
            self.before = Some(token.position);
        }
        self.write_group();
        let value = self.value;
        let rest = &value.chars[(self.written - value.start).min(value.chars.len())..];
        let markup = Markup::new(self.options);
        if let Some(last) = self.pieces.last_mut() {
            markup.plain(rest, &mut last.shown);
        }
        self.pieces
    }

    fn add(&mut self, token: &Token, boost: Option<f32>) {
        if let (Some(boost), Some(piece)) = (boost, self.pieces.last_mut())
            && piece.counted.insert(token.text.clone())
        {
            piece.score += boost;
        }
        let ends = (token.start, token.end);
        match &mut self.group {
            None => {
                self.group = Some(Group {
                    start: token.start,
                    end: token.end,
                    shown: ends,
                    is_sought: boost.is_some(),
                });
            }
            Some(group) => {
                group.start = group.start.min(token.start);
                group.end = group.end.max(token.end);
                if boost.is_some() {
                    group.shown = match group.is_sought {
                        true => (group.shown.0.min(ends.0), group.shown.1.max(ends.1)),
                        false => ends,
                    };
                    group.is_sought = true;
                }
            }
        }
    }

    fn write_group(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        let Some(piece) = self.pieces.last_mut() else {
            return;
        };
        let value = self.value;
        let text = |from: usize, to: usize| &value.chars[from - value.start..to - value.start];
        let markup = Markup::new(self.options);
        let (start, end) = group.shown;
        let start = start.max(self.written);
        markup.plain(text(self.written, start), &mut piece.shown);
        if start < end {
            match group.is_sought {
                true => markup.marked(text(start, end), 0, &mut piece.shown),
                false => markup.plain(text(start, end), &mut piece.shown),
            }
            self.written = end;
        }
    }

    /// Whether a fragment ends before this word.
    fn begins_piece(&mut self, token: &Token, is_sought: bool, begun: usize) -> bool {
        let Ok(size) = usize::try_from(self.options.fragment_size) else {
            return true;
        };
        if self.options.number_of_fragments == 0 {
            return false;
        }
        let end = token.end - self.value.start;
        let is_full = end >= size.saturating_mul(begun);
        if !self.spans {
            return is_full;
        }
        let step = self
            .before
            .map_or(1, |before| token.position.saturating_sub(before));
        self.position += i64::from(step);
        match self.waits_for {
            Some(position) if position <= self.position => self.waits_for = None,
            Some(_) => return false,
            None => {}
        }
        let position = u32::try_from(self.position).ok();
        if is_sought && let Some(last) = position.and_then(|at| self.phrases.get(&at)) {
            self.waits_for = Some(i64::from(*last) + 1);
        }
        let left = self.value.chars.len().saturating_sub(end);
        is_full && left >= size / 2
    }
}

fn without_match(text: &FieldText, options: &Options) -> Option<String> {
    let size = usize::try_from(options.no_match_size)
        .ok()
        .filter(|size| *size > 0)?;
    let value = text.values.first()?;
    let end = match value.chars.len() <= size {
        true => value.chars.len(),
        false => {
            let ends = text
                .tokens
                .iter()
                .map(|token| token.end - value.start.min(token.end));
            ends.take_while(|end| *end <= size).max().unwrap_or(0)
        }
    };
    let mut shown = String::new();
    Markup::new(options).plain(&value.chars[..end.min(value.chars.len())], &mut shown);
    (!shown.is_empty()).then_some(shown)
}
