//! Templates of indices: what an index of a matching name is made of. Source: Elasticsearch reference, "Index
//! templates".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::glob::{self, Syntax};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::aliases::{AliasMetadata, validate_alias_name};
use crate::index_settings::IndexSettings;

/// The templates of a cluster, by name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Templates {
    pub component: BTreeMap<String, Arc<ComponentTemplate>>,
    pub index: BTreeMap<String, Arc<IndexTemplate>>,
    pub legacy: BTreeMap<String, Arc<LegacyTemplate>>,
}

/// What a template gives an index.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Template {
    pub settings: Option<IndexSettings>,
    pub mappings: Option<Value>,
    /// As given; `{index}` in a name stands for the index.
    pub aliases: Option<Map<String, Value>>,
}

/// A part that several templates share.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ComponentTemplate {
    pub template: Template,
    pub version: Option<i64>,
    pub meta: Option<Value>,
    pub deprecated: Option<bool>,
}

/// A composable template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IndexTemplate {
    pub index_patterns: Vec<String>,
    pub template: Option<Template>,
    pub composed_of: Vec<String>,
    pub ignore_missing: Option<Vec<String>>,
    pub priority: Option<u64>,
    pub version: Option<i64>,
    pub meta: Option<Value>,
    pub allow_auto_create: Option<bool>,
    pub deprecated: Option<bool>,
}

/// A template of the older kind: all that match are laid over one another.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LegacyTemplate {
    pub index_patterns: Vec<String>,
    pub order: i64,
    pub template: Template,
    pub version: Option<i64>,
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Component,
    Index,
    Legacy,
}

/// A change of the templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateChange {
    PutComponent {
        name: String,
        template: Box<ComponentTemplate>,
        create: bool,
    },
    PutIndex {
        name: String,
        template: Box<IndexTemplate>,
        create: bool,
    },
    PutLegacy {
        name: String,
        template: Box<LegacyTemplate>,
        create: bool,
    },
    /// Refused when one of them is not there, or still in use.
    Delete { kind: Kind, names: BTreeSet<String> },
}

/// The templates that make an index, the later over the earlier.
#[derive(Debug, Clone, Default)]
pub struct Resolved<'a> {
    pub layers: Vec<&'a Template>,
    /// The composable template, with its name.
    pub composable: Option<(&'a str, &'a IndexTemplate)>,
}

