//! Which step comes next, and whether it leaves every node able to talk with every other.

use ringwall_pki::CertificateAuthority;

use super::home::Layer;
use crate::error::CommandError;

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

/// Two nodes of which one would refuse the other.
pub(super) struct Severed {
    pub(super) one: String,
    pub(super) other: String,
    /// A [`FailureReason`](ringwall_tls::FailureReason) in one word.
    pub(super) reason: &'static str,
}

/// Returns two nodes that talk now and would not after a step, or while it is under way: then some nodes have the old
/// files and some the new ones.
pub(super) fn severed(before: &[Layer], after: &[Layer]) -> Result<Option<Severed>, CommandError> {
    for (now, then) in before.iter().zip(after) {
        let (old, new) = (now.trust()?, then.trust()?);
        for (shown_now, shown_then) in before.iter().zip(after) {
            if old.verify(&shown_now.chain).is_err() {
                continue;
            }
            let verdicts = [(&new, shown_now), (&old, shown_then), (&new, shown_then)];
            let refusal = verdicts
                .into_iter()
                .find_map(|(trust, shown)| trust.verify(&shown.chain).err());
            if let Some(reason) = refusal {
                return Ok(Some(Severed {
                    one: now.home.clone(),
                    other: shown_now.home.clone(),
                    reason: reason.kind(),
                }));
            }
        }
    }
    Ok(None)
}
