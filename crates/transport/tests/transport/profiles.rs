//! Listeners of their own: transport profiles, and who may connect to each.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ringwall_base::{IpFilter, IpRule, NameFuture, ReverseNames, SharedIpFilter};
use ringwall_tls::{
    ClientAuthentication, ConfiguredPath, KeySource, SslConfig, SslContext, TrustSource,
};
use ringwall_transport::{ProfileConfig, Transport, TransportConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use crate::support::*;
use crate::tls::{Ca, ca, tls_context, write_files, write_trust};

/// Returns the context of a profile, from the files in a directory.
fn wan_context(dir: &Path, client_authentication: ClientAuthentication) -> Arc<SslContext> {
    let path = |file: &str| ConfiguredPath::new(file, dir);
    let key = KeySource::Pem {
        key: path("node.key"),
        passphrase: None,
        certificate: path("node.crt"),
    };
    let config = SslConfig {
        client_authentication,
        ..SslConfig::new(
            "transport.profiles.wan.xpack.security.ssl",
            key,
            TrustSource::Pem(vec![path("ca.crt")]),
        )
    };
    SslContext::load(config, &[]).unwrap()
}

fn wan(tls: Option<Arc<SslContext>>, filter: SharedIpFilter) -> ProfileConfig {
    ProfileConfig {
        name: "wan".to_owned(),
        bind: vec![IpAddr::from([127, 0, 0, 1])],
        ports: 0..=0,
        publish_host: None,
        publish_port: None,
        filter,
        tls,
    }
}

fn wan_address(transport: &Transport) -> String {
    transport.profiles()[1].publish_address.clone()
}

fn files(name: &str, issuer: &Ca, trusted: &[&Ca]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path(), name, issuer, trusted);
    dir
}

async fn node_of(tls: Arc<SslContext>, profiles: Vec<ProfileConfig>, name: &str) -> Transport {
    let config = TransportConfig {
        tls: Some(tls),
        profiles,
        ..config()
    };
    node_with(config, identity(name)).await
}

#[tokio::test]
async fn each_listener_lets_in_whom_its_own_context_does() {
    let logs = Logs::capture();
    let (ours, theirs) = (ca("our CA"), ca("their CA"));
    let (inner, outer) = (files("a", &ours, &[&ours]), files("a", &theirs, &[&theirs]));
    let profile = wan_context(outer.path(), ClientAuthentication::None);
    let a = node_of(
        tls_context(inner.path()),
        vec![wan(Some(profile), SharedIpFilter::default())],
        "a",
    )
    .await;
    assert_eq!(a.profiles()[1].name, "wan");
    assert_ne!(a.profiles()[1].addresses, a.bound_addresses());

    let (ours_dir, theirs_dir) = (files("b", &ours, &[&ours]), files("c", &theirs, &[&theirs]));
    let ours_only = node_of(tls_context(ours_dir.path()), Vec::new(), "b").await;
    let theirs_only = node_of(tls_context(theirs_dir.path()), Vec::new(), "c").await;
    assert_eq!(
        ours_only.probe(&address(&a), PATIENCE).await.unwrap().id,
        id(&a)
    );
    assert_eq!(
        theirs_only
            .probe(&wan_address(&a), PATIENCE)
            .await
            .unwrap()
            .id,
        id(&a)
    );
    assert!(theirs_only.probe(&address(&a), PATIENCE).await.is_err());
    assert!(ours_only.probe(&wan_address(&a), PATIENCE).await.is_err());

    // Who shows no certificate at all is let in by the profile only.
    let both_dir = files("d", &ours, &[&ours, &theirs]);
    let path = |file| ConfiguredPath::new(file, both_dir.path());
    let trust = TrustSource::Pem(vec![path("ca.crt")]);
    let bare = SslConfig::new("xpack.security.transport.ssl", KeySource::None, trust);
    let bare = node_of(SslContext::load(bare, &[]).unwrap(), Vec::new(), "d").await;
    assert!(bare.probe(&address(&a), PATIENCE).await.is_err());
    assert_eq!(
        bare.probe(&wan_address(&a), PATIENCE).await.unwrap().id,
        id(&a)
    );
    // Of what a refused, one was at the profile.
    let line = logs.only("(transport profile [wan])").await;
    assert!(line.contains("closing connection"), "{line}");

    // A node dials with the context of the layer, whatever its profiles have.
    assert!(a.probe(&address(&theirs_only), PATIENCE).await.is_err());
    assert_eq!(
        a.probe(&address(&ours_only), PATIENCE).await.unwrap().name,
        "b"
    );
}

