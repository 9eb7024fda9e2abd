//! Reading `date_histogram`. Source: Elasticsearch reference, "Date histogram aggregation".

use ringwall_api::ApiError;
use serde_json::Value;

use super::parse::{calendar_unit, millis_of, orders, value_source};
use super::spec::*;
use crate::parse::Object;
use crate::time::Zone;

/// Reads the body of `date_histogram`.
pub(super) fn date_histogram(body: &Value) -> Result<AggKind, ApiError> {
    let name = "date_histogram";
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let interval = interval(&mut object)?;
    let offset = match object.text("offset")? {
        Some(text) => millis_of("offset", &text)?,
        None => 0,
    };
    let zone = Zone::parse_or_utc(object.text("time_zone")?.as_deref())?;
    let spec = DateHistogramSpec {
        source,
        interval,
        zone,
        offset,
        format: object.text("format")?,
        min_doc_count: object.usize("min_doc_count")?.unwrap_or(0) as u64,
        extended_bounds: bounds(&mut object, "extended_bounds")?,
        hard_bounds: bounds(&mut object, "hard_bounds")?,
        order: orders(object.take("order"), &[(OrderBy::Key, true)])?,
        keyed: object.bool("keyed")?.unwrap_or(false),
    };
    object.finish()?;
    Ok(AggKind::DateHistogram(Box::new(spec)))
}

/// Takes exactly one of the interval members; `interval`, long deprecated, is still sent by old
/// dashboards and means whichever of the two its value fits.
fn interval(object: &mut Object<'_>) -> Result<DateInterval, ApiError> {
    let calendar = object.text("calendar_interval")?;
    let fixed = object.text("fixed_interval")?;
    let legacy = object.text("interval")?;
    match (calendar, fixed, legacy) {
        (Some(text), None, None) => {
            calendar_unit(&text)
                .map(DateInterval::Calendar)
                .ok_or_else(|| {
                    ApiError::illegal_argument(format!(
                        "The supplied interval [{text}] could not be parsed as a calendar interval."
                    ))
                })
        }
        (None, Some(text), None) => fixed_interval(&text),
        (None, None, Some(text)) => match calendar_unit(&text) {
            Some(unit) => Ok(DateInterval::Calendar(unit)),
            None => fixed_interval(&text),
        },
        (None, None, None) => Err(ApiError::illegal_argument(
            "Invalid interval specified, must be non-null and non-empty",
        )),
        _ => Err(ApiError::illegal_argument(
            "Cannot use [fixed_interval] with [calendar_interval] or [interval] configuration \
             option.",
        )),
    }
}

fn fixed_interval(text: &str) -> Result<DateInterval, ApiError> {
    match millis_of("fixed_interval", text) {
        Ok(millis) if millis > 0 => Ok(DateInterval::Fixed(millis)),
        Ok(_) => Err(ApiError::illegal_argument(format!(
            "Zero or negative time interval not supported: [{text}]"
        ))),
        Err(error) => Err(error),
    }
}

fn bounds(object: &mut Object<'_>, key: &'static str) -> Result<Option<(Value, Value)>, ApiError> {
    let Some(value) = object.take(key) else {
        return Ok(None);
    };
    let mut bounds = Object::new(key, value)?;
    let min = bounds.take("min").cloned().unwrap_or(Value::Null);
    let max = bounds.take("max").cloned().unwrap_or(Value::Null);
    bounds.finish()?;
    Ok(Some((min, max)))
}
