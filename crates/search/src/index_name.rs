//! Names of indices with date math: `<logs-{now/d{yyyy.MM.dd|+01:00}}>`. Source: Elasticsearch reference, date math
//! support in index and index alias names; errors as 8.19 words them.

use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::dates::{DateFormat, Rounding};

use crate::time::{DateMath, Zone};

/// Replaces the date math in a name; a name without angle brackets is returned as it is. An exclusion (`-<...>`)
/// stays one. `now` is in milliseconds since 1970.
///
/// # Errors
/// 400 for math, a format or a zone that is none.
pub fn resolve_index_name(name: &str, now: i64) -> Result<String, ApiError> {
    let (sign, bare) = match name.strip_prefix('-') {
        Some(bare) => ("-", bare),
        None => ("", name),
    };
    let inner = bare
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    let Some(inner) = inner else {
        return Ok(name.to_owned());
    };
    let mut resolved = sign.to_owned();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => resolved.extend(rest.next()),
            '{' => {
                let (math, after) = placeholder(inner, rest.as_str())?;
                resolved.push_str(&evaluated(math, now)?);
                rest = after.chars();
            }
            '}' => {
                return Err(invalid(
                    inner,
                    "`{` and `}` are reserved characters and should be escaped when used as part of the index \
                     name using `\\` (e.g. `\\{text\\}`)",
                ));
            }
            other => resolved.push(other),
        }
    }
    if resolved.len() == sign.len() {
        return Err(parse_error("nothing captured"));
    }
    Ok(resolved)
}

/// Splits what follows an opening brace into the math up to its closing brace and the rest.
fn placeholder<'a>(inner: &str, text: &'a str) -> Result<(&'a str, &'a str), ApiError> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[..at], &text[at + 1..]));
        }
        if depth > 2 {
            break;
        }
    }
    Err(invalid(inner, "date math placeholder is open ended"))
}

/// `now/d{yyyy.MM.dd|+01:00}`, of which format and zone may be missing.
fn evaluated(text: &str, now: i64) -> Result<String, ApiError> {
    let (math, shown) = match text.split_once('{') {
        None => (text, None),
        Some((math, shown)) => {
            let shown = shown
                .strip_suffix('}')
                .ok_or_else(|| invalid(text, "missing closing `}` for date math format"))?;
            (math, Some(shown))
        }
    };
    let (pattern, zone) = match shown {
        None => (DEFAULT_FORMAT, None),
        Some("") => return Err(invalid(text, "missing date format")),
        Some(shown) => match shown.split_once('|') {
            None => (shown, None),
            Some((_, "")) => return Err(invalid(text, "missing time zone")),
            Some((pattern, zone)) => (pattern, Some(zone)),
        },
    };
    if math.is_empty() {
        return Err(parse_error("cannot parse empty datetime"));
    }
    let format = DateFormat::compile(pattern)?;
    let zone = Zone::parse_or_utc(zone)?;
    let math_of = DateMath {
        now,
        zone: &zone,
        round_up: false,
    };
    let parse = |text: &str, rounding: Rounding| {
        format
            .parse_in(text, zone.inner(), rounding)
            .ok_or_else(|| {
                parse_error(&format!(
                    "failed to parse date field [{text}] with format [{pattern}]"
                ))
            })
    };
    let millis = math_of.eval(math, &parse)?;
    Ok(format.format_in(millis, zone.inner()))
}

fn invalid(expression: &str, why: &str) -> ApiError {
    parse_error(&format!(
        "invalid dynamic name expression [{expression}]. {why}"
    ))
}

fn parse_error(reason: &str) -> ApiError {
    ApiError::new(ErrorCode::Parse, reason)
}

const DEFAULT_FORMAT: &str = "uuuu.MM.dd";

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29T20:30:00Z
    const NOW: i64 = 1_795_984_200_000;

    #[test]
    fn names_are_those_that_elasticsearch_makes() {
        for (name, expected) in [
            ("logs", "logs"),
            ("x-{now/d}", "x-{now/d}"),
            ("<x-{now/d", "<x-{now/d"),
            ("<x>", "x"),
            ("<x-{now/d}>", "x-2026.11.29"),
            ("-<x-{now/d}>", "-x-2026.11.29"),
            ("<x-{now/d-1d}>", "x-2026.11.28"),
            ("<x-{now+1M/M}>", "x-2026.12.01"),
            ("<x-{now/d{yyyy.MM.dd|+12:00}}-y>", "x-2026.11.30-y"),
            ("<x-{now/d{yyyy.MM.dd|CET}}>", "x-2026.11.29"),
            ("<{now{yyyy}}-a-{now/y{yy}}>", "2026-a-26"),
            ("<x-{now/d{epoch_millis}}>", "x-1795910400000"),
            (r"<x-\{a\}>", "x-{a}"),
            ("<x-{now/d}*>", "x-2026.11.29*"),
        ] {
            assert_eq!(resolve_index_name(name, NOW).unwrap(), expected, "{name}");
        }
        for (name, reason) in [
            ("<>", "nothing captured"),
            ("<x-{}>", "cannot parse empty datetime"),
            (
                "<x-{now/d{}}>",
                "invalid dynamic name expression [now/d{}]. missing date format",
            ),
            (
                "<x-{now/d>",
                "invalid dynamic name expression [x-{now/d]. date math placeholder is open ended",
            ),
            (
                "<x-{foo}>",
                "failed to parse date field [foo] with format [uuuu.MM.dd]",
            ),
            (
                "<x-{now{bad}}>",
                "Invalid format: [bad]: Unknown pattern letter: b",
            ),
            (
                "<x}>",
                "invalid dynamic name expression [x}]. `{` and `}` are reserved",
            ),
            (
                "<x-{now/d{yyyy|}}>",
                "invalid dynamic name expression [now/d{yyyy|}]. missing time zone",
            ),
        ] {
            let error = resolve_index_name(name, NOW).unwrap_err();
            assert!(error.reason.starts_with(reason), "{name}: {}", error.reason);
            assert_eq!(error.status, 400);
        }
    }
}
