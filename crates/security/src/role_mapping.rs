//! Role mappings: rules that give roles to users whom the cluster does not keep. Source: Elasticsearch reference,
//! "Create or update role mappings API".

use std::collections::BTreeSet;
use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::security::StoredRoleMapping;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::json;
use ringwall_pki::DistinguishedName;
use serde_json::{Map, Value, json};

use crate::SecurityStore;
use crate::authz::Pattern;
use crate::authz::template::{self, Makes, Template};

/// A mapping, ready to be asked.
#[derive(Debug)]
pub struct RoleMapping {
    enabled: bool,
    roles: Vec<String>,
    templates: Vec<RoleTemplate>,
    rule: Rule,
}

#[derive(Debug)]
struct RoleTemplate {
    template: Template,
    /// Whether it makes a JSON string or array of strings, and not the name of one role.
    is_json: bool,
}

#[derive(Debug)]
enum Rule {
    Any(Vec<Rule>),
    All(Vec<Rule>),
    Except(Box<Rule>),
    Field {
        name: String,
        values: Vec<FieldValue>,
    },
}

/// What a field is compared with.
#[derive(Debug)]
enum FieldValue {
    /// The field is not there.
    Missing,
    Flag(bool),
    Number(f64),
    Text {
        pattern: Pattern,
        dn: Option<Dn>,
    },
}

/// A text that may be a distinguished name.
#[derive(Debug)]
enum Dn {
    /// In normal form.
    Whole(String),
    /// Any name below this one, which is in normal form.
    Below(String),
}

/// Whom a mapping is asked about.
pub struct Subject {
    /// By the names that rules and templates use.
    values: Value,
}

impl Subject {
    /// Returns the user of a realm. `dn` is the name in a directory or certificate.
    pub fn new(user: &User, dn: Option<&str>, groups: &[String], realm: &str) -> Self {
        Self {
            values: json!({
                "username": user.username, "dn": dn, "groups": groups, "realm": {"name": realm},
                "metadata": user.metadata,
            }),
        }
    }

    fn value(&self, field: &str) -> &Value {
        let found = match field.strip_prefix("metadata.") {
            // A key may have dots.
            Some(key) => self.values["metadata"].get(key),
            None if field == "realm.name" => self.values["realm"].get("name"),
            None => self.values.get(field),
        };
        found.unwrap_or(&Value::Null)
    }
}

impl RoleMapping {
    /// Reads a mapping as it is stored or was sent.
    ///
    /// # Errors
    /// 400 that says what is wrong with it.
    pub fn parse(name: &str, written: &Map<String, Value>) -> ApiResult<Self> {
        let mut mapping = Self {
            enabled: true,
            roles: Vec::new(),
            templates: Vec::new(),
            rule: Rule::Any(Vec::new()),
        };
        let (mut has_roles, mut has_rules) = (false, false);
        for (key, value) in written {
            match key.as_str() {
                "enabled" => {
                    mapping.enabled = value
                        .as_bool()
                        .ok_or_else(|| failed(key, "expected true or false"))?;
                }
                "roles" => {
                    has_roles = true;
                    mapping.roles =
                        strings(value).ok_or_else(|| failed(key, "expected an array of names"))?;
                }
                "role_templates" => {
                    has_roles = true;
                    let items = value
                        .as_array()
                        .ok_or_else(|| failed(key, "expected an array"))?;
                    let read = items.iter().map(RoleTemplate::parse);
                    mapping.templates = read
                        .collect::<Result<_, _>>()
                        .map_err(|reason| failed(key, &reason))?;
                }
                "rules" => {
                    has_rules = true;
                    let rule = Rule::parse(value, name, false, 0);
                    mapping.rule = rule.map_err(|reason| failed(key, &reason))?;
                }
                "metadata" if value.is_object() => {}
                "metadata" => return Err(failed(key, "expected an object")),
                _ => return Err(parsing(&format!("[role-mapping] unknown field [{key}]"))),
            }
        }
        for (there, field) in [(has_roles, "roles"), (has_rules, "rules")] {
            if !there {
                let reason =
                    format!("failed to parse role-mapping [{name}]. missing field [{field}]");
                return Err(parsing(&reason));
            }
        }
        let problem = match (mapping.roles.is_empty(), mapping.templates.is_empty()) {
            (true, true) => Some("role-mapping roles or role-templates are missing"),
            (false, false) => Some("role-mapping cannot have both roles and role-templates"),
            _ => None,
        };
        let metadata = written.get("metadata").and_then(Value::as_object);
        let underscore = metadata.is_some_and(|keys| keys.keys().any(|key| key.starts_with('_')));
        let problem = problem.or(underscore.then_some("metadata keys may not start with [_]"));
        match problem {
            Some(problem) => Err(ApiError::validation(&[problem])),
            None => Ok(mapping),
        }
    }

