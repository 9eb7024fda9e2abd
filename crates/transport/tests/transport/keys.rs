//! Who a node is shows by its key, not by the certificate that many may share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{NodeId, NodeKey};
use ringwall_pki::IdentityKey;
use ringwall_tls::SslContext;
use ringwall_transport::{
    Callers, ConnectError, Gate, InboundContext, NodeIdentity, SendError, Transport,
    TransportConfig,
};

use crate::support::*;
use crate::tls::{ca, tls_context, write_files};

const WHO: &str = "internal:who";
const MEMBERS: &str = "internal:members";

/// Knows these nodes by these keys; they are the members.
#[derive(Default)]
struct Known(Mutex<BTreeMap<NodeId, NodeKey>>);

impl Gate for Known {
    fn key_of(&self, node: NodeId) -> Option<NodeKey> {
        self.0.lock().get(&node).copied()
    }

    fn is_member(&self, peer: &NodeIdentity, _action: &str) -> bool {
        let known = self.key_of(peer.id);
        known.is_some() && known == peer.key
    }

    fn becomes_member<'a>(&'a self, _: &'a NodeIdentity, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

struct Keyed {
    transport: Transport,
    known: Arc<Known>,
    key: Option<NodeKey>,
}

impl Keyed {
    fn id(&self) -> NodeId {
        id(&self.transport)
    }

    /// From now on this node knows another by its key.
    fn learns(&self, other: &Self) {
        self.known.0.lock().insert(other.id(), other.key.unwrap());
    }

