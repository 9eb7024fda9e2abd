//! A setting that nothing reads would promise what is not there.

use std::path::Path;

#[test]
fn every_setting_is_read_by_some_crate() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut registry = String::new();
    let mut readers = String::new();
    let mut directories = vec![crates.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let text = || std::fs::read_to_string(&path).unwrap();
            if path.is_dir() && !path.ends_with("tests") {
                directories.push(path);
            } else if NO_READERS.iter().any(|file| path.ends_with(file)) {
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                match path.parent().unwrap().ends_with("registry") {
                    true => registry.push_str(&text()),
                    false => readers.push_str(&text()),
                }
            }
        }
    }
    let mut unread = Vec::new();
    for part in registry.split("pub static ").skip(1) {
        let (name, kind) = part.split_once(':').unwrap();
        let is_setting = ["Setting<", "AffixSetting<", "SecureSetting"]
            .iter()
            .any(|known| kind.trim_start().starts_with(known));
        if is_setting && !readers.contains(name) {
            unread.push(name);
        }
    }
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// To compare a value with others, or to document it, gives it no effect.
const NO_READERS: [&str; 2] = ["settings/src/rules.rs", "settings/src/docs.rs"];
