//! What was asked of `/discover`: its parameters, and the searches that they make.

use serde_json::{Value, json};

use crate::cluster::Call;
use crate::context::Context;
use crate::failure::Failure;
use crate::forms;
use crate::request::Request;
use crate::urlencoded::encode;

/// The parameters of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// An index, an alias, or a pattern.
    pub target: String,
    /// In the syntax of `query_string`.
    pub query: String,
    /// One of [`RANGES`], or `between`.
    pub range: String,
    /// Of `between`, in UTC.
    pub after: String,
    pub before: String,
    /// Fields that are shown; empty for all.
    pub columns: Vec<String>,
    pub from: usize,
}

/// Names of time ranges, what they are called and where they begin.
pub const RANGES: &[(&str, &str, &str)] = &[
    ("all", "all times", ""),
    ("15m", "the last 15 minutes", "now-15m"),
    ("1h", "the last hour", "now-1h"),
    ("24h", "the last 24 hours", "now-24h"),
    ("7d", "the last 7 days", "now-7d"),
    ("30d", "the last 30 days", "now-30d"),
    ("1y", "the last year", "now-1y"),
];

/// The range that has its own ends.
pub const BETWEEN: &str = "between";

impl Asked {
    pub fn of(request: &Request) -> Self {
        let given = |name: &str| request.query(name).to_owned();
        let range = given("range");
        let is_known = range == BETWEEN || RANGES.iter().any(|(name, ..)| *name == range);
        let columns = forms::split(request.query("columns"));
        Self {
            target: given("index"),
            query: given("query"),
            range: if is_known { range } else { "all".to_owned() },
            after: given("after"),
            before: given("before"),
            columns: columns.into_iter().map(str::to_owned).collect(),
            from: request.query("from").parse().unwrap_or(0).min(LAST),
        }
    }

    /// Returns where the page is that asks this.
    pub fn link(&self, path: &str) -> String {
        let columns = self.columns.join(",");
        let from = match self.from {
            0 => String::new(),
            from => from.to_string(),
        };
        let parameters = [
            ("index", self.target.as_str()),
            ("query", &self.query),
            ("range", &self.range),
            ("after", &self.after),
            ("before", &self.before),
            ("columns", &columns),
            ("from", &from),
        ];
        let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
        let parameters: Vec<String> = parameters
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        format!("{path}?{}", parameters.join("&"))
    }

    /// Returns the same with a column more, or less if it is there.
    pub fn with_column_toggled(&self, field: &str) -> Self {
        let mut other = self.clone();
        other.from = 0;
        match other.columns.iter().position(|column| column == field) {
            Some(at) => {
                other.columns.remove(at);
            }
            None => other.columns.push(field.to_owned()),
        }
        other
    }

    /// Returns the same from another hit on.
    pub fn at(&self, from: usize) -> Self {
        Self {
            from,
            ..self.clone()
        }
    }

    /// Returns the request with this body to an endpoint of what was picked.
    pub fn call(&self, endpoint: &str, body: &Value) -> Call {
        let path = format!("/{}/{endpoint}", encode(&self.target));
        Call::json(http::Method::POST, path, body)
    }

    /// Returns the query, as far as time goes by the field `time`.
    pub fn filter(&self, time: Option<&str>) -> Value {
        let must = match self.query.as_str() {
            "" => json!({"match_all": {}}),
            query => json!({"query_string": {"query": query, "lenient": true}}),
        };
        match time.zip(self.bounds()) {
            None => must,
            Some((time, bounds)) => {
                json!({"bool": {"must": [must], "filter": [{"range": {time: bounds}}]}})
            }
        }
    }

    fn bounds(&self) -> Option<Value> {
        if self.range == BETWEEN {
            let mut bounds = json!({"format": "strict_date_optional_time"});
            for (end, text) in [("gte", &self.after), ("lte", &self.before)] {
                if !text.is_empty() {
                    bounds[end] = text.as_str().into();
                }
            }
            return (bounds.as_object().is_some_and(|bounds| bounds.len() > 1)).then_some(bounds);
        }
        let (_, _, begin) = RANGES.iter().find(|(name, ..)| *name == self.range)?;
        (!begin.is_empty()).then(|| json!({"gte": begin, "lte": "now"}))
    }