    /// Asks whoever says that it is at this node's address under an id; returns what key was seen of the asker.
    async fn asks(
        &self,
        other: &Self,
        as_id: NodeId,
        action: &'static str,
    ) -> Result<Bytes, SendError> {
        self.transport
            .set_address(as_id, &address(&other.transport));
        self.transport.send(as_id, action, request("")).await
    }
}

/// Returns a node with a key of its own or without one, and with this id.
async fn keyed(tls: Option<Arc<SslContext>>, own: NodeId, has_key: bool) -> Keyed {
    let key = has_key.then(|| Arc::new(IdentityKey::generate().unwrap().0));
    let public = key.as_ref().map(|key| key.public());
    let config = TransportConfig {
        key,
        tls,
        // Nobody becomes a member here.
        member_wait: Duration::from_millis(10),
        ..config()
    };
    let identity = NodeIdentity {
        id: own,
        key: public,
        ..identity("keyed")
    };
    let transport = node_with(config, identity).await;
    let who = async |context: InboundContext, _: Bytes| {
        Ok(Bytes::from(format!("{:?}", context.peer.key)))
    };
    transport.register(WHO, Callers::Anyone, who).unwrap();
    transport.register(MEMBERS, Callers::Members, who).unwrap();
    let known = Arc::new(Known::default());
    transport.set_gate(known.clone());
    Keyed {
        transport,
        known,
        key: public,
    }
}

/// One certificate for all, and no TLS at all.
fn modes() -> [Option<Arc<SslContext>>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let ca = ca("ring CA");
    write_files(dir.path(), "shared", &ca, &[&ca]);
    [Some(tls_context(dir.path())), None]
}

fn refusal(error: SendError) -> String {
    match error {
        SendError::Connect {
            source: ConnectError::Refused { refusal, .. },
            ..
        } => format!("{}: {refusal}", refusal.kind()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_end_sees_the_key_of_the_other() {
    for tls in modes() {
        let a = keyed(tls.clone(), NodeId::random(), true).await;
        let b = keyed(tls.clone(), NodeId::random(), true).await;
        a.learns(&b);
        b.learns(&a);
        let seen = a.asks(&b, b.id(), MEMBERS).await.unwrap();
        assert_eq!(seen, format!("{:?}", a.key));
        let ephemeral = b.transport.local().ephemeral_id.clone();
        assert_eq!(a.transport.proven_key(b.id(), &ephemeral), b.key);
        assert_eq!(a.transport.proven_key(b.id(), "another process"), None);
        // Introduced again on the same link, and to itself.
        for _ in 0..2 {
            let there = a.transport.probe(&address(&b.transport), PATIENCE).await;
            assert_eq!(there.unwrap().key, b.key);
        }
        let own = address(&a.transport);
        assert_eq!(a.transport.probe(&own, PATIENCE).await.unwrap().key, a.key);
    }
}

#[tokio::test]
async fn nodes_that_share_one_certificate_cannot_pass_for_each_other() {
    for tls in modes() {
        let a = keyed(tls.clone(), NodeId::random(), true).await;
        let b = keyed(tls.clone(), NodeId::random(), true).await;
        let impostor = keyed(tls.clone(), b.id(), true).await;
        let keyless = keyed(tls.clone(), b.id(), false).await;
        a.learns(&b);
        // Dialled by the impostor: the acceptor knows better.
        let error = refusal(impostor.asks(&a, a.id(), WHO).await.unwrap_err());
        assert!(
            error.starts_with("refused_by_peer: ") && error.contains("has another key"),
            "{error}"
        );
        // One that says it is of a version without keys.
        let error = refusal(keyless.asks(&a, a.id(), WHO).await.unwrap_err());
        assert!(error.contains("shows no key"), "{error}");
        // At the address of the node: the dialler knows better.
        for (other, why) in [(&impostor, "has another key"), (&keyless, "shows no key")] {
            let error = refusal(a.asks(other, b.id(), WHO).await.unwrap_err());
            assert!(
                error.starts_with("foreign_key: ") && error.contains(why),
                "{error}"
            );
        }
        // In the name of the node that it talks to.
        let mirror = keyed(tls.clone(), a.id(), false).await;
        mirror.transport.update_local(|local| {
            local.ephemeral_id = a.transport.local().ephemeral_id.clone();
        });
        let probed = mirror
            .transport
            .probe(&address(&a.transport), PATIENCE)
            .await;
        assert!(
            matches!(probed, Err(ConnectError::Refused { .. })),
            "{probed:?}"
        );
        assert_eq!(
            b.asks(&a, a.id(), WHO).await.unwrap(),
            format!("{:?}", b.key)
        );
    }
}

#[tokio::test]
async fn a_node_without_a_key_is_let_in_until_one_is_known() {
    for tls in modes() {
        let a = keyed(tls.clone(), NodeId::random(), true).await;
        let old = keyed(tls.clone(), NodeId::random(), false).await;
        assert_eq!(old.asks(&a, a.id(), WHO).await.unwrap(), "None");
        assert_eq!(
            a.asks(&old, old.id(), WHO).await.unwrap(),
            format!("{:?}", a.key)
        );
        // Members only: it is none.
        let error: ApiError = old.asks(&a, a.id(), MEMBERS).await.unwrap_err().into();
        assert_eq!((error.code, error.status), (ErrorCode::NotAMember, 503));
    }
}

#[tokio::test]
async fn a_link_made_before_the_key_was_known_is_used_no_more() {
    for tls in modes() {
        let a = keyed(tls.clone(), NodeId::random(), true).await;
        let b = keyed(tls.clone(), NodeId::random(), true).await;
        let impostor = keyed(tls.clone(), b.id(), true).await;
        a.asks(&impostor, b.id(), WHO).await.unwrap();
        impostor.asks(&a, a.id(), WHO).await.unwrap();
        a.learns(&b);
        let error = refusal(a.asks(&impostor, b.id(), WHO).await.unwrap_err());
        assert!(error.starts_with("foreign_key: "), "{error}");
        let error: ApiError = impostor.asks(&a, a.id(), MEMBERS).await.unwrap_err().into();
        assert_eq!(error.code, ErrorCode::NotAMember);
    }
}

#[tokio::test]
async fn a_key_that_is_named_and_not_shown_is_refused() {
    for tls in modes() {
        let a = keyed(tls.clone(), NodeId::random(), true).await;
        // Names the key of another, which it has seen, and signs with its own.
        let liar = keyed(tls.clone(), NodeId::random(), true).await;
        let stolen = a.key;
        let own = Arc::new(IdentityKey::generate().unwrap().0);
        let config = TransportConfig {
            key: Some(own),
            tls: tls.clone(),
            ..config()
        };
        let identity = NodeIdentity {
            key: stolen,
            publish_address: String::new(),
            ..NodeIdentity::clone(&liar.transport.local())
        };
        let transport = node_with(config, identity).await;
        transport.set_address(a.id(), &address(&a.transport));
        let error = transport.send(a.id(), WHO, request("")).await.unwrap_err();
        let error = refusal(error);
        assert!(
            error.contains("does not prove that it holds the key"),
            "{error}"
        );
        let probed = a.transport.probe(&address(&transport), PATIENCE).await;
        let error = probed.unwrap_err().to_string();
        assert!(
            error.contains("does not prove that it holds the key"),
            "{error}"
        );
    }
}
