//! `elasticsearch.yml`, before settings are looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = ringwall_settings::yaml::parse(text);
});
