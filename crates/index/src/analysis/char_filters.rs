//! Char filters: what is done to a text before it is cut. Source: Elasticsearch reference, "Character filters reference".
//!
//! Each takes time in proportion to the text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use ringwall_api::ApiError;

use super::mapped::Mapped;
use super::params::Params;
use super::patterns::{Pattern, Replacement};
use super::run::Run;

/// Changes a text.
pub(super) trait CharFilter: Send + Sync + fmt::Debug {
    fn apply(&self, text: &Mapped, run: &Run) -> Mapped;
}

pub(super) type Built = Result<Arc<dyn CharFilter>, ApiError>;

/// How a kind is built of its parameters.
pub(super) type Build = fn(&Params<'_>) -> Built;

/// The kinds, whether a normalizer may have one, and how each is built.
pub(super) const KINDS: &[(&str, bool, Build)] = &[
    ("html_strip", false, html_strip),
    ("mapping", true, mapping),
    ("pattern_replace", true, pattern_replace),
];

/// Those that there are in Elasticsearch, and not here.
pub(super) const ABSENT: &[&str] = &["icu_normalizer", "kuromoji_iteration_mark"];

/// Replaces the longest of several texts at each place.
#[derive(Debug)]
struct Mapping {
    from: AhoCorasick,
    by: Vec<String>,
}

fn mapping(params: &Params<'_>) -> Built {
    let lines = params.lines("mappings")?;
    let lines = lines.ok_or_else(|| {
        ApiError::illegal_argument(
            "mapping requires either `mappings` or `mappings_path` to be configured",
        )
    })?;
    let mut by = BTreeMap::new();
    for (nth, line) in lines.iter().enumerate() {
        let invalid = || {
            let nth = nth + 1;
            ApiError::illegal_argument(format!("Line [{nth}]: Invalid mapping rule : [{line}]"))
        };
        let (from, to) = line.rsplit_once("=>").ok_or_else(invalid)?;
        let (from, to) = (unescaped(from.trim()), unescaped(to.trim()));
        match (from, to) {
            (Some(from), Some(to)) if !from.is_empty() => {
                if by.insert(from, to).is_some() {
                    let (from, _) = line.split_once("=>").unwrap_or_default();
                    return Err(ApiError::illegal_argument(format!(
                        "match \"{}\" was already added",
                        from.trim()
                    )));
                }
            }
            _ => return Err(invalid()),
        }
    }
    let from = AhoCorasickBuilder::new()
        .match_kind(MatchKind::LeftmostLongest)
        .build(by.keys())
        .map_err(|why| params.wrong(format!("the mappings cannot be read: {why}")))?;
    let by = by.into_values().collect();
    Ok(Arc::new(Mapping { from, by }))
}

/// `\n`, `\t`, `\u0041` and so on, as a mapping rule writes them; `None` for what ends too soon.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok()?;
                char::from_u32(code)?
            }
            other => other,
        });
    }
    Some(out)
}

impl CharFilter for Mapping {
    fn apply(&self, text: &Mapped, run: &Run) -> Mapped {
        let pieces = self.from.find_iter(&text.text).map(|found| {
            let by = self.by[found.pattern().as_usize()].as_str();
            (found.start(), found.end(), Cow::Borrowed(by))
        });
        text.replaced(pieces, run)
    }
}

#[derive(Debug)]
struct PatternReplace {
    pattern: Pattern,
    by: Replacement,
}

fn pattern_replace(params: &Params<'_>) -> Built {
    let pattern = Pattern::of(params, None)?;
    let by = Replacement::of(params, &pattern)?;
    Ok(Arc::new(PatternReplace { pattern, by }))
}

impl CharFilter for PatternReplace {
    fn apply(&self, text: &Mapped, run: &Run) -> Mapped {
        let found = self.pattern.all_captures(&text.text, run);
        let pieces = found.filter_map(|found| {
            let whole = found.get(0)?;
            let mut by = String::new();
            self.by.expand(&found, &mut by, run);
            Some((whole.start(), whole.end(), Cow::Owned(by)))
        });
        text.replaced(pieces, run)
    }
}