impl Templates {
    /// Returns the templates for an index of that name: the composable one of the highest priority with its components,
    /// else all older ones that match, by their order.
    pub fn resolve(&self, index: &str, is_hidden: bool) -> Resolved<'_> {
        let fits = |patterns: &[String]| matches(patterns, index, is_hidden);
        let best = self
            .index
            .iter()
            .filter(|(_, template)| fits(&template.index_patterns))
            .max_by_key(|(_, template)| template.priority());
        if let Some((name, template)) = best {
            return Resolved {
                layers: self.layers(template),
                composable: Some((name, template)),
            };
        }
        let mut legacy: Vec<&LegacyTemplate> = self
            .legacy
            .values()
            .map(Arc::as_ref)
            .filter(|template| fits(&template.index_patterns))
            .collect();
        legacy.sort_by_key(|template| template.order);
        Resolved {
            layers: legacy.iter().map(|template| &template.template).collect(),
            composable: None,
        }
    }

    /// Returns what a composable template is made of, the later over the earlier. Components that are missing give
    /// nothing.
    pub fn layers<'a>(&'a self, template: &'a IndexTemplate) -> Vec<&'a Template> {
        let components = template
            .composed_of
            .iter()
            .filter_map(|name| self.component.get(name))
            .map(|component| &component.template);
        components.chain(&template.template).collect()
    }

    /// Returns the other composable templates whose patterns overlap, with their patterns.
    ///
    /// # Errors
    /// 400 where there are so many and such long patterns that to compare them would hold up the cluster: this is done
    /// wherever the state is applied.
    pub fn overlapping(
        &self,
        name: Option<&str>,
        patterns: &[String],
    ) -> Result<Vec<(String, Vec<String>)>, ApiError> {
        let mut effort = MAX_EFFORT;
        let mut found = Vec::new();
        for (other, template) in &self.index {
            if Some(other.as_str()) != name
                && overlap(patterns, &template.index_patterns, &mut effort)?
            {
                found.push((other.clone(), template.index_patterns.clone()));
            }
        }
        Ok(found)
    }

    /// Checks what of a composable template depends on the others.
    ///
    /// # Errors
    /// 400 for components that do not exist, and for a template of the same priority that could match the same index.
    pub fn check_index(&self, name: &str, template: &IndexTemplate) -> Result<(), ApiError> {
        let ignored = template.ignore_missing.as_deref().unwrap_or_default();
        let missing: Vec<&str> = template
            .composed_of
            .iter()
            .filter(|part| !self.component.contains_key(*part) && !ignored.contains(part))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            return Err(invalid(
                name,
                &format!(
                    "index template [{name}] specifies component templates [{}] that do not exist",
                    missing.join(", ")
                ),
            ));
        }
        let rivals: Vec<(String, Vec<String>)> = self
            .overlapping(Some(name), &template.index_patterns)?
            .into_iter()
            .filter(|(other, _)| self.index[other].priority() == template.priority())
            .collect();
        if rivals.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = rivals.iter().map(|(name, _)| name.as_str()).collect();
        let shown: Vec<String> = rivals
            .iter()
            .map(|(name, patterns)| format!("{name} => [{}]", patterns.join(", ")))
            .collect();
        Err(ApiError::illegal_argument(format!(
            "index template [{name}] has index patterns [{}] matching patterns from existing templates [{}] with patterns \
             ({}) that have the same priority [{}], multiple index templates may not match during index creation, please use \
             a different priority",
            template.index_patterns.join(", "),
            names.join(","),
            shown.join(","),
            template.priority()
        )))
    }

    /// Returns the names of a kind that names and patterns mean, and the first of them that means none.
    pub fn names(&self, kind: Kind, wanted: &[String]) -> (BTreeSet<String>, Option<String>) {
        let all: Vec<&String> = match kind {
            Kind::Component => self.component.keys().collect(),
            Kind::Index => self.index.keys().collect(),
            Kind::Legacy => self.legacy.keys().collect(),
        };
        if wanted.is_empty() {
            return (all.into_iter().cloned().collect(), None);
        }
        let mut found = BTreeSet::new();
        let mut missing = None;
        for pattern in wanted {
            let before = found.len();
            let meant = all
                .iter()
                .filter(|name| glob::matches(pattern, name, Syntax::Star));
            let meant: Vec<String> = meant.map(|name| (*name).clone()).collect();
            let none = meant.is_empty();
            found.extend(meant);
            if none && found.len() == before {
                missing.get_or_insert_with(|| pattern.clone());
            }
        }
        (found, missing)
    }

    pub(crate) fn apply(&mut self, change: TemplateChange) -> Result<(), ApiError> {
        match change {
            TemplateChange::PutComponent {
                name,
                template,
                create,
            } => {
                if create && self.component.contains_key(&name) {
                    let reason = format!("component template [{name}] already exists");
                    return Err(ApiError::illegal_argument(reason));
                }
                self.component.insert(name, Arc::new(*template));
            }
            TemplateChange::PutIndex {
                name,
                template,
                create,
            } => {
                if create && self.index.contains_key(&name) {
                    let reason = format!("index template [{name}] already exists");
                    return Err(ApiError::illegal_argument(reason));
                }
                self.check_index(&name, &template)?;
                self.index.insert(name, Arc::new(*template));
            }
            TemplateChange::PutLegacy {
                name,
                template,
                create,
            } => {
                if create && self.legacy.contains_key(&name) {
                    let reason = format!("index_template [{name}] already exists");
                    return Err(ApiError::illegal_argument(reason));
                }
                self.legacy.insert(name, Arc::new(*template));
            }
            TemplateChange::Delete { kind, names } => self.delete(kind, &names)?,
        }
        Ok(())
    }

    fn delete(&mut self, kind: Kind, names: &BTreeSet<String>) -> Result<(), ApiError> {
        let (known, _) = self.names(kind, &[]);
        if let Some(missing) = names.iter().find(|name| !known.contains(*name)) {
            return Err(missing_template(kind, missing));
        }
        if kind == Kind::Component {
            self.check_unused(names)?;
        }
        match kind {
            Kind::Component => self.component.retain(|name, _| !names.contains(name)),
            Kind::Index => self.index.retain(|name, _| !names.contains(name)),
            Kind::Legacy => self.legacy.retain(|name, _| !names.contains(name)),
        }
        Ok(())
    }

    fn check_unused(&self, names: &BTreeSet<String>) -> Result<(), ApiError> {
        let mut used = BTreeSet::new();
        let mut users = BTreeSet::new();
        for (user, template) in &self.index {
            let ignored = template.ignore_missing.as_deref().unwrap_or_default();
            for part in &template.composed_of {
                if names.contains(part) && !ignored.contains(part) {
                    used.insert(part.as_str());
                    users.insert(user.as_str());
                }
            }
        }
        if used.is_empty() {
            return Ok(());
        }
        let listed = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        Err(ApiError::illegal_argument(format!(
            "component templates [{}] cannot be removed as they are still in use by index templates [{}]",
            listed(used),
            listed(users)
        )))
    }
}

