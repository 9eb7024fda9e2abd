//! Java date patterns such as `yyyy/MM/dd HH:mm:ss Z`, compiled once.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::civil::{self, Civil, Parts};
use super::iso::{self, Cursor};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
enum Item {
    Literal(String),
    Number {
        field: Field,
        least: usize,
        most: usize,
        /// Digits shown.
        width: usize,
    },
    /// So many digits, or with `flexible` any number from one to that, of which three are shown.
    Fraction {
        digits: usize,
        flexible: bool,
    },
    MonthName {
        full: bool,
    },
    DayName {
        full: bool,
    },
    AmPm,
    /// `X` writes `Z` for UTC, `x` and `Z` do not.
    Offset {
        colon: bool,
        zulu: bool,
    },
    ZoneName,
    Optional(Vec<Item>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Year,
    /// Two digits, of 2000 to 2099.
    ShortYear,
    Month,
    Day,
    DayOfYear,
    Hour,
    HalfDayHour,
    Minute,
    Second,
}

impl Pattern {
    /// Compiles a pattern, or says what is wrong with it.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("No date pattern provided".to_owned());
        }
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let items = compile_items(&chars, &mut at, 0)?;
        Ok(Self { items })
    }

    /// Makes of the pattern of a built-in format what the format takes: fractions of one to nine
    /// digits, of one to three where the name says milliseconds, and without `strict_` numbers of
    /// fewer digits where something stands between them. Source: Elasticsearch 8.19, asked.
    pub(super) fn of_name(mut self, name: &str) -> Self {
        let digits = if name.ends_with("second_millis") {
            3
        } else {
            9
        };
        let lenient = !(name.starts_with("strict_") || name.starts_with("basic_"));
        for item in &mut self.items {
            match item {
                Item::Fraction { .. } => {
                    *item = Item::Fraction {
                        digits,
                        flexible: true,
                    };
                }
                Item::Number { field, least, .. } if lenient && *field != Field::Year => *least = 1,
                _ => {}
            }
        }
        self
    }

    /// Reads the whole text by the pattern.
    pub(super) fn parse(&self, text: &str) -> Option<Parts> {
        let mut cursor = Cursor { rest: text };
        let mut parts = Parts::default();
        parse_items(&self.items, &mut cursor, &mut parts)?;
        cursor.rest.is_empty().then_some(parts)
    }

    /// Writes a moment; optional sections are written.
    pub(super) fn format(&self, millis: i64, offset: i32, zone: &TimeZone) -> String {
        let mut text = String::new();
        let moment = civil::civil(millis, offset);
        format_items(&self.items, &moment, offset, zone, &mut text);
        text
    }
}

fn compile_items(chars: &[char], at: &mut usize, depth: usize) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    while let Some(&c) = chars.get(*at) {
        match c {
            '\'' => items.push(Item::Literal(quoted(chars, at)?)),
            '[' if depth < MAX_DEPTH => {
                *at += 1;
                items.push(Item::Optional(compile_items(chars, at, depth + 1)?));
                if chars.get(*at) != Some(&']') {
                    return Err("Pattern ends with an incomplete optional section".to_owned());
                }
                *at += 1;
            }
            '[' => return Err("too many nested optional sections".to_owned()),
            ']' if depth > 0 => return Ok(items),
            ']' | '{' | '}' | '#' => {
                return Err(format!("Pattern includes reserved character: '{c}'"));
            }
            letter if letter.is_ascii_alphabetic() => {
                let count = chars[*at..].iter().take_while(|x| **x == letter).count();
                items.push(compile_letter(letter, count)?);
                *at += count;
            }
            other => {
                items.push(Item::Literal(other.to_string()));
                *at += 1;
            }
        }
    }
    Ok(items)
}

