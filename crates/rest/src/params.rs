//! Query parameters, decoded and typed.
//!
//! Every read is noted. A request performs nothing while a parameter that it was given has not been read
//! ([`crate::request::RestRequest::execute`]), so that none is accepted and left out of account.

use std::sync::atomic::{AtomicBool, Ordering};

use ringwall_api::document::{RefreshPolicy, SourceFilter, VersionType};
use ringwall_api::{ApiError, ApiResult, ErrorCode, IndicesOptions};
use ringwall_base::TimeValue;

/// The decoded query string. A later value of a name replaces an earlier one.
#[derive(Debug, Default)]
pub struct Params(Vec<Param>);

#[derive(Debug)]
struct Param {
    name: String,
    value: String,
    read: AtomicBool,
}

impl Params {
    /// Reads a query string. Errors: 400 for a broken percent escape.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let mut params: Vec<Param> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(&name.replace('+', " "))?;
            let value = decode(&value.replace('+', " "))?;
            match params.iter_mut().find(|known| known.name == name) {
                Some(earlier) => earlier.value = value,
                None => params.push(Param {
                    name,
                    value,
                    read: AtomicBool::new(false),
                }),
            }
        }
        Ok(Self(params))
    }

    /// Returns the names given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|param| param.name.as_str())
    }

    /// Returns the names given that nothing has read yet.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        let unread = |param: &&Param| !param.read.load(Ordering::Relaxed);
        self.0
            .iter()
            .filter(unread)
            .map(|param| param.name.as_str())
    }

    /// Returns a value as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let param = self.0.iter().find(|known| known.name == name)?;
        param.read.store(true, Ordering::Relaxed);
        Some(&param.value)
    }

    /// Returns a value that somebody else reads.
    pub fn peek(&self, name: &str) -> Option<&str> {
        let param = self.0.iter().find(|known| known.name == name)?;
        Some(&param.value)
    }

    /// Reads booleans that may change how an answer is made and never what it says, as the wish to use a cache.
    /// Errors: 400 for what is no boolean.
    pub fn hint_flags(&self, names: &[&str]) -> ApiResult<()> {
        names
            .iter()
            .try_for_each(|name| self.flag(name, true).map(drop))
    }

    /// Reads numbers that may change how an answer is made and never what it says, as the size of a batch.
    /// Errors: 400 for what is no whole number from `least` on.
    pub fn hint_numbers(&self, names: &[&str], least: u32) -> ApiResult<()> {
        for name in names {
            if self
                .number::<u32>(name)?
                .is_some_and(|number| number < least)
            {
                return Err(ApiError::illegal_argument(format!(
                    "{} must be >= {least}",
                    camel_case(name)
                )));
            }
        }
        Ok(())
    }

    /// Reads durations that bound no wait here. Errors: 400 for what is no duration.
    pub fn hint_times(&self, names: &[&str]) -> ApiResult<()> {
        names
            .iter()
            .try_for_each(|name| self.time_ms(name, 0).map(drop))
    }

    /// Returns a copy of a value as text.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// Returns a boolean: `true`, `false`, or empty for true.
    pub fn flag(&self, name: &str, default: bool) -> ApiResult<bool> {
        match self.text(name) {
            None => Ok(default),
            Some("" | "true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        }
    }

    /// Returns a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> ApiResult<Option<T>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            ApiError::illegal_argument(format!(
                "Failed to parse int parameter [{name}] with value [{text}]"
            ))
            .caused_by(ApiError::new(
                ErrorCode::NumberFormat,
                format!("For input string: \"{text}\""),
            ))
        })
    }

    /// Returns a duration in milliseconds; `-1` becomes the longest wait there is, a year.
    pub fn time_ms(&self, name: &str, default_ms: u64) -> ApiResult<u64> {
        let Some(text) = self.text(name) else {
            return Ok(default_ms);
        };
        let value: TimeValue = text.parse().map_err(|error| {
            ApiError::illegal_argument(format!("failed to parse parameter [{name}]: {error}"))
        })?;
        let millis = value.duration().map_or(u128::MAX, |d| d.as_millis());
        Ok(millis.min(u128::from(LONGEST_WAIT_MS)) as u64)
    }

    /// Returns a comma-separated list; empty when absent.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.text(name).map(split_list).unwrap_or_default()
    }

    /// Returns how index expressions resolve.
    pub fn indices_options(&self, defaults: IndicesOptions) -> ApiResult<IndicesOptions> {
        let mut options = IndicesOptions {
            ignore_unavailable: self.flag("ignore_unavailable", defaults.ignore_unavailable)?,
            allow_no_indices: self.flag("allow_no_indices", defaults.allow_no_indices)?,
            ..defaults
        };
        if let Some(text) = self.text("expand_wildcards") {
            apply_expand_wildcards(text, &mut options)?;
        }
        Ok(options)
    }

    /// Returns the `refresh` of a write. Source: Elasticsearch reference, "?refresh".
    pub fn refresh_policy(&self) -> ApiResult<RefreshPolicy> {
        match self.text("refresh") {
            None | Some("false") => Ok(RefreshPolicy::None),
            Some("" | "true") => Ok(RefreshPolicy::Immediate),
            Some("wait_for") => Ok(RefreshPolicy::WaitFor),
            Some(other) => Err(ApiError::illegal_argument(format!(
                "Unknown value for refresh: [{other}]."
            ))),
        }
    }

    /// Returns `wait_for_active_shards`: `None` for the default, `u32::MAX` for `all`.
    pub fn active_shards(&self) -> ApiResult<Option<u32>> {
        match self.text("wait_for_active_shards") {
            None => Ok(None),
            Some("all") => Ok(Some(u32::MAX)),
            Some(text) if text.parse::<i64>().is_ok_and(|count| count < 0) => Err(
                ApiError::illegal_argument("shard count cannot be a negative value"),
            ),
            Some(text) => text.parse().map(Some).map_err(|_| {
                ApiError::illegal_argument(format!("cannot parse ActiveShardCount[{text}]"))
            }),
        }
    }

    /// Returns `version_type`.
    pub fn version_type(&self) -> ApiResult<VersionType> {
        self.text("version_type")
            .map_or(Ok(VersionType::Internal), parse_version_type)
    }

    /// Returns the source filter of `_source`, `_source_includes` and `_source_excludes`, or `None`
    /// when none is given.
    pub fn source_filter(&self) -> Option<SourceFilter> {
        let source = self.text("_source");
        let includes = self.list("_source_includes");
        let excludes = self.list("_source_excludes");
        if source.is_none() && includes.is_empty() && excludes.is_empty() {
            return None;
        }
        let mut filter = SourceFilter {
            enabled: true,
            includes,
            excludes,
        };
        match source {
            None | Some("" | "true") => {}
            Some("false") => filter.enabled = false,
            Some(patterns) => filter.includes.extend(split_list(patterns)),
        }
        Some(filter)
    }
}

