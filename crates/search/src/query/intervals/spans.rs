//! Minimal intervals of positions, and what rules make of them. Source: C. Clarke, G. Cormack, F. Burkowski, "An Algebra for
//! Structured Text Search and a Framework for its Implementation" (1995), and the javadoc of Lucene's `Intervals`.
//!
//! A list of intervals is in order of their starts, and none holds another, so it is in order of their ends too.

use crate::control::Beat;

/// Positions from `start` to `end`, both within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Positions within that none of its parts has.
    pub(super) gaps: u32,
}

impl Span {
    fn of(start: u32, end: u32, filled: u32) -> Self {
        let gaps = (end - start + 1).saturating_sub(filled);
        Self { start, end, gaps }
    }

    pub(super) fn width(self) -> u32 {
        self.end - self.start + 1
    }

    fn holds(self, other: Self) -> bool {
        self.start <= other.start && self.end >= other.end
    }

    fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Where a word stands.
pub(super) fn positions(positions: &[u32]) -> Vec<Span> {
    let spans = positions.iter().map(|at| Span::of(*at, *at, 1));
    spans.collect()
}

/// Where any of them is; the shorter of two, one of which holds the other.
pub(super) fn union(lists: Vec<Vec<Span>>, beat: &mut Beat) -> Vec<Span> {
    let mut all: Vec<Span> = match <[Vec<Span>; 1]>::try_from(lists) {
        Ok([only]) => return only,
        Err(lists) => lists.into_iter().flatten().collect(),
    };
    beat.steps(steps(all.len()));
    // Of those with one start the shortest is the last.
    all.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut least: Vec<Span> = Vec::with_capacity(all.len());
    for span in all {
        while least.last().is_some_and(|before| before.end >= span.end) {
            least.pop();
        }
        least.push(span);
    }
    least
}

/// Where one of each list follows the one of the list before.
pub(super) fn ordered(lists: &[Vec<Span>], beat: &mut Beat) -> Vec<Span> {
    let Some((first, rest)) = lists.split_first() else {
        return Vec::new();
    };
    let mut at = vec![0; rest.len()];
    let mut found: Vec<Span> = Vec::new();
    for begin in first {
        let (mut end, mut filled) = (begin.end, begin.width());
        for (list, at) in rest.iter().zip(&mut at) {
            let follows = |span: &&Span| span.start > end;
            // Whoever begins later has its followers no earlier.
            let skipped = list[*at..].iter().take_while(|span| !follows(span)).count();
            *at += skipped;
            if !beat.steps(steps(skipped)) {
                return found;
            }
            let Some(next) = list.get(*at) else {
                return found;
            };
            (end, filled) = (next.end, filled + next.width());
        }
        if found.last().is_some_and(|before| before.end == end) {
            found.pop();
        }
        found.push(Span::of(begin.start, end, filled));
    }
    found
}

/// Where one of each list is, in any order.
pub(super) fn unordered(lists: &[Vec<Span>], beat: &mut Beat) -> Vec<Span> {
    let mut at = vec![0; lists.len()];
    let mut found: Vec<Span> = Vec::new();
    loop {
        let now: Option<Vec<Span>> = lists
            .iter()
            .zip(&at)
            .map(|(list, at)| list.get(*at).copied())
            .collect();
        let Some(now) = now.filter(|now| !now.is_empty()) else {
            return found;
        };
        if !beat.steps(steps(lists.len())) {
            return found;
        }
        let (mut least, mut end, mut filled) = (0, 0, 0);
        for (place, span) in now.iter().enumerate() {
            if (span.start, span.end) < (now[least].start, now[least].end) {
                least = place;
            }
            end = end.max(span.end);
            filled += span.width();
        }
        let span = Span::of(now[least].start, end, filled);
        // As long as it does not grow to the right it becomes shorter from the left.
        if found.last().is_some_and(|before| before.end == end) {
            found.pop();
        }
        if found.last().is_none_or(|before| before.start < span.start) {
            found.push(span);
        }
        at[least] += 1;
    }
}

/// Where so many of one list follow one another.
pub(super) fn repeated(list: &[Span], times: usize) -> Vec<Span> {
    let windows = list.windows(times.max(1)).map(|window| {
        let filled = window.iter().map(|span| span.width()).sum();
        Span::of(window[0].start, window[window.len() - 1].end, filled)
    });
    windows.collect()
}

/// How intervals stand to those of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    After,
    Before,
    ContainedBy,
    Containing,
    NotContainedBy,
    NotContaining,
    NotOverlapping,
    Overlapping,
}

