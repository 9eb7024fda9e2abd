//! Text that char filters have changed, with where each part of it was.

use super::run::Run;

/// A text made of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapped {
    pub text: String,
    /// What each part of the text stands for, in order. Empty: the text itself.
    parts: Vec<Part>,
    /// Bytes of the text that it was made of.
    source_length: usize,
}

/// A part of a changed text, up to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Where it begins, in the changed text and in the source.
    at: usize,
    source: usize,
    /// Where what it stands for ends in the source; `None` for a part that is as it was.
    source_end: Option<usize>,
}

impl Mapped {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            parts: Vec::new(),
            source_length: text.len(),
        }
    }

    /// Returns where a place of the text was in the source, in bytes.
    pub(super) fn source_of(&self, at: usize) -> usize {
        let after = self.parts.partition_point(|part| part.at <= at);
        let Some(part) = after.checked_sub(1).map(|index| self.parts[index]) else {
            return at;
        };
        let source = part.source + (at - part.at);
        match part.source_end {
            None => source.min(self.source_length),
            // Inside of a replacement there is no place but its begin and its end.
            Some(_) if at == part.at => part.source,
            Some(end) => end,
        }
    }

    /// Returns the text with pieces replaced: from where to where, and by what, in order. What is made is counted.
    pub(super) fn replaced<'b>(
        &self,
        pieces: impl IntoIterator<Item = (usize, usize, std::borrow::Cow<'b, str>)>,
        run: &Run,
    ) -> Self {
        let mut changed = Changed {
            before: self,
            text: String::with_capacity(self.text.len()),
            parts: Vec::new(),
            taken: 0,
            next: 0,
        };
        for (start, end, by) in pieces {
            changed.copy_to(start);
            changed.replace(end, &by);
            if !run.make(changed.bytes()) {
                break;
            }
        }
        changed.copy_to(self.text.len());
        run.make(changed.bytes());
        Self {
            text: changed.text,
            parts: changed.parts,
            source_length: self.source_length,
        }
    }
}

struct Changed<'a> {
    before: &'a Mapped,
    text: String,
    parts: Vec<Part>,
    taken: usize,
    /// The first part of the text before that begins behind what was taken.
    next: usize,
}

impl Changed<'_> {
    fn bytes(&self) -> usize {
        self.text.len() + self.parts.len() * size_of::<Part>()
    }

    fn copy_to(&mut self, end: usize) {
        let (start, offset) = (self.taken, self.text.len());
        self.push(offset, self.before.source_of(start), None);
        self.skip_to(start);
        while let Some(part) = self.before.parts.get(self.next) {
            if part.at > end {
                break;
            }
            self.push(offset + part.at - start, part.source, part.source_end);
            self.next += 1;
        }
        self.text.push_str(&self.before.text[start..end]);
        self.taken = end;
    }

    fn replace(&mut self, end: usize, by: &str) {
        let source = self.before.source_of(self.taken);
        let source_end = self.before.source_of(end);
        if !by.is_empty() {
            self.push(self.text.len(), source, Some(source_end));
        }
        self.text.push_str(by);
        self.taken = end;
    }

    /// Passes the parts that begin at a place or before it.
    fn skip_to(&mut self, at: usize) {
        while self.before.parts.get(self.next).is_some_and(|p| p.at <= at) {
            self.next += 1;
        }
    }

    /// A part that begins where another does takes its place: that one is empty.
    fn push(&mut self, at: usize, source: usize, source_end: Option<usize>) {
        if self.parts.last().is_some_and(|last| last.at == at) {
            self.parts.pop();
        }
        self.parts.push(Part {
            at,
            source,
            source_end,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::Spent;
    use super::*;

    #[test]
    fn places_are_found_again_after_changes_upon_changes() {
        let text = Mapped::new("<b>ph</b> is it");
        let run = Run::after(&Spent::default(), 1 << 20, &text.text);
        let stripped = text.replaced([(0, 3, "".into()), (5, 9, "".into())], &run);
        assert_eq!(stripped.text, "ph is it");
        assert_eq!([0, 1, 2, 3].map(|at| stripped.source_of(at)), [3, 4, 9, 10]);
        let longer = stripped.replaced([(0, 2, "phi".into()), (3, 5, "i".into())], &run);
        assert_eq!(longer.text, "phi i it");
        assert_eq!(
            [0, 1, 3, 4, 5, 6, 8].map(|at| longer.source_of(at)),
            [3, 9, 9, 10, 12, 13, 15]
        );
    }
}
