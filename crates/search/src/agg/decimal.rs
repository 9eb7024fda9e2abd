//! `format` of numbers: patterns such as `#,##0.00`. Source: Java's `DecimalFormat`, which the Elasticsearch reference names.

use ringwall_api::ApiError;

/// A pattern. Exponents and a second pattern for negative numbers are refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decimal {
    prefix: String,
    suffix: String,
    /// 100 for percents, 1,000 for permilles.
    factor: f64,
    least_whole: usize,
    /// Digits of a group, 0 for none.
    group: usize,
    least_fraction: usize,
    most_fraction: usize,
    always_point: bool,
}

impl Decimal {
    /// Reads a pattern.
    ///
    /// # Errors
    /// 400 for a pattern that is malformed, or not supported.
    pub(super) fn parse(pattern: &str) -> Result<Self, ApiError> {
        let malformed = || ApiError::illegal_argument(format!("Malformed pattern \"{pattern}\""));
        if pattern.len() > MAX_PATTERN {
            return Err(malformed());
        }
        let mut reader = Reader {
            rest: pattern,
            factor: 1.0,
        };
        let prefix = reader.literal(pattern)?;
        let number = reader.number();
        let suffix = reader.literal(pattern)?;
        if !reader.rest.is_empty() {
            return Err(malformed());
        }
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (number, None),
        };
        let digits: String = whole.chars().filter(|c| *c != ',').collect();
        let group = whole.rfind(',').map_or(0, |comma| whole.len() - comma - 1);
        let zeros = digits.trim_start_matches('#');
        let least_fraction = fraction.map_or(0, |f| f.len() - f.trim_start_matches('0').len());
        let optional = fraction.map_or("", |f| &f[least_fraction..]);
        // A pattern of no digits is all text before the number.
        let no_digits = !number.is_empty() && number.chars().all(|c| c == ',' || c == '.');
        if pattern.is_empty()
            || no_digits
            || zeros.contains('#')
            || whole.ends_with(',')
            || optional.chars().any(|c| c != '#')
        {
            return Err(malformed());
        }
        let mut decimal = Self {
            prefix,
            suffix,
            factor: reader.factor,
            least_whole: zeros.len(),
            group,
            least_fraction,
            most_fraction: fraction.map_or(0, str::len),
            always_point: fraction.is_some_and(|f| f.is_empty() || digits.is_empty()),
        };
        // Without a zero in the pattern, the digit before the point is one, or the first after it.
        if fraction.is_some() && !number.contains('0') {
            match digits.is_empty() {
                true => decimal.least_fraction = 1,
                false => decimal.least_whole = 1,
            }
        }
        Ok(decimal)
    }

    /// Returns a number as text. Halves go to the even digit.
    pub(super) fn text(&self, value: f64) -> String {
        if value.is_nan() {
            return "NaN".to_owned();
        }
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let (prefix, suffix) = (&self.prefix, &self.suffix);
        let size = value.abs() * self.factor;
        if size.is_infinite() {
            return format!("{sign}{prefix}∞{suffix}");
        }
        let digits = format!("{size:.*}", self.most_fraction);
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let whole = whole.trim_start_matches('0');
        let mut whole = format!("{whole:0>width$}", width = self.least_whole);
        let kept = fraction.trim_end_matches('0').len();
        let fraction = &fraction[..kept.max(self.least_fraction)];
        if whole.is_empty() && fraction.is_empty() {
            whole.push('0');
        }
        let whole = grouped(&whole, self.group);
        let point = if self.always_point || !fraction.is_empty() {
            "."
        } else {
            ""
        };
        format!("{sign}{prefix}{whole}{point}{fraction}{suffix}")
    }
}

/// Bytes of a pattern.
const MAX_PATTERN: usize = 256;

fn grouped(digits: &str, group: usize) -> String {
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if group > 0 && index > 0 && (digits.len() - index).is_multiple_of(group) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

struct Reader<'a> {
    rest: &'a str,
    factor: f64,
}

impl<'a> Reader<'a> {
    /// Takes the digits and separators that come next.
    fn number(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c| !matches!(c, '#' | '0' | ',' | '.'))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        number
    }

    /// Takes the text before or after the digits.
    fn literal(&mut self, pattern: &str) -> Result<String, ApiError> {
        let mut text = String::new();
        let mut quoted = false;
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((place, c)) = chars.next() {
            match c {
                '\'' if chars.next_if(|(_, next)| *next == '\'').is_some() => text.push('\''),
                '\'' => quoted = !quoted,
                _ if quoted => text.push(c),
                '#' | '0' | ',' | '.' => {
                    end = place;
                    break;
                }
                ';' | 'E' => {
                    return Err(ApiError::illegal_argument(format!(
                        "[format] supports neither exponents nor a pattern for negative numbers, got [{pattern}]"
                    )));
                }
                '%' | '‰' => {
                    self.factor = if c == '%' { 100.0 } else { 1_000.0 };
                    text.push(c);
                }
                other => text.push(other),
            }
        }
        if quoted {
            return Err(ApiError::illegal_argument(format!(
                "Malformed pattern \"{pattern}\""
            )));
        }
        self.rest = &self.rest[end..];
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Elasticsearch 8.19 answers.
    #[test]
    fn numbers_read_as_patterns_say() {
        for (pattern, texts) in [
            ("0.00", ["1234567.12", "-0.50", "0.00", "0.04"]),
            ("#.##", ["1234567.12", "-0.5", "0", "0.04"]),
            ("#", ["1234567", "-0", "0", "0"]),
            ("0", ["1234567", "-0", "0", "0"]),
            ("#,##0.0", ["1,234,567.1", "-0.5", "0.0", "0.0"]),
            ("#,###.###", ["1,234,567.125", "-0.5", "0", "0.045"]),
            (
                "000000000",
                ["001234567", "-000000000", "000000000", "000000000"],
            ),
            ("#.00", ["1234567.12", "-.50", ".00", ".04"]),
            (".###", ["1234567.125", "-.5", ".0", ".045"]),
            (".00", ["1234567.12", "-.50", ".00", ".04"]),
            ("0.#%", ["123456712.5%", "-50%", "0%", "4.5%"]),
            ("$0.0", ["$1234567.1", "-$0.5", "$0.0", "$0.0"]),
            ("'q'0", ["q1234567", "-q0", "q0", "q0"]),
            ("0.0 'kg'", ["1234567.1 kg", "-0.5 kg", "0.0 kg", "0.0 kg"]),
            ("abc", ["abc1234567", "-abc0", "abc0", "abc0"]),
            ("0,0.0", ["1,2,3,4,5,6,7.1", "-0,0.5", "0,0.0", "0,0.0"]),
            ("#,##,##0", ["1,234,567", "-0", "0", "0"]),
            ("%0", ["%123456712", "-%50", "%0", "%4"]),
            ("0‰", ["1234567125‰", "-500‰", "0‰", "45‰"]),
            (" 0.0 ", [" 1234567.1 ", "- 0.5 ", " 0.0 ", " 0.0 "]),
            ("0.", ["1234567.", "-0.", "0.", "0."]),
            ("#.", ["1234567.", "-0.", "0.", "0."]),
        ] {
            let decimal = Decimal::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            let found = [1_234_567.125, -0.5, 0.0, 0.0449].map(|value| decimal.text(value));
            assert_eq!(found, texts, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for pattern in [
            "bad'", "0.0#.0", "0#", "#0#", "0.#0", "0.0E0", "0;(0)", "", ",", "0,", "0.0,0", "0a0",
        ] {
            assert!(Decimal::parse(pattern).is_err(), "{pattern}");
        }
    }
}
