//! The `unified` highlighter: sentences around the matches, the best by a score as of small documents. Source: Lucene's
//! `UnifiedHighlighter` and `PassageScorer`; what Elasticsearch adds was found by asking it.

use std::collections::HashMap;

use super::breaks;
use super::markup::Markup;
use super::request::{Boundaries, Options};
use super::text::{FieldText, Match, Value};

/// Returns the fragments.
///
/// `frequency` tells how often what a match is of stands in the text, as scores count it.
pub(super) fn fragments(
    text: &FieldText,
    found: &[Match],
    options: &Options,
    frequency: impl Fn(usize) -> u32,
) -> Vec<String> {
    let markup = Markup::new(options);
    let mut passages = passages(text, found, options, frequency);
    if passages.is_empty() {
        return without_match(text, options, &markup).into_iter().collect();
    }
    if options.by_score {
        passages.sort_by(|one, two| two.score.total_cmp(&one.score));
    }
    let shown = passages.iter().map(|passage| passage.show(text, &markup));
    shown
        .filter(|fragment| fragment.chars().any(|c| !c.is_whitespace()))
        .collect()
}

/// A piece of a value with matches.
struct Passage {
    value: usize,
    start: usize,
    end: usize,
    matches: Vec<Match>,
    score: f32,
}

fn passages(
    text: &FieldText,
    found: &[Match],
    options: &Options,
    frequency: impl Fn(usize) -> u32,
) -> Vec<Passage> {
    let most = match options.number_of_fragments {
        0 => usize::MAX,
        number => usize::try_from(number).unwrap_or(0),
    };
    let mut all: Vec<Passage> = Vec::new();
    let mut cutter: Option<(usize, Cutter)> = None;
    // A word that a char filter puts in place of others may stand for nothing of the text.
    for one in found.iter().filter(|one| one.start < one.end) {
        if let Some(last) = all.last_mut()
            && one.start < last.end
        {
            last.matches.push(*one);
            continue;
        }
        let value = text
            .values
            .partition_point(|value| value.end() <= one.start);
        let Some(whole) = text.values.get(value) else {
            break;
        };
        if cutter.as_ref().is_none_or(|(of, _)| *of != value) {
            cutter = Some((value, Cutter::new(whole, options)));
        }
        let Some((_, cutter)) = &mut cutter else {
            break;
        };
        let (start, end) = (
            one.start.saturating_sub(whole.start),
            one.end.min(whole.end()).saturating_sub(whole.start),
        );
        let (start, end) = cutter.around(start, end);
        all.push(Passage {
            value,
            start: whole.start + start,
            end: whole.start + end,
            matches: vec![*one],
            score: 0.0,
        });
    }
    for passage in &mut all {
        passage.score = score(passage, text.length(), &frequency);
    }
    best(all, most)
}

/// The best, in the order of the text. Of equal ones the later stay, as in Lucene.
fn best(mut passages: Vec<Passage>, most: usize) -> Vec<Passage> {
    if passages.len() > most {
        passages.sort_by(|one, two| {
            let by_score = two.score.total_cmp(&one.score);
            by_score.then(two.start.cmp(&one.start))
        });
        passages.truncate(most);
        passages.sort_by_key(|passage| passage.start);
    }
    passages
}

const K1: f32 = 1.2;
const B: f32 = 0.75;
/// The length that a passage is taken to have.
const PIVOT: f32 = 87.0;

fn score(passage: &Passage, content: usize, frequency: impl Fn(usize) -> u32) -> f32 {
    let mut in_passage: HashMap<usize, u32> = HashMap::new();
    for one in &passage.matches {
        *in_passage.entry(one.of).or_default() += 1;
    }
    let mut of: Vec<(usize, u32)> = in_passage.into_iter().collect();
    of.sort_unstable();
    let documents = 1.0 + content as f32 / PIVOT;
    let length = (passage.end - passage.start) as f32;
    let norm = K1 * ((1.0 - B) + B * (length / PIVOT));
    let sum: f32 = of
        .into_iter()
        .map(|(of, times)| {
            let rarity = 1.0 + (documents + 0.5) / (frequency(of) as f32 + 0.5);
            let weight = (K1 + 1.0) * rarity.ln();
            weight * times as f32 / (times as f32 + norm)
        })
        .sum();
    sum * (1.0 + 1.0 / (PIVOT + passage.start as f32).ln())
}