    /// Returns the roles that the mapping gives to somebody.
    pub fn roles_of(&self, subject: &Subject) -> Vec<String> {
        if !self.enabled || !self.rule.holds(subject) {
            return Vec::new();
        }
        let made = self
            .templates
            .iter()
            .flat_map(|template| template.roles_of(subject));
        self.roles.iter().cloned().chain(made).collect()
    }
}

/// Checks a mapping that is to be stored, and returns it in its normal form.
///
/// # Errors
/// As [`RoleMapping::parse`].
pub fn check_put_role_mapping(
    name: &str,
    written: &Map<String, Value>,
) -> ApiResult<StoredRoleMapping> {
    let parsed = RoleMapping::parse(name, written)?;
    let mut mapping = Map::new();
    mapping.insert("enabled".to_owned(), parsed.enabled.into());
    match parsed.templates.is_empty() {
        true => mapping.insert("roles".to_owned(), json!(parsed.roles)),
        false => {
            let templates = written["role_templates"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let normal = templates.into_iter().map(|mut item| {
                if item["template"].is_object() {
                    item["template"] = item["template"].to_string().into();
                }
                if item.get("format").is_none() {
                    item["format"] = "string".into();
                }
                item
            });
            mapping.insert("role_templates".to_owned(), normal.collect())
        }
    };
    mapping.insert("rules".to_owned(), written["rules"].clone());
    let metadata = written.get("metadata").cloned();
    mapping.insert("metadata".to_owned(), metadata.unwrap_or_else(|| json!({})));
    Ok(StoredRoleMapping { mapping })
}

/// The mappings of the cluster, each read once.
pub struct RoleMappings {
    store: Arc<dyn SecurityStore>,
    known: moka::sync::Cache<String, Arc<Known>>,
}

struct Known {
    /// What was read; a changed mapping is another object.
    stored: Arc<StoredRoleMapping>,
    mapping: Option<RoleMapping>,
}

impl RoleMappings {
    /// Returns the mappings of a store.
    pub fn new(store: Arc<dyn SecurityStore>) -> Self {
        Self {
            store,
            known: moka::sync::Cache::new(MAX_KNOWN),
        }
    }

    /// Returns the roles that mappings give to somebody, sorted.
    pub fn roles_of(&self, subject: impl FnOnce() -> Subject) -> BTreeSet<String> {
        let stored = self.store.role_mappings();
        if stored.is_empty() {
            return BTreeSet::new();
        }
        let subject = subject();
        let mut roles = BTreeSet::new();
        for (name, stored) in stored {
            let known = self.known(name, stored);
            roles.extend(
                known
                    .mapping
                    .iter()
                    .flat_map(|mapping| mapping.roles_of(&subject)),
            );
        }
        roles
    }

    fn known(&self, name: String, stored: Arc<StoredRoleMapping>) -> Arc<Known> {
        if let Some(known) = self.known.get(&name)
            && Arc::ptr_eq(&known.stored, &stored)
        {
            return known;
        }
        let mapping = RoleMapping::parse(&name, &stored.mapping);
        let mapping = mapping.inspect_err(|error| {
            tracing::error!(role_mapping = name, %error, "the role mapping gives no roles: it cannot be used");
        });
        let known = Arc::new(Known {
            stored,
            mapping: mapping.ok(),
        });
        self.known.insert(name, Arc::clone(&known));
        known
    }
}

impl RoleTemplate {
    fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("a role template is an object")?;
        let unknown = object
            .keys()
            .find(|key| !["template", "format"].contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(format!("[role-mapping-template] unknown field [{key}]"));
        }
        let is_json = match object.get("format").map(|format| format.as_str()) {
            None | Some(Some("string")) => false,
            Some(Some("json")) => true,
            Some(other) => {
                let other = other.unwrap_or_default();
                return Err(format!(
                    "Invalid format [{other}] expected one of [json,string]"
                ));
            }
        };
        let script = match object.get("template") {
            Some(Value::Object(script)) => script.clone(),
            Some(Value::String(text)) => match json::parse(text.as_bytes()) {
                Ok(Value::Object(script)) => script,
                _ => return Err("[template] is no JSON object".to_owned()),
            },
            _ => return Err("a role template needs a [template]".to_owned()),
        };
        let makes = if is_json { Makes::Json } else { Makes::Text };
        let source = template::source(script)?;
        let template = Template::parse(&source, makes, known_path);
        let hint =
            "; a role template knows [username], [dn], [groups], [realm.name] and [metadata.NAME]";
        Ok(Self {
            template: template.map_err(|reason| reason + hint)?,
            is_json,
        })
    }

    /// What does not fit gives no role.
    fn roles_of(&self, subject: &Subject) -> Vec<String> {
        let nothing = |why: &str| {
            let username = subject.values["username"].as_str();
            tracing::warn!(
                user.name = username,
                why,
                "a role template gives no roles to this user"
            );
            Vec::new()
        };
        let text = match self.template.fill(&subject.values) {
            Ok(text) => text,
            Err(name) => return nothing(&format!("[{name}] does not fit")),
        };
        if !self.is_json {
            return vec![text];
        }
        let made = json::parse(text.as_bytes()).ok();
        let made = made.as_ref().and_then(strings);
        made.unwrap_or_else(|| nothing("it makes neither a string nor an array of strings"))
    }
}

