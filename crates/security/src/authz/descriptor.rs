//! Role descriptors as JSON: read strictly, written in their normal form. Source: Elasticsearch reference, "Create or
//! update roles API" and "Create API key API".

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use serde_json::{Map, Value, json};

use super::role::{
    ApplicationPrivileges, CompiledRole, FieldSecurity, IndicesPrivileges, RoleDescriptor,
};

impl RoleDescriptor {
    /// Reads a descriptor. Errors: 400 that names the role and the field, for whatever is unknown, of a
    /// wrong type, or could not be enforced.
    pub fn parse(role: &str, value: &Value) -> ApiResult<Self> {
        let reader = Reader { role };
        let mut descriptor = Self::default();
        for (key, value) in reader.object("role descriptor", value)? {
            match key.as_str() {
                "cluster" => descriptor.cluster = reader.strings(key, value)?,
                "indices" | "index" => {
                    descriptor.indices = reader.each(key, value, Reader::group)?
                }
                "applications" => {
                    descriptor.applications = reader.each(key, value, Reader::application)?;
                }
                "run_as" => descriptor.run_as = reader.strings(key, value)?,
                "global" => descriptor.global = Some(value.clone()).filter(|v| !is_empty(v)),
                "remote_indices" => descriptor.remote_indices = reader.array(key, value)?.to_vec(),
                "remote_cluster" => descriptor.remote_cluster = reader.array(key, value)?.to_vec(),
                "metadata" => descriptor.metadata = reader.object(key, value)?.clone(),
                "transient_metadata" => drop(reader.object(key, value)?),
                "description" => descriptor.description = Some(reader.text(key, value)?),
                "restriction" if is_empty(value) => {}
                "restriction" => {
                    return Err(reader.refuse("uses [restriction], which is not supported"));
                }
                _ => return Err(reader.unexpected(key)),
            }
        }
        CompiledRole::compile(role, &descriptor)?;
        Ok(descriptor)
    }

    /// Returns the normal form of the descriptor.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "cluster": self.cluster,
            "indices": self.indices.iter().map(group_json).collect::<Vec<_>>(),
            "applications": self.applications,
            "run_as": self.run_as,
            "metadata": self.metadata,
            "transient_metadata": {"enabled": true},
        });
        let optional = [
            ("global", self.global.clone()),
            ("remote_indices", list(&self.remote_indices)),
            ("remote_cluster", list(&self.remote_cluster)),
            ("description", self.description.clone().map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }

    /// Returns whether the role allows nothing at all.
    pub fn is_empty(&self) -> bool {
        let Self {
            cluster,
            indices,
            applications,
            run_as,
            global,
            remote_indices,
            remote_cluster,
            metadata: _,
            description: _,
        } = self;
        cluster.is_empty()
            && indices.is_empty()
            && applications.is_empty()
            && run_as.is_empty()
            && global.is_none()
            && remote_indices.is_empty()
            && remote_cluster.is_empty()
    }
}

fn list(values: &[Value]) -> Option<Value> {
    (!values.is_empty()).then(|| values.to_vec().into())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn group_json(group: &IndicesPrivileges) -> Value {
    let mut body = json!({"names": group.names, "privileges": group.privileges});
    if group.field_security.is_some() {
        body["field_security"] = field_security_json(group.field_security.as_ref());
    }
    if let Some(query) = &group.query {
        body["query"] = query.clone().into();
    }
    body["allow_restricted_indices"] = group.allow_restricted_indices.into();
    body
}

/// Returns only what was said; `null` where nothing was.
pub(super) fn field_security_json(fields: Option<&FieldSecurity>) -> Value {
    let Some(FieldSecurity { grant, except }) = fields else {
        return Value::Null;
    };
    let said = [("grant", grant), ("except", except)];
    let said = said
        .into_iter()
        .filter_map(|(name, list)| Some((name.to_owned(), json!(list.as_ref()?))));
    Value::Object(said.collect())
}

struct Reader<'a> {
    role: &'a str,
}

