//! `minimum_should_match`. Source: Elasticsearch reference, "minimum_should_match parameter".

use ringwall_api::ApiError;
use serde_json::Value;

/// How many of the optional clauses must match: `2`, `-1`, `75%`, `-25%`, `3<90%`, `2<-25% 9<-3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinimumShouldMatch(Vec<Rule>);

/// One part of the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    /// The part holds when there are more clauses than this.
    above: Option<i64>,
    amount: i64,
    percent: bool,
}

impl MinimumShouldMatch {
    /// Reads a number or an expression.
    pub fn parse(value: &Value) -> Result<Self, ApiError> {
        match value {
            Value::Number(number) => number
                .as_i64()
                .map(Self::count)
                .ok_or_else(|| invalid(&number.to_string())),
            Value::String(text) => Self::parse_text(text),
            other => Err(invalid(&other.to_string())),
        }
    }

    /// Returns the rule "exactly so many".
    pub fn count(amount: i64) -> Self {
        Self(vec![Rule {
            above: None,
            amount,
            percent: false,
        }])
    }

    /// Returns how many of `clauses` optional clauses must match. More than there are means that
    /// nothing matches.
    pub fn required(&self, clauses: usize) -> usize {
        let total = i64::try_from(clauses).unwrap_or(i64::MAX);
        // Without a condition the single rule holds; with conditions the last one that holds does,
        // and when none holds every clause is required.
        let rule = self
            .0
            .iter()
            .rfind(|rule| rule.above.is_none_or(|above| total > above));
        let Some(rule) = rule else { return clauses };
        let amount = if rule.percent {
            // Rounded towards zero, as the field does: -25% of 5 allows one to be missing.
            total.saturating_mul(rule.amount) / 100
        } else {
            rule.amount
        };
        let required = if rule.amount < 0 {
            total.saturating_add(amount)
        } else {
            amount
        };
        usize::try_from(required.max(0)).unwrap_or(usize::MAX)
    }

    fn parse_text(text: &str) -> Result<Self, ApiError> {
        let spaced = text.replace("< ", "<").replace(" <", "<");
        let parts: Vec<&str> = spaced.split_whitespace().collect();
        let rules: Vec<Rule> = parts
            .iter()
            .map(|part| parse_rule(part).ok_or_else(|| invalid(text)))
            .collect::<Result<_, _>>()?;
        let plain = rules.iter().filter(|rule| rule.above.is_none()).count();
        if rules.is_empty() || (plain > 0 && rules.len() > 1) {
            return Err(invalid(text));
        }
        Ok(Self(rules))
    }
}

fn parse_rule(part: &str) -> Option<Rule> {
    let (above, amount) = match part.split_once('<') {
        Some((above, amount)) => (Some(above.parse().ok()?), amount),
        None => (None, part),
    };
    let (digits, percent) = match amount.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (amount, false),
    };
    Some(Rule {
        above,
        amount: digits.parse().ok()?,
        percent,
    })
}

fn invalid(text: &str) -> ApiError {
    ApiError::illegal_argument(format!(
        "cannot parse [minimum_should_match] value [{text}], expected a number, a percentage or \
         conditions such as [3<90%]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_follow_the_reference() {
        for (expression, clauses, expected) in [
            (json!(2), 4, 2),
            (json!(-1), 4, 3),
            (json!("75%"), 4, 3),
            (json!("75%"), 5, 3),
            (json!("-25%"), 5, 4),
            (json!("3<90%"), 3, 3),
            (json!("3<90%"), 10, 9),
            (json!("2<-25% 9<-3"), 2, 2),
            (json!("2<-25% 9<-3"), 8, 6),
            (json!("2<-25% 9<-3"), 12, 9),
            (json!(9), 4, 9),
            (json!(-9), 4, 0),
            (json!("2 < 50%"), 4, 2),
        ] {
            let parsed = MinimumShouldMatch::parse(&expression).unwrap();
            assert_eq!(parsed.required(clauses), expected, "{expression} {clauses}");
        }
        for bad in [json!("x"), json!(""), json!("2 3"), json!([1]), json!(1.5)] {
            assert!(MinimumShouldMatch::parse(&bad).is_err(), "{bad}");
        }
    }
}
