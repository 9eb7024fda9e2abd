//! The ways to read the tokens of a text, where some stand for several others. Source: Elasticsearch reference, "Token
//! graphs".

use ringwall_api::ApiError;
use tantivy::tokenizer::Token;

use crate::shard::Shard;

/// Words one after the other, with their places in the phrase that they are.
pub(super) type Way = Vec<(usize, String)>;

/// Tokens between two places that every way passes, and the ways from the one to the other.
pub(super) struct Segment {
    pub(super) ways: Vec<Way>,
    /// Places before it that have no words.
    hole: usize,
}

impl Segment {
    /// Returns the words, if each way is one.
    pub(super) fn words(&self) -> Option<Vec<&str>> {
        let words = self.ways.iter().map(|way| match way.as_slice() {
            [(_, word)] => Some(word.as_str()),
            _ => None,
        });
        words.collect()
    }
}

/// Divides tokens at the places that every way passes.
///
/// # Errors
/// There are more ways than a query may have clauses.
pub(super) fn segments(shard: &Shard<'_>, tokens: &[Token]) -> Result<Vec<Segment>, ApiError> {
    let mut segments = Vec::new();
    let mut rest = tokens;
    let mut begin = tokens.first().map_or(0, |token| token.position);
    while let Some(first) = rest.first() {
        let hole = first.position.saturating_sub(begin);
        let mut end = first.position + 1;
        let mut count = 0;
        while let Some(token) = rest.get(count).filter(|token| token.position < end) {
            end = end.max(token.position + token.position_length.max(1));
            count += 1;
        }
        let (part, after) = rest.split_at(count);
        let ways = match part {
            [one] => vec![vec![(0, one.text.clone())]],
            part => ways(shard, part, end)?,
        };
        segments.push(Segment { ways, hole });
        (rest, begin) = (after, end);
    }
    Ok(segments)
}

/// Returns the ways through all tokens.
///
/// # Errors
/// As [`segments`].
pub(super) fn whole(shard: &Shard<'_>, tokens: &[Token]) -> Result<Vec<Way>, ApiError> {
    let segments = segments(shard, tokens)?;
    let counts = segments.iter().map(|segment| segment.ways.len());
    let count = counts.fold(1_usize, usize::saturating_mul);
    if count > 1 {
        shard.check_clauses(count.saturating_mul(segments.len()))?;
    }
    let mut begun = vec![Way::new()];
    for segment in segments {
        let longer = begun.iter().flat_map(|way| {
            let next = way.last().map_or(0, |(place, _)| place + 1) + segment.hole;
            segment.ways.iter().map(move |further| {
                let further = further
                    .iter()
                    .map(|(place, word)| (next + place, word.clone()));
                way.iter().cloned().chain(further).collect()
            })
        });
        begun = match (begun.len(), segment.ways.as_slice()) {
            // Without a choice nothing is copied.
            (1, [only]) => {
                let mut way = begun.remove(0);
                let next = way.last().map_or(0, |(place, _)| place + 1) + segment.hole;
                way.extend(
                    only.iter()
                        .map(|(place, word)| (next + place, word.clone())),
                );
                vec![way]
            }
            _ => longer.collect(),
        };
    }
    Ok(begun)
}

/// Goes from the first place of a segment to its end on every way.
fn ways(shard: &Shard<'_>, tokens: &[Token], end: usize) -> Result<Vec<Way>, ApiError> {
    let begin = tokens.first().map_or(0, |token| token.position);
    // Where each way has come to, and its place in the phrase.
    let mut begun: Vec<(usize, usize, Way)> = vec![(begin, 0, Way::new())];
    let mut whole = Vec::new();
    while let Some((at, place, way)) = begun.pop() {
        shard.pulse.proceed()?;
        shard.check_clauses(whole.len() + begun.len() + 1)?;
        // Where words were left out there is a hole.
        let after = tokens.partition_point(|token| token.position < at);
        let Some(next) = tokens.get(after).filter(|_| at < end) else {
            whole.push(way);
            continue;
        };
        let next = next.position;
        let here = tokens[after..].iter();
        let here: Vec<&Token> = here.take_while(|token| token.position == next).collect();
        for token in here.into_iter().rev() {
            let place = place + (next - at);
            let mut longer = way.clone();
            longer.push((place, token.text.clone()));
            let to = next + token.position_length.max(1);
            begun.push((to, place + 1, longer));
        }
    }
    Ok(whole)
}