/// Takes tags, comments and entities of HTML away.
#[derive(Debug)]
struct HtmlStrip {
    kept: HashSet<String>,
}

fn html_strip(params: &Params<'_>) -> Built {
    let kept = params.list("escaped_tags")?.unwrap_or_default();
    let kept = kept.iter().map(|tag| tag.to_ascii_lowercase()).collect();
    Ok(Arc::new(HtmlStrip { kept }))
}

impl CharFilter for HtmlStrip {
    fn apply(&self, text: &Mapped, run: &Run) -> Mapped {
        let mut markup = Markup {
            kept: &self.kept,
            text: &text.text,
            at: 0,
            left: text.text.len().saturating_mul(4) + LONGEST_NAME,
        };
        let pieces = std::iter::from_fn(|| markup.next());
        text.replaced(pieces, run)
    }
}

/// Finds what is no text in HTML.
struct Markup<'t> {
    kept: &'t HashSet<String>,
    text: &'t str,
    at: usize,
    /// Bytes to be looked at for ends that are not there: behind that a `<` is a character as any other.
    left: usize,
}

/// Bytes of the name of a tag that is known.
const LONGEST_NAME: usize = 64;

impl<'t> Markup<'t> {
    /// Returns the next piece that goes, and what takes its place.
    fn next(&mut self) -> Option<(usize, usize, Cow<'t, str>)> {
        loop {
            let start = self.at + self.text[self.at..].find(['<', '&'])?;
            let rest = &self.text[start..];
            let found = match rest.as_bytes()[0] {
                b'<' => self.markup(rest),
                _ => entity(rest),
            };
            match found {
                Some((length, by)) => {
                    self.at = start + length;
                    if let Some(by) = by {
                        return Some((start, self.at, by));
                    }
                }
                None => self.at = start + 1,
            }
        }
    }

    /// Looks for the end of something; what is looked through in vain is counted.
    fn end(&mut self, rest: &str, find: impl Fn(&str) -> Option<usize>) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        let found = find(rest);
        if found.is_none() {
            self.left = self.left.saturating_sub(rest.len());
        }
        found
    }

    /// Returns how long what begins with `<` is, and what takes its place; `None` within for what stays.
    fn markup(&mut self, rest: &'t str) -> Option<(usize, Option<Cow<'t, str>>)> {
        if rest.starts_with("<!--") {
            let end = self.end(rest, |rest| rest.find("-->"))? + 3;
            return Some((end, Some(Cow::Borrowed(""))));
        }
        if rest.starts_with("<!") || rest.starts_with("<?") {
            let end = self.end(rest, |rest| rest.find('>'))? + 1;
            return Some((end, Some(Cow::Borrowed(""))));
        }
        let inner = rest[1..].strip_prefix('/').unwrap_or(&rest[1..]);
        let is_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '_');
        let name = inner.chars().take_while(is_name).take(LONGEST_NAME);
        let name = name.collect::<String>().to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let mut end = match tag_end(rest) {
            TagEnd::At(end) => end,
            TagEnd::None => return None,
            TagEnd::Open => {
                self.left = self.left.saturating_sub(rest.len());
                return None;
            }
        };
        if self.left == 0 {
            return None;
        }
        if self.kept.contains(&name) {
            return Some((end, None));
        }
        // What is in a script or a style is no text.
        if ["script", "style"].contains(&name.as_str()) && !rest.starts_with("</") {
            let close = format!("</{name}");
            if let Some(at) = self.end(&rest[end..], |rest| find_any_case(rest, &close)) {
                let close = &rest[end + at..];
                end += at + close.find('>').map_or(close.len(), |at| at + 1);
            }
        }
        let by = match INLINE.contains(&name.as_str()) {
            true => "",
            false => "\n",
        };
        Some((end, Some(Cow::Borrowed(by))))
    }
}

