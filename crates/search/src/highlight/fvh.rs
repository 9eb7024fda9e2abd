//! The fast vector highlighter, `fvh`: pieces of about one size with the matches in the middle. Source: Lucene's
//! `FastVectorHighlighter`, `FieldPhraseList`, `SimpleFragListBuilder` and `BaseFragmentsBuilder`.

use std::collections::VecDeque;

use ringwall_api::ApiError;

use super::breaks;
use super::markup::Markup;
use super::request::{Boundaries, Options};
use super::sought::{Test, Wanted, What};
use super::text::{FieldText, Token, Value};
use crate::control::Beat;

/// Returns the fragments of one text, of which each part is another analysis with what is sought in it.
///
/// # Errors
/// 400 for fragments that are too small.
pub(super) fn fragments(
    parts: &[(FieldText, Vec<&Wanted>)],
    options: &Options,
    beat: &mut Beat,
) -> Result<Vec<String>, ApiError> {
    let Some((text, _)) = parts.first() else {
        return Ok(Vec::new());
    };
    let each = parts.iter();
    let each = each.flat_map(|(text, wanted)| phrases(text, wanted, options, beat));
    let mut phrases: Vec<Phrase> = each.collect();
    if parts.len() > 1 {
        phrases.sort_by_key(|phrase| (phrase.start(), std::cmp::Reverse(phrase.end())));
        let mut end = 0;
        phrases.retain(|phrase| {
            let follows = phrase.start() >= end;
            end = end.max(phrase.end());
            follows
        });
    }
    let takes_all = options.number_of_fragments == 0;
    let mut pieces = match takes_all {
        true if phrases.is_empty() => Vec::new(),
        true => vec![Piece::of(0, usize::MAX, phrases)],
        false => pieces(phrases, options)?,
    };
    let mut most = usize::try_from(options.number_of_fragments.max(1)).unwrap_or(1);
    if pieces.is_empty() {
        match usize::try_from(options.no_match_size) {
            Ok(size) if size > 0 => pieces.push(Piece::of(0, size, Vec::new())),
            _ => return Ok(Vec::new()),
        }
        most = 1;
    } else if takes_all {
        most = usize::MAX;
    }
    if text.values.len() > 1 {
        pieces = by_value(pieces, text);
    }
    if options.by_score {
        pieces.sort_by(|one, two| {
            let by_score = two.boost.total_cmp(&one.boost);
            by_score.then(one.start.cmp(&two.start))
        });
    }
    pieces.truncate(most);
    let mut source = Source::of(text);
    let shown = pieces.iter().map_while(|piece| {
        // What it costs to find boundaries.
        let goes_on = options.boundaries.is_none() || beat.steps(LOOK_BACK as u32);
        goes_on.then(|| source.show(piece, options))
    });
    Ok(shown.collect())
}

/// A word or phrase in the text.
struct Phrase {
    /// Where its words are; neighbours are one.
    places: Vec<(usize, usize)>,
    /// The how manieth of what is sought it is.
    of: usize,
    boost: f32,
}

impl Phrase {
    fn start(&self) -> usize {
        self.places.first().map_or(0, |place| place.0)
    }

    fn end(&self) -> usize {
        self.places.last().map_or(0, |place| place.1)
    }
}

/// Finds the longest phrase at each word that is part of one.
fn phrases(
    text: &FieldText,
    wanted: &[&Wanted],
    options: &Options,
    beat: &mut Beat,
) -> Vec<Phrase> {
    let sequences: Vec<(Vec<&Test>, u32)> = wanted
        .iter()
        .map(|wanted| match &wanted.what {
            What::Word(test) => (vec![test], 0),
            What::Phrase { words, slop } => (words.iter().map(|(_, test)| test).collect(), *slop),
            // Such matches are not known to this highlighter.
            What::Near { .. } => (Vec::new(), 0),
        })
        .collect();
    let is_part = |token: &&Token| {
        let mut tests = sequences.iter().flat_map(|(tests, _)| tests);
        tests.any(|test| test.is_met(&token.text))
    };
    let mut stack: Vec<&Token> = Vec::new();
    for token in &text.tokens {
        if !beat.steps(u32::try_from(sequences.len()).unwrap_or(u32::MAX)) {
            break;
        }
        stack.extend(Some(token).filter(is_part));
    }
    stack.sort_by_key(|token| token.position);
    let limit = usize::try_from(options.phrase_limit).unwrap_or(0).max(1);
    let mut found: Vec<Phrase> = Vec::new();
    let mut at = 0;
    while at < stack.len() && found.len() < limit && beat.step() {
        let longest = sequences
            .iter()
            .enumerate()
            .filter(|(_, (tests, slop))| begins(&stack[at..], tests, *slop))
            .max_by_key(|(of, (tests, _))| (tests.len(), std::cmp::Reverse(*of)));
        let Some((of, (tests, _))) = longest else {
            at += 1;
            continue;
        };
        let phrase = Phrase {
            places: places(&stack[at..at + tests.len()]),
            of,
            boost: wanted[of].boost,
        };
        at += tests.len();
        let overlaps = found.last().is_some_and(|last| phrase.start() < last.end());
        if !overlaps {
            found.push(phrase);
        }
    }
    found
}