fn quoted(chars: &[char], at: &mut usize) -> Result<String, String> {
    let mut text = String::new();
    let mut index = *at + 1;
    loop {
        match (chars.get(index), chars.get(index + 1)) {
            (Some('\''), Some('\'')) => {
                text.push('\'');
                index += 2;
            }
            (Some('\''), _) => break,
            (Some(c), _) => {
                text.push(*c);
                index += 1;
            }
            (None, _) => return Err("Pattern ends with an incomplete string literal".to_owned()),
        }
    }
    // Two quotes in a row outside a literal are one quote.
    if index == *at + 1 {
        text.push('\'');
    }
    *at = index + 1;
    Ok(text)
}

fn compile_letter(letter: char, count: usize) -> Result<Item, String> {
    let number = |field, most: usize| {
        if count > most {
            return Err(format!("Too many pattern letters: {letter}"));
        }
        let least = count;
        let most = if count == 1 { most } else { count };
        Ok(Item::Number {
            field,
            least,
            most,
            width: count,
        })
    };
    match letter {
        'y' | 'u' if count == 2 => number(Field::ShortYear, 2),
        'y' | 'u' => number(Field::Year, 9),
        'M' | 'L' if count == 3 => Ok(Item::MonthName { full: false }),
        'M' | 'L' if count == 4 => Ok(Item::MonthName { full: true }),
        'M' | 'L' => number(Field::Month, 2),
        'd' => number(Field::Day, 2),
        'D' => number(Field::DayOfYear, 3),
        'H' => number(Field::Hour, 2),
        'h' => number(Field::HalfDayHour, 2),
        'm' => number(Field::Minute, 2),
        's' => number(Field::Second, 2),
        'S' | 'n' if (1..=9).contains(&count) => Ok(Item::Fraction {
            digits: count,
            flexible: false,
        }),
        'E' if count <= 4 => Ok(Item::DayName { full: count == 4 }),
        'a' if count == 1 => Ok(Item::AmPm),
        'Z' if count <= 3 => Ok(Item::Offset {
            colon: false,
            zulu: false,
        }),
        'Z' if count == 5 => Ok(Item::Offset {
            colon: true,
            zulu: true,
        }),
        'X' if count <= 3 => Ok(Item::Offset {
            colon: count == 3,
            zulu: true,
        }),
        'x' if count <= 3 => Ok(Item::Offset {
            colon: count == 3,
            zulu: false,
        }),
        'V' | 'z' | 'v' => Ok(Item::ZoneName),
        _ => Err(format!("Unknown pattern letter: {letter}")),
    }
}

fn parse_items(items: &[Item], cursor: &mut Cursor, parts: &mut Parts) -> Option<()> {
    for item in items {
        match item {
            Item::Optional(inner) => {
                let (before, rest) = (*parts, cursor.rest);
                if parse_items(inner, cursor, parts).is_none() {
                    *parts = before;
                    cursor.rest = rest;
                }
            }
            item => parse_item(item, cursor, parts)?,
        }
    }
    Some(())
}

fn parse_item(item: &Item, cursor: &mut Cursor, parts: &mut Parts) -> Option<()> {
    match item {
        Item::Literal(literal) => cursor.rest = cursor.rest.strip_prefix(literal.as_str())?,
        Item::Number {
            field, least, most, ..
        } => {
            let negative = *field == Field::Year && cursor.eat(b'-');
            let value = cursor.number(*least, *most)?;
            set(parts, *field, value, negative)?;
        }
        Item::Fraction { digits, flexible } => {
            let given = cursor.rest.bytes().take_while(u8::is_ascii_digit).count();
            let length = if *flexible {
                given.min(*digits)
            } else {
                *digits
            };
            let text = cursor.rest.get(..length).filter(|text| !text.is_empty())?;
            let mut inner = Cursor { rest: text };
            parts.millis = Some(inner.fraction()?);
            if !inner.rest.is_empty() {
                return None;
            }
            cursor.rest = &cursor.rest[length..];
        }
        Item::MonthName { full } => {
            let (index, rest) = strip_name(cursor.rest, &MONTHS, *full)?;
            parts.month = Some(index + 1);
            cursor.rest = rest;
        }
        Item::DayName { full } => cursor.rest = strip_name(cursor.rest, &DAYS, *full)?.1,
        Item::AmPm => {
            let mark = cursor.rest.get(..2)?;
            parts.afternoon = Some(mark.eq_ignore_ascii_case("pm"));
            if !mark.eq_ignore_ascii_case("am") && parts.afternoon == Some(false) {
                return None;
            }
            cursor.rest = &cursor.rest[2..];
        }
        Item::Offset { .. } => {
            let (offset, rest) = iso::parse_offset(cursor.rest)?;
            parts.offset = Some(offset);
            cursor.rest = rest;
        }
        Item::ZoneName => {
            let rest = ["UTC", "GMT", "Z"]
                .iter()
                .find_map(|name| cursor.rest.strip_prefix(name))?;
            parts.offset = Some(0);
            cursor.rest = rest;
        }
        Item::Optional(_) => {}
    }
    Some(())
}

