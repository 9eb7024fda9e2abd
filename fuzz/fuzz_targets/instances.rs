//! The YAML file of `certutil --in`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = ringwall_pki::instances::parse(text);
});