enum TagEnd {
    /// Behind `>`.
    At(usize),
    /// It is no tag.
    None,
    /// The text ends before.
    Open,
}

/// Returns where a tag ends; quotes hide it.
fn tag_end(tag: &str) -> TagEnd {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (None, b'>') => return TagEnd::At(at + 1),
            (None, b'<') => return TagEnd::None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    TagEnd::Open
}

/// Returns where a text of ASCII stands in another.
fn find_any_case(text: &str, wanted: &str) -> Option<usize> {
    let wanted = wanted.as_bytes();
    let mut places = text.as_bytes().windows(wanted.len());
    places.position(|place| place.eq_ignore_ascii_case(wanted))
}

fn entity<'t>(rest: &str) -> Option<(usize, Option<Cow<'t, str>>)> {
    let most = rest.floor_char_boundary(MAX_ENTITY);
    let end = rest[..most].find(';')?;
    let name = &rest[1..end];
    let decoded = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
        None => ENTITIES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((end + 1, Some(Cow::Owned(decoded.to_string()))))
}

const MAX_ENTITY: usize = 12;

/// Tags within a line, which end no word.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "basefont", "bdo", "big", "cite", "code", "dfn", "em", "font",
    "i", "img", "input", "kbd", "label", "q", "s", "samp", "select", "small", "span", "strike",
    "strong", "sub", "sup", "textarea", "tt", "u", "var",
];

/// Source: HTML 4.01, "Character entity references", those of Latin-1 letters and of punctuation.
const ENTITIES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("iexcl", '¡'),
    ("cent", '¢'),
    ("pound", '£'),
    ("curren", '¤'),
    ("yen", '¥'),
    ("brvbar", '¦'),
    ("sect", '§'),
    ("uml", '¨'),
    ("copy", '©'),
    ("ordf", 'ª'),
    ("laquo", '«'),
    ("not", '¬'),
    ("shy", '\u{ad}'),
    ("reg", '®'),
    ("macr", '¯'),
    ("deg", '°'),
    ("plusmn", '±'),
    ("sup2", '²'),
    ("sup3", '³'),
    ("acute", '´'),
    ("micro", 'µ'),
    ("para", '¶'),
    ("middot", '·'),
    ("cedil", '¸'),
    ("sup1", '¹'),
    ("ordm", 'º'),
    ("raquo", '»'),
    ("frac14", '¼'),
    ("frac12", '½'),
    ("frac34", '¾'),
    ("iquest", '¿'),
    ("Agrave", 'À'),
    ("Aacute", 'Á'),
    ("Acirc", 'Â'),
    ("Atilde", 'Ã'),
    ("Auml", 'Ä'),
    ("Aring", 'Å'),
    ("AElig", 'Æ'),
    ("Ccedil", 'Ç'),
    ("Egrave", 'È'),
    ("Eacute", 'É'),
    ("Ecirc", 'Ê'),
    ("Euml", 'Ë'),
    ("Igrave", 'Ì'),
    ("Iacute", 'Í'),
    ("Icirc", 'Î'),
    ("Iuml", 'Ï'),
    ("ETH", 'Ð'),
    ("Ntilde", 'Ñ'),
    ("Ograve", 'Ò'),
    ("Oacute", 'Ó'),
    ("Ocirc", 'Ô'),
    ("Otilde", 'Õ'),
    ("Ouml", 'Ö'),
    ("times", '×'),
    ("Oslash", 'Ø'),
    ("Ugrave", 'Ù'),
    ("Uacute", 'Ú'),
    ("Ucirc", 'Û'),
    ("Uuml", 'Ü'),
    ("Yacute", 'Ý'),
    ("THORN", 'Þ'),
    ("szlig", 'ß'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("eth", 'ð'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("divide", '÷'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("yacute", 'ý'),
    ("thorn", 'þ'),
    ("yuml", 'ÿ'),
    ("euro", '€'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("hellip", '…'),
    ("bull", '•'),
    ("trade", '™'),
];
