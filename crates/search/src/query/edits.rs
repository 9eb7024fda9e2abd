//! Edit distance between terms, as fuzzy queries count it.

/// Returns the number of edits between two terms if it is at most `most`: insertions, deletions,
/// substitutions and, if `transpositions`, swaps of neighbours.
pub(super) fn distance(
    wanted: &[char],
    term: &str,
    most: usize,
    transpositions: bool,
) -> Option<usize> {
    let term: Vec<char> = term.chars().take(wanted.len() + most + 1).collect();
    if term.len() > wanted.len() + most || wanted.len() > term.len() + most {
        return None;
    }
    let width = term.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut previous: Vec<usize> = (0..width).collect();
    let mut current: Vec<usize> = vec![0; width];
    for (i, w) in wanted.iter().enumerate() {
        current[0] = i + 1;
        let mut least = current[0];
        for (j, t) in term.iter().enumerate() {
            let mut cost = (previous[j] + usize::from(w != t))
                .min(previous[j + 1] + 1)
                .min(current[j] + 1);
            if transpositions && i > 0 && j > 0 && *w == term[j - 1] && wanted[i - 1] == *t {
                cost = cost.min(before[j - 1] + 1);
            }
            current[j + 1] = cost;
            least = least.min(cost);
        }
        if least > most {
            return None;
        }
        std::mem::swap(&mut before, &mut previous);
        std::mem::swap(&mut previous, &mut current);
    }
    let found = previous[term.len()];
    (found <= most).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, transpositions, expected) in [
            ("quick", "quick", true, Some(0)),
            ("quick", "quikc", true, Some(1)),
            ("quick", "quikc", false, Some(2)),
            ("quick", "quck", true, Some(1)),
            ("quick", "qick", true, Some(1)),
            ("quick", "quickly", true, Some(2)),
            ("quick", "slow", true, None),
            ("", "ab", true, Some(2)),
            ("héllo", "hello", true, Some(1)),
        ] {
            let wanted: Vec<char> = left.chars().collect();
            assert_eq!(
                distance(&wanted, right, 2, transpositions),
                expected,
                "{right}"
            );
        }
    }
}
