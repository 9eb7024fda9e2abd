//! `role_mapping.yml`: which roles the subjects of certificates have. Source: Elasticsearch reference, "Mapping users
//! and groups to roles" (role mapping files).
//!
//! ```yaml
//! monitoring_user:
//!   - "CN=probe,OU=machines,DC=example,DC=com"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ringwall_pki::DistinguishedName;
use ringwall_settings::yaml::{self, Entry, Node, Value};

use super::{FileProblem, FilesError, read};

/// The roles of each distinguished name, which is compared as directories do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleMappingFile {
    by_name: BTreeMap<String, BTreeSet<String>>,
}

impl RoleMappingFile {
    /// Reads the text of a file: a map of role names to lists of distinguished names. What is no distinguished name
    /// is a problem and skipped.
    ///
    /// Unlike Elasticsearch, which splits it at its commas, a single text is taken for one name.
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
                    reason: "expected role names, each with a list of distinguished names"
                        .to_owned(),
                });
            }
        };
        let mut file = Self::default();
        let mut problems = Vec::new();
        for entry in entries {
            file.add_role(entry, &mut problems);
        }
        Ok((file, problems))
    }

    /// Checks a file that a realm has been told to use. The error is the one of the bootstrap check.
    /// Blocking. Source: Elasticsearch reference, "Bootstrap Checks".
    pub fn check(path: &Path, realm: &str) -> Result<(), String> {
        let shown = path.display();
        let text = read(path).map_err(|error| match error {
            FilesError::NotFound { .. } => format!(
                "Role mapping file [{shown}] for realm [{realm}] does not exist. Make it, or take out \
                 [xpack.security.authc.realms.pki.{realm}.files.role_mapping]"
            ),
            other => format!("Role mapping file [{shown}] for realm [{realm}] could not be read: {other}"),
        })?;
        let problem = match Self::parse(&text) {
            Ok((_, problems)) => problems.into_iter().next(),
            Err(problem) => Some(problem),
        };
        match problem {
            None => Ok(()),
            Some(FileProblem { line, reason }) => Err(format!(
                "Role mapping file [{shown}] for realm [{realm}] could not be read: line [{line}]: {reason}"
            )),
        }
    }

    /// Returns the roles of a name, sorted.
    pub fn roles(&self, name: &DistinguishedName) -> Vec<String> {
        let roles = self.by_name.get(&name.normalized());
        roles.into_iter().flatten().cloned().collect()
    }

    fn add_role(&mut self, entry: Entry, problems: &mut Vec<FileProblem>) {
        let Entry {
            line,
            key: role,
            value,
        } = entry;
        let names = match value.value {
            Value::Null => Vec::new(),
            Value::List(names) => names,
            Value::Text(_) => vec![value],
            Value::Map(_) => {
                problems.push(FileProblem {
                    line,
                    reason: format!("the role [{role}] has no list of distinguished names"),
                });
                return;
            }
        };
        for name in names {
            if let Err(reason) = self.add_name(&role, &name) {
                let line = name.line;
                problems.push(FileProblem { line, reason });
            }
        }
    }

    fn add_name(&mut self, role: &str, name: &Node) -> Result<(), String> {
        let Value::Text(text) = &name.value else {
            return Err(format!(
                "the list of the role [{role}] must hold distinguished names only"
            ));
        };
        let name = DistinguishedName::parse(text)
            .map_err(|error| format!("invalid DN [{text}] of the role [{role}]: {error}"))?;
        let roles = self.by_name.entry(name.normalized()).or_default();
        roles.insert(role.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap()
    }

    #[test]
    fn roles_are_found_by_name_however_it_is_written() {
        let text = "# who may what\nviewer:\n  - \"cn=Ann Lee, ou=People, dc=example\"\n  - CN=Bob\n\
                    editor: [ 'CN=ann lee,OU=people,DC=EXAMPLE' ]\nalone: CN=Cid,O=x\nnobody:\n";
        let (file, problems) = RoleMappingFile::parse(text).unwrap();
        assert_eq!(problems, []);
        let ann = name("CN=ANN LEE,OU=People,DC=example");
        assert_eq!(file.roles(&ann), ["editor", "viewer"]);
        assert_eq!(file.roles(&name("CN=Bob")), ["viewer"]);
        assert_eq!(file.roles(&name("CN=Cid,O=x")), ["alone"]);
        let none: [String; 0] = [];
        for stranger in [
            "CN=Ann Lee",
            "CN=Ann Lee,OU=People,DC=example,DC=com",
            "OU=Bob",
        ] {
            assert_eq!(file.roles(&name(stranger)), none, "{stranger}");
        }
    }

    #[test]
    fn what_is_no_name_is_skipped_and_what_is_no_map_is_refused() {
        let text = "viewer:\n  - CN=Ann\n  - nonsense\n  - [CN=Bob]\nnested:\n  a: CN=Ann\n";
        let (file, problems) = RoleMappingFile::parse(text).unwrap();
        let lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert_eq!(file.roles(&name("CN=Ann")), ["viewer"]);
        for (text, line) in [
            ("- CN=Ann", 1),
            ("viewer:\n  - 'CN=Ann\n", 2),
            ("viewer", 1),
        ] {
            let problem = RoleMappingFile::parse(text).unwrap_err();
            assert!(problem.line >= line, "{text}: {problem:?}");
        }
        assert_eq!(RoleMappingFile::parse("").unwrap(), Default::default());
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roles.yml");
        let check = || RoleMappingFile::check(&path, "pki1");
        let refused = |expected: &str| {
            let error = check().unwrap_err();
            let begin = format!("Role mapping file [{}] for realm [pki1] ", path.display());
            assert!(error.starts_with(&begin), "{error}");
            assert!(error.contains(expected), "{error}");
        };
        refused("does not exist");
        std::fs::write(&path, "viewer:\n- CN=Ann\n- Bob\n").unwrap();
        refused("could not be read: line [3]: invalid DN [Bob] of the role [viewer]");
        std::fs::write(&path, [0xff]).unwrap();
        refused("could not be read");
        std::fs::write(&path, "viewer:\n- CN=Ann\n").unwrap();
        assert_eq!(check(), Ok(()));
    }
}