fn set(parts: &mut Parts, field: Field, value: u32, negative: bool) -> Option<()> {
    match field {
        Field::Year => {
            let year = i32::try_from(value).ok()?;
            parts.year = Some(if negative { -year } else { year });
        }
        Field::ShortYear => parts.year = Some(2000 + i32::try_from(value).ok()?),
        Field::Month => parts.month = Some(value),
        Field::Day => parts.day = Some(value),
        Field::DayOfYear => parts.day_of_year = Some(value),
        Field::Hour => parts.hour = Some(value),
        Field::HalfDayHour => parts.half_day_hour = Some(value),
        Field::Minute => parts.minute = Some(value),
        Field::Second => parts.second = Some(value),
    }
    Some(())
}

fn strip_name<'a>(text: &'a str, names: &[&str], full: bool) -> Option<(u32, &'a str)> {
    names.iter().zip(0..).find_map(|(name, index)| {
        let name = if full { name } else { &name[..3] };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (index, &text[name.len()..]))
    })
}

fn format_items(items: &[Item], c: &Civil, offset: i32, zone: &TimeZone, text: &mut String) {
    for item in items {
        match item {
            Item::Literal(literal) => text.push_str(literal),
            Item::Number { field, width, .. } => {
                let value = number_of(c, *field);
                // Writing to a String does not fail.
                let _ = write!(text, "{value:0width$}");
            }
            Item::Fraction { digits, flexible } => {
                let nanos = format!("{:03}000000", c.millis);
                text.push_str(&nanos[..if *flexible { 3 } else { *digits }]);
            }
            Item::MonthName { full } => push_name(text, &MONTHS, c.month - 1, *full),
            Item::DayName { full } => push_name(text, &DAYS, c.weekday, *full),
            Item::AmPm => text.push_str(if c.hour < 12 { "AM" } else { "PM" }),
            Item::Offset { colon, zulu } => iso::write_offset(text, offset, *colon, *zulu),
            Item::ZoneName => match zone.iana_name() {
                Some(name) => text.push_str(name),
                None => iso::write_offset(text, offset, true, true),
            },
            Item::Optional(inner) => format_items(inner, c, offset, zone, text),
        }
    }
}

fn number_of(c: &Civil, field: Field) -> i64 {
    match field {
        Field::Year => i64::from(c.year),
        Field::ShortYear => i64::from(c.year.rem_euclid(100)),
        Field::Month => i64::from(c.month),
        Field::Day => i64::from(c.day),
        Field::DayOfYear => i64::from(c.day_of_year),
        Field::Hour => i64::from(c.hour),
        Field::HalfDayHour => i64::from((c.hour + 11) % 12 + 1),
        Field::Minute => i64::from(c.minute),
        Field::Second => i64::from(c.second),
    }
}

fn push_name(text: &mut String, names: &[&str], index: u32, full: bool) {
    let name = names.get(index as usize).copied().unwrap_or("???");
    text.push_str(if full { name } else { &name[..3] });
}

/// Optional sections nest no deeper than this.
const MAX_DEPTH: usize = 8;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
