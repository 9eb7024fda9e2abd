//! Replays what the fuzzer found worth keeping: nothing panics or hangs. See fuzz/README.md.

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_settings::{KeystoreFile, yaml};

fn corpus(target: &str) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../corpus/fuzz")
        .join(target);
    let files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty());
    files.into_iter().map(|path| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    })
}

#[test]
fn keystores() {
    let mut opened = 0;
    for (path, bytes) in corpus("keystore") {
        if let Ok(file) = KeystoreFile::parse(&bytes, &path) {
            opened += usize::from(file.decrypt(&SecretString::default()).is_ok());
        }
    }
    assert!(opened >= 4, "one of each format is among them");
}

#[test]
fn settings_files() {
    for (_, bytes) in corpus("settings_yaml") {
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = yaml::parse(&text);
        }
    }
}
