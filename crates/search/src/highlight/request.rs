//! `highlight` in the body of a search. Source: Elasticsearch reference, "Highlighting".

use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use crate::parse::{Object, parsing, text_of, texts_of, token_name};
use crate::query::{Query, parse_query};

/// What is highlighted, and how.
#[derive(Debug, Clone)]
pub struct Highlight {
    /// Names and patterns, in the order of the request.
    pub(super) fields: Vec<HighlightedField>,
}

#[derive(Debug, Clone)]
pub(super) struct HighlightedField {
    pub(super) name: String,
    pub(super) options: Options,
}

/// How one field is highlighted: what is said of it, of all, and the defaults. Sizes are in characters.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// `None`: `unified`.
    pub(super) kind: Option<String>,
    pub(super) pre_tags: Arc<[String]>,
    pub(super) post_tags: Arc<[String]>,
    /// HTML in the text is escaped.
    pub(super) escapes: bool,
    pub(super) by_score: bool,
    pub(super) fragment_size: i64,
    /// 0: the whole text.
    pub(super) number_of_fragments: i64,
    pub(super) fragment_offset: Option<i64>,
    pub(super) no_match_size: i64,
    pub(super) query: Option<Arc<Query>>,
    pub(super) require_field_match: bool,
    pub(super) boundaries: Option<Boundaries>,
    pub(super) boundary_max_scan: i64,
    pub(super) boundary_chars: Arc<str>,
    pub(super) fragmenter: Option<String>,
    pub(super) phrase_limit: i64,
    pub(super) matched_fields: Vec<String>,
    pub(super) max_analyzed_offset: Option<usize>,
}

impl Options {
    pub(super) fn max_scan(&self) -> usize {
        usize::try_from(self.boundary_max_scan).unwrap_or(0)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: None,
            pre_tags: Arc::new(["<em>".to_owned()]),
            post_tags: Arc::new(["</em>".to_owned()]),
            escapes: false,
            by_score: false,
            fragment_size: 100,
            number_of_fragments: 5,
            fragment_offset: None,
            no_match_size: 0,
            query: None,
            require_field_match: true,
            boundaries: None,
            boundary_max_scan: 20,
            boundary_chars: Arc::from(".,!? \t\n"),
            fragmenter: None,
            phrase_limit: 256,
            matched_fields: Vec::new(),
            max_analyzed_offset: None,
        }
    }
}

/// Where fragments end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundaries {
    Chars,
    Word,
    Sentence,
}

/// Reads `highlight`.
///
/// # Errors
/// 400 for what is not known, or not supported.
pub(crate) fn parse(value: &Value) -> Result<Highlight, ApiError> {
    let Value::Object(_) = value else {
        return Err(parsing(format!(
            "Unknown key for a {} in [highlight].",
            token_name(value)
        )));
    };
    let mut object = Object::new("highlight", value)?;
    let mut common = Options::default();
    if let Some(schema) = object.text("tags_schema")? {
        styled(&schema, &mut common)?;
    }
    common.escapes = object.text("encoder")?.as_deref() == Some("html");
    object.bool("use_explicit_field_order")?;
    read_options("highlight", &mut object, &mut common)?;
    let fields = object.take("fields");
    let mut highlight = Highlight { fields: Vec::new() };
    match fields {
        None => {}
        Some(Value::Object(members)) => {
            check_number_of_fields(members.len())?;
            for (name, options) in members {
                highlight.fields.push(field(name, options, &common)?);
            }
        }
        Some(Value::Array(items)) => {
            check_number_of_fields(items.len())?;
            for item in items {
                let members = item.as_object().filter(|members| members.len() == 1);
                let Some((name, options)) = members.and_then(|members| members.iter().next())
                else {
                    return Err(failed(
                        "fields",
                        parsing(
                            "[fields] can be a single object with any number of fields or an array where each entry \
                             is an object with a single field",
                        ),
                    ));
                };
                highlight.fields.push(field(name, options, &common)?);
            }
        }
        Some(other) => {
            return Err(ApiError::new(
                ErrorCode::XContentParse,
                format!(
                    "[highlight] fields doesn't support values of type: {}",
                    token_name(other)
                ),
            ));
        }
    }
    object.finish()?;
    Ok(highlight)
}

/// Each is read, compiled and looked for by itself.
fn check_number_of_fields(fields: usize) -> Result<(), ApiError> {
    if fields <= MAX_FIELDS {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "[highlight] has [{fields}] fields, which is more than [{MAX_FIELDS}]; use a pattern"
    )))
}

const MAX_FIELDS: usize = 1000;
/// Of all tags of a field together: each match is written with two of them.
const MAX_TAG_BYTES: usize = 16 << 10;

impl Highlight {
    /// Calls with each query that is highlighted instead of the search's own.
    pub(crate) fn queries(&self) -> impl Iterator<Item = &Query> {
        let fields = self.fields.iter();
        fields.filter_map(|field| field.options.query.as_deref())
    }
}

fn field(name: &str, value: &Value, common: &Options) -> Result<HighlightedField, ApiError> {
    let read = || -> Result<Options, ApiError> {
        let mut object = Object::new("highlight_field", value)?;
        let mut options = common.clone();
        options.fragment_offset = object.i64("fragment_offset")?;
        if let Some(fields) = object.take("matched_fields") {
            options.matched_fields = texts_of("highlight_field", "matched_fields", fields)?;
        }
        read_options("highlight_field", &mut object, &mut options)?;
        object.finish()?;
        Ok(options)
    };
    let options = read().map_err(|cause| failed("fields", cause))?;
    Ok(HighlightedField {
        name: name.to_owned(),
        options,
    })
}