#[tokio::test]
async fn the_default_listener_may_accept_with_another_context_than_it_dials_with() {
    let (ours, theirs) = (ca("our CA"), ca("their CA"));
    let (inner, outer) = (files("a", &ours, &[&ours]), files("a", &theirs, &[&theirs]));
    let config = TransportConfig {
        tls: Some(tls_context(inner.path())),
        accept_tls: Some(wan_context(outer.path(), ClientAuthentication::Required)),
        ..config()
    };
    let a = node_with(config, identity("a")).await;
    let (ours_dir, theirs_dir) = (files("b", &ours, &[&ours]), files("c", &theirs, &[&theirs]));
    let b = node_of(tls_context(ours_dir.path()), Vec::new(), "b").await;
    let c = node_of(tls_context(theirs_dir.path()), Vec::new(), "c").await;
    assert!(b.probe(&address(&a), PATIENCE).await.is_err());
    assert_eq!(c.probe(&address(&a), PATIENCE).await.unwrap().name, "a");
    assert_eq!(a.probe(&address(&b), PATIENCE).await.unwrap().name, "b");
}

#[tokio::test]
async fn a_profile_without_plaintext_beside_a_layer_that_lets_it_in() {
    let ours = ca("our CA");
    let dir = files("a", &ours, &[&ours]);
    let tls = tls_context(dir.path());
    let config = TransportConfig {
        profiles: vec![wan(Some(Arc::clone(&tls)), SharedIpFilter::default())],
        tls: Some(tls),
        dual_stack: true,
        ..config()
    };
    let a = node_with(config, identity("a")).await;
    let plain = node("plain").await;
    assert_eq!(plain.probe(&address(&a), PATIENCE).await.unwrap().name, "a");
    assert!(plain.probe(&wan_address(&a), PATIENCE).await.is_err());
}

#[tokio::test]
async fn what_a_reload_of_a_profile_distrusts_is_closed_and_nothing_else() {
    let (ours, theirs) = (ca("our CA"), ca("their CA"));
    let (inner, outer) = (files("a", &ours, &[&ours]), files("a", &theirs, &[&theirs]));
    let profile = wan_context(outer.path(), ClientAuthentication::Required);
    let a = node_of(
        tls_context(inner.path()),
        vec![wan(Some(Arc::clone(&profile)), SharedIpFilter::default())],
        "a",
    )
    .await;
    let (ours_dir, theirs_dir) = (files("b", &ours, &[&ours]), files("c", &theirs, &[&theirs]));
    let b = node_of(tls_context(ours_dir.path()), Vec::new(), "b").await;
    let c = node_of(tls_context(theirs_dir.path()), Vec::new(), "c").await;
    assert_eq!(ask(&b, &a, "x").await.unwrap(), "x");
    c.set_address(id(&a), &wan_address(&a));
    assert_eq!(c.send(id(&a), ECHO, request("x")).await.unwrap(), "x");
    let mut lost = c.events();

    write_trust(outer.path(), &[&ours]);
    profile.reload();
    assert_eq!(next_disconnect(&mut lost).await.0, id(&a));
    assert!(c.send(id(&a), ECHO, request("y")).await.is_err());
    let nodes: Vec<String> = a
        .links()
        .iter()
        .map(|link| link.node.name.clone())
        .collect();
    assert!(
        !nodes.is_empty() && nodes.iter().all(|name| name == "b"),
        "{nodes:?}"
    );
    assert_eq!(b.connected_nodes().len(), 1);
}

