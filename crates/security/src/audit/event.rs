//! What an event is, and how it stands on its line. Source: Elasticsearch reference, "Audit event types".

use std::fmt::Write as _;

/// The types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    AccessDenied,
    AccessGranted,
    AnonymousAccessDenied,
    AuthenticationFailed,
    AuthenticationSuccess,
    ConnectionDenied,
    ConnectionGranted,
    RealmAuthenticationFailed,
    RunAsDenied,
    RunAsGranted,
    SecurityConfigChange,
    SystemAccessGranted,
    TamperedRequest,
}

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::AccessDenied,
        Self::AccessGranted,
        Self::AnonymousAccessDenied,
        Self::AuthenticationFailed,
        Self::AuthenticationSuccess,
        Self::ConnectionDenied,
        Self::ConnectionGranted,
        Self::RealmAuthenticationFailed,
        Self::RunAsDenied,
        Self::RunAsGranted,
        Self::SecurityConfigChange,
        Self::SystemAccessGranted,
        Self::TamperedRequest,
    ];

    /// Returns the name that settings have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::AccessGranted => "access_granted",
            Self::AnonymousAccessDenied => "anonymous_access_denied",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AuthenticationSuccess => "authentication_success",
            Self::ConnectionDenied => "connection_denied",
            Self::ConnectionGranted => "connection_granted",
            Self::RealmAuthenticationFailed => "realm_authentication_failed",
            Self::RunAsDenied => "run_as_denied",
            Self::RunAsGranted => "run_as_granted",
            Self::SecurityConfigChange => "security_config_change",
            Self::SystemAccessGranted => "system_access_granted",
            Self::TamperedRequest => "tampered_request",
        }
    }

    /// Returns the type of a name, in whatever case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u16);

impl Kinds {
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self(kind.bit())
    }
}

/// One event: what is known of it. The fields stand in the order in which they are written.
#[derive(Debug, Default, Clone)]
pub(super) struct Event<'a> {
    /// `rest`, `transport`, `ip_filter` or `security_config_change`.
    pub event_type: &'static str,
    pub authentication_type: Option<&'static str>,
    pub user: Option<&'a str>,
    pub run_by: Option<&'a str>,
    pub run_as: Option<&'a str>,
    pub user_realm: Option<String>,
    pub run_by_realm: Option<&'a str>,
    pub run_as_realm: Option<&'a str>,
    pub roles: Option<Vec<String>>,
    pub api_key: Option<(&'a str, &'a str)>,
    pub token: Option<(&'a str, &'a str)>,
    /// The name of the type, or of the change.
    pub action_of_event: &'static str,
    pub origin_type: Option<&'static str>,
    pub origin_address: Option<&'a str>,
    pub realm: Option<&'a str>,
    pub path: Option<&'a str>,
    pub query: Option<&'a str>,
    pub method: Option<&'a str>,
    pub body: Option<String>,
    pub request_id: Option<&'a str>,
    pub action: Option<&'a str>,
    pub request: Option<&'a str>,
    pub indices: Option<&'a [String]>,
    pub opaque_id: Option<&'a str>,
    pub trace_id: Option<&'a str>,
    pub forwarded_for: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub rule: Option<&'a str>,
    /// The member and its value, as JSON.
    pub change: Option<(&'static str, String)>,
    /// How many names of indices are written, if not as many as ever.
    pub max_indices: Option<usize>,
}

/// Names of indices that one line has at most. What comes after them is counted.
const MAX_INDICES: usize = 1000;

