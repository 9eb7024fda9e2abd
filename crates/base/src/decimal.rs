//! Decimal texts to whole numbers, without the detour over doubles that loses digits.

/// The whole part of a decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Cut towards zero; `None` when it is beyond every integer type.
    pub value: Option<i128>,
    /// Whether nothing was cut off.
    pub exact: bool,
    /// Whether the text has digits and a sign only.
    pub plain: bool,
}

/// Reads `[+-]digits[.digits][e[+-]digits]`, of which either run of digits may be missing but not
/// both. Returns `None` for any other text.
pub fn whole(text: &str) -> Option<Whole> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (before, after) = match mantissa.split_once('.') {
        Some((before, after)) => (before, Some(after)),
        None => (mantissa, None),
    };
    let fraction = after.unwrap_or_default();
    let mut digits = before.bytes().chain(fraction.bytes());
    if before.len() + fraction.len() == 0 || !digits.all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let shift = exponent.map_or(Some(0), read_exponent)?;
    let (value, exact) = shifted(before, fraction, shift);
    Some(Whole {
        value: value.map(|value| if negative { -value } else { value }),
        exact,
        plain: after.is_none() && exponent.is_none(),
    })
}

/// The exponent, at most so far from zero as makes a difference.
fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i64>().unwrap_or(FAR).min(FAR);
    Some(if text.starts_with('-') { -size } else { size })
}

/// The digits before the point after it has moved `shift` places to the right, and whether none but
/// zeros are behind it.
fn shifted(before: &str, fraction: &str, shift: i64) -> (Option<i128>, bool) {
    let point = before.len() as i64 + shift;
    let mut value = Some(0i128);
    let mut exact = true;
    let mut at = 0;
    for digit in before.bytes().chain(fraction.bytes()) {
        if at < point {
            value = value.and_then(|value| appended(value, digit - b'0'));
        } else if digit != b'0' {
            exact = false;
        }
        at += 1;
    }
    while at < point && value.is_some_and(|value| value != 0) {
        value = value.and_then(|value| appended(value, 0));
        at += 1;
    }
    (value, exact)
}

fn appended(value: i128, digit: u8) -> Option<i128> {
    value.checked_mul(10)?.checked_add(i128::from(digit))
}

/// Beyond any text that a request can hold.
const FAR: i64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_parts_are_exact() {
        for (text, value, exact, plain) in [
            ("0", 0, true, true),
            ("-12", -12, true, true),
            ("+5", 5, true, true),
            ("1.9", 1, false, false),
            ("-1.9", -1, false, false),
            ("1.00", 1, true, false),
            ("1e2", 100, true, false),
            ("1.25e1", 12, false, false),
            ("12.5E+1", 125, true, false),
            ("5.", 5, true, false),
            (".5", 0, false, false),
            ("99999999999999999999e-5", 999_999_999_999_999, false, false),
            ("9223372036854775807.5", i128::from(i64::MAX), false, false),
            ("18446744073709551615", i128::from(u64::MAX), true, true),
            ("1e-99999999999999999999", 0, false, false),
            ("0e99999999999999999999", 0, true, false),
        ] {
            let expected = Whole {
                value: Some(value),
                exact,
                plain,
            };
            assert_eq!(whole(text), Some(expected), "{text}");
        }
        for text in ["1e400", "-1e9999999999999", "9".repeat(60).as_str()] {
            assert_eq!(whole(text).map(|whole| whole.value), Some(None), "{text}");
        }
        for text in [
            "", "-", ".", "e1", "1e", "1e+", "0x10", " 5", "1d", "1_0", "NaN", "1.2.3", "--1", "é",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
