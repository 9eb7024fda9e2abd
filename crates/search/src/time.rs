//! Time zones, calendar units and date math. Nothing here reads a clock. Source: Elasticsearch reference,
//! "REST API conventions" (date math) and "Date histogram aggregation".

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_index::dates::{self, Rounding};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Arithmetic saturates here, far beyond any calendar, so that it cannot overflow.
const LIMIT: i64 = 1 << 60;

/// Instants beyond these bounds (years -5000 to 9000) take the offset valid at the bound.
const ZONE_LIMIT: i64 = 221_845_392_000_000;

/// A time zone: a fixed offset or an IANA name.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    text: String,
    zone: TimeZone,
    /// Milliseconds east of UTC, when they never change.
    fixed: Option<i64>,
}

impl Default for Zone {
    /// Returns UTC.
    fn default() -> Self {
        Self {
            text: "UTC".to_owned(),
            zone: TimeZone::UTC,
            fixed: Some(0),
        }
    }
}

impl Zone {
    /// Reads `Z`, `UTC`, `+01:00`, `-0530` or an IANA name.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let zone = dates::parse_zone(text)?;
        let fixed = zone
            .to_fixed_offset()
            .ok()
            .map(|offset| i64::from(offset.seconds()) * SECOND);
        Ok(Self {
            text: text.to_owned(),
            zone,
            fixed,
        })
    }

    /// Reads an optional zone, UTC by default.
    pub fn parse_or_utc(text: Option<&str>) -> Result<Self, ApiError> {
        text.map_or_else(|| Ok(Self::default()), Self::parse)
    }

    /// Returns the zone as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the zone in the form that date formats take.
    pub fn inner(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the offset in milliseconds east of UTC at an instant.
    pub fn offset_at(&self, utc: i64) -> i64 {
        self.fixed.unwrap_or_else(|| {
            Timestamp::from_millisecond(utc.clamp(-ZONE_LIMIT, ZONE_LIMIT)).map_or(0, |at| {
                i64::from(self.zone.to_offset(at).seconds()) * SECOND
            })
        })
    }

    /// Returns the instant at which clocks show a local time. In a gap the time after it, in an
    /// overlap the earlier instant.
    pub fn to_utc(&self, local: i64) -> i64 {
        match self.fixed {
            Some(offset) => local.saturating_sub(offset),
            None => civil(local)
                .and_then(|at| self.zone.to_timestamp(at).ok())
                .map_or(local, Timestamp::as_millisecond),
        }
    }

    fn to_local(&self, utc: i64) -> i64 {
        utc.saturating_add(self.offset_at(utc))
    }
}