impl Passage {
    fn show(&self, text: &FieldText, markup: &Markup<'_>) -> String {
        let value = &text.values[self.value];
        let piece = |from: usize, to: usize| {
            let to = to.min(value.end()).max(from);
            &value.chars[from - value.start..to - value.start]
        };
        let mut shown = String::new();
        let mut at = self.start;
        let mut matches = self.matches.iter().peekable();
        while let Some(one) = matches.next() {
            let mut end = one.end;
            // Matches that lie over one another are one.
            while let Some(next) = matches.next_if(|next| next.start < end) {
                end = end.max(next.end);
            }
            let (start, end) = (one.start.max(at), end.min(self.end));
            if start >= end {
                continue;
            }
            markup.plain(piece(at, start), &mut shown);
            markup.marked(piece(start, end), 0, &mut shown);
            at = end;
        }
        markup.plain(piece(at, self.end.max(at)), &mut shown);
        shown.trim_matches(|c: char| c <= ' ').to_owned()
    }
}

fn without_match(text: &FieldText, options: &Options, markup: &Markup<'_>) -> Option<String> {
    let size = usize::try_from(options.no_match_size)
        .ok()
        .filter(|size| *size > 0)?;
    let value = text.values.iter().find(|value| !value.chars.is_empty())?;
    let end = match size < value.chars.len() {
        true => following(&breaks::words(&value.chars), size).unwrap_or(value.chars.len()),
        false => value.chars.len(),
    };
    let mut shown = String::new();
    markup.plain(&value.chars[..end], &mut shown);
    let shown = shown.trim_matches(|c: char| c <= ' ');
    (!shown.is_empty()).then(|| shown.to_owned())
}

fn following(breaks: &[usize], at: usize) -> Option<usize> {
    breaks.get(breaks.partition_point(|b| *b <= at)).copied()
}

fn preceding(breaks: &[usize], at: usize) -> Option<usize> {
    breaks
        .partition_point(|b| *b < at)
        .checked_sub(1)
        .map(|place| breaks[place])
}

/// Cuts one value into passages. Offsets are within the value.
enum Cutter {
    Whole(usize),
    At(Vec<usize>),
    Bounded(Bounded),
}

impl Cutter {
    fn new(value: &Value, options: &Options) -> Self {
        let length = value.chars.len();
        if options.number_of_fragments == 0 {
            return Self::Whole(length);
        }
        if options.boundaries == Some(Boundaries::Word) {
            return Self::At(breaks::words(&value.chars));
        }
        let sentences = breaks::sentences(&value.chars);
        match usize::try_from(options.fragment_size) {
            Ok(most) if most > 0 => Self::Bounded(Bounded {
                sentences,
                words: breaks::words(&value.chars),
                length,
                most,
                window: None,
                inner_end: 0,
            }),
            _ => Self::At(sentences),
        }
    }

    /// Returns the passage of a match. Matches come in order, none begins within the passage before.
    fn around(&mut self, first: usize, last: usize) -> (usize, usize) {
        let middle = usize::midpoint(first, last);
        let (start, end) = match self {
            Self::Whole(length) => (0, *length),
            Self::At(breaks) => {
                let start = preceding(breaks, middle + 1).unwrap_or(0);
                let end = following(breaks, last.saturating_sub(1));
                (start, end.or(breaks.last().copied()).unwrap_or(last))
            }
            Self::Bounded(bounded) => {
                let (start, end) = bounded.around(middle);
                bounded.inner_end = end.max(last);
                (start, end)
            }
        };
        (start.min(first), end.max(last))
    }
}

/// Sentences, several if they are short, a part of one if it is long.
struct Bounded {
    sentences: Vec<usize>,
    words: Vec<usize>,
    length: usize,
    most: usize,
    /// The sentences that are being cut.
    window: Option<(usize, usize)>,
    /// Where the last passage ended.
    inner_end: usize,
}

impl Bounded {
    /// `at` is the middle of a match.
    fn around(&mut self, at: usize) -> (usize, usize) {
        let offset = at + 1;
        let inside = self
            .window
            .filter(|(start, end)| offset > *start && offset < *end);
        let (mut start, mut end) = match inside {
            Some((_, end)) => (self.inner_end, end),
            None => {
                let start = preceding(&self.sentences, offset).unwrap_or(0);
                let mut end = following(&self.sentences, at).unwrap_or(self.length);
                while end - start < self.most {
                    match following(&self.sentences, end) {
                        Some(next) if next - start <= self.most => end = next,
                        _ => break,
                    }
                }
                self.window = Some((start, end));
                (start, end)
            }
        };
        if end.saturating_sub(start) > self.most {
            // Too long: from the match to the left, and what is left of the size to the right.
            if at > start + self.most {
                let left = preceding(&self.words, at - self.most).unwrap_or(0);
                start = start.max(left);
            }
            let rest = self.most.saturating_sub(at.saturating_sub(start));
            if at + rest < end {
                end = following(&self.words, at + rest).unwrap_or(self.length);
            }
        }
        (start, end)
    }
}
