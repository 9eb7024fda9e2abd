//! Calendar arithmetic on proleptic Gregorian dates, and zones.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::Rounding;

/// A date and time as text gives it: parts that are absent are filled later.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub year: Option<i32>,
    pub month: Option<u32>,
    pub day: Option<u32>,
    pub day_of_year: Option<u32>,
    pub hour: Option<u32>,
    pub half_day_hour: Option<u32>,
    pub afternoon: Option<bool>,
    pub minute: Option<u32>,
    pub second: Option<u32>,
    pub millis: Option<u32>,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
}

/// A moment taken apart in some offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    pub year: i32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millis: u32,
    /// 0 is Monday.
    pub weekday: u32,
    pub day_of_year: u32,
}

/// Fills what is missing, checks ranges and returns milliseconds since 1970.
pub(super) fn resolve(parts: Parts, zone: &TimeZone, rounding: Rounding) -> Option<i64> {
    let up = rounding == Rounding::Up;
    let year = parts.year.unwrap_or(1970);
    let (month, day) = match parts.day_of_year {
        Some(ordinal) => month_and_day(year, ordinal)?,
        None => {
            let fill_month = if up && parts.year.is_some() { 12 } else { 1 };
            let month = parts.month.unwrap_or(fill_month);
            let last = days_in_month(year, month)?;
            let fill_day = if up && parts.year.is_some() { last } else { 1 };
            (month, parts.day.unwrap_or(fill_day))
        }
    };
    if day == 0 || day > days_in_month(year, month)? {
        return None;
    }
    let hour = match (parts.hour, parts.half_day_hour) {
        (Some(hour), _) => hour,
        (None, Some(half)) if (1..=12).contains(&half) => {
            half % 12 + if parts.afternoon == Some(true) { 12 } else { 0 }
        }
        (None, Some(_)) => return None,
        (None, None) => fill(up, 23),
    };
    let minute = parts.minute.unwrap_or(fill(up, 59));
    let second = parts.second.unwrap_or(fill(up, 59));
    let millis = parts.millis.unwrap_or(fill(up, 999));
    if hour > 23 || minute > 59 || second > 59 || millis > 999 {
        return None;
    }
    let seconds =
        days_from_civil(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let local = seconds.checked_mul(1000)? + i64::from(millis);
    match parts.offset {
        Some(offset) => Some(local - i64::from(offset) * 1000),
        None if *zone == TimeZone::UTC => Some(local),
        None => from_local(local, zone),
    }
}

fn fill(up: bool, highest: u32) -> u32 {
    if up { highest } else { 0 }
}

/// Returns the moment of a local time; in a gap of the clock the offset before it counts.
fn from_local(local: i64, zone: &TimeZone) -> Option<i64> {
    let first = local - i64::from(offset_seconds(zone, local)) * 1000;
    let second = local - i64::from(offset_seconds(zone, first)) * 1000;
    let third = local - i64::from(offset_seconds(zone, second)) * 1000;
    // Stable: the offset at the result is the one used. Otherwise the time does not exist.
    if second == third {
        Some(second)
    } else {
        Some(second.max(third))
    }
}

/// Returns the seconds east of UTC of a zone at a moment.
pub(super) fn offset_seconds(zone: &TimeZone, millis: i64) -> i32 {
    if *zone == TimeZone::UTC {
        return 0;
    }
    Timestamp::from_millisecond(millis).map_or(0, |moment| zone.to_offset(moment).seconds())
}

pub(super) fn fixed(seconds: i32) -> Option<TimeZone> {
    Some(TimeZone::fixed(Offset::from_seconds(seconds).ok()?))
}

/// Takes a moment apart in the given offset.
pub(super) fn civil(millis: i64, offset: i32) -> Civil {
    let local = millis.saturating_add(i64::from(offset) * 1000);
    let days = local.div_euclid(86_400_000);
    let in_day = u32::try_from(local.rem_euclid(86_400_000)).unwrap_or(0);
    let (year, month, day) = civil_from_days(days);
    let day_of_year = days - days_from_civil(year, 1, 1) + 1;
    Civil {
        year,
        month,
        day,
        hour: in_day / 3_600_000,
        minute: in_day / 60_000 % 60,
        second: in_day / 1000 % 60,
        millis: in_day % 1000,
        weekday: u32::try_from((days + 3).rem_euclid(7)).unwrap_or(0),
        day_of_year: u32::try_from(day_of_year).unwrap_or(1),
    }
}

fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i32, month: u32) -> Option<u32> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => return None,
    })
}

fn month_and_day(year: i32, ordinal: u32) -> Option<(u32, u32)> {
    let mut rest = ordinal;
    for month in 1..=12 {
        let days = days_in_month(year, month)?;
        if rest <= days {
            return Some((month, rest));
        }
        rest -= days;
    }
    None
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day comes last.
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}
