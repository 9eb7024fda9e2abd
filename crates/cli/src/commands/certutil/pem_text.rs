//! PEM files as text: a few blocks change, everything else stays as it is written.

use std::ops::Range;
use std::path::Path;

use ringwall_pki::{FileFormat, certificates_in, detect_format, pem};
use zeroize::Zeroizing;

use super::renew::unusable;
use crate::error::CommandError;

/// A block of a PEM file.
pub(super) struct Block<'a> {
    /// Such as `CERTIFICATE`.
    pub(super) label: &'a str,
    /// From its first line to the end of its last.
    pub(super) range: Range<usize>,
}

impl Block<'_> {
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.label, "CERTIFICATE" | "X509 CERTIFICATE")
    }

    /// Returns whether it holds any number of certificates.
    fn is_pkcs7(&self) -> bool {
        matches!(self.label, "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA")
    }

    /// Returns whether it is a private key, or says what kind of key follows.
    pub(super) fn is_of_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY") || self.label == "EC PARAMETERS"
    }
}

/// Returns the content of a file of certificates as PEM with one block for each, so that one can be added or taken out.
pub(super) fn as_pem(
    content: Zeroizing<Vec<u8>>,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let encoded = |content: &[u8]| -> Result<String, CommandError> {
        let certificates = certificates_in(content, path).map_err(unusable)?;
        Ok(pem::encode_certificates(&certificates))
    };
    if detect_format(&content) == FileFormat::Der {
        return Ok(Zeroizing::new(encoded(&content)?.into_bytes()));
    }
    // What is no text is told of by whoever reads it.
    let Ok(text) = std::str::from_utf8(&content) else {
        return Ok(content);
    };
    let blocks = blocks(text);
    if !blocks.iter().any(Block::is_pkcs7) {
        return Ok(content);
    }
    let mut plain = Zeroizing::new(String::with_capacity(2 * text.len()));
    let mut from = 0;
    for block in blocks.iter().filter(|block| block.is_pkcs7()) {
        plain.push_str(&text[from..block.range.start]);
        plain.push_str(&encoded(text[block.range.clone()].as_bytes())?);
        from = block.range.end;
    }
    plain.push_str(&text[from..]);
    Ok(Zeroizing::new(std::mem::take(&mut *plain).into_bytes()))
}

/// Returns the blocks of a text, in order.
pub(super) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| from + at) {
        let label_at = at + BEGIN.len();
        let Some(label) = text[label_at..].split(DASHES).next() else {
            break;
        };
        let end = format!("-----END {label}{DASHES}");
        let Some(last) = text[label_at..]
            .find(&end)
            .map(|last| label_at + last + end.len())
        else {
            break;
        };
        let line_end = text[last..]
            .find('\n')
            .map_or(text.len(), |line| last + line + 1);
        found.push(Block {
            label,
            range: at..line_end,
        });
        from = line_end;
    }
    found
}

/// Returns the text without the blocks for which the function says so.
pub(super) fn without(text: &str, is_out: impl Fn(&Block<'_>) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for block in blocks(text).iter().filter(|block| is_out(block)) {
        kept.push_str(&text[from..block.range.start]);
        from = block.range.end;
    }
    kept.push_str(&text[from..]);
    kept
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_out_stays_byte_for_byte() {
        let text = "of es01\n-----BEGIN A-----\nAA==\n-----END A-----\nbetween\r\n-----BEGIN B-----\nBB==\n-----END B-----";
        let labels: Vec<_> = blocks(text).iter().map(|block| block.label).collect();
        assert_eq!(labels, ["A", "B"]);
        assert_eq!(without(text, |_| false), text);
        assert_eq!(
            without(text, |block| block.label == "A"),
            "of es01\nbetween\r\n-----BEGIN B-----\nBB==\n-----END B-----"
        );
        assert_eq!(
            without(text, |block| block.label == "B"),
            &text[..text.find("-----BEGIN B").unwrap()]
        );
        assert_eq!(blocks("-----BEGIN A-----\nwithout end").len(), 0);
    }
}
