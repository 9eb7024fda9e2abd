//! Content of a PEM file: certificates, keys with and without a passphrase, blocks by label.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ringwall_base::SecretString;
use ringwall_pki::pem;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz");
    let _ = pem::certificates(bytes, path);
    let _ = pem::labelled(bytes, path);
    let _ = pem::private_key(bytes, None, path);
    let _ = pem::private_key(bytes, Some(&SecretString::from("secret")), path);
});
