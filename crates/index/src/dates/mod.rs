//! Date formats of mappings: text to milliseconds since 1970 and back.
//!
//! Source: Elasticsearch reference, "format" and "Dynamic field mapping". A format is one or more alternatives joined
//! by `||`; the first that matches wins on input, the first alone is used for output.

mod civil;
mod iso;
mod pattern;

use jiff::tz::TimeZone;
use ringwall_api::{ApiError, ErrorCode};

use civil::Parts;
use pattern::Pattern;

/// The default of date fields.
pub const DEFAULT_FORMAT: &str = "strict_date_optional_time||epoch_millis";

/// How missing parts of a date are filled: `2024` is the first millisecond of the year, or the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    #[default]
    Down,
    /// For `lte` and `gt` bounds of a range.
    Up,
}

/// A compiled `format`.
#[derive(Debug, Clone)]
pub struct DateFormat {
    spec: String,
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
enum Alternative {
    Iso { strict: bool },
    EpochMillis,
    EpochSecond,
    Pattern(Pattern),
}

impl Default for DateFormat {
    fn default() -> Self {
        Self {
            spec: DEFAULT_FORMAT.to_owned(),
            alternatives: vec![Alternative::Iso { strict: true }, Alternative::EpochMillis],
        }
    }
}

impl PartialEq for DateFormat {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl DateFormat {
    /// Compiles a format: names such as `epoch_second` and Java patterns, joined by `||`.
    pub fn compile(spec: &str) -> Result<Self, ApiError> {
        let alternatives = spec
            .split("||")
            .map(|part| compile_one(part.trim(), spec))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            spec: spec.to_owned(),
            alternatives,
        })
    }

    /// Returns the format as it was given.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Returns the milliseconds since 1970 that the text stands for; a text without an offset is
    /// taken in `zone`. `None` when no alternative matches.
    pub fn parse_in(&self, text: &str, zone: &TimeZone, rounding: Rounding) -> Option<i64> {
        self.alternatives
            .iter()
            .find_map(|alternative| alternative.parse(text, zone, rounding))
    }

    /// Returns the milliseconds since 1970 of a text in UTC, missing parts rounded down.
    pub fn parse(&self, text: &str) -> Option<i64> {
        self.parse_in(text, &TimeZone::UTC, Rounding::Down)
    }

    /// Returns whether a JSON number is meant as text of this format: true of formats such as
    /// `yyyyMMdd` or `epoch_millis`, which the text of the number must match.
    pub fn parse_number(&self, number: i64) -> Option<i64> {
        match self.alternatives.as_slice() {
            // The common case without a detour over text.
            [Alternative::Iso { .. }, Alternative::EpochMillis] if number.unsigned_abs() > 9999 => {
                Some(number)
            }
            _ => self.parse(&number.to_string()),
        }
    }

    /// Returns the text of a moment in the first alternative, in UTC.
    pub fn format(&self, millis: i64) -> String {
        self.format_in(millis, &TimeZone::UTC)
    }

    /// Returns the text of a moment in the first alternative, in the given zone.
    pub fn format_in(&self, millis: i64, zone: &TimeZone) -> String {
        match self.alternatives.first() {
            Some(Alternative::EpochMillis) => millis.to_string(),
            Some(Alternative::EpochSecond) => format_epoch_second(millis),
            Some(Alternative::Pattern(pattern)) => {
                pattern.format(millis, civil::offset_seconds(zone, millis), zone)
            }
            Some(Alternative::Iso { .. }) | None => {
                iso::format(millis, civil::offset_seconds(zone, millis))
            }
        }
    }
}

impl Alternative {
    fn parse(&self, text: &str, zone: &TimeZone, rounding: Rounding) -> Option<i64> {
        match self {
            Self::Iso { strict } => iso::parse(text, *strict)?.to_millis(zone, rounding),
            Self::EpochMillis => parse_decimal(text, 1),
            Self::EpochSecond => parse_decimal(text, 1000),
            Self::Pattern(pattern) => pattern.parse(text)?.to_millis(zone, rounding),
        }
    }
}