fn failed(key: &str, cause: ApiError) -> ApiError {
    let reason = format!("[highlight] failed to parse field [{key}]");
    ApiError::new(ErrorCode::XContentParse, reason).caused_by(cause)
}

fn styled(schema: &str, options: &mut Options) -> Result<(), ApiError> {
    match schema {
        "default" => {}
        "styled" => {
            let tag = |number: usize| format!("<em class=\"hlt{number}\">");
            options.pre_tags = (1..=10).map(tag).collect();
            options.post_tags = Arc::new(["</em>".to_owned()]);
        }
        other => {
            return Err(failed(
                "tags_schema",
                ApiError::illegal_argument(format!("Unknown tag schema [{other}]")),
            ));
        }
    }
    Ok(())
}

/// Takes what may be said of all fields and of one.
fn read_options(
    name: &'static str,
    object: &mut Object<'_>,
    options: &mut Options,
) -> Result<(), ApiError> {
    tags(name, object, options)?;
    if let Some(order) = object.text("order")? {
        options.by_score = order == "score";
    }
    for (key, number) in [
        ("fragment_size", &mut options.fragment_size),
        ("number_of_fragments", &mut options.number_of_fragments),
        ("no_match_size", &mut options.no_match_size),
        ("boundary_max_scan", &mut options.boundary_max_scan),
        ("phrase_limit", &mut options.phrase_limit),
    ] {
        if let Some(given) = object.i64(key)? {
            *number = given;
        }
    }
    if let Some(query) = object.take("highlight_query") {
        options.query = Some(Arc::new(parse_query(query)?));
    }
    if let Some(flag) = object.bool("require_field_match")? {
        options.require_field_match = flag;
    }
    if let Some(scanner) = object.text("boundary_scanner")? {
        options.boundaries = Some(match scanner.to_ascii_lowercase().as_str() {
            "chars" => Boundaries::Chars,
            "word" => Boundaries::Word,
            "sentence" => Boundaries::Sentence,
            _ => {
                let reason = format!("[{name}] failed to parse field [boundary_scanner]");
                let cause = ApiError::illegal_argument(format!(
                    "No enum constant org.elasticsearch.search.fetch.subphase.highlight.HighlightBuilder.BoundaryScannerType.{}",
                    scanner.to_ascii_uppercase()
                ));
                return Err(ApiError::new(ErrorCode::XContentParse, reason).caused_by(cause));
            }
        });
    }
    // The boundaries are those of every language but Thai, Lao and Khmer, which need a dictionary.
    if let Some(locale) = object.text("boundary_scanner_locale")? {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        if ["th", "lo", "km", "my"].contains(&language.to_ascii_lowercase().as_str()) {
            return Err(ApiError::illegal_argument(format!(
                "[boundary_scanner_locale] [{locale}] is not supported: its words are found by a dictionary"
            )));
        }
    }
    if let Some(chars) = object.text("boundary_chars")? {
        options.boundary_chars = chars.into();
    }
    if let Some(kind) = object.text("type")? {
        options.kind = Some(kind);
    }
    if let Some(fragmenter) = object.text("fragmenter")? {
        options.fragmenter = Some(fragmenter);
    }
    // Every text comes from `_source`, and what could be filtered never is: nothing to choose.
    object.bool("force_source")?;
    object.bool("highlight_filter")?;
    if object.take("options").is_some() {
        return Err(ApiError::illegal_argument(format!(
            "[options] of [{name}] is not supported: none of the highlighters has any"
        )));
    }
    if let Some(offset) = object.i64("max_analyzed_offset")? {
        let offset = usize::try_from(offset).ok().filter(|offset| *offset > 0);
        let Some(offset) = offset else {
            let reason = format!("[{name}] failed to parse field [max_analyzed_offset]");
            let cause =
                ApiError::illegal_argument("[max_analyzed_offset] must be a positive integer");
            return Err(ApiError::new(ErrorCode::XContentParse, reason).caused_by(cause));
        };
        options.max_analyzed_offset = Some(offset);
    }
    Ok(())
}

fn tags(
    name: &'static str,
    object: &mut Object<'_>,
    options: &mut Options,
) -> Result<(), ApiError> {
    let list = |key: &'static str, value: &Value| match value {
        Value::Array(items) => items.iter().map(|item| text_of(name, key, item)).collect(),
        one => Ok(vec![text_of(name, key, one)?]),
    };
    let mut given = |key: &'static str| -> Result<Option<Vec<String>>, ApiError> {
        object.take(key).map(|value| list(key, value)).transpose()
    };
    let (pre, post) = (given("pre_tags")?, given("post_tags")?);
    match (pre, post) {
        (None, None) => Ok(()),
        (Some(pre), Some(post)) if pre.is_empty() || post.is_empty() => {
            Err(parsing("pre_tags or post_tags must not be empty"))
        }
        (Some(_), None) => Err(parsing("pre_tags are set but post_tags are not set")),
        (pre, Some(post)) => {
            if let Some(pre) = pre {
                options.pre_tags = pre.into();
            }
            options.post_tags = post.into();
            let tags = options.pre_tags.iter().chain(options.post_tags.iter());
            let bytes: usize = tags.map(String::len).sum();
            if bytes > MAX_TAG_BYTES {
                return Err(ApiError::illegal_argument(format!(
                    "[pre_tags] and [post_tags] have [{bytes}] bytes, which is more than [{MAX_TAG_BYTES}]"
                )));
            }
            Ok(())
        }
    }
}