fn known_path(name: &str) -> Option<Vec<String>> {
    let path: Vec<String> = match name.strip_prefix("metadata.") {
        Some(key) if !key.is_empty() => vec!["metadata".to_owned(), key.to_owned()],
        _ => name.split('.').map(str::to_owned).collect(),
    };
    let known = ["username", "dn", "groups", "realm.name"].contains(&name);
    (known || (path.len() == 2 && path[0] == "metadata")).then_some(path)
}

impl Rule {
    fn parse(value: &Value, within: &str, may_except: bool, depth: usize) -> Result<Self, String> {
        let wrong = |what: String| format!("failed to parse rules expression. {what}");
        if depth > MAX_DEPTH {
            return Err(wrong(format!("rules are nested deeper than [{MAX_DEPTH}]")));
        }
        let (key, value) = only(value, within).map_err(wrong)?;
        let list = |may_except| -> Result<Vec<Self>, String> {
            let items = value
                .as_array()
                .ok_or_else(|| wrong(format!("field [{key}] requires an array")))?;
            let read = |item| Self::parse(item, key, may_except, depth + 1);
            items.iter().map(read).collect()
        };
        match key {
            "any" => list(false).map(Self::Any),
            "all" => list(true).map(Self::All),
            "except" if may_except => {
                let rule = Self::parse(value, key, false, depth + 1)?;
                Ok(Self::Except(Box::new(rule)))
            }
            "except" => Err(wrong(format!(
                "field [except] is not allowed within [{within}]"
            ))),
            "field" => {
                let (name, value) = only(value, "field").map_err(wrong)?;
                let values = match value {
                    Value::Array(values) => values.iter().collect(),
                    one => vec![one],
                };
                let values = values
                    .into_iter()
                    .map(|value| FieldValue::parse(name, value));
                Ok(Self::Field {
                    name: name.to_owned(),
                    values: values.collect::<Result<_, _>>().map_err(wrong)?,
                })
            }
            _ => Err(wrong(format!(
                "field [{key}] is not recognised in object [{within}]"
            ))),
        }
    }

    fn holds(&self, subject: &Subject) -> bool {
        match self {
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(subject)),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(subject)),
            Self::Except(rule) => !rule.holds(subject),
            Self::Field { name, values } => {
                let has = match subject.value(name) {
                    Value::Array(many) if many.is_empty() => vec![&Value::Null],
                    Value::Array(many) => many.iter().collect(),
                    one => vec![one],
                };
                has.iter()
                    .any(|has| values.iter().any(|value| value.is_met_by(has)))
            }
        }
    }
}

/// Returns the one member of an object.
fn only<'v>(value: &'v Value, within: &str) -> Result<(&'v str, &'v Value), String> {
    let object = value
        .as_object()
        .ok_or_else(|| format!("expected an object in [{within}]"))?;
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (None, _) => Err(format!("object [{within}] does not contain any fields")),
        (Some(_), Some(_)) => Err(format!("object [{within}] contains multiple fields")),
        (Some((key, value)), None) => Ok((key, value)),
    }
}

