//! `strict_date_optional_time` and its lenient form: ISO 8601 with any tail left out.

use std::fmt::Write as _;

use super::civil::{self, Parts};

/// Reads `yyyy[-MM[-dd[THH[:mm[:ss[.fraction]]]][offset]]]`. Strict wants two digits per part.
pub(super) fn parse(text: &str, strict: bool) -> Option<Parts> {
    let mut cursor = Cursor { rest: text };
    let mut parts = Parts::default();
    let negative = cursor.eat(b'-');
    let year = cursor.number(4, if strict { 4 } else { 9 })?;
    let year = i32::try_from(year).ok()?;
    parts.year = Some(if negative { -year } else { year });
    let low = if strict { 2 } else { 1 };
    if cursor.eat(b'-') {
        parts.month = Some(cursor.number(low, 2)?);
        if cursor.eat(b'-') {
            parts.day = Some(cursor.number(low, 2)?);
        }
    }
    if cursor.rest.is_empty() {
        return Some(parts);
    }
    if !cursor.eat(b'T') {
        return None;
    }
    parse_time(&mut cursor, &mut parts, low)?;
    if let Some((offset, rest)) = parse_offset(cursor.rest) {
        parts.offset = Some(offset);
        cursor.rest = rest;
    }
    cursor.rest.is_empty().then_some(parts)
}

fn parse_time(cursor: &mut Cursor, parts: &mut Parts, low: usize) -> Option<()> {
    if cursor.rest.is_empty() {
        return Some(());
    }
    parts.hour = Some(cursor.number(low, 2)?);
    if !cursor.eat(b':') {
        return Some(());
    }
    parts.minute = Some(cursor.number(low, 2)?);
    if !cursor.eat(b':') {
        return Some(());
    }
    parts.second = Some(cursor.number(low, 2)?);
    if cursor.eat(b'.') || cursor.eat(b',') {
        parts.millis = Some(cursor.fraction()?);
    }
    Some(())
}

/// Reads `Z`, `+hh`, `+hhmm` or `+hh:mm` and returns seconds east of UTC and the rest.
pub(super) fn parse_offset(text: &str) -> Option<(i32, &str)> {
    let mut cursor = Cursor { rest: text };
    if cursor.eat(b'Z') {
        return Some((0, cursor.rest));
    }
    let west = cursor.eat(b'-');
    if !west && !cursor.eat(b'+') {
        return None;
    }
    let hours = cursor.number(2, 2)?;
    let colon = cursor.eat(b':');
    let minutes = match cursor.number(2, 2) {
        Some(minutes) => minutes,
        None if colon => return None,
        None => 0,
    };
    if hours > 18 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some((if west { -seconds } else { seconds }, cursor.rest))
}

/// Writes `2024-02-29T12:30:15.500Z`.
pub(super) fn format(millis: i64, offset: i32) -> String {
    let c = civil::civil(millis, offset);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}",
        c.year, c.month, c.day, c.hour, c.minute, c.second, c.millis
    );
    write_offset(&mut text, offset, true, true);
    text
}

/// Appends `+01:00`, or `Z` for zero when asked.
pub(super) fn write_offset(text: &mut String, offset: i32, colon: bool, zulu: bool) {
    if offset == 0 && zulu {
        text.push('Z');
        return;
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    let colon = if colon { ":" } else { "" };
    // Writing to a String does not fail.
    let _ = write!(text, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60);
}

/// Text read from the front.
pub(super) struct Cursor<'a> {
    pub rest: &'a str,
}

impl Cursor<'_> {
    pub fn eat(&mut self, byte: u8) -> bool {
        if self.rest.as_bytes().first() == Some(&byte) {
            self.rest = &self.rest[1..];
            true
        } else {
            false
        }
    }

    /// Reads `least` to `most` digits.
    pub fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let digits = self
            .rest
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        if digits < least {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        number.parse().ok()
    }

    /// Reads one to nine digits after the point, as milliseconds.
    pub fn fraction(&mut self) -> Option<u32> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let nanos: u32 = format!("{number:0<9}").parse().ok()?;
        Some(nanos / 1_000_000)
    }
}