/// Returns the 404 of a template that is not there.
pub fn missing_template(kind: Kind, name: &str) -> ApiError {
    match kind {
        Kind::Component => ApiError::new(ErrorCode::ResourceNotFound, name),
        Kind::Index | Kind::Legacy => ApiError::new(
            ErrorCode::IndexTemplateMissing,
            format!("index_template [{name}] missing"),
        ),
    }
}

/// An index that is hidden is not meant by templates for all.
fn matches(patterns: &[String], index: &str, is_hidden: bool) -> bool {
    patterns.iter().any(|pattern| {
        !(is_hidden && pattern == "*") && glob::matches(pattern, index, Syntax::Star)
    })
}

fn overlap(these: &[String], those: &[String], effort: &mut usize) -> Result<bool, ApiError> {
    for this in these {
        for that in those {
            let cost = this.len().saturating_mul(that.len()).saturating_add(1);
            *effort = effort.checked_sub(cost).ok_or_else(|| {
                ApiError::illegal_argument(
                    "the index patterns are too many and too long to be compared with those of the other templates; use fewer \
                     or shorter ones",
                )
            })?;
            if glob::overlap(this, that) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Pairs of characters: some tens of milliseconds. A thousand templates of usual patterns take a fiftieth of it.
const MAX_EFFORT: usize = 20_000_000;

fn invalid(name: &str, cause: &str) -> ApiError {
    let reason = format!("index_template [{name}] invalid, cause [{cause}]");
    ApiError::new(ErrorCode::InvalidIndexTemplate, reason)
}

impl IndexTemplate {
    fn priority(&self) -> u64 {
        self.priority.unwrap_or_default()
    }

    /// Reads a composable template.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn parse(name: &str, body: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut fields = Fields::new("index_template", body);
        let mut template = Self {
            index_patterns: fields
                .texts("index_patterns")?
                .ok_or_else(|| ApiError::illegal_argument("Required [index_patterns]"))?,
            template: fields.template("template", name)?,
            composed_of: fields.texts("composed_of")?.unwrap_or_default(),
            ignore_missing: fields.texts("ignore_missing_component_templates")?,
            priority: None,
            version: fields.whole("version")?,
            meta: fields.object("_meta")?,
            allow_auto_create: fields.flag("allow_auto_create")?,
            deprecated: fields.flag("deprecated")?,
        };
        template.priority = match fields.whole("priority")? {
            None => None,
            Some(priority) => Some(
                u64::try_from(priority)
                    .map_err(|_| ApiError::validation(&["index template priority must be >= 0"]))?,
            ),
        };
        if fields.object("data_stream")?.is_some() {
            return Err(ApiError::illegal_argument(format!(
                "index template [{name}] uses [data_stream]: data streams are not supported by Ringwall; leave it out, and \
                 write to an index or an alias"
            )));
        }
        fields.nothing_else()?;
        if template.index_patterns.is_empty() {
            return Err(ApiError::illegal_argument(
                "There must be at least one pattern, zero given",
            ));
        }
        check_names(name, &template.index_patterns)?;
        let settings = template.template.as_ref().and_then(|t| t.settings.as_ref());
        if template.index_patterns.iter().any(|pattern| pattern == "*")
            && settings.is_some_and(|settings| settings.value("index.hidden").is_some())
        {
            return Err(invalid(
                name,
                "global composable templates may not specify the setting index.hidden",
            ));
        }
        Ok(template)
    }

    /// Returns the template as it is shown.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("index_patterns".into(), json!(self.index_patterns));
        if let Some(template) = &self.template {
            body.insert("template".into(), template.to_json().into());
        }
        body.insert("composed_of".into(), json!(self.composed_of));
        let optional = [
            ("priority", self.priority.map(Value::from)),
            ("version", self.version.map(Value::from)),
            ("_meta", self.meta.clone()),
            ("allow_auto_create", self.allow_auto_create.map(Value::from)),
            (
                "ignore_missing_component_templates",
                self.ignore_missing.clone().map(Value::from),
            ),
            ("deprecated", self.deprecated.map(Value::from)),
        ];
        body.extend(given(optional));
        body
    }
}

impl ComponentTemplate {
    /// Reads a component.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn parse(name: &str, body: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut fields = Fields::new("component_template", body);
        let component = Self {
            template: fields
                .template("template", name)?
                .ok_or_else(|| ApiError::illegal_argument("Required [template]"))?,
            version: fields.whole("version")?,
            meta: fields.object("_meta")?,
            deprecated: fields.flag("deprecated")?,
        };
        fields.nothing_else()?;
        check_name(name)?;
        Ok(component)
    }

    /// Returns the component as it is shown.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("template".into(), self.template.to_json().into());
        let optional = [
            ("version", self.version.map(Value::from)),
            ("_meta", self.meta.clone()),
            ("deprecated", self.deprecated.map(Value::from)),
        ];
        body.extend(given(optional));
        body
    }
}