impl Reader<'_> {
    fn group(&self, value: &Value) -> ApiResult<IndicesPrivileges> {
        let mut group = IndicesPrivileges::default();
        for (key, value) in self.object("indices", value)? {
            match key.as_str() {
                "names" => group.names = self.strings(key, value)?,
                "privileges" => group.privileges = self.strings(key, value)?,
                "allow_restricted_indices" => {
                    group.allow_restricted_indices = self.flag(key, value)?
                }
                "field_security" | "query" if value.is_null() => {}
                "field_security" => group.field_security = Some(self.field_security(value)?),
                "query" => group.query = self.query(value)?,
                _ => return Err(self.unexpected(key)),
            }
        }
        for (name, values) in [("names", &group.names), ("privileges", &group.privileges)] {
            if values.is_empty() {
                return Err(self.parsing(format!(
                    "failed to parse indices privileges for role [{}]. missing required [{name}] field",
                    self.role
                )));
            }
        }
        Ok(group)
    }

    fn field_security(&self, value: &Value) -> ApiResult<FieldSecurity> {
        let mut fields = FieldSecurity::default();
        let failed = |what: String| {
            self.parsing(format!(
                "failed to parse indices privileges for role [{}]. {what}",
                self.role
            ))
        };
        let written = value
            .as_object()
            .ok_or_else(|| failed("expected START_OBJECT in \"field_security\".".to_owned()))?;
        if written.is_empty() {
            return Err(failed("\"field_security\" must not be empty.".to_owned()));
        }
        for (key, value) in written {
            match key.as_str() {
                "grant" | "except" if value.is_null() => {}
                "grant" => fields.grant = Some(self.strings(key, value)?),
                "except" => fields.except = Some(self.strings(key, value)?),
                _ => {
                    return Err(failed(format!(
                        "\"field_security\" only accepts options grant and except, but got: {key}"
                    )));
                }
            }
        }
        if fields.grant.is_none() && fields.except.is_some() {
            return Err(failed(
                "field_security requires grant if except is given".to_owned(),
            ));
        }
        Ok(fields)
    }

    /// A query is kept as text. An empty one is none.
    fn query(&self, value: &Value) -> ApiResult<Option<String>> {
        match value {
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Object(_) | Value::Array(_) => Ok(Some(value.to_string())),
            _ => Err(self.parsing(format!(
                "failed to parse indices privileges for role [{}]. expected field [query] value to be null, a string, \
                 an array, or an object",
                self.role
            ))),
        }
    }

    fn application(&self, value: &Value) -> ApiResult<ApplicationPrivileges> {
        let mut application = ApplicationPrivileges::default();
        for (key, value) in self.object("applications", value)? {
            match key.as_str() {
                "application" => application.application = self.text(key, value)?,
                "privileges" => application.privileges = self.strings(key, value)?,
                "resources" => application.resources = self.strings(key, value)?,
                _ => return Err(self.unexpected(key)),
            }
        }
        if application.privileges.is_empty() {
            return Err(ApiError::illegal_argument(
                "application privileges must define at least one privilege",
            ));
        }
        Ok(application)
    }

    fn each<T>(
        &self,
        field: &str,
        value: &Value,
        read: impl Fn(&Self, &Value) -> ApiResult<T>,
    ) -> ApiResult<Vec<T>> {
        let items = self.array(field, value)?.iter();
        items.map(|item| read(self, item)).collect()
    }

    fn object<'v>(&self, field: &str, value: &'v Value) -> ApiResult<&'v Map<String, Value>> {
        value
            .as_object()
            .ok_or_else(|| self.wrong(field, "an object"))
    }

    fn array<'v>(&self, field: &str, value: &'v Value) -> ApiResult<&'v [Value]> {
        let array = value.as_array().map(Vec::as_slice);
        array.ok_or_else(|| self.wrong(field, "an array"))
    }

    fn text(&self, field: &str, value: &Value) -> ApiResult<String> {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.wrong(field, "a string"))
    }

    fn flag(&self, field: &str, value: &Value) -> ApiResult<bool> {
        value
            .as_bool()
            .ok_or_else(|| self.wrong(field, "a boolean"))
    }

    /// A string stands for an array of one.
    fn strings(&self, field: &str, value: &Value) -> ApiResult<Vec<String>> {
        match value {
            Value::String(one) => Ok(vec![one.clone()]),
            _ => self.each(field, value, |reader, item| reader.text(field, item)),
        }
    }

    fn unexpected(&self, field: &str) -> ApiError {
        self.parsing(format!(
            "failed to parse role [{}]. unexpected field [{field}]",
            self.role
        ))
    }

    fn wrong(&self, field: &str, expected: &str) -> ApiError {
        self.parsing(format!(
            "failed to parse role [{}]. field [{field}] must be {expected}",
            self.role
        ))
    }

    fn refuse(&self, why: &str) -> ApiError {
        ApiError::illegal_argument(format!("role [{}] {why}", self.role))
    }

    fn parsing(&self, reason: String) -> ApiError {
        ApiError::new(ErrorCode::Parse, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_come_back_in_their_normal_form() {
        let written = json!({
            "cluster": "monitor",
            "index": [{"names": "logs-*", "privileges": ["read"]}],
            "applications": [{"application": "kibana", "privileges": ["all"], "resources": "*"}],
            "restriction": {},
        });
        let role = RoleDescriptor::parse("r", &written).unwrap();
        let normal = role.to_json();
        assert_eq!(normal["cluster"], json!(["monitor"]));
        assert_eq!(
            normal["indices"],
            json!([{"names": ["logs-*"], "privileges": ["read"], "allow_restricted_indices": false}])
        );
        assert_eq!(RoleDescriptor::parse("r", &normal).unwrap(), role);
        assert!(!role.is_empty());
        let empty = RoleDescriptor::parse("r", &json!({"metadata": {"a": 1}})).unwrap();
        assert!(empty.is_empty());
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_and_named() {
        for (written, part) in [
            (json!([]), "field [role descriptor] must be an object"),
            (json!({"clusters": []}), "unexpected field [clusters]"),
            (json!({"cluster": [1]}), "field [cluster] must be a string"),
            (
                json!({"cluster": ["monitr"]}),
                "unknown cluster privilege [monitr]",
            ),
            (
                json!({"indices": [{"names": ["a"]}]}),
                "missing required [privileges] field",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "x": 1}]}),
                "unexpected field [x]",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "query": "{"}]}),
                "failed to parse field 'query' for indices [a] at index privilege [0]",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "query": 5}]}),
                "expected field [query] value to be null",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "field_security": {}}]}),
                "\"field_security\" must not be empty.",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "field_security": {"except": ["b"]}}]}),
                "field_security requires grant if except is given",
            ),
            (
                json!({"indices": [{"names": ["a"], "privileges": ["read"], "field_security": {"grant": ["a"], "x": 1}}]}),
                "only accepts options grant and except, but got: x",
            ),
            (
                json!({"restriction": {"workflows": ["w"]}}),
                "[restriction]",
            ),
        ] {
            let error = RoleDescriptor::parse("r", &written).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.reason.contains(part), "{}", error.reason);
        }
    }
}
