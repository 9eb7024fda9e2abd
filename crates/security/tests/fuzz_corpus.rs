//! Replays what the fuzzer found worth keeping. See fuzz/README.md.

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_security::enrollment::EnrollmentToken;
use ringwall_security::files::{ServiceTokensFile, UsersFile, UsersRolesFile};

fn corpus(target: &str) -> impl Iterator<Item = String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../corpus/fuzz")
        .join(target);
    let files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty());
    files
        .into_iter()
        .filter_map(|path| String::from_utf8(fs::read(path).unwrap()).ok())
}

#[test]
fn enrolment_tokens() {
    for text in corpus("enrollment") {
        if let Ok(token) = EnrollmentToken::parse(&text) {
            assert_eq!(EnrollmentToken::parse(token.encode().expose()), Ok(token));
        }
    }
}

#[test]
fn files_of_users_and_tokens_are_written_as_they_are_read() {
    for text in corpus("users_files") {
        let written = UsersFile::parse(&text).0.render();
        assert_eq!(UsersFile::parse(&written).0.render(), written);
        let written = UsersRolesFile::parse(&text).0.render();
        assert_eq!(UsersRolesFile::parse(&written).0.render(), written);
        let written = ServiceTokensFile::parse(&text).0.render();
        assert_eq!(ServiceTokensFile::parse(&written).0.render(), written);
    }
}