impl LegacyTemplate {
    /// Reads a template of the older kind.
    ///
    /// # Errors
    /// 400 that names the field.
    pub fn parse(name: &str, body: &Map<String, Value>) -> Result<Self, ApiError> {
        let known = [
            "index_patterns",
            "order",
            "settings",
            "mappings",
            "aliases",
            "version",
        ];
        if let Some(unknown) = body.keys().find(|key| !known.contains(&key.as_str())) {
            let reason = format!("unknown key [{unknown}] in the template ");
            return Err(ApiError::new(ErrorCode::Parse, reason));
        }
        let mut fields = Fields::new("template", body);
        let template = Self {
            index_patterns: fields.texts("index_patterns")?.unwrap_or_default(),
            order: fields.whole("order")?.unwrap_or_default(),
            version: fields.whole("version")?,
            template: Template {
                settings: fields.settings(name)?,
                mappings: fields.object("mappings")?,
                aliases: fields.aliases()?,
            },
        };
        if template.index_patterns.is_empty() {
            return Err(ApiError::validation(&["index patterns are missing"]));
        }
        check_names(name, &template.index_patterns)?;
        Ok(template)
    }

    /// Returns the template as it is shown.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("order".into(), self.order.into());
        if let Some(version) = self.version {
            body.insert("version".into(), version.into());
        }
        body.insert("index_patterns".into(), json!(self.index_patterns));
        for (part, value) in self.template.parts() {
            body.insert(part.into(), value.unwrap_or_else(|| json!({})));
        }
        body
    }
}

