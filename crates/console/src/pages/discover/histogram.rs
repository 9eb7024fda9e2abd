//! Hits over time: a search that counts them, and a picture of the counts.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::asked::Asked;
use crate::context::Context;
use crate::failure::Failure;
use crate::forms;
use crate::pages::overview::text;

/// Counts by time; the first search tells how long the time is, from which the second has its steps.
pub async fn picture(context: &Context<'_>, asked: &Asked, time: &str) -> Result<Markup, Failure> {
    let query = asked.filter(Some(time));
    let ends = json!({"first": {"min": {"field": time}}, "last": {"max": {"field": time}}});
    let body = json!({"size": 0, "query": query, "aggs": ends});
    let answer = context.ask(asked.call("_search", &body)).await?;
    let end = |name: &str| answer["aggregations"][name]["value"].as_f64();
    let (Some(first), Some(last)) = (end("first"), end("last")) else {
        return Ok(html! {});
    };
    let (step, seconds) = step(last - first);
    let counts = json!({"date_histogram": {
        "field": time, "fixed_interval": step, "format": "strict_date_time", "min_doc_count": 1,
    }});
    let body = json!({"size": 0, "query": query, "aggs": {"counts": counts}});
    let answer = context.ask(asked.call("_search", &body)).await?;
    let buckets = answer["aggregations"]["counts"]["buckets"].as_array();
    Ok(drawn(
        buckets.map(Vec::as_slice).unwrap_or_default(),
        seconds * 1000.0,
        &step,
    ))
}

/// Returns the step that cuts a time of so many milliseconds into at most [`BARS`] parts, as text and in seconds.
fn step(millis: f64) -> (String, f64) {
    let enough = |seconds: &&f64| millis / 1000.0 / **seconds < (BARS - 1) as f64;
    // Beyond the longest step: whole years of days.
    let years = (millis / 1000.0 / (BARS - 1) as f64 / YEAR).floor() + 1.0;
    let seconds = STEPS.iter().find(enough).copied().unwrap_or(years * YEAR);
    let text = match seconds {
        days if days >= DAY => format!("{}d", days / DAY),
        hours if hours >= 3600.0 => format!("{}h", hours / 3600.0),
        minutes if minutes >= 60.0 => format!("{}m", minutes / 60.0),
        seconds => format!("{seconds}s"),
    };
    (text, seconds)
}

fn drawn(buckets: &[Value], step: f64, told: &str) -> Markup {
    let key = |bucket: &Value| bucket["key"].as_f64().unwrap_or_default();
    let count = |bucket: &Value| bucket["doc_count"].as_f64().unwrap_or_default();
    let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else {
        return html! {};
    };
    let most = buckets.iter().map(count).fold(1.0, f64::max);
    let bars = ((key(last) - key(first)) / step).round() + 1.0;
    let width = WIDTH / bars;
    let sentence = format!(
        "Hits by time, from {} to {}, in steps of {told}; at most {most} in one step.",
        text(&first["key_as_string"]),
        text(&last["key_as_string"]),
    );
    html! {
        figure.histogram {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(sentence) {
                @for bucket in buckets {
                    @let height = count(bucket) / most * HEIGHT;
                    rect x=(two((key(bucket) - key(first)) / step * width)) y=(two(HEIGHT - height))
                        width=(two(width * 0.9)) height=(two(height)) {
                        title { (text(&bucket["key_as_string"])) ": " (text(&bucket["doc_count"])) }
                    }
                }
            }
            figcaption { (sentence) }
        }
        details {
            summary { "The counts as a table" }
            (forms::table("Hits by time", &["From", "Hits"], html! {
                @for bucket in buckets {
                    tr {
                        th scope="row" { (text(&bucket["key_as_string"])) }
                        td.number { (text(&bucket["doc_count"])) }
                    }
                }
            }))
        }
    }
}

/// Returns a length with two digits.
fn two(length: f64) -> String {
    format!("{length:.2}")
}

/// Bars at most.
const BARS: usize = 60;
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 80.0;
const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.0 * DAY;

/// Steps in seconds.
const STEPS: &[f64] = &[
    1.0,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    DAY,
    7.0 * DAY,
    30.0 * DAY,
    90.0 * DAY,
    YEAR,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_few_bars() {
        for seconds in [0.0, 1.0, 59.0, 3_600.0, DAY, YEAR, 300.0 * YEAR, 1e7 * YEAR] {
            let (text, step) = step(seconds * 1000.0);
            assert!(seconds / step < (BARS - 1) as f64, "{seconds} in {text}");
        }
        assert_eq!(step(0.0).0, "1s");
        assert_eq!(step(3_600_000.0).0, "5m");
        assert_eq!(step(YEAR * 1000.0).0, "7d");
    }

    #[test]
    fn bars_stand_where_their_time_is() {
        let buckets = [
            json!({"key": 0, "key_as_string": "<a>", "doc_count": 1}),
            json!({"key": 3000, "key_as_string": "b", "doc_count": 2}),
        ];
        let drawn = drawn(&buckets, 1000.0, "1s").into_string();
        assert!(drawn.contains("x=\"0.00\" y=\"40.00\" width=\"135.00\" height=\"40.00\""));
        assert!(drawn.contains("x=\"450.00\" y=\"0.00\" width=\"135.00\" height=\"80.00\""));
        assert!(drawn.contains("&lt;a&gt;") && !drawn.contains("<a>") && !drawn.contains("style"));
    }
}