fn begins(tokens: &[&Token], tests: &[&Test], slop: u32) -> bool {
    if tests.is_empty() || tokens.len() < tests.len() {
        return false;
    }
    let tokens = &tokens[..tests.len()];
    let near = |two: &[&Token]| {
        let step = i64::from(two[1].position) - i64::from(two[0].position) - 1;
        step.unsigned_abs() <= u64::from(slop)
    };
    let met = tokens
        .iter()
        .zip(tests)
        .all(|(token, test)| test.is_met(&token.text));
    met && tokens.windows(2).all(near)
}

fn places(tokens: &[&Token]) -> Vec<(usize, usize)> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut before = None;
    for token in tokens {
        let follows = before.is_some_and(|before: u32| before + 1 == token.position);
        match places.last_mut() {
            Some(last) if follows => last.1 = token.end,
            _ => places.push((token.start, token.end)),
        }
        before = Some(token.position);
    }
    places
}

/// A piece of the text, in characters.
struct Piece {
    start: usize,
    end: usize,
    phrases: Vec<Phrase>,
    boost: f32,
}

impl Piece {
    fn of(start: usize, end: usize, phrases: Vec<Phrase>) -> Self {
        Self {
            start,
            end,
            boost: phrases.iter().map(|phrase| phrase.boost).sum(),
            phrases,
        }
    }
}

/// Text before the first match of a piece that is looked for at first.
const MARGIN: i64 = 6;

fn pieces(phrases: Vec<Phrase>, options: &Options) -> Result<Vec<Piece>, ApiError> {
    let margin = options.fragment_offset.unwrap_or(MARGIN).max(0);
    let least = (margin * 3).max(1);
    if options.fragment_size < least {
        return Err(ApiError::illegal_argument(format!(
            "fragCharSize({}) is too small. It must be {least} or higher.",
            options.fragment_size
        )));
    }
    let (size, margin) = (options.fragment_size as usize, margin as usize);
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut phrases = phrases.into_iter().peekable();
    while let Some(first) = phrases.next() {
        if first.start() < from {
            continue;
        }
        let start = first.start();
        let mut end = first.end();
        let reach = end.max(start.saturating_sub(margin).max(from).saturating_add(size));
        let mut taken = Vec::new();
        taken.extend(Some(first).filter(|first| first.end() - start <= size));
        while let Some(next) = phrases.next_if(|next| next.end() <= reach) {
            end = next.end();
            taken.extend(Some(next).filter(|_| end - start <= size));
        }
        if taken.is_empty() {
            continue;
        }
        let length = end - start;
        let begin = start
            .saturating_sub(size.saturating_sub(length) / 2)
            .max(from);
        from = begin.saturating_add(length.max(size));
        pieces.push(Piece::of(begin, from, taken));
    }
    Ok(pieces)
}

/// Cuts pieces where values end.
fn by_value(pieces: Vec<Piece>, text: &FieldText) -> Vec<Piece> {
    let values: Vec<&Value> = text
        .values
        .iter()
        .filter(|value| !value.chars.is_empty())
        .collect();
    // The first value that reaches so far, with the space after it.
    let reaching = |at: usize| values.partition_point(|value| value.end() < at);
    let mut all = Vec::new();
    for piece in pieces {
        let mut phrases = VecDeque::from(piece.phrases);
        let mut place = reaching(piece.start);
        while let Some(value) = values.get(place) {
            let (start, end) = (value.start, value.end() + 1);
            place += 1;
            if piece.start >= start && piece.end <= end {
                all.push(Piece::of(piece.start, piece.end, phrases.into()));
                break;
            }
            let Some(first) = phrases.front() else {
                break;
            };
            if first.start() >= end {
                place = place.max(reaching(first.start()));
                continue;
            }
            let mut inside = Vec::new();
            let mut outside = Vec::new();
            while let Some(phrase) = phrases.pop_front_if(|phrase| phrase.start() < end) {
                let (here, later): (Vec<_>, Vec<_>) =
                    phrase.places.iter().partition(|place| place.0 < end);
                let part = |places| Phrase { places, ..phrase };
                if !here.is_empty() {
                    inside.push(part(here));
                }
                if !later.is_empty() {
                    outside.push(part(later));
                }
            }
            for phrase in outside.into_iter().rev() {
                phrases.push_front(phrase);
            }
            let begin = if piece.start > start && piece.start < end {
                piece.start
            } else {
                start
            };
            let stop = if piece.end > start && piece.end < end {
                piece.end
            } else {
                end
            };
            all.push(Piece::of(begin, stop, inside));
        }
    }
    all.sort_by_key(|piece| piece.start);
    all
}

