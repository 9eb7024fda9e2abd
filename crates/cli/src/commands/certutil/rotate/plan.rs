//! Which step comes next, and whether it leaves every node able to talk with every other.

use ringwall_pki::{CertificateAuthority, CertificateDer};

use super::home::{Layer, vouches};

/// The steps, in their order. Each is done on every node before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Step {
    /// Every node trusts the new CA beside the old one
    Trust,
    /// Every node shows a certificate of the new CA
    Reissue,
    /// No node trusts the old CA any more
    Drop,
}

impl Step {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Reissue => "reissue",
            Self::Drop => "drop",
        }
    }
}

/// Returns the nodes on which a step is still to be done.
pub(super) fn waiting<'a>(
    step: Step,
    layers: &'a [Layer],
    authority: &CertificateAuthority,
) -> Vec<&'a Layer> {
    let new = authority.certificate();
    let is_waiting = |layer: &&Layer| match step {
        Step::Trust => !layer.trusted.contains(new),
        Step::Reissue => !layer.is_of(new),
        Step::Drop => !layer.others(new).is_empty(),
    };
    layers.iter().filter(is_waiting).collect()
}

/// Returns the first step that is not done everywhere; `None` when all are.
pub(super) fn next(layers: &[Layer], authority: &CertificateAuthority) -> Option<Step> {
    [Step::Trust, Step::Reissue, Step::Drop]
        .into_iter()
        .find(|step| !waiting(*step, layers, authority).is_empty())
}

/// Returns pairs of nodes that talk now and would not after a step: one that no longer trusts, and the other.
pub(super) fn severed(
    step: Step,
    layers: &[Layer],
    authority: &CertificateAuthority,
    dropped: &[CertificateDer<'static>],
) -> Vec<(String, String)> {
    let new = authority.certificate();
    let mut pairs = Vec::new();
    for one in layers {
        let mut trusted = one.trusted.clone();
        match step {
            Step::Trust => trusted.push(new.clone()),
            Step::Reissue => {}
            Step::Drop => trusted.retain(|certificate| !dropped.contains(certificate)),
        }
        for other in layers {
            // While a step is under way some nodes show the old certificate and some the new one.
            let old = vouches(&trusted, &other.chain);
            let reissued = step != Step::Reissue || trusted.contains(new);
            if one.lets_in(&other.chain) && !(old && reissued) {
                pairs.push((one.home.clone(), other.home.clone()));
            }
        }
    }
    pairs
}
