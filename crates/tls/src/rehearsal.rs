//! Whom a context would let in after a change of its files, told before the change.

use ringwall_pki::CertificateDer;
use rustls_pki_types::UnixTime;

use crate::config::SslConfig;
use crate::error::SslError;
use crate::failure::{FailureReason, PeerRole};
use crate::load::trust_in;
use crate::trust::Trust;

/// The trust of a configuration with other trusted certificates. Its revocation lists, restrictions and mode are
/// those of the files.
pub struct Rehearsal(Trust);

impl Rehearsal {
    /// Returns the trust of the configuration as if these were its trusted certificates. Blocking: reads revocation
    /// lists and restrictions.
    ///
    /// Errors: those files, or a certificate that cannot be trusted.
    pub fn new(
        config: &SslConfig,
        trusted: Vec<CertificateDer<'static>>,
    ) -> Result<Self, SslError> {
        trust_in(config, trusted, Vec::new()).map(Self)
    }

    /// Checks a chain, leaf first, as a node does that dials its owner and is dialled by it, now. The name that is
    /// dialled is not looked at: it does not change with the files.
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), FailureReason> {
        let now = UnixTime::now();
        [PeerRole::Server, PeerRole::Client]
            .into_iter()
            .try_for_each(|role| self.0.verify(chain, role, None, now))
    }

    /// Checks a chain, leaf first, as a client does that trusts what this context trusts.
    pub fn verify_server(&self, chain: &[CertificateDer<'_>]) -> Result<(), FailureReason> {
        self.0
            .verify(chain, PeerRole::Server, None, UnixTime::now())
    }
}