impl Event<'_> {
    /// Leaves out what may be long: it is told by its length, names of roles and indices by the first.
    pub fn shorten(&mut self) {
        if let Some(body) = &mut self.body {
            *body = format!("[{} bytes, more than are written]", body.len());
        }
        if let Some((_, content)) = &mut self.change {
            *content = format!("{{\"bytes\":{}}}", content.len());
        }
        if let Some(roles) = &mut self.roles {
            roles.truncate(MAX_SHORT);
        }
        self.max_indices = Some(MAX_SHORT);
        for text in [
            &mut self.user,
            &mut self.run_by,
            &mut self.run_as,
            &mut self.path,
            &mut self.query,
            &mut self.action,
            &mut self.opaque_id,
            &mut self.forwarded_for,
        ] {
            *text = text.map(|text| begin(text, MAX_SHORT_TEXT));
        }
    }

    /// Appends the members of the line's object from the event's own on, each after a comma.
    pub fn write(&self, line: &mut String) {
        text(line, "event.type", Some(self.event_type));
        text(line, "authentication.type", self.authentication_type);
        text(line, "user.name", self.user);
        text(line, "user.run_by.name", self.run_by);
        text(line, "user.run_as.name", self.run_as);
        text(line, "user.realm", self.user_realm.as_deref());
        text(line, "user.run_by.realm", self.run_by_realm);
        text(line, "user.run_as.realm", self.run_as_realm);
        list(line, "user.roles", self.roles.as_deref());
        text(line, "apikey.id", self.api_key.map(|(id, _)| id));
        text(line, "apikey.name", self.api_key.map(|(_, name)| name));
        text(
            line,
            "authentication.token.name",
            self.token.map(|(name, _)| name),
        );
        text(
            line,
            "authentication.token.type",
            self.token.map(|(_, kind)| kind),
        );
        text(line, "event.action", Some(self.action_of_event));
        text(line, "origin.type", self.origin_type);
        text(line, "origin.address", self.origin_address);
        text(line, "realm", self.realm);
        text(line, "url.path", self.path);
        text(line, "url.query", self.query);
        text(line, "request.method", self.method);
        text(line, "request.body", self.body.as_deref());
        text(line, "request.id", self.request_id);
        text(line, "action", self.action);
        text(line, "request.name", self.request);
        if let Some(indices) = self.indices {
            let most = self.max_indices.unwrap_or(MAX_INDICES);
            let shown = &indices[..indices.len().min(most)];
            list(line, "indices", Some(shown));
            if shown.len() < indices.len() {
                let _ = write!(line, ",\"indices.more\":{}", indices.len() - shown.len());
            }
        }
        text(line, "opaque_id", self.opaque_id);
        text(line, "trace.id", self.trace_id);
        text(line, "x_forwarded_for", self.forwarded_for);
        text(line, "transport.profile", self.profile);
        text(line, "rule", self.rule);
        if let Some((member, value)) = &self.change {
            let _ = write!(line, ",\"{member}\":{value}");
        }
    }
}

/// Names in a list, and bytes of a text, of an event that would be too long.
const MAX_SHORT: usize = 20;
const MAX_SHORT_TEXT: usize = 1024;

/// Returns the begin of a text, of at most so many bytes.
fn begin(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Appends a member whose value is a text, if it is there.
pub(super) fn text(line: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = write!(line, ",\"{key}\":");
        quoted(line, value);
    }
}

fn list(line: &mut String, key: &str, values: Option<&[String]>) {
    let Some(values) = values else {
        return;
    };
    let _ = write!(line, ",\"{key}\":[");
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            line.push(',');
        }
        quoted(line, value);
    }
    line.push(']');
}

/// Appends a text as JSON. Nothing in it can end the line.
fn quoted(line: &mut String, text: &str) {
    line.push('"');
    for symbol in text.chars() {
        match symbol {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(line, "\\u{:04x}", control as u32);
            }
            other => line.push(other),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_text_is_what_it_was_and_stays_on_its_line() {
        for text in ["", "a\"b\\c", "line\nfeed\r\u{0}\u{85}\u{2028}", "grün 🦀"] {
            let mut line = String::new();
            quoted(&mut line, text);
            assert!(!line.contains(['\n', '\r']), "{line}");
            let read: String = serde_json::from_str(&line).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn more_indices_than_a_line_takes_are_counted() {
        let indices: Vec<String> = (0..1234).map(|number| format!("i-{number}")).collect();
        let mut line = String::from("{\"type\":\"audit\"");
        let event = Event {
            event_type: "transport",
            action_of_event: "access_granted",
            indices: Some(&indices),
            ..Event::default()
        };
        event.write(&mut line);
        line.push('}');
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["indices"].as_array().unwrap().len(), 1000);
        assert_eq!(read["indices.more"], 234);
    }

    #[test]
    fn kinds_have_names_in_any_case() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(Kind::parse(&kind.as_str().to_ascii_uppercase()), Some(kind));
            assert!(Kinds::ALL.contains(kind));
            assert!(!Kinds::ALL.without(kind.into()).contains(kind));
        }
        assert_eq!(Kind::parse("nope"), None);
    }
}
