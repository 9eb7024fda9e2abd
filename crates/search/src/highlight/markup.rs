//! Tags around matches, and what becomes of the text between them.

use super::request::Options;

pub(super) struct Markup<'a> {
    pre: &'a [String],
    post: &'a [String],
    escapes: bool,
}

impl<'a> Markup<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            pre: &options.pre_tags,
            post: &options.post_tags,
            escapes: options.escapes,
        }
    }

    pub(super) fn plain(&self, text: &[char], shown: &mut String) {
        if !self.escapes {
            shown.extend(text);
            return;
        }
        for c in text {
            match c {
                '"' => shown.push_str("&quot;"),
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                '\'' => shown.push_str("&#x27;"),
                '/' => shown.push_str("&#x2F;"),
                other => shown.push(*other),
            }
        }
    }

    /// Returns the bytes that tags add to a match at most.
    pub(super) fn bytes_of_tags(options: &Options) -> u64 {
        let longest = |tags: &[String]| tags.iter().map(String::len).max().unwrap_or(0) as u64;
        longest(&options.pre_tags) + longest(&options.post_tags)
    }

    /// `number` chooses among the tags.
    pub(super) fn marked(&self, text: &[char], number: usize, shown: &mut String) {
        let tag = |tags: &'a [String]| tags.get(number % tags.len().max(1));
        shown.push_str(tag(self.pre).map_or("", String::as_str));
        self.plain(text, shown);
        shown.push_str(tag(self.post).map_or("", String::as_str));
    }
}
