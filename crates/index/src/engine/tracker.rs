//! Which sequence numbers a copy has, and under which terms. Source: elastic/elasticsearch-formal-models,
//! `replication.tla`.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_base::{SeqNo, Term};

/// Computes the local checkpoint: the highest number below which nothing is missing.
#[derive(Debug, Clone)]
pub(crate) struct LocalCheckpointTracker {
    checkpoint: SeqNo,
    /// Marked numbers above the checkpoint with a gap before them.
    above: BTreeSet<SeqNo>,
    max: SeqNo,
}

impl LocalCheckpointTracker {
    pub(crate) fn new(checkpoint: SeqNo) -> Self {
        Self {
            checkpoint,
            above: BTreeSet::new(),
            max: checkpoint,
        }
    }

    pub(crate) fn checkpoint(&self) -> SeqNo {
        self.checkpoint
    }

    /// The highest number marked.
    #[cfg(test)]
    pub(crate) fn max(&self) -> SeqNo {
        self.max
    }

    pub(crate) fn contains(&self, seq_no: SeqNo) -> bool {
        seq_no <= self.checkpoint || self.above.contains(&seq_no)
    }

    pub(crate) fn mark(&mut self, seq_no: SeqNo) {
        self.max = self.max.max(seq_no);
        if seq_no <= self.checkpoint {
            return;
        }
        if seq_no > self.checkpoint + 1 {
            self.above.insert(seq_no);
            return;
        }
        self.checkpoint = seq_no;
        while self.above.first() == Some(&(self.checkpoint + 1)) {
            self.above.pop_first();
            self.checkpoint += 1;
        }
    }

    /// Numbers up to `last` that are not marked.
    pub(crate) fn missing_up_to(&self, last: SeqNo) -> Vec<SeqNo> {
        (self.checkpoint + 1..=last)
            .filter(|seq_no| !self.above.contains(seq_no))
            .collect()
    }
}

/// The term of each operation above the global checkpoint, as runs of equal terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct TermRuns {
    /// First number to last number and term; runs do not overlap.
    runs: BTreeMap<SeqNo, (SeqNo, Term)>,
}

impl TermRuns {
    pub(crate) fn get(&self, seq_no: SeqNo) -> Option<Term> {
        let (_, (last, term)) = self.runs.range(..=seq_no).next_back()?;
        (seq_no <= *last).then_some(*term)
    }

    /// Records an operation whose number has no term yet.
    pub(crate) fn insert(&mut self, seq_no: SeqNo, term: Term) {
        let mut first = seq_no;
        let mut last = seq_no;
        if let Some((start, (end, before))) = self.runs.range(..seq_no).next_back()
            && *end + 1 == seq_no
            && *before == term
        {
            first = *start;
        }
        if let Some((end, after)) = self.runs.get(&(seq_no + 1)).copied()
            && after == term
        {
            self.runs.remove(&(seq_no + 1));
            last = end;
        }
        self.runs.insert(first, (last, term));
    }

    /// Forgets everything up to and including a number.
    pub(crate) fn forget_to(&mut self, checkpoint: SeqNo) {
        while let Some(entry) = self.runs.first_entry() {
            if *entry.key() > checkpoint {
                return;
            }
            let (last, term) = entry.remove();
            if last > checkpoint {
                self.runs.insert(checkpoint + 1, (last, term));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checkpoint_waits_for_gaps() {
        let mut tracker = LocalCheckpointTracker::new(-1);
        for seq_no in [0, 2, 3, 5] {
            tracker.mark(seq_no);
        }
        assert_eq!((tracker.checkpoint(), tracker.max()), (0, 5));
        assert_eq!(tracker.missing_up_to(6), [1, 4, 6]);
        tracker.mark(1);
        assert_eq!(tracker.checkpoint(), 3);
        assert!(tracker.contains(5) && !tracker.contains(4));
    }

    proptest! {
        #[test]
        fn terms_are_those_inserted(
            order in Just((0..40i64).collect::<Vec<_>>()).prop_shuffle(),
            terms in proptest::collection::vec(1..4u64, 40),
            cut in -1..40i64,
        ) {
            let mut runs = TermRuns::default();
            for seq_no in &order[..30] {
                runs.insert(*seq_no, terms[*seq_no as usize]);
            }
            runs.forget_to(cut);
            for seq_no in 0..40i64 {
                let expected = (order[..30].contains(&seq_no) && seq_no > cut)
                    .then(|| terms[seq_no as usize]);
                prop_assert_eq!(runs.get(seq_no), expected);
            }
        }
    }
}
