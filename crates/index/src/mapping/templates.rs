//! `dynamic_templates`: what fields are that appear for the first time. Source: Elasticsearch reference, "Dynamic
//! templates".

use regex::{Regex, RegexBuilder};
use ringwall_api::ApiError;
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value};

use super::mapping_error;

/// What a first value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    String,
    Long,
    Double,
    Boolean,
    Date,
    Binary,
}

const KINDS: [Kind; 7] = [
    Kind::Object,
    Kind::String,
    Kind::Long,
    Kind::Double,
    Kind::Boolean,
    Kind::Date,
    Kind::Binary,
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::String => "string",
            Self::Long => "long",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Binary => "binary",
        }
    }

    /// The type of a field whose definition names none.
    fn default_type(self) -> &'static str {
        match self {
            Self::String => "text",
            Self::Double => "float",
            other => other.name(),
        }
    }
}

/// The templates of an index; the first that fits a field defines it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DynamicTemplates(Vec<DynamicTemplate>);

#[derive(Debug, Clone)]
struct DynamicTemplate {
    /// Fits values of these kinds; all where the template says nothing.
    kinds: Vec<Kind>,
    names: Names,
    paths: Names,
    mapping: Map<String, Value>,
}

/// Names that are taken, and names that are not.
#[derive(Debug, Clone, Default)]
struct Names {
    wanted: Vec<NamePattern>,
    unwanted: Vec<NamePattern>,
}

#[derive(Debug, Clone)]
enum NamePattern {
    Simple(String),
    Regex(Regex),
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Simple(pattern) => glob::matches(pattern, name, Syntax::Star),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

impl Names {
    fn take(&self, name: &str) -> bool {
        let among = |patterns: &[NamePattern]| patterns.iter().any(|p| p.matches(name));
        (self.wanted.is_empty() || among(&self.wanted)) && !among(&self.unwanted)
    }
}

impl DynamicTemplates {
    /// Reads the templates of a mapping. `check` tells whether a definition makes a field.
    ///
    /// # Errors
    /// `mapper_parsing_exception` that names the template and the parameter.
    pub(super) fn parse(
        json: &Value,
        check: impl Fn(&Map<String, Value>) -> Result<(), ApiError>,
    ) -> Result<Self, ApiError> {
        let Value::Array(items) = json else {
            return Err(mapping_error(
                "Dynamic template syntax error. An array of named objects is expected.",
            ));
        };
        if items.len() > MAX_TEMPLATES {
            return Err(mapping_error(format!(
                "[{}] dynamic templates are given, of which a mapping may have [{MAX_TEMPLATES}]",
                items.len()
            )));
        }
        let templates = items.iter().map(|item| parse_template(item, &check));
        Ok(Self(templates.collect::<Result<_, _>>()?))
    }

    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the definition of a new field from the first template that fits it.
    pub(crate) fn definition(&self, path: &str, kind: Kind) -> Option<Map<String, Value>> {
        let name = path.rsplit('.').next().unwrap_or(path);
        let fits = |template: &&DynamicTemplate| {
            template.kinds.contains(&kind) && template.names.take(name) && template.paths.take(path)
        };
        let template = self.0.iter().find(fits)?;
        Some(template.define(name, kind))
    }
}

impl DynamicTemplate {
    fn define(&self, name: &str, kind: Kind) -> Map<String, Value> {
        let name = &name[..name.floor_char_boundary(MAX_FILLED)];
        let fill = |text: &str| {
            // Most texts have nothing to fill in.
            if !text.contains('{') {
                return text.to_owned();
            }
            text.replace("{name}", name)
                .replace("{dynamic_type}", kind.default_type())
                .replace("{dynamicType}", kind.default_type())
        };
        let mut definition = filled_map(&self.mapping, &fill);
        let typeless = !definition.contains_key("type");
        if typeless {
            definition.insert("type".to_owned(), kind.default_type().into());
        }
        definition
    }
}

fn filled_map(map: &Map<String, Value>, fill: &impl Fn(&str) -> String) -> Map<String, Value> {
    map.iter()
        .map(|(key, value)| (fill(key), filled(value, fill)))
        .collect()
}

fn filled(value: &Value, fill: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => fill(text).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, fill)).collect(),
        Value::Object(map) => Value::Object(filled_map(map, fill)),
        other => other.clone(),
    }
}