impl Relation {
    /// By the name in a request.
    pub(super) const NAMES: [(&'static str, Self); 8] = [
        ("after", Self::After),
        ("before", Self::Before),
        ("contained_by", Self::ContainedBy),
        ("containing", Self::Containing),
        ("not_contained_by", Self::NotContainedBy),
        ("not_containing", Self::NotContaining),
        ("not_overlapping", Self::NotOverlapping),
        ("overlapping", Self::Overlapping),
    ];

    /// Whether it needs an interval of the filter to be there.
    pub(super) fn is_positive(self) -> bool {
        !matches!(
            self,
            Self::NotContainedBy | Self::NotContaining | Self::NotOverlapping
        )
    }
}

/// Keeps the intervals that stand so to any of the others, or to none for a negative relation.
pub(super) fn related(
    spans: Vec<Span>,
    relation: Relation,
    others: &[Span],
    beat: &mut Beat,
) -> Vec<Span> {
    beat.steps(steps(spans.len() + others.len()));
    let kept = spans.into_iter().filter(|span| {
        // The first that ends at or after the start, the first that starts at or after it.
        let by_end = others.partition_point(|other| other.end < span.start);
        let by_start = others.partition_point(|other| other.start < span.start);
        let near = |place: usize| others.get(place).copied();
        match relation {
            Relation::After => others.first().is_some_and(|other| other.end < span.start),
            Relation::Before => others.last().is_some_and(|other| other.start > span.end),
            Relation::Overlapping => near(by_end).is_some_and(|other| span.overlaps(other)),
            Relation::NotOverlapping => !near(by_end).is_some_and(|other| span.overlaps(other)),
            Relation::Containing => near(by_start).is_some_and(|other| span.holds(other)),
            Relation::NotContaining => !near(by_start).is_some_and(|other| span.holds(other)),
            Relation::ContainedBy => is_held(*span, others),
            Relation::NotContainedBy => !is_held(*span, others),
        }
    });
    kept.collect()
}

fn is_held(span: Span, others: &[Span]) -> bool {
    // Of those that start in time the last ends last.
    let until = others.partition_point(|other| other.start <= span.start);
    until > 0 && others[until - 1].holds(span)
}

fn steps(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::control::{Pulse, Unlimited};

    fn beat() -> Beat {
        Pulse::new(Arc::new(Unlimited)).beat()
    }

    fn ends(spans: &[Span]) -> Vec<(u32, u32)> {
        spans.iter().map(|span| (span.start, span.end)).collect()
    }

    /// Every choice of one from each list.
    fn choices(lists: &[Vec<u32>]) -> Vec<Vec<u32>> {
        lists.iter().fold(vec![Vec::new()], |chosen, list| {
            let with = |one: &Vec<u32>| {
                let one = one.clone();
                list.iter().map(move |at| [one.as_slice(), &[*at]].concat())
            };
            chosen.iter().flat_map(with).collect()
        })
    }

    /// Those that hold no other.
    fn minimal(all: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
        let all: std::collections::BTreeSet<(u32, u32)> = all.collect();
        let holds = |a: (u32, u32), b: (u32, u32)| a != b && a.0 <= b.0 && a.1 >= b.1;
        let least = |a: &&(u32, u32)| !all.iter().any(|b| holds(**a, *b));
        all.iter().filter(least).copied().collect()
    }

    fn lists() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let list = proptest::collection::btree_set(0u32..24, 0..7);
        let list = list.prop_map(|set| set.into_iter().collect());
        proptest::collection::vec(list, 1..4)
    }

    proptest! {
        #[test]
        fn they_are_what_trying_everything_finds(lists in lists(), other in lists()) {
            let spans: Vec<Vec<Span>> = lists.iter().map(|list| positions(list)).collect();
            let all = choices(&lists);
            let extent = |one: &Vec<u32>| (*one.iter().min().unwrap(), *one.iter().max().unwrap());
            let in_any = minimal(all.iter().map(extent));
            prop_assert_eq!(ends(&unordered(&spans, &mut beat())), in_any);
            let ascending = |one: &&Vec<u32>| one.windows(2).all(|two| two[0] < two[1]);
            let in_order = ordered(&spans, &mut beat());
            prop_assert_eq!(ends(&in_order), minimal(all.iter().filter(ascending).map(extent)));
            let words = u32::try_from(lists.len()).unwrap();
            prop_assert!(in_order.iter().all(|span| span.gaps == span.width() - words));
            // Of intervals, not of positions.
            let others: Vec<Vec<Span>> = other.iter().map(|list| positions(list)).collect();
            let others = unordered(&others, &mut beat());
            let both = union(vec![in_order.clone(), others.clone()], &mut beat());
            let every = in_order.iter().chain(&others).map(|span| (span.start, span.end));
            prop_assert_eq!(ends(&both), minimal(every));
            for (_, relation) in Relation::NAMES {
                let stands = |span: &Span, other: &Span| match relation {
                    Relation::After => other.end < span.start,
                    Relation::Before => span.end < other.start,
                    Relation::ContainedBy | Relation::NotContainedBy => other.holds(*span),
                    Relation::Containing | Relation::NotContaining => span.holds(*other),
                    Relation::Overlapping | Relation::NotOverlapping => span.overlaps(*other),
                };
                let kept = related(in_order.clone(), relation, &others, &mut beat());
                let expected = in_order.iter().filter(|span| {
                    others.iter().any(|other| stands(span, other)) == relation.is_positive()
                });
                prop_assert_eq!(kept, expected.copied().collect::<Vec<_>>(), "{:?}", relation);
            }
        }
    }

    #[test]
    fn a_word_that_is_asked_for_twice_stands_twice() {
        let list = positions(&[1, 2, 7]);
        assert_eq!(ends(&repeated(&list, 2)), [(1, 2), (2, 7)]);
        assert_eq!(repeated(&list, 2)[1].gaps, 4);
        assert_eq!(ends(&repeated(&list, 4)), []);
    }
}
