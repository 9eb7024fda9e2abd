//! What applications may call their privileges. Source: Elasticsearch reference, "Create or update application
//! privileges API".

use ringwall_api::security::PutPrivilegesRequest;
use ringwall_api::{ApiError, ApiResult};

/// Checks privileges that are to be stored.
///
/// # Errors
/// 400 that lists what is wrong.
pub fn check_put_privileges(request: &PutPrivilegesRequest) -> ApiResult<()> {
    let mut problems = Vec::new();
    for (application, privileges) in &request.privileges {
        for (name, privilege) in privileges {
            problems.extend(application_problem(application));
            problems.extend(name_problem(name));
            if privilege.actions.is_empty() {
                problems.push("Application privileges must have at least one action".to_owned());
            }
            problems.extend(
                privilege
                    .actions
                    .iter()
                    .filter_map(|action| action_problem(action)),
            );
            if privilege.metadata.keys().any(|key| key.starts_with('_')) {
                problems.push(format!(
                    "metadata keys may not start with [_] (in privilege {application} {name})"
                ));
            }
        }
    }
    if request
        .privileges
        .values()
        .all(|privileges| privileges.is_empty())
    {
        problems.push("At least one application privilege must be provided".to_owned());
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ApiError::validation(&problems)),
    }
}

fn application_problem(name: &str) -> Option<String> {
    if name.contains(char::is_whitespace) {
        return Some(format!(
            "Application names may not contain whitespace (found '{name}')"
        ));
    }
    if name.contains('*') {
        return Some(format!(
            "Application names may not contain '*' (found '{name}')"
        ));
    }
    let prefix = name.split(['-', '_']).next().unwrap_or_default();
    if prefix.chars().count() < 3 {
        return Some(format!(
            "An application name prefix must be at least 3 characters long (found '{prefix}')"
        ));
    }
    let fits = prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.chars().all(|symbol| symbol.is_ascii_alphanumeric());
    (!fits).then(|| {
        format!("An application name prefix must match the pattern ^[a-z][A-Za-z0-9]*$ (found '{prefix}')")
    })
}

/// Whether a text is the name of a privilege, and not a pattern of actions.
pub(super) fn is_privilege_name(name: &str) -> bool {
    let is_symbol = |symbol: char| symbol.is_ascii_alphanumeric() || "_.-".contains(symbol);
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(is_symbol)
}

fn name_problem(name: &str) -> Option<String> {
    (!is_privilege_name(name)).then(|| {
        format!("Application privilege names must match the pattern ^[a-z][a-zA-Z0-9_.-]*$ (found '{name}')")
    })
}

fn action_problem(action: &str) -> Option<String> {
    if !action.chars().all(|symbol| symbol.is_ascii_graphic()) {
        return Some(format!(
            "Application privilege names and actions must match the pattern ^\\p{{Graph}}*$ (found '{action}')"
        ));
    }
    (!action.contains(['/', '*', ':']))
        .then(|| format!("action [{action}] must contain one of [ '/' , '*' , ':' ]"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringwall_api::security::StoredPrivilege;
    use serde_json::json;

    use super::*;

    fn put(application: &str, name: &str, actions: &[&str]) -> PutPrivilegesRequest {
        let privilege = StoredPrivilege {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            metadata: Default::default(),
        };
        let privileges = BTreeMap::from([(name.to_owned(), privilege)]);
        PutPrivilegesRequest {
            privileges: [(application.to_owned(), privileges)].into(),
        }
    }

    #[test]
    fn names_and_actions_are_as_elasticsearch_takes_them() {
        assert!(
            check_put_privileges(&put("myapp-App_1", "read.all_x-1", &["data:read/*"])).is_ok()
        );
        for (application, name, actions, told) in [
            (
                "a",
                "read",
                &["a:b"][..],
                "must be at least 3 characters long (found 'a')",
            ),
            (
                "MyApp",
                "read",
                &["a:b"],
                "^[a-z][A-Za-z0-9]*$ (found 'MyApp')",
            ),
            ("my*", "read", &["a:b"], "may not contain '*' (found 'my*')"),
            (
                "my app",
                "read",
                &["a:b"],
                "may not contain whitespace (found 'my app')",
            ),
            (
                "myapp",
                "Read",
                &["a:b"],
                "^[a-z][a-zA-Z0-9_.-]*$ (found 'Read')",
            ),
            (
                "myapp",
                "read",
                &["read"],
                "action [read] must contain one of [ '/' , '*' , ':' ]",
            ),
            ("myapp", "read", &["A B:c"], "^\\p{Graph}*$ (found 'A B:c')"),
            ("myapp", "read", &[], "must have at least one action"),
        ] {
            let error = check_put_privileges(&put(application, name, actions)).unwrap_err();
            assert!(
                error.status == 400 && error.reason.contains(told),
                "{}",
                error.reason
            );
        }
        let mut underscore = put("myapp", "read", &["a:b"]);
        let privilege = underscore
            .privileges
            .get_mut("myapp")
            .unwrap()
            .get_mut("read")
            .unwrap();
        privilege.metadata.insert("_a".to_owned(), json!(1));
        let error = check_put_privileges(&underscore).unwrap_err();
        assert!(
            error.reason.contains("(in privilege myapp read)"),
            "{}",
            error.reason
        );
        let nothing = PutPrivilegesRequest {
            privileges: BTreeMap::new(),
        };
        assert!(check_put_privileges(&nothing).is_err());
    }
}
