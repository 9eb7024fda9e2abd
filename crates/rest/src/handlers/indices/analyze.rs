//! `_analyze`. Source: Elasticsearch reference, "Analyze API".

use ringwall_api::indices::{
    Analyze, AnalyzeDetail, AnalyzeInIndexRequest, AnalyzeRequest, AnalyzeResponse, AnalyzeToken,
};
use ringwall_api::{ApiError, ApiResult};
use serde_json::{Map, Value, json};

use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// `GET|POST [/{index}]/_analyze`.
pub async fn analyze(request: RestRequest) -> ApiResult<RestResponse> {
    let mut body = request.body_object()?;
    let known = [
        "text",
        "analyzer",
        "tokenizer",
        "filter",
        "char_filter",
        "normalizer",
        "field",
        "explain",
        "attributes",
    ];
    check_keys("analyze_request", &body, &known)?;
    let attributes = texts("attributes", body.remove("attributes"))?;
    let ask = Analyze {
        texts: texts("text", body.remove("text"))?,
        analyzer: one("analyzer", body.remove("analyzer"))?,
        normalizer: one("normalizer", body.remove("normalizer"))?,
        field: one("field", body.remove("field"))?,
        tokenizer: body.remove("tokenizer"),
        char_filters: several(body.remove("char_filter")),
        filters: several(body.remove("filter")),
        explain: match body.remove("explain") {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                return Err(ApiError::illegal_argument(format!(
                    "explain must be either 'true' or 'false', but is [{other}]"
                )));
            }
        },
    };
    check(&ask)?;
    let explain = ask.explain;
    let answer = match request.path("index").is_some() {
        true => {
            let indices = request.one_index()?;
            request
                .execute(AnalyzeInIndexRequest { indices, ask })
                .await?
        }
        false => request.execute(AnalyzeRequest { ask }).await?,
    };
    // An explanation is many times as long as what it explains: off the threads of the runtime.
    let written = tokio::task::spawn_blocking(move || {
        serde_json::to_vec(&answer_json(&answer, explain, &attributes))
    });
    match written.await {
        Ok(Ok(json)) => Ok(RestResponse::raw(json)),
        _ => Err(ApiError::internal("rendering was interrupted")),
    }
}

fn check(ask: &Analyze) -> ApiResult<()> {
    let has_parts =
        ask.tokenizer.is_some() || !ask.filters.is_empty() || !ask.char_filters.is_empty();
    let mut wrong = Vec::new();
    if ask.texts.is_empty() {
        wrong.push("text is missing".to_owned());
    }
    if ask.normalizer.is_some() && (ask.tokenizer.is_some() || ask.analyzer.is_some()) {
        wrong.push("tokenizer/analyze should be null if normalizer is specified".to_owned());
    }
    if ask.analyzer.is_some() && has_parts {
        wrong.push("cannot define extra components on a named analyzer".to_owned());
    }
    if ask.normalizer.is_some() && has_parts {
        wrong.push("cannot define extra components on a named normalizer".to_owned());
    }
    if ask.field.is_some() && has_parts {
        wrong.push("cannot define extra components on a field-specific analyzer".to_owned());
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(ApiError::validation(&wrong)),
    }
}

fn one(key: &str, value: Option<Value>) -> ApiResult<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "{key} should be a string, but is [{other}]"
        ))),
    }
}

fn several(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
    }
}

fn texts(key: &str, value: Option<Value>) -> ApiResult<Vec<String>> {
    let items = several(value).into_iter();
    items
        .map(|item| match item {
            Value::String(text) => Ok(text),
            Value::Number(_) | Value::Bool(_) => Ok(item.to_string()),
            other => Err(ApiError::illegal_argument(format!(
                "{key} should be a text, but is [{other}]"
            ))),
        })
        .collect()
}

fn answer_json(answer: &AnalyzeResponse, explain: bool, attributes: &[String]) -> Value {
    let token = |token: &AnalyzeToken| token_json(token, explain, attributes);
    let tokens = |tokens: &[AnalyzeToken]| tokens.iter().map(token).collect::<Vec<_>>();
    match &answer.detail {
        None => json!({"tokens": tokens(&answer.tokens)}),
        Some(AnalyzeDetail::Whole(name)) => json!({"detail": {
            "custom_analyzer": false,
            "analyzer": {"name": name, "tokens": tokens(&answer.tokens)},
        }}),
        Some(AnalyzeDetail::Parts {
            char_filters,
            stages,
        }) => {
            let stage = |(name, all): &(String, Vec<AnalyzeToken>)| json!({"name": name, "tokens": tokens(all)});
            let char_filters = char_filters.iter();
            let char_filters =
                char_filters.map(|(name, texts)| json!({"name": name, "filtered_text": texts}));
            let mut detail = Map::from_iter([
                ("custom_analyzer".to_owned(), Value::Bool(true)),
                ("charfilters".to_owned(), char_filters.collect()),
            ]);
            if let Some(tokenizer) = stages.first() {
                detail.insert("tokenizer".to_owned(), stage(tokenizer));
            }
            let filters = stages.iter().skip(1).map(stage).collect();
            detail.insert("tokenfilters".to_owned(), filters);
            json!({"detail": detail})
        }
    }
}

fn token_json(token: &AnalyzeToken, explain: bool, attributes: &[String]) -> Value {
    let mut json = json!({
        "token": token.token,
        "start_offset": token.start_offset,
        "end_offset": token.end_offset,
        "type": token.kind,
        "position": token.position,
    });
    if !explain {
        if token.position_length > 1 {
            json["positionLength"] = token.position_length.into();
        }
        return json;
    }
    let more = [
        ("bytes", Value::from(hex(&token.token))),
        ("positionLength", token.position_length.into()),
        ("termFrequency", 1.into()),
    ];
    for (name, value) in more {
        if attributes.is_empty()
            || attributes
                .iter()
                .any(|asked| asked.eq_ignore_ascii_case(name))
        {
            json[name] = value;
        }
    }
    json
}

/// Writes the bytes of a text as `[c3 a9]`.
fn hex(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3 + 2);
    out.push('[');
    for (nth, byte) in text.bytes().enumerate() {
        if nth > 0 {
            out.push(' ');
        }
        if byte > 0xf {
            out.push(digit(byte >> 4));
        }
        out.push(digit(byte & 0xf));
    }
    out.push(']');
    out
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_an_analysis_are_hexadecimal() {
        assert_eq!(
            ["\u{e9} b", "\n", ""].map(hex),
            ["[c3 a9 20 62]", "[a]", "[]"]
        );
    }
}
