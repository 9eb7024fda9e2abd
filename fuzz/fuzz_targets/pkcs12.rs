//! Content of a PKCS#12 file, opened with the empty password.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringwall_base::SecretString;
use ringwall_pki::p12;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(store) = p12::read(bytes, &SecretString::default(), Path::new("fuzz")) {
        let _ = store.authority();
    }
});