fn parse_template(
    item: &Value,
    check: &impl Fn(&Map<String, Value>) -> Result<(), ApiError>,
) -> Result<DynamicTemplate, ApiError> {
    let named = item.as_object().filter(|named| named.len() == 1);
    let Some((name, Value::Object(members))) = named.and_then(|named| named.iter().next()) else {
        return Err(mapping_error(
            "A dynamic template must be defined with a name",
        ));
    };
    let is_regex = match members.get("match_pattern").and_then(Value::as_str) {
        None | Some("simple") => false,
        Some("regex") => true,
        Some(other) => {
            return Err(mapping_error(format!(
                "No matching pattern matched on [{other}]"
            )));
        }
    };
    let patterns = |key: &str, value: &Value| -> Result<Vec<NamePattern>, ApiError> {
        let texts = texts(key, value)?.into_iter();
        texts.map(|text| pattern(name, text, is_regex)).collect()
    };
    let (mut kinds, mut unwanted_kinds) = (KINDS.to_vec(), Vec::new());
    let (mut names, mut paths) = (Names::default(), Names::default());
    let mut mapping = None;
    for (key, value) in members {
        match key.as_str() {
            "match" => names.wanted = patterns(key, value)?,
            "unmatch" => names.unwanted = patterns(key, value)?,
            "path_match" => paths.wanted = patterns(key, value)?,
            "path_unmatch" => paths.unwanted = patterns(key, value)?,
            "match_mapping_type" => kinds = parse_kinds(key, value)?,
            "unmatch_mapping_type" => unwanted_kinds = parse_kinds(key, value)?,
            "match_pattern" => {}
            "mapping" => mapping = value.as_object().cloned(),
            "runtime" => {
                return Err(mapping_error(format!(
                    "[runtime] of the dynamic template [{name}] is not supported: there are no runtime fields"
                )));
            }
            other => {
                return Err(mapping_error(format!(
                    "Illegal dynamic template parameter: [{other}]"
                )));
            }
        }
    }
    let mapping = mapping.ok_or_else(|| {
        mapping_error(format!(
            "template [{name}] must have either mapping or runtime set"
        ))
    })?;
    let size = size_of(&mapping);
    if size > MAX_DEFINITION {
        return Err(mapping_error(format!(
            "the mapping of the dynamic template [{name}] has [{size}] bytes, of which it may have [{MAX_DEFINITION}]"
        )));
    }
    let places = Value::Object(mapping.clone())
        .to_string()
        .matches("{name}")
        .count();
    if places > MAX_PLACES {
        return Err(mapping_error(format!(
            "the mapping of the dynamic template [{name}] names the field [{places}] times, of which it may [{MAX_PLACES}]"
        )));
    }
    kinds.retain(|kind| !unwanted_kinds.contains(kind));
    let template = DynamicTemplate {
        kinds,
        names,
        paths,
        mapping,
    };
    let tries = template.kinds.iter().map(|kind| {
        let definition = template.define("__dynamic__", *kind);
        check(&definition)
    });
    // One kind of value that it can define is enough.
    match tries.collect::<Vec<_>>() {
        tried if tried.is_empty() || tried.iter().any(Result::is_ok) => Ok(template),
        _ => {
            let kinds: Vec<&str> = template.kinds.iter().map(|kind| kind.name()).collect();
            Err(mapping_error(format!(
                "dynamic template [{name}] has invalid content [{}], attempted to validate it with the following \
                 match_mapping_type: [{}]",
                Value::Object(members.clone()),
                kinds.join(", ")
            )))
        }
    }
}

fn parse_kinds(key: &str, value: &Value) -> Result<Vec<Kind>, ApiError> {
    let mut kinds = Vec::new();
    for text in texts(key, value)? {
        if text == "*" {
            return Ok(KINDS.to_vec());
        }
        let kind = KINDS.into_iter().find(|kind| kind.name() == text);
        kinds.push(kind.ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
            mapping_error(format!(
                "No field type matched on [{text}], possible values are [{}]",
                known.join(", ")
            ))
        })?);
    }
    Ok(kinds)
}

fn pattern(template: &str, text: &str, is_regex: bool) -> Result<NamePattern, ApiError> {
    if !is_regex {
        return Ok(NamePattern::Simple(text.to_owned()));
    }
    // By itself first: what closes a group that it did not open would change what stands around it.
    let checked = regex_syntax::parse(text).map_err(|error| error.to_string());
    let built = checked.and_then(|_| {
        RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(MAX_REGEX_BYTES)
            .dfa_size_limit(MAX_REGEX_BYTES)
            .build()
            .map_err(|error| error.to_string())
    });
    let regex = built.map_err(|error| {
        mapping_error(format!(
            "Pattern [{text}] of type [regex] is invalid. Cannot create dynamic template [{template}]."
        ))
        .caused_by(ApiError::illegal_argument(error))
    })?;
    Ok(NamePattern::Regex(regex))
}

/// Bytes of a definition, names and values, before names are filled in.
fn size_of(map: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(map) => size_of(map),
            _ => 8,
        }
    }
    map.iter().map(|(key, value)| key.len() + of(value)).sum()
}

/// A definition is filled in for each new field, each time with its name: these hold what that may cost. Real ones have
/// a few hundred bytes, and a mapping a few dozen of them.
const MAX_DEFINITION: usize = 4096;
const MAX_PLACES: usize = 16;
const MAX_TEMPLATES: usize = 1000;
/// As much of the name of a field is filled in.
const MAX_FILLED: usize = 1024;
/// Of one compiled expression.
const MAX_REGEX_BYTES: usize = 1 << 16;

/// A text stands for a list of one.
fn texts<'v>(key: &str, value: &'v Value) -> Result<Vec<&'v str>, ApiError> {
    let wrong = || mapping_error(format!("[{key}] must be a string or a list of strings"));
    match value {
        Value::String(one) => Ok(vec![one]),
        Value::Array(items) => {
            let items = items.iter().map(|item| item.as_str().ok_or_else(wrong));
            items.collect()
        }
        _ => Err(wrong()),
    }
}