impl FieldValue {
    fn parse(field: &str, value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::Null => Self::Missing,
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Number(number) => match number.as_f64() {
                Some(number) => Self::Number(number),
                None => return Err(format!("[{number}] is out of range")),
            },
            Value::String(text) => Self::Text {
                pattern: Pattern::parse(text).map_err(|error| error.to_string())?,
                dn: ["dn", "groups"]
                    .contains(&field)
                    .then(|| Dn::parse(text))
                    .flatten(),
            },
            Value::Object(_) => {
                return Err("expected a field value but found [START_OBJECT] instead".to_owned());
            }
            Value::Array(_) => {
                return Err("expected a field value but found [START_ARRAY] instead".to_owned());
            }
        })
    }

    fn is_met_by(&self, has: &Value) -> bool {
        match (self, has) {
            (Self::Missing, Value::Null) => true,
            (Self::Flag(wanted), Value::Bool(has)) => wanted == has,
            (Self::Number(wanted), Value::Number(has)) => has.as_f64() == Some(*wanted),
            (Self::Text { pattern, dn }, Value::String(has)) => {
                pattern.matches(has) || dn.as_ref().is_some_and(|dn| dn.is_met_by(has))
            }
            _ => false,
        }
    }
}

impl Dn {
    /// `None` for a text that is compared as a pattern only.
    fn parse(text: &str) -> Option<Self> {
        let normal = |text: &str| {
            DistinguishedName::parse(text)
                .ok()
                .map(|dn| dn.normalized())
        };
        match text.strip_prefix("*,") {
            Some(above) if !above.contains(['*', '?']) => normal(above).map(Self::Below),
            _ if text.contains(['*', '?']) || text.starts_with('/') => None,
            _ => normal(text).map(Self::Whole),
        }
    }

    fn is_met_by(&self, has: &str) -> bool {
        let Ok(has) = DistinguishedName::parse(has) else {
            return false;
        };
        let has = has.normalized();
        match self {
            Self::Whole(wanted) => has == *wanted,
            Self::Below(above) => has.strip_suffix(above.as_str()).is_some_and(ends_component),
        }
    }
}

