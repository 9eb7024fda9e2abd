//! How long a certificate is valid: a period of the calendar, such as `5y`. Source: Elasticsearch reference,
//! "elasticsearch-certutil" (`http`).

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::questions;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Years, months, weeks and days; at least one day, and ends before the year 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    years: u16,
    months: u16,
    weeks: u16,
    days: u16,
}

impl Period {
    pub(super) const FIVE_YEARS: Self = Self {
        years: 5,
        months: 0,
        weeks: 0,
        days: 0,
    };

    /// Reads an ISO period: `5y`, `P18M`, `90D`, `1y,6m`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            format!("Sorry, I do not understand '{text}' ({reason}; examples: 3y, 18m, 1y 6m, 90d)")
        };
        let compact: String = text
            .chars()
            .filter(|symbol| !symbol.is_whitespace() && *symbol != ',')
            .map(|symbol| symbol.to_ascii_lowercase())
            .collect();
        let mut rest = compact.strip_prefix('p').unwrap_or(&compact);
        let mut parts = [None; 4];
        if rest.is_empty() {
            return Err(wrong("there is no number"));
        }
        while !rest.is_empty() {
            let end = rest.find(|symbol: char| !symbol.is_ascii_digit());
            let end = end.ok_or_else(|| wrong("a number has no unit y, m, w or d"))?;
            let number = rest[..end].parse();
            let number: u16 = number.map_err(|_| wrong("a unit needs a number of 0 to 65535"))?;
            let unit = UNITS.iter().position(|unit| rest[end..].starts_with(*unit));
            let unit = unit.ok_or_else(|| wrong("the units are y, m, w and d"))?;
            if parts[unit].replace(number).is_some() {
                return Err(wrong("a unit is there twice"));
            }
            rest = &rest[end + 1..];
        }
        let [years, months, weeks, days] = parts.map(Option::unwrap_or_default);
        let period = Self {
            years,
            months,
            weeks,
            days,
        };
        match period.days_after(today()) {
            Some(0) => Err(wrong("it must be at least one day")),
            Some(_) => Ok(period),
            None => Err(wrong("it would end beyond the year 9999")),
        }
    }

    /// Returns the number of days from now on, by the calendar of UTC.
    pub(super) fn days(self) -> Result<u32, CommandError> {
        let too_long = || CommandError::data(format!("[{self}] ends beyond the year 9999"));
        self.days_after(today()).ok_or_else(too_long)
    }

    fn days_after(self, start: Date) -> Option<u32> {
        let span = Span::new()
            .try_years(self.years)
            .and_then(|span| span.try_months(self.months))
            .and_then(|span| span.try_weeks(self.weeks))
            .and_then(|span| span.try_days(self.days));
        let end = start.checked_add(span.ok()?).ok()?;
        u32::try_from(start.until(end).ok()?.get_days()).ok()
    }

    /// Returns about how many days it has: a month counts as 30.
    fn rough_days(self) -> u32 {
        let of = |count: u16, days: u32| u32::from(count) * days;
        of(self.years, 365) + of(self.months, 30) + of(self.weeks, 7) + of(self.days, 1)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.years, self.months, self.weeks, self.days];
        let mut separator = "";
        for (number, unit) in parts
            .into_iter()
            .zip(UNITS)
            .filter(|(number, _)| *number > 0)
        {
            write!(f, "{separator}{number}{unit}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// Asks how long the certificates are to be valid.
pub(super) fn ask_for_certificate(terminal: &mut Terminal) -> Result<Period, CommandError> {
    questions::header("How long should your certificates be valid?", terminal);
    terminal.out(VALIDITY);
    let prompt = "For how long should your certificate be valid? [5y] ";
    ask(prompt, Period::FIVE_YEARS, CERTIFICATE_DAYS_FEW, terminal)
}

/// Asks for a period; one of fewer days than `few` must be confirmed.
pub(super) fn ask(
    prompt: &str,
    default: Period,
    few: u32,
    terminal: &mut Terminal,
) -> Result<Period, CommandError> {
    loop {
        let period = questions::valid(prompt, terminal, |answer| match answer {
            "" => Ok(default),
            answer => Period::parse(answer),
        })?;
        if period.rough_days() >= few {
            return Ok(period);
        }
        terminal.err(format!(
            "{period} is less than {few} days: when it is over, clients refuse to connect"
        ));
        if terminal.confirm("Are you sure?", false)? {
            return Ok(period);
        }
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned_datetime(TimeZone::UTC).date()
}

const UNITS: [char; 4] = ['y', 'm', 'w', 'd'];

/// Source: Elasticsearch reference, "elasticsearch-certutil" (`http`).
const CERTIFICATE_DAYS_FEW: u32 = 60;
/// Source: Elasticsearch reference, "elasticsearch-certutil" (`http`).
pub(super) const AUTHORITY_DAYS_FEW: u32 = 90;

const VALIDITY: &str = "\
When a certificate has ended, clients refuse to connect. `certutil check` says in time when that
is, and `certutil renew` makes the next certificate.

Answer in years, months, weeks or days: 3y, 18m, 90d, 1y 6m.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_and_shown() {
        for (text, shown) in [
            ("5y", "5y"),
            ("P18M", "18m"),
            ("1Y, 6m", "1y,6m"),
            (" 2w 90D ", "2w,90d"),
            ("0y3d", "3d"),
        ] {
            assert_eq!(Period::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_period_is_refused_with_the_reason() {
        for (text, reason) in [
            ("5", "has no unit"),
            ("y", "needs a number"),
            ("-5y", "needs a number"),
            ("5h", "the units are"),
            ("5ä", "the units are"),
            ("1y1y", "twice"),
            ("p", "no number"),
            ("0d", "at least one day"),
            ("9000y", "beyond the year 9999"),
            ("99999y", "0 to 65535"),
        ] {
            let error = Period::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn years_are_those_of_the_calendar() {
        let start = jiff::civil::date(2024, 2, 29);
        assert_eq!(Period::FIVE_YEARS.days_after(start), Some(5 * 365 + 1));
        let start = jiff::civil::date(2023, 1, 31);
        let month = Period::parse("1m").unwrap();
        assert_eq!(month.days_after(start), Some(28));
    }
}