/// The values, one after the other with a space between them, read as far as pieces need.
struct Source<'a> {
    text: &'a FieldText,
    chars: Vec<char>,
    read: usize,
}

impl<'a> Source<'a> {
    fn of(text: &'a FieldText) -> Self {
        Self {
            text,
            chars: Vec::new(),
            read: 0,
        }
    }

    fn show(&mut self, piece: &Piece, options: &Options) -> String {
        while self.chars.len() < piece.end
            && let Some(value) = self.text.values.get(self.read)
        {
            self.chars.extend(&value.chars);
            self.chars.push(' ');
            self.read += 1;
        }
        let length = self.chars.len().saturating_sub(1);
        let end = match length < piece.end {
            true => length,
            false => self.end_after(piece.end, options),
        };
        let end = end.min(self.chars.len());
        let start = self.start_before(piece.start, options).min(end);
        let markup = Markup::new(options);
        let mut shown = String::new();
        let mut at = start;
        for phrase in &piece.phrases {
            for (from, to) in &phrase.places {
                let (from, to) = ((*from).clamp(at, end), (*to).clamp(at, end));
                markup.plain(&self.chars[at..from], &mut shown);
                if from < to {
                    markup.marked(&self.chars[from..to], phrase.of, &mut shown);
                }
                at = to;
            }
        }
        markup.plain(&self.chars[at..end], &mut shown);
        shown
    }

    fn start_before(&self, start: usize, options: &Options) -> usize {
        if start > self.chars.len() || start < 1 {
            return start;
        }
        match options.boundaries {
            Some(Boundaries::Word) => self.last_break(start, breaks::words),
            Some(Boundaries::Sentence) => self.last_break(start, breaks::sentences),
            None | Some(Boundaries::Chars) => {
                let scanned = self.chars[..start].iter().rev().take(options.max_scan());
                let steps = scanned
                    .take_while(|c| !options.boundary_chars.contains(**c))
                    .count();
                let found = steps < options.max_scan() || steps == start;
                if found { start - steps } else { start }
            }
        }
    }

    fn end_after(&self, end: usize, options: &Options) -> usize {
        if end > self.chars.len() {
            return end;
        }
        let rest = &self.chars[end..];
        match options.boundaries {
            Some(Boundaries::Word) if rest.is_empty() => end,
            Some(Boundaries::Word) => end + breaks::word_end(rest, 0),
            Some(Boundaries::Sentence) => end + breaks::sentence_end(rest),
            None | Some(Boundaries::Chars) => {
                let mut scanned = rest.iter().take(options.max_scan());
                let found = scanned.position(|c| options.boundary_chars.contains(*c));
                end + found.unwrap_or(0)
            }
        }
    }

    /// Returns the last boundary before there; of what is further back than any word and most sentences nothing is read.
    fn last_break(&self, end: usize, breaks: fn(&[char]) -> Vec<usize>) -> usize {
        let from = end.saturating_sub(LOOK_BACK);
        let breaks = breaks(&self.chars[from..end]);
        let before = breaks.len().checked_sub(2);
        before.map_or(from, |place| from + breaks[place])
    }
}

/// Characters of the text before a piece that are looked at for a boundary.
const LOOK_BACK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was before it skipped what it need not look at.
    #[test]
    fn pieces_are_cut_where_values_end() {
        let values = (0..6).map(|at| Value {
            start: at * 4,
            chars: "abc".chars().collect(),
        });
        let text = FieldText {
            values: values.collect(),
            tokens: Vec::new(),
        };
        let phrase = |from: usize, to: usize, of: usize| Phrase {
            places: vec![(from, from + 1), (to, to + 1)],
            of,
            boost: 1.0,
        };
        let shape = |pieces: Vec<Piece>| -> Vec<_> {
            let of = |piece: Piece| {
                let phrases = piece
                    .phrases
                    .iter()
                    .map(|phrase| (phrase.of, phrase.places.clone()));
                (piece.start, piece.end, phrases.collect::<Vec<_>>())
            };
            pieces.into_iter().map(of).collect()
        };
        let pieces = vec![
            Piece::of(1, 10, vec![phrase(1, 2, 0), phrase(2, 8, 1)]),
            Piece::of(16, 19, vec![phrase(16, 17, 2)]),
            Piece::of(20, usize::MAX, vec![phrase(21, 22, 3)]),
        ];
        assert_eq!(
            shape(by_value(pieces, &text)),
            [
                (1, 4, vec![(0, vec![(1, 2), (2, 3)]), (1, vec![(2, 3)])]),
                (8, 10, vec![(1, vec![(8, 9)])]),
                (16, 19, vec![(2, vec![(16, 17), (17, 18)])]),
                (20, 24, vec![(3, vec![(21, 22), (22, 23)])]),
            ]
        );
    }
}