fn rules(allow: &[&str], deny: &[&str], setting: &str) -> IpFilter {
    let rules = |texts: &[&str]| -> Vec<IpRule> {
        let rules = texts.iter().map(|text| text.parse().unwrap());
        rules.collect()
    };
    IpFilter {
        own: Vec::new(),
        allow: rules(allow),
        deny: rules(deny),
        deny_setting: setting.to_owned(),
    }
}

/// Returns what is said until the connection is closed.
async fn said(mut tcp: TcpStream) -> String {
    let mut bytes = Vec::new();
    // Closed or reset: both are a refusal.
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut bytes))
        .await
        .expect("the node closes the connection");
    String::from_utf8(bytes).unwrap()
}

/// Asks as a lost HTTP client does, which is told where it is if it is let in.
async fn knock(from: &str, to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut tcp = socket.connect(to.parse().unwrap()).await.unwrap();
    let _ = tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tcp
}

#[tokio::test]
async fn rules_of_one_listener_do_not_bind_another() {
    let logs = Logs::capture();
    let deny = "transport.profiles.wan.xpack.security.filter.deny";
    let closed = SharedIpFilter::from(rules(&[], &["_all"], deny));
    let a = node_with(
        TransportConfig {
            profiles: vec![wan(None, closed.clone())],
            ..config()
        },
        identity("a"),
    )
    .await;
    let answer = said(knock("127.0.0.1", &address(&a)).await).await;
    assert!(answer.contains("not an HTTP port"), "{answer}");
    assert_eq!(said(knock("127.0.0.1", &wan_address(&a)).await).await, "");
    let line = logs.only(deny).await;
    assert!(
        line.contains("the rule [_all]") && line.contains("(transport profile [wan])"),
        "{line}"
    );
    closed.set(IpFilter::default());
    let answer = said(knock("127.0.0.1", &wan_address(&a)).await).await;
    assert!(answer.contains("not an HTTP port"), "{answer}");
}

/// A resolver that answers when it is let.
#[derive(Debug)]
struct Slow(watch::Receiver<Option<&'static str>>);

impl ReverseNames for Slow {
    fn confirmed_name(&self, _: IpAddr) -> NameFuture<'_> {
        let mut answer = self.0.clone();
        Box::pin(async move {
            let name = *answer.wait_for(Option::is_some).await.ok()?;
            name.filter(|name| !name.is_empty()).map(str::to_owned)
        })
    }
}

#[tokio::test]
async fn who_is_let_in_by_name_waits_for_it_alone() {
    let (answer, asked) = watch::channel(None);
    let filter = SharedIpFilter::with_names(Arc::new(Slow(asked)));
    let allow = ["127.0.0.2", "*.example.com"];
    filter.set(rules(
        &allow,
        &["_all"],
        "xpack.security.transport.filter.deny",
    ));
    let a = node_with(TransportConfig { filter, ..config() }, identity("a")).await;
    for (name, is_let_in) in [
        ("es01.example.com", true),
        ("es01.example.net", false),
        ("", false),
    ] {
        answer.send_replace(None);
        let waiting = knock("127.0.0.1", &address(&a)).await;
        // Accepted after it, and answered before.
        let known = said(knock("127.0.0.2", &address(&a)).await).await;
        assert!(known.contains("not an HTTP port"), "{known}");
        answer.send_replace(Some(name));
        let told = said(waiting).await;
        assert_eq!(
            told.contains("not an HTTP port"),
            is_let_in,
            "{name}: {told}"
        );
        assert!(is_let_in || told.is_empty(), "{name}: {told}");
    }
}
