//! Whether everything that some patterns match is matched by others: what "has this right on `logs-*`" asks.
//!
//! Decided exactly, over the deterministic automata of the patterns: no text reaches states in which the first match
//! and the others do not.

use std::cell::Cell;
use std::collections::HashSet;

use regex_automata::Anchored;
use regex_automata::dfa::dense::{Config, DFA};
use regex_automata::dfa::{Automaton, StartKind};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::util::syntax;

use ringwall_api::{ApiError, ApiResult};

use super::pattern::Pattern;

/// What the questions of one request have taken together, in steps of the automata.
#[derive(Debug, Default)]
pub struct Effort {
    taken: Cell<u64>,
}

impl Effort {
    /// Takes some. Returns whether there was as much left.
    fn take(&self, steps: usize) -> bool {
        let taken = self.taken.get().saturating_add(steps as u64);
        self.taken.set(taken);
        taken <= MAX_EFFORT
    }

    /// Refuses to go on when all has been taken.
    ///
    /// # Errors
    /// 400, for the patterns are too complicated.
    pub fn check(&self) -> ApiResult<()> {
        match self.taken.get() <= MAX_EFFORT {
            true => Ok(()),
            false => Err(ApiError::illegal_argument(
                "the patterns that were asked about are too complicated to compare with those of the roles; ask about names, or \
                 about fewer or simpler patterns",
            )),
        }
    }
}

/// Returns whether no text at all makes `is_wanted` true, which is given for each of the patterns whether it matches
/// the text. What is too complicated to tell within a bounded effort counts as such a text.
pub fn nothing_is(
    patterns: &[&Pattern],
    effort: &Effort,
    is_wanted: impl Fn(&[bool]) -> bool,
) -> bool {
    // To build one costs as much as to run through some thousand states.
    if !effort.take(patterns.len().saturating_mul(COST_OF_AUTOMATON)) {
        return false;
    }
    let automata: Option<Vec<Anchor>> = patterns.iter().map(|p| Anchor::new(p)).collect();
    let Some(automata) = automata else {
        // Not known is not no.
        effort.take(usize::MAX);
        return false;
    };
    let bytes = representatives(&automata);
    let Some(start) = automata.iter().map(Anchor::start).collect() else {
        return false;
    };
    let mut seen: HashSet<Vec<StateID>> = HashSet::from([start]);
    let mut open: Vec<Vec<StateID>> = seen.iter().cloned().collect();
    while let Some(states) = open.pop() {
        if !effort.take(bytes.len().saturating_mul(automata.len())) {
            return false;
        }
        let matched: Vec<bool> = automata
            .iter()
            .zip(&states)
            .map(|(automaton, state)| automaton.matches(*state))
            .collect();
        if is_wanted(&matched) {
            return false;
        }
        for byte in &bytes {
            let next: Vec<StateID> = automata
                .iter()
                .zip(&states)
                .map(|(automaton, state)| automaton.dfa.next_state(*state, *byte))
                .collect();
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
        if seen.len() > MAX_STATES {
            effort.take(usize::MAX);
            return false;
        }
    }
    true
}

struct Anchor {
    dfa: DFA<Vec<u32>>,
    negated: bool,
}

impl Anchor {
    /// `None` for one that takes too much.
    fn new(pattern: &Pattern) -> Option<Self> {
        let config = Config::new()
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(MAX_BYTES))
            .determinize_size_limit(Some(MAX_BYTES));
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().dot_matches_new_line(true))
            .build(&format!("(?:{})$", pattern.as_regex()))
            .ok()?;
        let negated = matches!(pattern, Pattern::Regex { negated: true, .. });
        Some(Self { dfa, negated })
    }

    fn start(&self) -> Option<StateID> {
        let from = start::Config::new().anchored(Anchored::Yes);
        self.dfa.start_state(&from).ok()
    }

    /// Returns whether the text that led here is matched, if it ends here.
    fn matches(&self, state: StateID) -> bool {
        let end = self.dfa.next_eoi_state(state);
        self.dfa.is_match_state(end) != self.negated
    }
}

/// One byte of each class that all automata treat alike.
fn representatives(automata: &[Anchor]) -> Vec<u8> {
    let mut classes = HashSet::new();
    (0..=u8::MAX)
        .filter(|byte| {
            let class: Vec<u8> = automata
                .iter()
                .map(|automaton| automaton.dfa.byte_classes().get(*byte))
                .collect();
            classes.insert(class)
        })
        .collect()
}

/// Combined states that are looked at.
const MAX_STATES: usize = 5_000;
/// Of one automaton.
const MAX_BYTES: usize = 1 << 17;
const COST_OF_AUTOMATON: usize = 2_000;
/// Of one request: some tens of milliseconds.
const MAX_EFFORT: u64 = 4_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn included(inner: &str, outer: &[&str]) -> bool {
        let inner = Pattern::parse(inner).unwrap();
        let outer: Vec<Pattern> = outer.iter().map(|p| Pattern::parse(p).unwrap()).collect();
        let all: Vec<&Pattern> = std::iter::once(&inner).chain(&outer).collect();
        nothing_is(&all, &Effort::default(), |matched| {
            matched[0] && !matched[1..].contains(&true)
        })
    }

    #[test]
    fn patterns_within_patterns() {
        for (inner, outer, expected) in [
            ("logs-1", &["logs-*"][..], true),
            ("logs-*", &["logs-*"], true),
            ("logs*", &["logs-*"], false),
            ("*", &["logs-*"], false),
            ("re*", &["/re.*/"], true),
            ("r*", &["/re.*/"], false),
            ("x?", &["x*"], true),
            ("x*", &["x?", "x"], false),
            // Together they cover what none covers alone.
            ("a?", &["/a[^b]/", "ab"], true),
            ("*", &["/~(a.*)/", "a*"], true),
            ("*", &["/~(a.*)/", "b*"], false),
            ("a\\*", &["a*"], true),
            ("a*", &["a\\*"], false),
            ("", &["*"], true),
            ("ä*", &["?*"], true),
        ] {
            assert_eq!(included(inner, outer), expected, "{inner} in {outer:?}");
        }
    }

    #[test]
    fn what_is_too_complicated_is_not_included() {
        let wild = format!("*{}", "?".repeat(40));
        assert!(!included(&wild, &[&format!("*a{}", "?".repeat(40))]));
    }

    proptest! {
        /// What is included matches nothing that the others do not.
        #[test]
        fn inclusion_agrees_with_matching(inner in "[ab*?]{0,5}", outer in "[ab*?]{0,5}", text in "[ab]{0,6}") {
            let is_included = included(&inner, &[&outer]);
            let matches = |pattern: &str| Pattern::parse(pattern).unwrap().matches(&text);
            prop_assert!(!(is_included && matches(&inner) && !matches(&outer)));
        }
    }
}
