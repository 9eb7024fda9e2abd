//! `roles.yml`: roles of this node, beside those of the cluster. Source: Elasticsearch reference, "Defining roles",
//! "File-based role management".
//!
//! ```yaml
//! click_admins:
//!   cluster: [ "monitor" ]
//!   indices:
//!     - names: [ "events-*" ]
//!       privileges: [ "read" ]
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use ringwall_settings::yaml::{self, Entry, Node, Value};
use serde_json::{Map, Value as Json};

use super::FileProblem;
use super::rules::check_role_name;
use crate::authz::{CompiledRole, RoleDescriptor, is_reserved_role};

/// Roles by name.
#[derive(Debug, Default)]
pub struct RolesFile {
    roles: BTreeMap<String, (RoleDescriptor, Arc<CompiledRole>)>,
}

impl RolesFile {
    /// Reads the text of a file: a map of role names to descriptors. A role that cannot be enforced as it is written
    /// is a problem, and grants nothing.
    ///
    /// Errors: the text as a whole is no such map.
    pub fn parse(text: &str) -> Result<(Self, Vec<FileProblem>), FileProblem> {
        let root = yaml::parse(text).map_err(|error| FileProblem {
            line: error.line,
            reason: error.reason,
        })?;
        let entries = match root.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => entries,
            Value::Text(_) | Value::List(_) => {
                return Err(FileProblem {
                    line: root.line,
                    reason: "expected role names, each with what the role grants".to_owned(),
                });
            }
        };
        let mut file = Self::default();
        let mut problems = Vec::new();
        for entry in entries {
            let line = entry.line;
            if let Err(reason) = file.add(entry) {
                problems.push(FileProblem { line, reason });
            }
        }
        Ok((file, problems))
    }

    /// Returns a role for decisions.
    pub fn compiled(&self, name: &str) -> Option<Arc<CompiledRole>> {
        self.roles.get(name).map(|(_, role)| Arc::clone(role))
    }

    /// Returns what a role says.
    pub fn descriptor(&self, name: &str) -> Option<&RoleDescriptor> {
        self.roles.get(name).map(|(descriptor, _)| descriptor)
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let name = entry.key;
        check_role_name(&name)?;
        if is_reserved_role(&name) {
            return Err(format!(
                "role [{name}] is reserved; choose another name for what is defined here"
            ));
        }
        if self.roles.contains_key(&name) {
            return Err(format!(
                "role [{name}] is defined twice; the first one counts"
            ));
        }
        let written = match to_json("", entry.value) {
            Json::Null => Json::Object(Map::new()),
            written => written,
        };
        let descriptor = RoleDescriptor::parse(&name, &written).map_err(|error| error.reason)?;
        let compiled =
            CompiledRole::compile(&name, &descriptor).map_err(|error| error.to_string())?;
        self.roles.insert(name, (descriptor, Arc::new(compiled)));
        Ok(())
    }
}

fn to_json(key: &str, node: Node) -> Json {
    match node.value {
        Value::Null => Json::Null,
        // The only field that is no text.
        Value::Text(text) if key == "allow_restricted_indices" => match text.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => Json::String(text),
        },
        Value::Text(text) => Json::String(text),
        Value::List(items) => items.into_iter().map(|item| to_json(key, item)).collect(),
        Value::Map(entries) => {
            let entries = entries.into_iter().map(|entry| {
                let value = to_json(&entry.key, entry.value);
                (entry.key, value)
            });
            Json::Object(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_bad_ones_named() {
        let text = "\
# Roles.
reader:
  cluster: [ 'monitor' ]
  indices:
    - names: [ 'events-*' ]
      privileges: read
      allow_restricted_indices: false
superuser:
  cluster: [ all ]
typing:
  cluster: [ monitr ]
limited:
  indices:
    - names: [ 'a' ]
      privileges: [ 'read' ]
      query: '{\"term\": {\"a\": 1}'
nothing:
reader:
  cluster: [ all ]
";
        let (file, problems) = RolesFile::parse(text).unwrap();
        let right = file.compiled("reader").unwrap();
        assert_eq!(right.name, "reader");
        assert_eq!(file.descriptor("reader").unwrap().cluster, ["monitor"]);
        assert!(file.descriptor("nothing").unwrap().is_empty());
        for name in ["superuser", "typing", "limited"] {
            assert!(file.compiled(name).is_none(), "{name}");
        }
        let told: Vec<(usize, &str)> = problems
            .iter()
            .map(|problem| (problem.line, problem.reason.as_str()))
            .collect();
        let expected = [
            (8, "role [superuser] is reserved"),
            (10, "unknown cluster privilege [monitr]"),
            (12, "failed to parse field 'query'"),
            (18, "is defined twice"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for ((line, reason), (at, part)) in told.into_iter().zip(expected) {
            assert!(line == at && reason.contains(part), "{line}: {reason}");
        }
        assert_eq!(RolesFile::parse("- a").unwrap_err().line, 1);
    }
}