/// Whether a text ends with the comma between two components, and not with one that is part of a value.
fn ends_component(text: &str) -> bool {
    let Some(before) = text.strip_suffix(',') else {
        return false;
    };
    before
        .bytes()
        .rev()
        .take_while(|byte| *byte == b'\\')
        .count()
        % 2
        == 0
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn failed(field: &str, cause: &str) -> ApiError {
    let cause = ApiError::new(ErrorCode::Parse, cause);
    parsing(&format!("[role-mapping] failed to parse field [{field}]")).caused_by(cause)
}

fn parsing(reason: &str) -> ApiError {
    ApiError::new(ErrorCode::Parsing, reason)
}

const MAX_KNOWN: u64 = 10_000;
/// Of rules within rules.
const MAX_DEPTH: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        let Value::Object(metadata) =
            json!({"team": "red", "a.b": ["x", "y"], "level": 3, "on": true})
        else {
            panic!("metadata is an object")
        };
        User {
            username: "ann".to_owned(),
            roles: Vec::new(),
            full_name: None,
            email: None,
            metadata,
            enabled: true,
        }
    }

    fn subject() -> Subject {
        let groups = ["CN=admins,OU=groups".to_owned(), "plain".to_owned()];
        Subject::new(&user(), Some("CN=Ann, OU=it, O=Acme"), &groups, "pki1")
    }

    fn mapping(written: &Value) -> ApiResult<RoleMapping> {
        RoleMapping::parse("m", written.as_object().unwrap())
    }

    #[test]
    fn rules_hold_for_whom_they_describe() {
        for (rules, expected) in [
            (json!({"field": {"username": "ann"}}), true),
            (json!({"field": {"username": "a*"}}), true),
            (json!({"field": {"username": "/a.n/"}}), true),
            (json!({"field": {"username": ["bob", "ann"]}}), true),
            (json!({"field": {"username": "Ann"}}), false),
            (json!({"field": {"dn": "cn=ann,ou=IT,o=acme"}}), true),
            (json!({"field": {"dn": "*,ou=it,o=acme"}}), true),
            (json!({"field": {"dn": "*,o=acme"}}), true),
            (json!({"field": {"dn": "*,cn=ann,ou=it,o=acme"}}), false),
            (json!({"field": {"dn": "*,o=me"}}), false),
            (json!({"field": {"dn": "CN=*, OU=it, O=Acme"}}), true),
            (json!({"field": {"groups": "ou=Groups"}}), false),
            (json!({"field": {"groups": "cn=Admins, ou=Groups"}}), true),
            (json!({"field": {"groups": "plain"}}), true),
            (json!({"field": {"realm.name": "pki1"}}), true),
            (json!({"field": {"metadata.team": "red"}}), true),
            (json!({"field": {"metadata.a.b": "y"}}), true),
            (json!({"field": {"metadata.level": 3}}), true),
            (json!({"field": {"metadata.level": "3"}}), false),
            (json!({"field": {"metadata.on": true}}), true),
            (json!({"field": {"metadata.none": null}}), true),
            (json!({"field": {"metadata.team": null}}), false),
            (json!({"any": []}), false),
            (json!({"all": []}), true),
            (
                json!({"any": [{"field": {"username": "bob"}}, {"field": {"realm.name": "*"}}]}),
                true,
            ),
            (
                json!({"all": [{"field": {"username": "*"}}, {"except": {"field": {"dn": "*,o=acme"}}}]}),
                false,
            ),
            (
                json!({"all": [{"field": {"username": "*"}}, {"except": {"field": {"dn": "*,o=other"}}}]}),
                true,
            ),
        ] {
            let mapping = mapping(&json!({"roles": ["r"], "rules": rules})).unwrap();
            assert_eq!(
                !mapping.roles_of(&subject()).is_empty(),
                expected,
                "{rules}"
            );
        }
        let off = json!({"roles": ["r"], "enabled": false, "rules": {"all": []}});
        assert!(mapping(&off).unwrap().roles_of(&subject()).is_empty());
    }

    #[test]
    fn templates_make_roles() {
        let all = json!({"all": []});
        for (template, expected) in [
            (
                json!({"template": {"source": "u_{{username}}"}}),
                vec!["u_ann"],
            ),
            (
                json!({"template": "{\"source\":\"{{realm.name}}-{{metadata.level}}\"}"}),
                vec!["pki1-3"],
            ),
            (
                json!({"template": {"source": "{{#tojson}}metadata.a.b{{/tojson}}"}, "format": "json"}),
                vec!["x", "y"],
            ),
            (
                json!({"template": {"source": "[\"{{metadata.team}}\"]"}, "format": "json"}),
                vec!["red"],
            ),
            // What does not fit gives nothing.
            (json!({"template": {"source": "{{groups}}"}}), vec![]),
            (
                json!({"template": {"source": "{\"a\":1}"}, "format": "json"}),
                vec![],
            ),
        ] {
            let written = json!({"role_templates": [template], "rules": all});
            let stored = check_put_role_mapping("m", written.as_object().unwrap()).unwrap();
            let mapping = RoleMapping::parse("m", &stored.mapping).unwrap();
            assert_eq!(mapping.roles_of(&subject()), expected, "{template}");
        }
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for (written, told) in [
            (
                json!({}),
                "failed to parse role-mapping [m]. missing field [roles]",
            ),
            (
                json!({"roles": ["a"]}),
                "failed to parse role-mapping [m]. missing field [rules]",
            ),
            (
                json!({"roles": [], "rules": {"any": []}}),
                "role-mapping roles or role-templates are missing",
            ),
            (
                json!({"roles": ["a"], "rules": {}}),
                "object [m] does not contain any fields",
            ),
            (
                json!({"roles": ["a"], "rules": {"foo": 1}}),
                "field [foo] is not recognised in object [m]",
            ),
            (
                json!({"roles": ["a"], "rules": {"except": {"field": {"a": "b"}}}}),
                "field [except] is not allowed within [m]",
            ),
            (
                json!({"roles": ["a"], "rules": {"any": [{"except": {"field": {"a": "b"}}}]}}),
                "field [except] is not allowed within [any]",
            ),
            (
                json!({"roles": ["a"], "rules": {"any": {}}}),
                "field [any] requires an array",
            ),
            (
                json!({"roles": ["a"], "rules": {"field": {"a": "b", "c": "d"}}}),
                "object [field] contains multiple fields",
            ),
            (
                json!({"roles": ["a"], "rules": {"field": {"a": {}}}}),
                "expected a field value but found [START_OBJECT] instead",
            ),
            (
                json!({"roles": ["a"], "rules": {"field": {"a": "/(/"}}}),
                "invalid pattern",
            ),
            (
                json!({"roles": ["a"], "rules": {"any": []}, "x": 1}),
                "unknown field [x]",
            ),
            (
                json!({"roles": ["a"], "rules": {"any": []}, "metadata": {"_a": 1}}),
                "metadata keys may not start with [_]",
            ),
            (
                json!({"role_templates": [{"template": {"source": "{{x}}"}}], "rules": {"any": []}}),
                "[{{x}}] of a template is not supported",
            ),
            (
                json!({"role_templates": [{"template": {"source": "a"}, "format": "x"}], "rules": {"any": []}}),
                "Invalid format [x]",
            ),
        ] {
            let error = mapping(&written).unwrap_err();
            let text = format!("{error:?}");
            assert!(
                error.status == 400 && text.contains(told),
                "{written}: {text}"
            );
        }
    }
}
