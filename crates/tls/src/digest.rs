//! What a context's files contain, as far as changes are concerned.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use crate::config::SslConfig;

/// The content of every file of a context at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests(BTreeMap<PathBuf, Digest>);

/// Size and time of modification would miss a replacement of equal size within one clock tick, and these files
/// are small, so the content itself is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Digest {
    Content([u8; 32]),
    Unreadable(io::ErrorKind),
}

impl Digests {
    /// Reads the files. Blocking.
    pub(crate) fn of(config: &SslConfig) -> Self {
        let files = config.files().into_iter();
        Self(files.map(|path| (path.to_owned(), digest(path))).collect())
    }

    /// Returns the files that have another content than they had.
    pub(crate) fn changed_since(&self, before: Option<&Self>) -> Vec<PathBuf> {
        let had = |path: &PathBuf| before.and_then(|before| before.0.get(path));
        let files = self.0.iter();
        files
            .filter(|(path, digest)| had(path) != Some(digest))
            .map(|(path, _)| path.clone())
            .collect()
    }
}

fn digest(path: &Path) -> Digest {
    match hash(path) {
        Ok(content) => Digest::Content(content),
        Err(error) => Digest::Unreadable(error.kind()),
    }
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?.take(MAX_FILE_BYTES);
    let mut hash = sha2::Sha256::new();
    let mut buffer = [0; 8192];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// No key, certificate or revocation list is larger.
const MAX_FILE_BYTES: u64 = 256 << 20;
