//! The one error that crosses every boundary: from a shard, over the transport, to the client.
//!
//! Source: the `ErrorCause` of the elasticsearch-specification.

use std::collections::BTreeMap;
use std::fmt;

use ringwall_base::breaker::Tripped;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Defines [`ErrorCode`] with its Elasticsearch type name and HTTP status, once.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $status:literal;)*) => {
        /// What went wrong, as a name that clients know. Each has an Elasticsearch type string and
        /// a default HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* $code,)* }

        impl ErrorCode {
            /// Returns the value of `error.type` in a response.
            pub fn type_name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// Returns the HTTP status that goes with the code.
            pub fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }
        }
    };
}

error_codes! {
    IndexNotFound = "index_not_found_exception", 404;
    ResourceAlreadyExists = "resource_already_exists_exception", 400;
    ResourceNotFound = "resource_not_found_exception", 404;
    NoSuchRemoteCluster = "no_such_remote_cluster_exception", 404;
    RepositoryMissing = "repository_missing_exception", 404;
    InvalidIndexName = "invalid_index_name_exception", 400;
    InvalidAliasName = "invalid_alias_name_exception", 400;
    AliasesNotFound = "aliases_not_found_exception", 404;
    IllegalArgument = "illegal_argument_exception", 400;
    IllegalState = "illegal_state_exception", 500;
    ActionRequestValidation = "action_request_validation_exception", 400;
    Validation = "validation_exception", 400;
    InvalidIndexTemplate = "invalid_index_template_exception", 400;
    IndexTemplateMissing = "index_template_missing_exception", 404;
    Parsing = "parsing_exception", 400;
    NamedObjectNotFound = "named_object_not_found_exception", 400;
    XContentParse = "x_content_parse_exception", 400;
    JsonParse = "json_parse_exception", 400;
    XContentEof = "x_content_e_o_f_exception", 400;
    Parse = "parse_exception", 400;
    NotXContent = "not_x_content_exception", 400;
    MapperParsing = "mapper_parsing_exception", 400;
    DocumentParsing = "document_parsing_exception", 400;
    StrictDynamicMapping = "strict_dynamic_mapping_exception", 400;
    NumberFormat = "number_format_exception", 400;
    DateTimeParse = "date_time_parse_exception", 400;
    VersionConflict = "version_conflict_engine_exception", 409;
    DocumentMissing = "document_missing_exception", 404;
    RoutingMissing = "routing_missing_exception", 400;
    SearchPhaseExecution = "search_phase_execution_exception", 503;
    QueryShard = "query_shard_exception", 400;
    TooManyBuckets = "too_many_buckets_exception", 400;
    TooManyClauses = "too_many_clauses", 400;
    TooManyNestedClauses = "too_many_nested_clauses", 400;
    AggregationExecution = "aggregation_execution_exception", 500;
    TooManyScrollContexts = "too_many_scroll_contexts_exception", 429;
    SearchContextMissing = "search_context_missing_exception", 404;
    ClusterBlock = "cluster_block_exception", 503;
    IndexClosed = "index_closed_exception", 400;
    UnavailableShards = "unavailable_shards_exception", 503;
    NoShardAvailable = "no_shard_available_action_exception", 503;
    MasterNotDiscovered = "master_not_discovered_exception", 503;
    ProcessClusterEventTimeout = "process_cluster_event_timeout_exception", 503;
    CircuitBreaking = "circuit_breaking_exception", 429;
    Rejected = "es_rejected_execution_exception", 429;
    ReceiveTimeout = "receive_timeout_transport_exception", 503;
    NoSuchNode = "no_such_node_exception", 500;
    NodeNotConnected = "node_not_connected_exception", 503;
    /// The node asked does not know the asking one as a member (yet, or any more), and has done nothing.
    NotAMember = "not_a_member_exception", 503;
    NodeDisconnected = "node_disconnected_exception", 503;
    ConnectTransport = "connect_transport_exception", 503;
    ActionNotFound = "action_not_found_transport_exception", 500;
    TaskCancelled = "task_cancelled_exception", 400;
    SearchTimeout = "search_timeout_exception", 504;
    Timeout = "timeout_exception", 503;
    AuditLogFull = "audit_log_full_exception", 503;
    /// 401 unless [`ApiError::with_status`] says 403.
    Security = "security_exception", 401;
    FeatureNotEnabled = "feature_not_enabled_exception", 400;
    MediaTypeHeader = "media_type_header_exception", 400;
    TooLongHttpLine = "too_long_http_line_exception", 400;
    TooLongHttpHeader = "too_long_http_header_exception", 400;
    ContentTooLong = "content_too_long_exception", 413;
    ShardNotFound = "shard_not_found_exception", 404;
    ShardNotInPrimaryMode = "shard_not_in_primary_mode_exception", 503;
    /// The receiver of a replicated operation knows a newer primary than the sender.
    StalePrimary = "no_longer_primary_shard_exception", 503;
    IoFailure = "i_o_exception", 500;
}

impl From<Tripped> for ApiError {
    /// Whoever asks again later finds room, since nothing here is held beyond a request.
    fn from(tripped: Tripped) -> Self {
        Self::new(ErrorCode::CircuitBreaking, tripped.to_string())
            .with("bytes_wanted", tripped.bytes_wanted)
            .with("bytes_limit", tripped.bytes_limit)
            .with("durability", "TRANSIENT")
    }
}

