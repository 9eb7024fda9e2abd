//! "Did you mean": the known name nearest to a misspelt one.

/// Returns up to three of `known` that differ from `name` by few edits, nearest first.
///
/// The bound grows with the length of the name: one edit in four characters, at most six.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let bound = (name.chars().count() / 4).clamp(1, 6);
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .collect();
    close.sort_unstable();
    close.dedup();
    close.truncate(3);
    close.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Returns the Levenshtein distance between two texts, in characters.
pub fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_prefers_fewer_edits_and_ignores_strangers() {
        let known = ["cluster.name", "node.name", "http.port", "path.data"];
        assert_eq!(nearest("cluster.nam", known), ["cluster.name"]);
        assert_eq!(nearest("nodename", known), ["node.name"]);
        assert!(nearest("completely.different", known).is_empty());
    }
}
