//! Signature checks, counted: how many one verdict may take at most, each done once.

use parking_lot::Mutex;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use crate::provider;

/// The signature checks of one verdict.
#[derive(Debug)]
pub(crate) struct Meter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: usize,
    spent: usize,
    /// Whether one more was wanted than there were.
    is_exhausted: bool,
    /// What was checked: a digest of key, message and signature, and the outcome.
    known: Vec<([u8; 32], bool)>,
}

impl Meter {
    /// Returns a meter that allows so many checks.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                left: limit,
                spent: 0,
                is_exhausted: false,
                known: Vec::new(),
            }),
        }
    }

    /// Takes one check of a signature. Returns `false` when none is left.
    pub(crate) fn spend(&self) -> bool {
        let mut state = self.state.lock();
        match state.left.checked_sub(1) {
            Some(left) => {
                state.left = left;
                state.spent += 1;
                true
            }
            None => {
                state.is_exhausted = true;
                false
            }
        }
    }

    /// Returns whether a check was left out because none was left.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.state.lock().is_exhausted
    }

    /// Returns how many have been done.
    #[cfg(test)]
    pub(crate) fn spent(&self) -> usize {
        self.state.lock().spent
    }

    /// Returns the algorithms of this program, on this meter.
    pub(crate) fn algorithms(&self) -> Vec<Metered<'_>> {
        let all = provider::signature_algorithms().all.iter();
        all.map(|algorithm| Metered {
            algorithm: *algorithm,
            meter: self,
        })
        .collect()
    }
}

/// A signature algorithm whose uses are counted. A signature that is not looked at any more is not valid.
#[derive(Debug)]
pub(crate) struct Metered<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    meter: &'a Meter,
}

impl SignatureVerificationAlgorithm for Metered<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let algorithm = self.algorithm;
        let (of_key, of_signature) = (algorithm.public_key_alg_id(), algorithm.signature_alg_id());
        let what = digest(&[
            of_key.as_ref(),
            of_signature.as_ref(),
            public_key,
            message,
            signature,
        ]);
        let known = {
            let state = self.meter.state.lock();
            let mut known = state.known.iter();
            known.find_map(|(known, is_valid)| (*known == what).then_some(*is_valid))
        };
        let is_valid = match known {
            Some(is_valid) => is_valid,
            None if self.meter.spend() => {
                let verified = algorithm.verify_signature(public_key, message, signature);
                self.meter.state.lock().known.push((what, verified.is_ok()));
                verified.is_ok()
            }
            None => false,
        };
        is_valid.then_some(()).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// Returns a digest of the parts, each with its length: what moves from one to the next is another digest.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::Digest;
    let mut digest = sha2::Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
