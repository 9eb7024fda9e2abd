//! Enrolment tokens: what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwall_security::enrollment::EnrollmentToken;

fuzz_target!(|text: &str| {
    if let Ok(token) = EnrollmentToken::parse(text) {
        assert_eq!(EnrollmentToken::parse(token.encode().expose()).as_ref(), Ok(&token));
    }
});
