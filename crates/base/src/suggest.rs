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

/// Returns up to five of `known` that are like `name`, the most like first: of the characters of the longer one
/// at most three in ten must change. For long names with a common beginning, where [`nearest`] is too strict.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let length = name.chars().count();
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .filter(|(distance, candidate)| distance * 10 < length.max(candidate.chars().count()) * 3)
        .collect();
    close.sort_unstable();
    close.dedup();
    close.truncate(5);
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

    #[test]
    fn similar_are_up_to_five_of_which_most_is_the_same() {
        let known = [
            "a.b.c.1", "a.b.c.2", "a.b.c.3", "a.b.c.4", "a.b.c.5", "a.b.c", "x",
        ];
        let found = similar("a.b.cc", known);
        assert_eq!(found, ["a.b.c", "a.b.c.1", "a.b.c.2", "a.b.c.3", "a.b.c.4"]);
        assert!(similar("0123456789", ["0123456xyz"]).is_empty());
        assert_eq!(similar("0123456789", ["01234567yz"]), ["01234567yz"]);
    }
}
