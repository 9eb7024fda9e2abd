//! Content of `elasticsearch.keystore`: read, and decrypted with the empty password.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringwall_base::SecretString;
use ringwall_settings::KeystoreFile;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = KeystoreFile::parse(bytes, Path::new("fuzz")) {
        let _ = file.decrypt(&SecretString::default());
    }
});
