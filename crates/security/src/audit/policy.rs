//! Which events are written, and what stands on every line: the settings, compiled. Source: Elasticsearch reference,
//! "Auditing security settings".

use super::event::{Event, Kind, Kinds, text};
use crate::SecurityError;
use crate::authz::Pattern;

/// The settings `xpack.security.audit.logfile.*`, as they are written.
#[derive(Debug, Clone, Default)]
pub struct PolicyConfig {
    /// Names of types, or `_all`.
    pub include: Vec<String>,
    /// As [`PolicyConfig::include`]; taken from it.
    pub exclude: Vec<String>,
    pub emit_request_body: bool,
    pub emit: Emit,
    pub ignore: Vec<IgnoreConfig>,
}

/// Which facts of the node stand on every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Emit {
    pub cluster_name: bool,
    pub cluster_uuid: bool,
    pub node_name: bool,
    pub node_id: bool,
    pub host_name: bool,
    pub host_address: bool,
}

/// One policy of `ignore_filters`. What is `None` matches everything.
#[derive(Debug, Clone, Default)]
pub struct IgnoreConfig {
    pub users: Option<Vec<String>>,
    pub realms: Option<Vec<String>>,
    pub roles: Option<Vec<String>>,
    pub indices: Option<Vec<String>>,
    pub actions: Option<Vec<String>>,
}

/// What is known of the node.
#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    pub cluster_name: String,
    pub cluster_uuid: Option<String>,
    pub node_name: String,
    pub node_id: String,
    pub host_name: Option<String>,
    pub host_address: Option<String>,
}

/// What is in force.
#[derive(Debug, Default)]
pub(super) struct Policy {
    kinds: Kinds,
    pub emit_request_body: bool,
    emit: Emit,
    ignore: Vec<Ignore>,
    /// The members that are the same on every line, each after a comma.
    pub facts: String,
}

impl Policy {
    /// Compiles the settings.
    ///
    /// # Errors
    /// A type that does not exist, a pattern that cannot be matched exactly.
    pub fn compile(config: &PolicyConfig) -> Result<Self, SecurityError> {
        let ignore = config.ignore.iter().map(Ignore::compile);
        Ok(Self {
            kinds: kinds(&config.include)?.without(kinds(&config.exclude)?),
            emit_request_body: config.emit_request_body,
            emit: config.emit,
            ignore: ignore.collect::<Result<_, _>>()?,
            facts: String::new(),
        })
    }

    /// Returns the policy on a node.
    pub fn on(mut self, node: &NodeFacts) -> Self {
        self.facts = self.written(node);
        self
    }

    /// Returns the members of every line on a node.
    fn written(&self, node: &NodeFacts) -> String {
        let emit = &self.emit;
        let mut line = String::new();
        let mut member = |is_wanted: bool, key: &str, value: Option<&str>| {
            text(&mut line, key, value.filter(|_| is_wanted));
        };
        member(emit.cluster_name, "cluster.name", Some(&node.cluster_name));
        member(
            emit.cluster_uuid,
            "cluster.uuid",
            node.cluster_uuid.as_deref(),
        );
        member(emit.node_name, "node.name", Some(&node.node_name));
        member(emit.node_id, "node.id", Some(&node.node_id));
        member(emit.host_name, "host.name", node.host_name.as_deref());
        member(emit.host_address, "host.ip", node.host_address.as_deref());
        line
    }

    /// Returns whether events of a type are written at all.
    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds.contains(kind)
    }

    /// Returns whether a policy says that the event is not to be written. Changes of security and connections have
    /// nothing that a policy could look at, and are never ignored.
    pub fn ignores(&self, kind: Kind, event: &Event<'_>) -> bool {
        !matches!(
            kind,
            Kind::SecurityConfigChange | Kind::ConnectionDenied | Kind::ConnectionGranted
        ) && self.ignore.iter().any(|policy| policy.matches(event))
    }
}

fn kinds(names: &[String]) -> Result<Kinds, SecurityError> {
    let mut kinds = Kinds::default();
    for name in names {
        kinds.insert(match name.as_str() {
            "_all" => Kinds::ALL,
            name => Kind::parse(name)
                .ok_or_else(|| SecurityError::UnknownAuditEvent {
                    name: name.to_owned(),
                })?
                .into(),
        });
    }
    Ok(kinds)
}

#[derive(Debug)]
struct Ignore {
    users: Filter,
    realms: Filter,
    roles: Filter,
    indices: Filter,
    actions: Filter,
}

impl Ignore {
    fn compile(config: &IgnoreConfig) -> Result<Self, SecurityError> {
        Ok(Self {
            users: Filter::compile(config.users.as_deref())?,
            realms: Filter::compile(config.realms.as_deref())?,
            roles: Filter::compile(config.roles.as_deref())?,
            indices: Filter::compile(config.indices.as_deref())?,
            actions: Filter::compile(config.actions.as_deref())?,
        })
    }

    /// Returns whether all five fields match.
    fn matches(&self, event: &Event<'_>) -> bool {
        self.users.matches(event.user)
            && self
                .realms
                .matches(event.user_realm.as_deref().or(event.realm))
            && self.roles.matches_all(event.roles.as_deref())
            && self.indices.matches_all(event.indices)
            && self.actions.matches(event.action)
    }
}

