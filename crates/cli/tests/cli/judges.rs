//! `openssl` and `keytool`, who say whether a file is what it should be.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a judge in a directory; returns what it said. Fails the test unless it is content. `None`
/// where it is not installed.
#[track_caller]
pub fn judge(directory: &Path, line: &[&str]) -> Option<String> {
    let (program, arguments) = line.split_first().unwrap();
    let Ok(output) = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
    else {
        eprintln!("SKIPPED: no {program} to judge");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{line:?}: {said}");
    Some(said)
}

/// Unpacks a zip file beside itself, and returns the names of its entries and the directory.
pub fn unzip(zip: &Path) -> (Vec<String>, PathBuf) {
    let directory = zip.with_extension("");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut names = Vec::new();
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).unwrap();
        let name = entry.name().unwrap().into_owned();
        let path = directory.join(&name);
        if name.ends_with('/') {
            std::fs::create_dir_all(path).unwrap();
        } else {
            assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o600, "{name}");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            std::fs::write(path, content).unwrap();
        }
        names.push(name);
    }
    (names, directory)
}
