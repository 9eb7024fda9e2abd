//! What Java makes of values that Elasticsearch turns into text.

/// Returns a double as `Double.toString` writes it. Source: Java SE documentation of that method.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

/// Returns the text of a JSON number as Elasticsearch's parser gives it as an object: whole numbers
/// as they are written, all others as doubles.
pub fn number_text(number: &str) -> String {
    if number == "-0" {
        return "0".to_owned();
    }
    if crate::json::is_whole(number) {
        return number.to_owned();
    }
    // Invariant: every JSON number is a number to Rust too.
    number
        .parse()
        .map_or_else(|_| number.to_owned(), double_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_as_java_writes_them() {
        for (number, expected) in [
            ("1.10", "1.1"),
            ("1e5", "100000.0"),
            ("1e7", "1.0E7"),
            ("-12345678.9", "-1.23456789E7"),
            ("0.001", "0.001"),
            ("0.0001", "1.0E-4"),
            ("1.25e-9", "1.25E-9"),
            ("-0.0", "-0.0"),
            ("-0", "0"),
            ("1E400", "Infinity"),
            ("122.416294033786585", "122.41629403378658"),
            ("9400111899223197428490", "9400111899223197428490"),
        ] {
            assert_eq!(number_text(number), expected);
        }
        assert_eq!(double_text(f64::NAN), "NaN");
        assert_eq!(double_text(f64::NEG_INFINITY), "-Infinity");
    }
}
