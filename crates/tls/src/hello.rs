//! What a client offered, read from the bytes of its ClientHello: words for a handshake that found nothing in common.
//! Source: RFC 8446 sections 4.1.2, 4.2.1 and 5.1.

use rustls::{CipherSuite, ProtocolVersion};

use crate::failure::ContextFacts;
use crate::provider::{cipher_suite_name, protocol_name};

/// TLS versions and cipher suites, by the names that the settings use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    protocols: Vec<String>,
    cipher_suites: Vec<String>,
}

impl Offered {
    /// Reads the first bytes of a connection; `None` where they are no whole hello.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut record = Bytes(bytes);
        let (HANDSHAKE, _version) = (record.number(1)?, record.number(2)?) else {
            return None;
        };
        let mut handshake = record.list(2)?;
        let CLIENT_HELLO = handshake.number(1)? else {
            return None;
        };
        let mut hello = handshake.list(3)?;
        let version = hello.number(2)?;
        hello.take(RANDOM_BYTES)?;
        let _session = hello.list(1)?;
        let suites = hello.list(2)?.numbers();
        let _compression = hello.list(1)?;
        let mut versions = vec![version];
        if let Some(mut extensions) = hello.list(2) {
            while let Some(kind) = extensions.number(2) {
                let mut content = extensions.list(2)?;
                if kind == SUPPORTED_VERSIONS {
                    versions = content.list(1)?.numbers();
                }
            }
        }
        let protocol = |version: u16| protocol_name(ProtocolVersion::from(version));
        let suite = |suite: u16| cipher_suite_name(CipherSuite::from(suite));
        Some(Self {
            protocols: versions
                .into_iter()
                .filter_map(protocol)
                .map(str::to_owned)
                .collect(),
            // The last is no suite, but a sign (RFC 5746 section 3.3).
            cipher_suites: suites
                .into_iter()
                .filter_map(suite)
                .filter(|name| !name.ends_with("_SCSV"))
                .collect(),
        })
    }

    /// Returns what the two sides do not share; `None` where they share versions and suites.
    pub(crate) fn compared(&self, context: &ContextFacts) -> Option<String> {
        let name = &context.name;
        [
            (&self.protocols, &context.protocols, "supported_protocols"),
            (&self.cipher_suites, &context.cipher_suites, "cipher_suites"),
        ]
        .into_iter()
        .find(|(offered, own, _)| !offered.iter().any(|one| own.contains(one)))
        .map(|(offered, own, setting)| {
            format!(
                "it offers [{}], this side has [{}] by [{name}.{setting}]",
                offered.join(", "),
                own.join(", ")
            )
        })
    }
}

/// What is left to read, in network byte order.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u16> {
        let taken = self.take(bytes)?;
        let number = taken
            .iter()
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        u16::try_from(number).ok()
    }

    /// Reads a length of so many bytes, and what it is the length of.
    fn list(&mut self, bytes: usize) -> Option<Self> {
        let length = self.number(bytes)?;
        self.take(usize::from(length)).map(Self)
    }

    fn numbers(&self) -> Vec<u16> {
        let pairs = self.0.chunks_exact(2);
        pairs
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }
}

const HANDSHAKE: u16 = 22;
const CLIENT_HELLO: u16 = 1;
const SUPPORTED_VERSIONS: u16 = 43;
const RANDOM_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(suites: &[u16], versions: &[u16]) -> Vec<u8> {
        let numbers = |numbers: &[u16]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_be_bytes())
                .collect()
        };
        let list = |bytes: usize, content: &[u8]| {
            let length = (content.len() as u32).to_be_bytes();
            [&length[4 - bytes..], content].concat()
        };
        let extension = [&[0, 43][..], &list(2, &list(1, &numbers(versions)))].concat();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &list(1, &[]),
            &list(2, &numbers(suites)),
            &list(1, &[0]),
            &list(2, &[&[0, 1, 0, 0][..], &extension].concat()),
        ]
        .concat();
        let message = [&[1][..], &list(3, &body)].concat();
        [&[22, 3, 1][..], &list(2, &message)].concat()
    }

    #[test]
    fn a_hello_is_read_and_half_of_one_is_not() {
        let bytes = hello(&[0x1302, 0x0a0a, 0xc02b, 0x00ff], &[0x0304, 0x0303, 0x7a7a]);
        let read = Offered::read(&bytes).unwrap();
        assert_eq!(read.protocols, ["TLSv1.3", "TLSv1.2"]);
        assert_eq!(
            read.cipher_suites,
            [
                "TLS_AES_256_GCM_SHA384",
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
            ]
        );
        for end in 0..bytes.len() {
            assert_eq!(Offered::read(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Offered::read(b"GET / HTTP/1.1"), None);
    }
}
