//! What a role lets be seen of an index: which documents, and which of their fields. Source: Elasticsearch reference,
//! "Controlling access at the document and field level".

use std::sync::Arc;

use ringwall_api::ApiResult;
use ringwall_api::auth::User;
use serde_json::Value;

use super::held::is_within;
use super::inclusion::Effort;
use super::pattern::Pattern;
use super::role::FieldSecurity;
use super::role_query::RoleQuery;
use crate::SecurityError;

/// What may be seen of an index or alias. By default all of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// A document matches one query of each list.
    documents: Vec<Vec<Arc<Value>>>,
    /// A field is granted by one of each list.
    fields: Vec<Vec<Arc<FieldGrants>>>,
}

impl Sight {
    /// Returns whether all is seen.
    pub fn is_whole(&self) -> bool {
        self.documents.is_empty() && self.has_all_fields()
    }

    /// Returns the queries: a document is seen that matches one of each list. No list at all: all are.
    pub fn documents(&self) -> &[Vec<Arc<Value>>] {
        &self.documents
    }

    /// Returns whether every field is seen.
    pub fn has_all_fields(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns whether the leaf of a full dotted path is seen.
    pub fn shows(&self, path: &str) -> bool {
        let granted = |grants: &Vec<Arc<FieldGrants>>| grants.iter().any(|g| g.grants(path));
        self.fields.iter().all(granted)
    }

    /// Narrows what is seen to what any of these groups shows. Without a group that is nothing.
    ///
    /// # Errors
    /// A query is a template that cannot be filled in for the user.
    pub(super) fn narrow<'a>(
        &mut self,
        groups: impl Iterator<Item = (Option<&'a RoleQuery>, Option<&'a Arc<FieldGrants>>)>,
        user: &User,
    ) -> ApiResult<()> {
        let (mut queries, mut grants) = (Some(Vec::new()), Some(Vec::new()));
        for (query, fields) in groups {
            // One group that says nothing opens all, whatever the others say.
            queries = match (queries, query) {
                (Some(mut queries), Some(query)) => {
                    let query = query.for_user(user)?;
                    if !queries.contains(&query) {
                        queries.push(query);
                    }
                    Some(queries)
                }
                _ => None,
            };
            grants = match (grants, fields) {
                (Some(mut grants), Some(fields)) => {
                    grants.push(Arc::clone(fields));
                    Some(grants)
                }
                _ => None,
            };
        }
        self.documents.extend(queries);
        self.fields.extend(grants);
        Ok(())
    }
}

/// The fields that one group of privileges grants. Metadata fields are always seen.
#[derive(Debug)]
pub struct FieldGrants {
    written: FieldSecurity,
    /// `None` for all.
    grant: Option<Vec<Pattern>>,
    except: Vec<Pattern>,
}

impl PartialEq for FieldGrants {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl FieldGrants {
    /// Compiles what a role says.
    ///
    /// # Errors
    /// A pattern that cannot be matched exactly, an exception from what is not granted, or from a metadata field.
    pub(super) fn compile(role: &str, written: &FieldSecurity) -> Result<Self, SecurityError> {
        let parse = |texts: &Vec<String>| -> Result<Vec<Pattern>, SecurityError> {
            texts.iter().map(|text| Pattern::parse(text)).collect()
        };
        let grant = written.grant.as_ref().map(parse).transpose()?;
        let except = written.except.as_ref().map(parse).transpose()?;
        let except = except.unwrap_or_default();
        if let Some(name) = written
            .except
            .iter()
            .flatten()
            .find(|name| is_metadata(name))
        {
            return Err(SecurityError::ExceptedMetadata { name: name.clone() });
        }
        if let Some(grant) = &grant {
            let granted: Vec<&Pattern> = grant.iter().collect();
            let effort = Effort::default();
            if !except
                .iter()
                .all(|pattern| is_within(pattern, &granted, &effort))
            {
                let list = |names: &Option<Vec<String>>| {
                    names
                        .iter()
                        .flatten()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(",")
                };
                return Err(SecurityError::ExceptedNotGranted {
                    role: role.to_owned(),
                    except: list(&written.except),
                    grant: list(&written.grant),
                });
            }
        }
        Ok(Self {
            written: written.clone(),
            grant,
            except,
        })
    }

    fn grants(&self, path: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(path));
        self.grant.as_deref().is_none_or(matches) && !matches(&self.except)
    }
}

/// These are of every document and cannot be taken away.
fn is_metadata(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "_id",
        "_index",
        "_source",
        "_routing",
        "_version",
        "_seq_no",
        "_ignored",
        "_field_names",
    ];
    NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(grant: &[&str], except: &[&str]) -> Result<FieldGrants, SecurityError> {
        let owned = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        let fields = FieldSecurity {
            grant: owned(grant),
            except: owned(except),
        };
        FieldGrants::compile("r", &fields)
    }

    #[test]
    fn fields_are_granted_by_their_whole_path() {
        let grants = fields(&["a", "b.*", "/c[12]/"], &["b.secret"]).unwrap();
        for (path, expected) in [
            ("a", true),
            ("a.kw", false),
            ("b", false),
            ("b.x", true),
            ("b.x.y", true),
            ("b.secret", false),
            ("c1", true),
            ("c3", false),
        ] {
            assert_eq!(grants.grants(path), expected, "{path}");
        }
        assert!(!fields(&[], &[]).unwrap().grants("a"));
        assert!(fields(&["*"], &["a"]).unwrap().grants("b"));
    }

    #[test]
    fn exceptions_are_from_what_is_granted() {
        let error = fields(&["a"], &["b"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "failed to parse indices privileges for role [r] - Exceptions for field permissions must be a subset of the granted fields but b is not a subset of a"
        );
        assert!(fields(&["a*"], &["ab*"]).is_ok());
        let error = fields(&["*"], &["_id"]).unwrap_err().to_string();
        assert!(error.contains("[_id]"), "{error}");
    }
}