/// Reads a time zone: `UTC`, `Z`, `+01:00` or a name such as `Europe/Berlin`.
pub fn parse_zone(text: &str) -> Result<TimeZone, ApiError> {
    if matches!(text, "Z" | "z" | "UTC" | "utc" | "GMT") {
        return Ok(TimeZone::UTC);
    }
    if let Some((seconds, "")) = iso::parse_offset(text) {
        return civil::fixed(seconds).ok_or_else(|| unknown_zone(text));
    }
    TimeZone::get(text).map_err(|_| unknown_zone(text))
}

/// Returns the default format's date if the text is one: what date detection in dynamic mapping
/// accepts as `strict_date_optional_time`, except that a bare year is not a date.
pub fn detect(text: &str) -> bool {
    // A cheap look first: this runs for every unmapped string.
    let bytes = text.strip_prefix('-').unwrap_or(text).as_bytes();
    bytes.len() >= "2022-05".len()
        && bytes[0].is_ascii_digit()
        && bytes.get(4) == Some(&b'-')
        && iso::parse(text, true)
            .and_then(|parts| parts.to_millis(&TimeZone::UTC, Rounding::Down))
            .is_some()
}

fn unknown_zone(text: &str) -> ApiError {
    ApiError::new(
        ErrorCode::DateTimeParse,
        format!("Unknown time-zone ID: {text}"),
    )
}

fn compile_one(part: &str, spec: &str) -> Result<Alternative, ApiError> {
    let compiled = match part {
        "strict_date_optional_time" | "iso8601" | "strict_date_optional_time_nanos" => {
            Alternative::Iso { strict: true }
        }
        "date_optional_time" | "dateOptionalTime" => Alternative::Iso { strict: false },
        "epoch_millis" => Alternative::EpochMillis,
        "epoch_second" => Alternative::EpochSecond,
        other => {
            let named = named_pattern(other);
            let pattern = Pattern::compile(named.unwrap_or(other)).map_err(|reason| {
                ApiError::illegal_argument(format!("Invalid format: [{spec}]: {reason}"))
            })?;
            Alternative::Pattern(match named {
                Some(_) => pattern.of_name(other),
                None => pattern,
            })
        }
    };
    Ok(compiled)
}

/// The built-in names that are plain patterns, with their `strict_` forms.
fn named_pattern(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("strict_").unwrap_or(name);
    NAMED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, pattern)| *pattern)
}