impl Template {
    fn parts(&self) -> [(&'static str, Option<Value>); 3] {
        [
            (
                "settings",
                self.settings.as_ref().map(IndexSettings::to_json),
            ),
            ("mappings", self.mappings.clone()),
            ("aliases", self.aliases.clone().map(Value::Object)),
        ]
    }

    fn to_json(&self) -> Map<String, Value> {
        given(self.parts()).collect()
    }
}

fn given<const N: usize>(
    parts: [(&'static str, Option<Value>); N],
) -> impl Iterator<Item = (String, Value)> {
    parts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// The fields of a request, taken one by one.
struct Fields<'a> {
    of: &'static str,
    rest: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Fields<'a> {
    fn new(of: &'static str, body: &'a Map<String, Value>) -> Self {
        Self {
            of,
            rest: body
                .iter()
                .map(|(key, value)| (key.as_str(), value))
                .collect(),
        }
    }

    fn take(&mut self, key: &str) -> Option<&'a Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str) -> ApiError {
        let reason = format!("[{}] field [{key}] must be {expected}", self.of);
        ApiError::new(ErrorCode::XContentParse, reason)
    }

    /// A text stands for a list of one.
    fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let wrong = || self.wrong(key, "a list of strings");
        match value {
            Value::String(one) => Ok(Some(vec![one.clone()])),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Err(wrong()),
        }
    }

    fn whole(&mut self, key: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        number
            .map(Some)
            .ok_or_else(|| self.wrong(key, "a whole number"))
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let flag = match value {
            Value::String(text) => text.parse().ok(),
            other => other.as_bool(),
        };
        flag.map(Some).ok_or_else(|| self.wrong(key, "a boolean"))
    }

    fn object(&mut self, key: &str) -> Result<Option<Value>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(value.clone())),
            Some(_) => Err(self.wrong(key, "an object")),
        }
    }

    fn template(&mut self, key: &str, name: &str) -> Result<Option<Template>, ApiError> {
        let Some(body) = self.object(key)? else {
            return Ok(None);
        };
        let Value::Object(body) = body else {
            return Ok(None);
        };
        let mut fields = Fields::new("template", &body);
        let template = Template {
            settings: fields.settings(name)?,
            mappings: fields.object("mappings")?,
            aliases: fields.aliases()?,
        };
        for key in ["lifecycle", "data_stream_options"] {
            if fields.object(key)?.is_some() {
                return Err(ApiError::illegal_argument(format!(
                    "template [{name}] uses [{key}]: data streams are not supported by Ringwall"
                )));
            }
        }
        fields.nothing_else()?;
        Ok(Some(template))
    }

    fn settings(&mut self, name: &str) -> Result<Option<IndexSettings>, ApiError> {
        let Some(body) = self.object("settings")? else {
            return Ok(None);
        };
        let parsed = IndexSettings::parse(&body);
        parsed.map(Some).map_err(|error| match self.of {
            "template" if error.reason.starts_with("Failed to parse value") => {
                invalid(name, &format!("Validation Failed: 1: {};", error.reason))
            }
            _ => error,
        })
    }

    fn aliases(&mut self) -> Result<Option<Map<String, Value>>, ApiError> {
        let Some(Value::Object(aliases)) = self.object("aliases")? else {
            return Ok(None);
        };
        for (name, body) in &aliases {
            AliasMetadata::parse(name, body)?;
            validate_alias_name(&name.replace(INDEX, "index"))?;
            if name == INDEX {
                return Err(ApiError::illegal_argument(format!(
                    "the alias [{name}] would have the name of its index"
                )));
            }
        }
        Ok(Some(aliases))
    }

    fn nothing_else(self) -> Result<(), ApiError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(key) => Err(ApiError::new(
                ErrorCode::XContentParse,
                format!("[{}] unknown field [{key}]", self.of),
            )),
        }
    }
}

/// Stands for the index in the name of an alias.
pub const INDEX: &str = "{index}";

/// As long as the name of an index may be.
const MAX_PATTERN: usize = 255;

fn check_name(name: &str) -> Result<(), ApiError> {
    let problem = match name {
        _ if name.contains(' ') => "name must not contain a space",
        _ if name.contains(',') => "name must not contain a ','",
        _ if name.contains('#') => "name must not contain a '#'",
        _ if name.contains('*') => "name must not contain a '*'",
        _ if name.starts_with('_') => "name must not start with '_'",
        _ if name.to_lowercase() != name => "name must be lower cased",
        _ => return Ok(()),
    };
    Err(invalid(name, &format!("Validation Failed: 1: {problem};")))
}

fn check_names(name: &str, patterns: &[String]) -> Result<(), ApiError> {
    check_name(name)?;
    let mut problems = Vec::new();
    for pattern in patterns {
        if pattern.contains(' ') {
            problems.push(format!(
                "index_patterns [{pattern}] must not contain a space"
            ));
        }
        if pattern.starts_with('_') {
            problems.push(format!("index_pattern [{pattern}] must not start with '_'"));
        }
        if pattern.len() > MAX_PATTERN {
            problems.push(format!(
                "index_pattern is longer than [{MAX_PATTERN}] bytes"
            ));
        }
        if pattern.contains([' ', '"', ',', '/', '<', '>', '?', '\\', '|', '#', ':']) {
            problems.push(format!(
                "index_pattern [{pattern}] must not contain the following characters \
                 [' ','\"','*',',','/','<','>','?','\\','|']"
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(invalid(name, &ApiError::validation(&problems).reason))
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;