/// A unit of the calendar; its length may vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// Returns the start of the unit that holds an instant.
    pub fn floor(self, utc: i64, zone: &Zone) -> i64 {
        let utc = utc.clamp(-LIMIT, LIMIT);
        if let Some(length) = self.below_day() {
            // Within a day the offset of the instant itself decides: repeated hours stay apart.
            let offset = zone.offset_at(utc);
            return utc.saturating_add(offset).div_euclid(length) * length - offset;
        }
        zone.to_utc(self.floor_local(zone.to_local(utc)))
    }

    /// Returns the start of the unit after the one that starts at `start`.
    pub fn next(self, start: i64, zone: &Zone) -> i64 {
        let start = start.clamp(-LIMIT, LIMIT);
        if let Some(length) = self.below_day() {
            return self
                .floor(start.saturating_add(length), zone)
                .max(start + 1);
        }
        zone.to_utc(self.add_local(self.floor_local(zone.to_local(start)), 1))
    }

    /// Returns the instant `count` units later, on the clock of the zone.
    pub fn add(self, utc: i64, count: i64, zone: &Zone) -> i64 {
        let utc = utc.clamp(-LIMIT, LIMIT);
        match self.below_day() {
            Some(length) => utc
                .saturating_add(length.saturating_mul(count))
                .clamp(-LIMIT, LIMIT),
            None => zone.to_utc(self.add_local(zone.to_local(utc), count)),
        }
    }

    fn below_day(self) -> Option<i64> {
        match self {
            Self::Second => Some(SECOND),
            Self::Minute => Some(MINUTE),
            Self::Hour => Some(HOUR),
            Self::Day | Self::Week | Self::Month | Self::Quarter | Self::Year => None,
        }
    }

    fn floor_local(self, local: i64) -> i64 {
        let day = local.div_euclid(DAY);
        let (year, month, _) = from_days(day);
        let start = match self {
            Self::Second => return local.div_euclid(SECOND) * SECOND,
            Self::Minute => return local.div_euclid(MINUTE) * MINUTE,
            Self::Hour => return local.div_euclid(HOUR) * HOUR,
            Self::Day => day,
            // 1970-01-01 was a Thursday; weeks start on Monday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month => to_days(year, month, 1),
            Self::Quarter => to_days(year, (month - 1) / 3 * 3 + 1, 1),
            Self::Year => to_days(year, 1, 1),
        };
        start * DAY
    }

    fn add_local(self, local: i64, count: i64) -> i64 {
        let months = match self {
            Self::Second => return local.saturating_add(count.saturating_mul(SECOND)),
            Self::Minute => return local.saturating_add(count.saturating_mul(MINUTE)),
            Self::Hour => return local.saturating_add(count.saturating_mul(HOUR)),
            Self::Day | Self::Week => {
                let days = if self == Self::Day { DAY } else { 7 * DAY };
                return local
                    .saturating_add(count.saturating_mul(days))
                    .clamp(-LIMIT, LIMIT);
            }
            Self::Month => count,
            Self::Quarter => count.saturating_mul(3),
            Self::Year => count.saturating_mul(12),
        };
        // Beyond a hundred thousand years nothing is left to count.
        let months = months.clamp(-1_200_000, 1_200_000);
        let (year, month, day) = from_days(local.div_euclid(DAY));
        let index = year * 12 + (month - 1) + months;
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        let day = day.min(days_in_month(year, month));
        to_days(year, month, day) * DAY + local.rem_euclid(DAY)
    }
}

/// How the parts of a date expression are read.
pub struct DateMath<'a> {
    /// The instant that `now` means, in milliseconds since the epoch.
    pub now: i64,
    pub zone: &'a Zone,
    /// Rounding and missing parts go to the last millisecond of the unit instead of the first.
    pub round_up: bool,
}

impl DateMath<'_> {
    /// Evaluates `now-1d/d`, `2024-01-01||+1M/d` or a plain date. `parse` reads a date and fills
    /// what is missing in it down or up.
    pub fn eval(
        &self,
        text: &str,
        parse: &dyn Fn(&str, Rounding) -> Result<i64, ApiError>,
    ) -> Result<i64, ApiError> {
        if let Some(math) = text.strip_prefix("now") {
            return self.apply(self.now, math, text);
        }
        match text.split_once("||") {
            Some((anchor, math)) => self.apply(parse(anchor, Rounding::Down)?, math, text),
            None if self.round_up => parse(text, Rounding::Up),
            None => parse(text, Rounding::Down),
        }
    }

    fn apply(&self, mut at: i64, math: &str, whole: &str) -> Result<i64, ApiError> {
        let error = |what: String| {
            ApiError::new(
                ErrorCode::Parse,
                format!("{what} in date math expression [{whole}]"),
            )
        };
        let mut chars = math.chars().peekable();
        while let Some(operator) = chars.next() {
            if !matches!(operator, '/' | '+' | '-') {
                return Err(error(format!("operator not supported [{operator}]")));
            }
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let count: i64 = match digits.as_str() {
                "" => 1,
                text => text
                    .parse()
                    .map_err(|_| error(format!("number too large [{text}]")))?,
            };
            let unit = match chars.next() {
                Some(unit) => {
                    unit_of(unit).ok_or_else(|| error(format!("unit [{unit}] not supported")))?
                }
                None => return Err(error("truncated, a unit is missing".to_owned())),
            };
            at = match operator {
                '/' if count != 1 => {
                    return Err(error(
                        "rounding `/` can only be used on single unit types".to_owned(),
                    ));
                }
                '/' => {
                    let start = unit.floor(at, self.zone);
                    if self.round_up {
                        unit.next(start, self.zone) - 1
                    } else {
                        start
                    }
                }
                '+' => unit.add(at, count, self.zone),
                _ => unit.add(at, -count, self.zone),
            };
        }
        Ok(at)
    }
}