/// Elasticsearch calls some parameters in errors as its own code does.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut text, word| {
        let (begin, rest) = word.split_at(word.len().min(1));
        text.push_str(&begin.to_ascii_uppercase());
        text.push_str(rest);
        text
    })
}

/// Reads the name of a version type. Source: Elasticsearch reference, "Index API" (versioning).
pub fn parse_version_type(text: &str) -> ApiResult<VersionType> {
    match text {
        "internal" => Ok(VersionType::Internal),
        "external" | "external_gt" => Ok(VersionType::External),
        "external_gte" => Ok(VersionType::ExternalGte),
        other => Err(ApiError::illegal_argument(format!(
            "No version type match [{other}]"
        ))),
    }
}

/// Applies a list of `open`, `closed`, `hidden`, `none`, `all`.
pub fn apply_expand_wildcards(text: &str, options: &mut IndicesOptions) -> ApiResult<()> {
    options.expand_hidden = false;
    options.expand_wildcards = false;
    options.expand_closed = false;
    for word in text.split(',') {
        match word.trim() {
            "open" => options.expand_wildcards = true,
            "closed" => options.expand_closed = true,
            "hidden" => options.expand_hidden = true,
            "all" => {
                options.expand_wildcards = true;
                options.expand_closed = true;
                options.expand_hidden = true;
            }
            "none" => {
                options.expand_wildcards = false;
                options.expand_closed = false;
                options.expand_hidden = false;
            }
            other => {
                return Err(ApiError::illegal_argument(format!(
                    "No valid expand wildcard value [{other}]"
                )));
            }
        }
    }
    Ok(())
}

/// Splits a comma-separated list, without empty parts.
pub fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Decodes percent escapes. Errors: 400 for a broken escape or bytes that are not UTF-8.
pub fn decode(text: &str) -> ApiResult<String> {
    let bad =
        || ApiError::illegal_argument(format!("partial or invalid percent escape in [{text}]"));
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(bad());
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

const LONGEST_WAIT_MS: u64 = 365 * 24 * 3_600 * 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn query_strings_are_decoded() {
        let params = Params::parse("a=1&b=x%2Cy+z&flag&a=2&empty=&%C3%A4=1").unwrap();
        assert_eq!(params.text("a"), Some("2"));
        assert_eq!(params.text("b"), Some("x,y z"));
        assert_eq!(params.flag("flag", false), Ok(true));
        assert_eq!(params.text("ä"), Some("1"));
        for broken in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Params::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn values_are_typed() {
        let params =
            Params::parse("n=x&f=yes&t=5&u=-1&r=maybe&w=all&s=false&e=open,hidden").unwrap();
        assert!(params.number::<u64>("n").is_err());
        assert!(params.flag("f", true).is_err());
        assert!(params.time_ms("t", 1).is_err());
        assert_eq!(params.time_ms("u", 1), Ok(LONGEST_WAIT_MS));
        assert_eq!(params.time_ms("absent", 7), Ok(7));
        assert!(
            Params::parse("refresh=maybe")
                .unwrap()
                .refresh_policy()
                .is_err()
        );
        assert_eq!(
            Params::parse("wait_for_active_shards=all")
                .unwrap()
                .active_shards(),
            Ok(Some(u32::MAX))
        );
        let options = Params::parse("expand_wildcards=open,hidden")
            .unwrap()
            .indices_options(IndicesOptions::default())
            .unwrap();
        assert!(options.expand_hidden && options.expand_wildcards);
    }

    #[test]
    fn what_was_not_read_is_known() {
        let params = Params::parse("a=1&b=2&c=true&d=3").unwrap();
        params.text("a");
        params.hint_flags(&["c", "e"]).unwrap();
        assert_eq!(params.unread().collect::<Vec<_>>(), ["b", "d"]);
        assert!(params.hint_flags(&["b"]).is_err());
        assert!(params.hint_numbers(&["d"], 4).is_err());
        let low = Params::parse("batched_reduce_size=1").unwrap();
        let error = low.hint_numbers(&["batched_reduce_size"], 2).unwrap_err();
        assert_eq!(error.reason, "batchedReduceSize must be >= 2");
        params.hint_numbers(&["d"], 3).unwrap();
        assert_eq!(params.unread().count(), 0);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(query in "\\PC{0,40}") {
            let _ = Params::parse(&query);
        }
    }
}
