//! Proof that who is at the other end of a link holds the key of the node that it says it is.
//!
//! With TLS the proof is bound to the session by its exporter (RFC 5705, the value of RFC 9266): both ends compute the
//! same 32 bytes and nobody else does, so that a signature over them is worth nothing on any other link. What is signed
//! also names the side of the link, so that it cannot be sent back. Without TLS, as in development, both ends choose
//! 32 random bytes: that keeps out who dials in another's name, not who sits between the nodes and passes everything
//! on.

use std::sync::Arc;
use std::sync::OnceLock;

use bytes::Bytes;
use ringwall_base::{NodeKey, random_bytes};
use ringwall_pki::{IdentityKey, is_signed_by};
use ringwall_tls::MaybeTlsStream;

use crate::identity::NodeIdentity;

/// Which end of a link signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

/// What a proof is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// The exporter of a TLS session.
    Session([u8; 32]),
    /// Without TLS: what both ends chose for this link.
    Nonces {
        dialler: [u8; 32],
        acceptor: [u8; 32],
    },
}

/// Signs for one end of one link.
pub(crate) struct Prover {
    key: Option<Arc<IdentityKey>>,
    side: Side,
    /// Of TLS.
    session: Option<[u8; 32]>,
    own: [u8; 32],
    /// What the other end chose, on a link without TLS, once it is known.
    other: OnceLock<[u8; 32]>,
}

/// The other end says that it holds a key and does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unproven;

impl Prover {
    /// Returns the prover of a connection. `None` when TLS gives nothing to bind to.
    pub(crate) fn new(
        key: Option<Arc<IdentityKey>>,
        side: Side,
        stream: &MaybeTlsStream,
    ) -> Option<Self> {
        let session = match stream {
            MaybeTlsStream::Plain(_) => None,
            MaybeTlsStream::Tls(stream) => Some(stream.channel_binding()?),
        };
        Some(Self::bound(key, side, session))
    }

    fn bound(key: Option<Arc<IdentityKey>>, side: Side, session: Option<[u8; 32]>) -> Self {
        Self {
            key,
            side,
            session,
            own: random_bytes(),
            other: OnceLock::new(),
        }
    }

    /// Returns what the other end has to sign too; `None` with TLS, which binds both. An acceptor answers in kind: a
    /// version without keys does not ask.
    pub(crate) fn nonce(&self) -> Option<Bytes> {
        let is_due = match self.side {
            Side::Dialler => true,
            Side::Acceptor => self.other.get().is_some(),
        };
        (self.session.is_none() && is_due).then(|| Bytes::copy_from_slice(&self.own))
    }

    /// Takes note of what the other end chose. The first counts: a link has one.
    pub(crate) fn hear(&self, nonce: Option<&Bytes>) {
        if let Some(Ok(nonce)) = nonce.map(|nonce| <[u8; 32]>::try_from(&nonce[..])) {
            let _ = self.other.set(nonce);
        }
    }

    /// Returns the proof that this node is who it says; `None` without a key, or before anything binds it.
    pub(crate) fn prove(&self, local: &NodeIdentity) -> Option<Bytes> {
        let (key, binding) = (self.key.as_ref()?, self.binding()?);
        let message = message(self.side, &binding, &key.public(), local);
        Some(key.sign(&message).into())
    }

    /// Checks what the other end says of itself. Returns the key that it holds, if it names one.
    pub(crate) fn verify(
        &self,
        node: &NodeIdentity,
        proof: Option<&Bytes>,
    ) -> Result<Option<NodeKey>, Unproven> {
        let Some(key) = node.key else {
            return Ok(None);
        };
        let (Some(binding), Some(proof)) = (self.binding(), proof) else {
            return Err(Unproven);
        };
        let side = match self.side {
            Side::Dialler => Side::Acceptor,
            Side::Acceptor => Side::Dialler,
        };
        let message = message(side, &binding, &key, node);
        match is_signed_by(&key, &message, proof) {
            true => Ok(Some(key)),
            false => Err(Unproven),
        }
    }

    /// Returns whether a proof would be worth something now.
    pub(crate) fn is_bound(&self) -> bool {
        self.binding().is_some()
    }

    fn binding(&self) -> Option<Binding> {
        if let Some(session) = self.session {
            return Some(Binding::Session(session));
        }
        let other = *self.other.get()?;
        let (dialler, acceptor) = match self.side {
            Side::Dialler => (self.own, other),
            Side::Acceptor => (other, self.own),
        };
        Some(Binding::Nonces { dialler, acceptor })
    }
}