fn unit_of(unit: char) -> Option<Unit> {
    Some(match unit {
        'y' => Unit::Year,
        'M' => Unit::Month,
        'w' => Unit::Week,
        'd' => Unit::Day,
        'h' | 'H' => Unit::Hour,
        'm' => Unit::Minute,
        's' => Unit::Second,
        _ => return None,
    })
}

fn civil(local: i64) -> Option<DateTime> {
    let (year, month, day) = from_days(local.div_euclid(DAY));
    let rest = local.rem_euclid(DAY);
    let part = |value: i64| i8::try_from(value).ok();
    DateTime::new(
        i16::try_from(year).ok()?,
        part(month)?,
        part(day)?,
        part(rest / HOUR)?,
        part(rest % HOUR / MINUTE)?,
        part(rest % MINUTE / SECOND)?,
        i32::try_from(rest % SECOND * 1_000_000).ok()?,
    )
    .ok()
}

/// Returns the days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn to_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Returns year, month and day of a day since 1970-01-01.
fn from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year.rem_euclid(4) == 0
            && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) =>
        {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringwall_index::dates::DateFormat;

    fn utc(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[track_caller]
    fn check(expression: &str, zone: &str, round_up: bool, expected: &str) {
        let zone = Zone::parse(zone).unwrap();
        let math = DateMath {
            now: utc("2024-03-15T13:45:30.123Z"),
            zone: &zone,
            round_up,
        };
        let parse = |text: &str, rounding: Rounding| {
            let parsed = DateFormat::default().parse_in(text, zone.inner(), rounding);
            parsed.ok_or_else(|| ApiError::illegal_argument(text))
        };
        let found = math.eval(expression, &parse).unwrap();
        let found = Timestamp::from_millisecond(found).unwrap().to_string();
        assert_eq!(found, expected, "{expression}");
    }

    #[test]
    fn date_math() {
        check("now", "Z", false, "2024-03-15T13:45:30.123Z");
        check("now-1d/d", "Z", false, "2024-03-14T00:00:00Z");
        check("now-1d/d", "Z", true, "2024-03-14T23:59:59.999Z");
        check("now/w", "Z", false, "2024-03-11T00:00:00Z");
        check("now/d", "+02:00", false, "2024-03-14T22:00:00Z");
        check("now+1M/M", "Z", false, "2024-04-01T00:00:00Z");
        check("2024-01-31||+1M", "Z", false, "2024-02-29T00:00:00Z");
        check("2024-11||/M", "Z", true, "2024-11-30T23:59:59.999Z");
        check("2024", "Z", true, "2024-12-31T23:59:59.999Z");
        check("2024-05-06T10", "Z", true, "2024-05-06T10:59:59.999Z");
        check("2024-05-06", "-05:00", false, "2024-05-06T05:00:00Z");
        check(
            "2024-05-06T10:00:00Z",
            "+02:00",
            true,
            "2024-05-06T10:00:00.999Z",
        );
        check("now-1y+2w-3h+4m-5s", "Z", false, "2023-03-29T10:49:25.123Z");
    }

    #[test]
    fn bad_date_math_is_refused() {
        let math = DateMath {
            now: 0,
            zone: &Zone::default(),
            round_up: false,
        };
        for text in [
            "now*1d",
            "now+1x",
            "now+",
            "now/2d",
            "2024-01-01||?",
            "now+99999999999999999999d",
        ] {
            let parse = |_: &str, _: Rounding| Ok(0);
            assert!(math.eval(text, &parse).is_err(), "{text}");
        }
    }

    #[test]
    fn days_follow_daylight_saving() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        // The clocks went forward on 2024-03-31: that day has 23 hours.
        let start = Unit::Day.floor(utc("2024-03-31T10:00:00Z"), &paris);
        assert_eq!(start, utc("2024-03-30T23:00:00Z"));
        assert_eq!(Unit::Day.next(start, &paris), utc("2024-03-31T22:00:00Z"));
        assert_eq!(
            Unit::Month.floor(utc("2024-04-01T00:30:00Z"), &paris),
            utc("2024-03-31T22:00:00Z")
        );
    }

    #[test]
    fn calendar_round_trips() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = from_days(days);
            assert_eq!(to_days(year, month, day), days);
        }
        assert_eq!(from_days(0), (1970, 1, 1));
        assert_eq!(from_days(19_782), (2024, 2, 29));
    }
}
