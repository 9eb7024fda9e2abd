//! Replays what the fuzzer found worth keeping: nothing panics or hangs. See fuzz/README.md.

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{instances, p12, pem};

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
fn pkcs12_files() {
    for (path, bytes) in corpus("pkcs12") {
        if let Ok(store) = p12::read(&bytes, &SecretString::default(), &path) {
            let _ = store.authority();
        }
    }
}

#[test]
fn pem_files() {
    for (path, bytes) in corpus("pem") {
        let _ = pem::certificates(&bytes, &path);
        let _ = pem::labelled(&bytes, &path);
        let _ = pem::private_key(&bytes, None, &path);
        let _ = pem::private_key(&bytes, Some(&"secret".into()), &path);
    }
}

#[test]
fn files_of_instances() {
    for (_, bytes) in corpus("instances") {
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = instances::parse(&text);
        }
    }
}