/// The patterns of one field; `None` for everything.
#[derive(Debug)]
struct Filter(Option<Vec<Pattern>>);

impl Filter {
    fn compile(written: Option<&[String]>) -> Result<Self, SecurityError> {
        let Some(written) = written else {
            return Ok(Self(None));
        };
        // No pattern matches what is not there.
        if written.is_empty() {
            return Ok(Self(Some(vec![Pattern::parse("")?])));
        }
        let patterns = written.iter().map(|pattern| Pattern::parse(pattern));
        Ok(Self(Some(patterns.collect::<Result<_, _>>()?)))
    }

    /// Returns whether a value matches; one that is not there is an empty text.
    fn matches(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        let any = |patterns: &Vec<Pattern>| patterns.iter().any(|pattern| pattern.matches(value));
        self.0.as_ref().is_none_or(any)
    }

    /// Returns whether every value matches.
    fn matches_all(&self, values: Option<&[String]>) -> bool {
        match values.filter(|values| !values.is_empty()) {
            None => self.matches(None),
            Some(values) => values.iter().all(|value| self.matches(Some(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn types_are_included_less_those_excluded() {
        let policy = |include: &[&str], exclude: &[&str]| {
            Policy::compile(&PolicyConfig {
                include: texts(include),
                exclude: texts(exclude),
                ..PolicyConfig::default()
            })
        };
        let all = policy(&["_all"], &["ACCESS_granted"]).unwrap();
        assert!(all.wants(Kind::AccessDenied) && !all.wants(Kind::AccessGranted));
        let none = policy(&["access_denied"], &["_all"]).unwrap();
        assert!(!none.wants(Kind::AccessDenied));
        let error = policy(&["nope"], &[]).unwrap_err();
        assert_eq!(error.to_string(), "invalid event name specified [nope]");
    }

    #[test]
    fn a_policy_ignores_what_all_its_fields_match() {
        let indices = texts(&["logs-1", "logs-2"]);
        let other = texts(&["logs-1", "books"]);
        let event = |user, indices| Event {
            user,
            indices,
            user_realm: Some("default_native".to_owned()),
            roles: Some(texts(&["reader"])),
            action: Some("indices:data/read/search"),
            ..Event::default()
        };
        let searched = event(Some("ann"), Some(indices.as_slice()));
        let beyond = event(Some("ann"), Some(other.as_slice()));
        let nobody = event(None, None);
        let ignores = |config: IgnoreConfig| {
            let policy = Policy::compile(&PolicyConfig {
                ignore: vec![config],
                ..PolicyConfig::default()
            })
            .unwrap();
            [&searched, &beyond, &nobody].map(|event| policy.ignores(Kind::AccessGranted, event))
        };
        let some = |patterns: &[&str]| Some(texts(patterns));
        let base = IgnoreConfig::default;
        // Nothing said: everything.
        assert_eq!(ignores(base()), [true, true, true]);
        // Every index has to match.
        let config = IgnoreConfig {
            indices: some(&["logs-*"]),
            ..base()
        };
        assert_eq!(ignores(config), [true, false, false]);
        // All fields have to.
        let config = IgnoreConfig {
            users: some(&["/a.*/"]),
            actions: some(&["indices:data/write/*"]),
            ..base()
        };
        assert_eq!(ignores(config), [false, false, false]);
        // An empty text, and a list of none, stand for what is not there.
        for empty in [&[""] as &[&str], &[]] {
            let config = IgnoreConfig {
                users: some(empty),
                ..base()
            };
            assert_eq!(ignores(config), [false, false, true], "{empty:?}");
        }
        let config = IgnoreConfig {
            realms: some(&["default_native"]),
            roles: some(&["reader", "writer"]),
            ..base()
        };
        assert_eq!(ignores(config), [true, true, true]);
    }

    #[test]
    fn changes_and_connections_are_never_ignored() {
        let policy = Policy::compile(&PolicyConfig {
            ignore: vec![IgnoreConfig::default()],
            ..PolicyConfig::default()
        })
        .unwrap();
        let event = Event::default();
        assert!(policy.ignores(Kind::AccessGranted, &event));
        assert!(!policy.ignores(Kind::SecurityConfigChange, &event));
        assert!(!policy.ignores(Kind::ConnectionDenied, &event));
    }

    #[test]
    fn facts_of_the_node_stand_in_their_order() {
        let policy = Policy::compile(&PolicyConfig {
            emit: Emit {
                cluster_name: true,
                cluster_uuid: true,
                node_name: true,
                node_id: true,
                host_name: true,
                host_address: true,
            },
            ..PolicyConfig::default()
        });
        let node = NodeFacts {
            cluster_name: "c".to_owned(),
            cluster_uuid: None,
            node_name: "n1".to_owned(),
            node_id: "id".to_owned(),
            host_name: Some("h".to_owned()),
            host_address: Some("127.0.0.1".to_owned()),
        };
        assert_eq!(
            policy.unwrap().on(&node).facts,
            r#","cluster.name":"c","node.name":"n1","node.id":"id","host.name":"h","host.ip":"127.0.0.1""#
        );
    }
}