/// A failure as the client sees it. Operator-only detail belongs in the log, not here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    pub code: ErrorCode,
    /// HTTP status; the code's own unless overridden.
    pub status: u16,
    pub reason: String,
    /// Extra members of the error object: `index`, `index_uuid`, `shard`, `resource.id`, `line`.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
    #[serde(default)]
    pub caused_by: Option<Box<ApiError>>,
    /// What `root_cause` lists; empty means "this error itself".
    #[serde(default)]
    pub root_cause: Vec<ApiError>,
    /// HTTP response headers that go with the error, such as `WWW-Authenticate`.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

impl ApiError {
    /// Returns an error with the code's own status.
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            reason: reason.into(),
            metadata: BTreeMap::new(),
            caused_by: None,
            root_cause: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Returns a 400 for a bad argument.
    pub fn illegal_argument(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::IllegalArgument, reason)
    }

    /// Returns a 500 for a state that should not be; log the detail beside it.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::IllegalState, reason)
    }

    /// Returns the 404 of a missing index, with the fields clients read.
    pub fn index_not_found(name: &str) -> Self {
        Self::new(ErrorCode::IndexNotFound, format!("no such index [{name}]"))
            .with("resource.type", "index_or_alias")
            .with("resource.id", name)
            .with("index_uuid", "_na_")
            .with("index", name)
    }

    /// Returns the 400 of an index that is closed, with the fields clients read.
    pub fn index_closed(name: &str, uuid: &str) -> Self {
        Self::new(ErrorCode::IndexClosed, "closed")
            .with("index_uuid", uuid)
            .with("index", name)
    }

    /// Returns a 400 listing every problem, as `Validation Failed: 1: ...;2: ...;`.
    pub fn validation<S: AsRef<str>>(problems: &[S]) -> Self {
        let listed: String = problems
            .iter()
            .enumerate()
            .map(|(i, problem)| format!("{}: {};", i + 1, problem.as_ref()))
            .collect();
        Self::new(
            ErrorCode::ActionRequestValidation,
            format!("Validation Failed: {listed}"),
        )
    }

    /// Overrides the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a member to the error object.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds an HTTP response header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Names the error behind this one.
    pub fn caused_by(mut self, cause: ApiError) -> Self {
        self.caused_by = Some(Box::new(cause));
        self
    }

    /// Returns the response body, `{"error":{...},"status":N}`.
    pub fn to_json(&self) -> Value {
        let mut error = serde_json::Map::new();
        let roots: Vec<Value> = if self.root_cause.is_empty() {
            vec![Value::Object(self.object())]
        } else {
            self.root_cause
                .iter()
                .map(|root| Value::Object(root.object()))
                .collect()
        };
        error.insert("root_cause".to_owned(), Value::Array(roots));
        error.extend(self.object_with_cause());
        let mut body = serde_json::Map::new();
        body.insert("error".to_owned(), Value::Object(error));
        body.insert("status".to_owned(), self.status.into());
        Value::Object(body)
    }

    /// Returns `{"type","reason",...,"caused_by"?}`: the form inside bulk items and failed shards.
    pub fn object_with_cause(&self) -> serde_json::Map<String, Value> {
        let mut object = self.object();
        if let Some(cause) = &self.caused_by {
            object.insert(
                "caused_by".to_owned(),
                Value::Object(cause.object_with_cause()),
            );
        }
        object
    }

    fn object(&self) -> serde_json::Map<String, Value> {
        let mut object = serde_json::Map::new();
        object.insert("type".to_owned(), self.code.type_name().into());
        object.insert("reason".to_owned(), self.reason.clone().into());
        for (key, value) in &self.metadata {
            object.insert(key.clone(), value.clone());
        }
        if let Some(headers) = self.header_object() {
            object.insert("header".to_owned(), headers);
        }
        object
    }

    /// One value is written as a string, several as an array. Source: RFC 9110 section 5.3.
    fn header_object(&self) -> Option<Value> {
        if self.headers.is_empty() {
            return None;
        }
        let mut grouped: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (name, value) in &self.headers {
            grouped.entry(name).or_default().push(value.clone().into());
        }
        let object = grouped
            .into_iter()
            .map(|(name, mut values)| {
                let value = if values.len() == 1 {
                    values.remove(0)
                } else {
                    Value::Array(values)
                };
                (name.to_owned(), value)
            })
            .collect();
        Some(Value::Object(object))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.type_name(), self.reason)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn body_has_the_shape_clients_parse() {
        let body = ApiError::index_not_found("logs").to_json();
        let expected = json!({
            "type": "index_not_found_exception",
            "reason": "no such index [logs]",
            "index": "logs",
            "index_uuid": "_na_",
            "resource.id": "logs",
            "resource.type": "index_or_alias",
        });
        let mut error = expected.clone();
        error["root_cause"] = json!([expected]);
        assert_eq!(body, json!({"error": error, "status": 404}));
    }

    #[test]
    fn headers_are_grouped() {
        let body = ApiError::new(ErrorCode::Security, "no")
            .with_header("WWW-Authenticate", "Basic")
            .with_header("WWW-Authenticate", "ApiKey")
            .to_json();
        assert_eq!(
            body["error"]["header"]["WWW-Authenticate"],
            json!(["Basic", "ApiKey"])
        );
    }
}