    /// Returns the search for hits, newest first where there is a time.
    pub fn search(&self, time: Option<&str>, from: usize, size: usize) -> Value {
        let mut body = json!({
            "query": self.filter(time),
            "from": from,
            "size": size,
            "track_total_hits": true,
            "_source": false,
        });
        let mut fields: Vec<Value> = match self.columns.as_slice() {
            [] => vec!["*".into()],
            columns => columns
                .iter()
                .map(|column| column.as_str().into())
                .collect(),
        };
        if let Some(time) = time {
            body["sort"] = json!([{time: {"order": "desc", "unmapped_type": "date"}}]);
            fields.push(json!({"field": time, "format": "strict_date_time"}));
        }
        body["fields"] = fields.into();
        body
    }
}

/// A field of what was picked.
pub struct Field {
    pub name: String,
    pub kind: String,
}

/// Asks which fields there are, without those that the cluster makes.
pub async fn fields(context: &Context<'_>, asked: &Asked) -> Result<Vec<Field>, Failure> {
    let path = format!("/{}/_field_caps?fields=*", encode(&asked.target));
    let answer = context.ask(Call::get(path)).await?;
    let mut fields = Vec::new();
    for (name, kinds) in answer["fields"].as_object().into_iter().flatten() {
        let Some((kind, caps)) = kinds.as_object().and_then(|kinds| kinds.iter().next()) else {
            continue;
        };
        let is_inner = kind == "object" || kind == "nested";
        if caps["metadata_field"] != true && !is_inner {
            fields.push(Field {
                name: name.clone(),
                kind: kind.clone(),
            });
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(fields)
}

/// Returns the field of the time: `@timestamp`, else the first date.
pub fn time_field(fields: &[Field]) -> Option<&str> {
    let mut dates = fields.iter().filter(|field| field.kind.starts_with("date"));
    let timestamp = fields.iter().find(|field| field.name == "@timestamp");
    let picked = timestamp
        .filter(|field| field.kind.starts_with("date"))
        .or_else(|| dates.next());
    picked.map(|field| field.name.as_str())
}

/// The cluster gives no hits behind this one.
pub const LAST: usize = 9_900;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            target: "logs-*".into(),
            query: "a:\"b & c\"".into(),
            range: "1h".into(),
            after: String::new(),
            before: String::new(),
            columns: vec!["x".into(), "y".into()],
            from: 0,
        }
    }

    #[test]
    fn links_hold_what_was_asked() {
        let link = asked().at(50).link("/discover");
        let query = link.strip_prefix("/discover?").unwrap();
        let pairs = crate::urlencoded::pairs(query.as_bytes());
        let value = |name: &str| {
            let found = pairs.iter().find(|(found, _)| found == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("query"), Some("a:\"b & c\""));
        assert_eq!(value("columns"), Some("x,y"));
        assert_eq!((value("from"), value("after")), (Some("50"), None));
        assert_eq!(asked().with_column_toggled("x").columns, ["y"]);
        assert_eq!(asked().with_column_toggled("z").columns, ["x", "y", "z"]);
    }

    #[test]
    fn time_bounds_the_query_where_there_is_a_time() {
        let mut asked = asked();
        let bounds =
            |asked: &Asked| asked.filter(Some("t"))["bool"]["filter"][0]["range"]["t"].clone();
        assert_eq!(bounds(&asked), json!({"gte": "now-1h", "lte": "now"}));
        assert!(asked.filter(None)["bool"].is_null());
        asked.range = BETWEEN.into();
        assert!(bounds(&asked).is_null());
        asked.before = "2026-01-02T03:04".into();
        let before = json!({"format": "strict_date_optional_time", "lte": "2026-01-02T03:04"});
        assert_eq!(bounds(&asked), before);
    }

    #[test]
    fn the_time_is_the_timestamp_or_the_first_date() {
        let field = |name: &str, kind: &str| Field {
            name: name.into(),
            kind: kind.into(),
        };
        let of = |fields: &[Field]| time_field(fields).map(str::to_owned);
        assert_eq!(of(&[field("a", "keyword")]), None);
        let dates = [field("a", "date"), field("@timestamp", "date_nanos")];
        assert_eq!(of(&dates).as_deref(), Some("@timestamp"));
        let dates = [field("@timestamp", "keyword"), field("b", "date")];
        assert_eq!(of(&dates).as_deref(), Some("b"));
    }
}