const NAMED: [(&str, &str); 32] = [
    ("basic_date", "yyyyMMdd"),
    ("basic_date_time", "yyyyMMdd'T'HHmmss.SSSXX"),
    ("basic_date_time_no_millis", "yyyyMMdd'T'HHmmssXX"),
    ("basic_time", "HHmmss.SSSXX"),
    ("basic_time_no_millis", "HHmmssXX"),
    ("date", "yyyy-MM-dd"),
    ("date_hour", "yyyy-MM-dd'T'HH"),
    ("date_hour_minute", "yyyy-MM-dd'T'HH:mm"),
    ("date_hour_minute_second", "yyyy-MM-dd'T'HH:mm:ss"),
    (
        "date_hour_minute_second_millis",
        "yyyy-MM-dd'T'HH:mm:ss.SSS",
    ),
    (
        "date_hour_minute_second_fraction",
        "yyyy-MM-dd'T'HH:mm:ss.SSS",
    ),
    ("date_time", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    ("date_time_no_millis", "yyyy-MM-dd'T'HH:mm:ssXXX"),
    ("hour", "HH"),
    ("hour_minute", "HH:mm"),
    ("hour_minute_second", "HH:mm:ss"),
    ("hour_minute_second_millis", "HH:mm:ss.SSS"),
    ("time", "HH:mm:ss.SSSXXX"),
    ("time_no_millis", "HH:mm:ssXXX"),
    ("t_time", "'T'HH:mm:ss.SSSXXX"),
    ("t_time_no_millis", "'T'HH:mm:ssXXX"),
    ("basic_t_time", "'T'HHmmss.SSSXX"),
    ("basic_t_time_no_millis", "'T'HHmmssXX"),
    ("hour_minute_second_fraction", "HH:mm:ss.SSS"),
    ("ordinal_date", "yyyy-DDD"),
    ("ordinal_date_time", "yyyy-DDD'T'HH:mm:ss.SSSXXX"),
    ("ordinal_date_time_no_millis", "yyyy-DDD'T'HH:mm:ssXXX"),
    ("basic_ordinal_date", "yyyyDDD"),
    ("basic_ordinal_date_time", "yyyyDDD'T'HHmmss.SSSXX"),
    ("year", "yyyy"),
    ("year_month", "yyyy-MM"),
    ("year_month_day", "yyyy-MM-dd"),
];

/// Reads a possibly negative decimal number of seconds or milliseconds; digits below a millisecond
/// are cut.
fn parse_decimal(text: &str, scale: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || whole.starts_with('+') || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base = whole.parse::<i64>().ok()?.checked_mul(scale)?;
    if scale == 1 || fraction.is_empty() {
        return Some(base);
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    if whole.starts_with('-') {
        base.checked_sub(millis)
    } else {
        base.checked_add(millis)
    }
}

fn format_epoch_second(millis: i64) -> String {
    if millis % 1000 == 0 {
        return (millis / 1000).to_string();
    }
    let sign = if millis < 0 { "-" } else { "" };
    let absolute = millis.unsigned_abs();
    let text = format!("{sign}{}.{:03}", absolute / 1000, absolute % 1000);
    text.trim_end_matches('0').to_owned()
}

impl Parts {
    fn to_millis(self, zone: &TimeZone, rounding: Rounding) -> Option<i64> {
        civil::resolve(self, zone, rounding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(spec: &str, text: &str) -> Option<i64> {
        DateFormat::compile(spec).unwrap().parse(text)
    }

    #[test]
    fn accepts_and_refuses() {
        let iso = DEFAULT_FORMAT;
        let cases = [
            (iso, "2024-02-29", Some(1_709_164_800_000)),
            (iso, "2024-02-29T12:30", Some(1_709_209_800_000)),
            (iso, "2024-02-29T12:30:15.5Z", Some(1_709_209_815_500)),
            (
                iso,
                "2024-02-29T12:30:15,250+01:00",
                Some(1_709_206_215_250),
            ),
            (
                iso,
                "2024-02-29T12:30:15.123456789-0230",
                Some(1_709_218_815_123),
            ),
            (iso, "2024", Some(1_704_067_200_000)),
            (iso, "2024-02", Some(1_706_745_600_000)),
            (iso, "1420070400001", Some(1_420_070_400_001)),
            (iso, "-5", Some(-5)),
            (iso, "2023-02-29", None),
            (iso, "2024-2-29", None),
            (iso, "2024-13-01", None),
            (iso, "2024-01-01 10:00", None),
            (iso, "yesterday", None),
            ("date_optional_time", "2024-2-9", Some(1_707_436_800_000)),
            ("epoch_second", "1420070400", Some(1_420_070_400_000)),
            ("epoch_second", "1420070400.25", Some(1_420_070_400_250)),
            (
                "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd",
                "2024/02/29",
                Some(1_709_164_800_000),
            ),
            (
                "yyyy/MM/dd HH:mm:ss Z",
                "2024/02/29 01:00:00 +0100",
                Some(1_709_164_800_000),
            ),
            ("basic_date", "20240229", Some(1_709_164_800_000)),
            ("dd MMM yyyy", "29 Feb 2024", Some(1_709_164_800_000)),
            (
                "dd/MMM/yyyy:HH:mm:ss Z",
                "29/Feb/2024:00:00:00 +0000",
                Some(1_709_164_800_000),
            ),
            ("h:mm a", "1:30 PM", Some(48_600_000)),
            (
                "yyyy-MM-dd'T'HH[:mm]",
                "2024-02-29T01",
                Some(1_709_168_400_000),
            ),
            (
                "yyyy-MM-dd'T'HH[:mm]",
                "2024-02-29T01:30",
                Some(1_709_170_200_000),
            ),
        ];
        for (spec, text, expected) in cases {
            assert_eq!(millis(spec, text), expected, "{spec} of {text}");
        }
    }

    #[test]
    fn rounds_missing_parts_up() {
        let format = DateFormat::default();
        let up = |text: &str| format.parse_in(text, &TimeZone::UTC, Rounding::Up);
        assert_eq!(up("2024-02"), format.parse("2024-02-29T23:59:59.999"));
        assert_eq!(up("2024"), format.parse("2024-12-31T23:59:59.999"));
        assert_eq!(
            up("2024-02-03T04:05"),
            format.parse("2024-02-03T04:05:59.999")
        );
    }

    #[test]
    fn zones_apply_to_local_times() {
        let format = DateFormat::default();
        let berlin = parse_zone("Europe/Berlin").unwrap();
        let parse = |text: &str| format.parse_in(text, &berlin, Rounding::Down);
        assert_eq!(parse("2024-07-01"), format.parse("2024-06-30T22:00:00Z"));
        assert_eq!(parse("2024-07-01T00:00Z"), format.parse("2024-07-01"));
        let text = format.format_in(0, &parse_zone("-03:30").unwrap());
        assert_eq!(text, "1969-12-31T20:30:00.000-03:30");
        assert!(parse_zone("Mars/Base").is_err());
    }

    #[test]
    fn unknown_formats_are_refused() {
        let error = DateFormat::compile("yyyy-bb").unwrap_err();
        assert!(
            error.reason.starts_with("Invalid format: [yyyy-bb]"),
            "{error}"
        );
    }

    #[test]
    fn detects_iso_dates_only() {
        assert!(detect("2024-01-31"));
        assert!(detect("2024-01-31T10:00:00Z"));
        assert!(detect("2024-01"));
        for text in [
            "2024",
            "2024-1",
            "2024-01-32",
            "1420070400001",
            "2024-01-31 x",
        ] {
            assert!(!detect(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn output_reads_back(
            millis in -62_135_596_800_000i64..253_402_300_799_999,
            spec in proptest::sample::select(vec![
                DEFAULT_FORMAT, "epoch_millis", "epoch_second", "date_time", "yyyyMMddHHmmssSSS",
                "EEE, dd MMMM yyyy hh:mm:ss.SSS a",
            ]),
        ) {
            let format = DateFormat::compile(spec).unwrap();
            prop_assert_eq!(format.parse(&format.format(millis)), Some(millis));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,30}") {
            let _ = millis("strict_date_optional_time||epoch_second||yyyy/MM/dd EEE a Z||date_optional_time", &text);
            let _ = DateFormat::compile(&text);
        }
    }

    #[test]
    fn built_in_formats_take_fractions_of_any_length_and_blanks_around_bars() {
        let millis = 1_651_399_200_000;
        for (format, text, more) in [
            ("strict_date_time", "2022-05-01T10:00:00.1Z", 100),
            ("strict_date_time", "2022-05-01T10:00:00.123456789Z", 123),
            ("date_time", "2022-5-1T10:0:0.1Z", 100),
            ("basic_date_time", "20220501T100000.123456Z", 123),
            (
                "strict_date_hour_minute_second_fraction",
                "2022-05-01T10:00:00.123456789",
                123,
            ),
            (
                "strict_date_hour_minute_second_millis",
                "2022-05-01T10:00:00.1",
                100,
            ),
            ("ordinal_date_time", "2022-121T10:00:00.123456Z", 123),
            ("basic_ordinal_date_time", "2022121T100000.1Z", 100),
            ("yyyy || strict_date_time", "2022-05-01T10:00:00.12Z", 120),
        ] {
            let compiled = DateFormat::compile(format).unwrap();
            assert_eq!(compiled.parse(text), Some(millis + more), "{format} {text}");
            assert_eq!(compiled.spec(), format);
        }
        for (format, text) in [
            ("t_time", "T10:00:00.1Z"),
            ("basic_t_time", "T100000.12Z"),
            ("basic_time", "100000.123456Z"),
            ("hour_minute_second_fraction", "10:00:00.123456789"),
            ("strict_hour_minute_second_millis", "10:00:00.12"),
        ] {
            assert!(
                DateFormat::compile(format).unwrap().parse(text).is_some(),
                "{format}"
            );
        }
        for (format, text) in [
            ("strict_date_time", "2022-05-01T10:00:00.1234567891Z"),
            ("strict_date_time", "2022-5-1T10:00:00.1Z"),
            (
                "date_hour_minute_second_millis",
                "2022-05-01T10:00:00.123456",
            ),
            // A pattern of one's own is taken by the letter.
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2022-05-01T10:00:00.1"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSSSS", "2022-05-01T10:00:00.123"),
        ] {
            assert_eq!(
                DateFormat::compile(format).unwrap().parse(text),
                None,
                "{format} {text}"
            );
        }
        let shown = DateFormat::compile("date_time").unwrap();
        assert_eq!(shown.format(millis + 100), "2022-05-01T10:00:00.100Z");
    }
}
