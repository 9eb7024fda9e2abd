//! The query of a role, which may be a template that is filled in with what is known of the user. Source: Elasticsearch
//! reference, "Templating a role query".

use std::sync::Arc;

use ringwall_api::auth::User;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::json;
use serde_json::Value;

use super::template::{self, Makes, Template};

/// Which documents a group of privileges shows.
#[derive(Debug, Clone)]
pub enum RoleQuery {
    Fixed(Arc<Value>),
    Template(Template),
}

impl RoleQuery {
    /// Reads the text of a query; `None` for an empty one, which is as good as none.
    ///
    /// # Errors
    /// Why it is no query.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let mut written = match json::parse(text.as_bytes()) {
            Ok(Value::Object(written)) => written,
            Ok(_) => return Err("a query is a JSON object".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        if written.len() != 1 || !written.contains_key("template") {
            return Ok(Some(Self::Fixed(Arc::new(Value::Object(written)))));
        }
        let Some(Value::Object(script)) = written.remove("template") else {
            return Err("[template] must be an object".to_owned());
        };
        let source = template::source(script)?;
        let template = Template::parse(&source, Makes::Json, user_path);
        let hint = "; a role query knows [_user.username], [_user.full_name], [_user.email], [_user.roles] and \
                    [_user.metadata.NAME]";
        template
            .map(|template| Some(Self::Template(template)))
            .map_err(|reason| reason + hint)
    }

    /// Returns the query itself, if it is no template.
    pub fn fixed(&self) -> Option<&Value> {
        match self {
            Self::Fixed(query) => Some(query),
            Self::Template(_) => None,
        }
    }

    /// Returns the query for a user.
    ///
    /// # Errors
    /// 400 when what is known of the user does not fit the template.
    pub fn for_user(&self, user: &User) -> ApiResult<Arc<Value>> {
        let template = match self {
            Self::Fixed(query) => return Ok(Arc::clone(query)),
            Self::Template(template) => template,
        };
        let known = serde_json::json!({"_user": {
            "username": user.username, "full_name": user.full_name, "email": user.email, "roles": user.roles,
            "metadata": user.metadata,
        }});
        let text = template.fill(&known).map_err(|name| {
            ApiError::illegal_argument(format!(
                "a role query template cannot be filled in for this user: [{name}] does not fit its place"
            ))
        })?;
        let query = json::parse(text.as_bytes()).map_err(|error| {
            let reason = "a role query template is no JSON when it is filled in for this user";
            tracing::error!(user.name = %user.username, %error, "{reason}");
            ApiError::illegal_argument(reason)
        })?;
        Ok(Arc::new(query))
    }
}

fn user_path(name: &str) -> Option<Vec<String>> {
    let path: Vec<String> = name.split('.').map(str::to_owned).collect();
    let [user, what, rest @ ..] = path.as_slice() else {
        return None;
    };
    let fits = match what.as_str() {
        "username" | "full_name" | "email" | "roles" => rest.is_empty(),
        "metadata" => !rest.is_empty() && rest.iter().all(|part| !part.is_empty()),
        _ => false,
    };
    (user == "_user" && fits).then_some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(name: &str, metadata: Value) -> User {
        let Value::Object(metadata) = metadata else {
            panic!("metadata is an object")
        };
        User {
            username: name.to_owned(),
            roles: vec!["a".to_owned(), "b\"".to_owned()],
            full_name: None,
            email: None,
            metadata,
            enabled: true,
        }
    }

    fn of(source: &str, user: &User) -> ApiResult<Value> {
        let text = json!({"template": {"source": source}}).to_string();
        let query = RoleQuery::parse(&text).unwrap().unwrap();
        query.for_user(user).map(|query| (*query).clone())
    }

    #[test]
    fn templates_are_filled_in() {
        let ann = user(
            "ann",
            json!({"team": "red", "level": 3, "groups": ["x", "y"], "on": true}),
        );
        for (source, expected) in [
            (
                r#"{"term":{"owner":"{{_user.username}}"}}"#,
                json!({"term": {"owner": "ann"}}),
            ),
            (
                r#"{"term":{"team":"t-{{ _user.metadata.team }}/{{_user.metadata.level}}"}}"#,
                json!({"term": {"team": "t-red/3"}}),
            ),
            (
                r#"{"range":{"n":{"lte":{{_user.metadata.level}}}}}"#,
                json!({"range": {"n": {"lte": 3}}}),
            ),
            (
                r#"{"terms":{"r":{{#toJson}}_user.roles{{/toJson}}}}"#,
                json!({"terms": {"r": ["a", "b\""]}}),
            ),
            (
                r#"{"term":{"e":"{{_user.email}}"}}"#,
                json!({"term": {"e": ""}}),
            ),
        ] {
            assert_eq!(of(source, &ann).unwrap(), expected, "{source}");
        }
        let object =
            json!({"template": {"source": {"term": {"o": "{{_user.username}}"}}}}).to_string();
        let query = RoleQuery::parse(&object).unwrap().unwrap();
        assert_eq!(
            *query.for_user(&ann).unwrap(),
            json!({"term": {"o": "ann"}})
        );
    }

    #[test]
    fn nobody_changes_what_a_template_asks() {
        let evil = "x\"}},{\"match_all\":{";
        let eve = user(evil, json!({"n": "1}},{\"match_all\":{", "list": [1]}));
        let query = of(r#"{"term":{"owner":"{{_user.username}}"}}"#, &eve).unwrap();
        assert_eq!(query, json!({"term": {"owner": evil}}));
        for source in [
            r#"{"range":{"n":{"lte":{{_user.metadata.n}}}}}"#,
            r#"{"term":{"owner":"{{_user.metadata.list}}"}}"#,
            r#"{"term":{"owner":{{_user.metadata.none}}}}"#,
        ] {
            assert_eq!(of(source, &eve).unwrap_err().status, 400, "{source}");
        }
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for (text, part) in [
            ("not json", "expected"),
            ("[]", "a query is a JSON object"),
            (r#"{"template":5}"#, "must be an object"),
            (r#"{"template":{}}"#, "needs a [source]"),
            (r#"{"template":{"id":"a"}}"#, "stored script"),
            (r#"{"template":{"source":"{}","params":{}}}"#, "[params]"),
            (r#"{"template":{"source":"{{x}}"}}"#, "[{{x}}]"),
            (
                r#"{"template":{"source":"{{{_user.username}}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{#_user.roles}}a{{/_user.roles}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{_user.metadata}}"}}"#,
                "not supported",
            ),
            (
                r#"{"template":{"source":"{{_user.username"}}"#,
                "without [}}]",
            ),
            (
                r#"{"template":{"source":"\"{{#toJson}}_user.roles{{/toJson}}\""}}"#,
                "inside of a string",
            ),
        ] {
            let error = RoleQuery::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(RoleQuery::parse("").unwrap().is_none());
    }
}