/// Returns what is signed: every part with its length before it, so that no two messages are the same bytes.
fn message(side: Side, binding: &Binding, key: &NodeKey, node: &NodeIdentity) -> Vec<u8> {
    let side: &[u8] = match side {
        Side::Dialler => b"dialler",
        Side::Acceptor => b"acceptor",
    };
    let id = node.id.to_string();
    let mut parts: Vec<&[u8]> = vec![CONTEXT, side];
    match binding {
        Binding::Session(session) => parts.extend([&b"session"[..], session]),
        Binding::Nonces { dialler, acceptor } => {
            parts.extend([&b"nonces"[..], dialler, acceptor]);
        }
    }
    parts.extend([
        &key.as_bytes()[..],
        id.as_bytes(),
        node.ephemeral_id.as_bytes(),
        node.cluster_name.as_bytes(),
    ]);
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

/// Keeps these signatures apart from any other of the key, and of another version.
const CONTEXT: &[u8] = b"ringwall node identity, version 1";

#[cfg(test)]
mod tests {
    use super::*;
    use ringwall_base::NodeId;

    fn keyed() -> (Arc<IdentityKey>, NodeIdentity) {
        let key = Arc::new(IdentityKey::generate().unwrap().0);
        let node = NodeIdentity {
            id: NodeId::random(),
            ephemeral_id: "e".to_owned(),
            name: "n".to_owned(),
            cluster_name: "c".to_owned(),
            version: "1".to_owned(),
            roles: Vec::new(),
            publish_address: String::new(),
            cluster_uuid: None,
            http_address: None,
            attributes: Default::default(),
            key: Some(key.public()),
        };
        (key, node)
    }

    /// Both ends of a link: with TLS, or without once each has heard of the other.
    fn ends(key: &Arc<IdentityKey>, session: Option<[u8; 32]>) -> (Prover, Prover) {
        let dialler = Prover::bound(Some(key.clone()), Side::Dialler, session);
        let acceptor = Prover::bound(Some(key.clone()), Side::Acceptor, session);
        acceptor.hear(dialler.nonce().as_ref());
        dialler.hear(acceptor.nonce().as_ref());
        (dialler, acceptor)
    }

    #[test]
    fn a_proof_is_good_on_its_link_and_in_its_direction_only() {
        let (key, node) = keyed();
        for (one, two) in [(Some([1; 32]), Some([2; 32])), (None, None)] {
            let (dialler, acceptor) = ends(&key, one);
            let proof = dialler.prove(&node);
            assert_eq!(acceptor.verify(&node, proof.as_ref()), Ok(node.key));
            // Sent back to who made it.
            assert_eq!(dialler.verify(&node, proof.as_ref()), Err(Unproven));
            // Replayed on another link.
            let (_, elsewhere) = ends(&key, two);
            assert_eq!(elsewhere.verify(&node, proof.as_ref()), Err(Unproven));
            assert_eq!(acceptor.verify(&node, None), Err(Unproven));
        }
        // A session is no pair of nonces.
        let (dialler, _) = ends(&key, Some([1; 32]));
        let (_, acceptor) = ends(&key, None);
        assert_eq!(
            acceptor.verify(&node, dialler.prove(&node).as_ref()),
            Err(Unproven)
        );
    }

    #[test]
    fn a_proof_is_of_one_node_and_of_one_key() {
        let (key, node) = keyed();
        let (dialler, acceptor) = ends(&key, Some([1; 32]));
        let proof = dialler.prove(&node);
        let (_, other) = keyed();
        for changed in [
            NodeIdentity {
                id: NodeId::random(),
                ..node.clone()
            },
            NodeIdentity {
                ephemeral_id: "f".to_owned(),
                ..node.clone()
            },
            NodeIdentity {
                cluster_name: "d".to_owned(),
                ..node.clone()
            },
            NodeIdentity {
                key: other.key,
                ..node.clone()
            },
        ] {
            assert_eq!(acceptor.verify(&changed, proof.as_ref()), Err(Unproven));
        }
        // Without a key nothing is claimed, and nothing is shown.
        let bare = NodeIdentity { key: None, ..node };
        assert_eq!(acceptor.verify(&bare, proof.as_ref()), Ok(None));
    }

    #[test]
    fn without_tls_nothing_is_proved_before_both_have_chosen() {
        let (key, node) = keyed();
        let dialler = Prover::bound(Some(key.clone()), Side::Dialler, None);
        assert_eq!(dialler.prove(&node), None);
        assert!(!dialler.is_bound());
        dialler.hear(Some(&Bytes::from_static(&[1; 31])));
        assert!(!dialler.is_bound(), "too short");
        dialler.hear(Some(&Bytes::from_static(&[1; 32])));
        let first = dialler.prove(&node);
        // A second choice of the other end does not count.
        dialler.hear(Some(&Bytes::from_static(&[2; 32])));
        assert_eq!(dialler.prove(&node), first);
    }
}
