//! What a request is charged for on this side: bodies that were read into trees, and answers.

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::breaker::Account;
use ringwall_base::json_size::tree_size;

/// Charges for the JSON of a request that was read into trees, until the request is answered.
pub struct Parsed {
    account: Account,
    max_values: u64,
}

impl Parsed {
    /// Returns an account for trees of so many values each.
    pub fn new(account: Account, max_values: u64) -> Self {
        Self {
            account,
            max_values,
        }
    }

    /// Charges for the tree of a text that is about to be read.
    ///
    /// Errors: 413 for more values than one body may have, 429 when there is no room.
    pub fn admit(&self, text: &[u8]) -> ApiResult<()> {
        let size = tree_size(text);
        if size.values > self.max_values {
            return Err(ApiError::new(
                ErrorCode::ContentTooLong,
                format!(
                    "the request body has up to [{}] values, more than the maximum of [{}]; send less at once or \
                     raise [http.max_content_values]",
                    size.values, self.max_values
                ),
            ));
        }
        self.account.charge(size.bytes, "<parsed_request>")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ringwall_base::breaker::{Breakers, Limit, Limits, Purpose};

    use super::*;

    fn breakers(request: u64) -> Breakers {
        Breakers::new(Limits {
            request: Limit {
                bytes: request,
                overhead: 1.0,
            },
            ..Limits::none()
        })
    }

    #[test]
    fn trees_are_charged_until_the_request_ends() {
        let breakers = breakers(10_000);
        let parsed = Parsed::new(Account::open(&breakers, Purpose::Request), 50);
        let list = |n: usize| format!("[{}0]", "0,".repeat(n - 1)).into_bytes();
        parsed.admit(&list(50)).unwrap();
        let used = breakers.used(Purpose::Request);
        assert!(used > 50 * 32, "{used}");
        assert_eq!(parsed.admit(&list(51)).unwrap_err().status, 413);
        let error = parsed.admit(&list(50)).unwrap_err();
        assert_eq!(error.status, 429);
        assert_eq!(error.code, ErrorCode::CircuitBreaking);
        assert_eq!(error.metadata["bytes_limit"], 10_000);
        assert!(error.metadata["bytes_wanted"].as_u64() > Some(10_000));
        drop(parsed);
        assert_eq!(breakers.used(Purpose::Request), 0);
    }

    #[test]
    fn an_answer_is_charged_until_its_last_piece_is_gone() {
        let breakers = breakers(10_000);
        let charge = breakers
            .charge(Purpose::Request, 100, "<http_response>")
            .unwrap();
        let mut bytes = charge.hold(vec![7; 100]);
        let piece = bytes.split_to(10);
        drop(bytes);
        assert_eq!(breakers.used(Purpose::Request), 100);
        drop(piece);
        assert_eq!(breakers.used(Purpose::Request), 0);
    }
}
