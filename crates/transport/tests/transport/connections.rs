//! Links: how they come up, are shared, fail and are noticed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::NodeId;
use ringwall_transport::{
    Callers, ConnectError, ConnectionEvent, InboundContext, KeepAlive, SendError, TransportConfig,
};

use crate::support::*;

#[tokio::test]
async fn a_probe_tells_who_is_there_and_keeps_the_link() {
    let (a, b) = (node("a").await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    let mut events = a.events();
    let found = a.probe(&proxy.address, PATIENCE).await.unwrap();
    assert_eq!(found, *b.local());
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&b))
    );

    b.update_local(|local| {
        local.cluster_uuid = Some("uuid".to_owned());
        local.id = NodeId::random();
    });
    let again = a.probe(&proxy.address, PATIENCE).await.unwrap();
    assert_eq!(again.cluster_uuid.as_deref(), Some("uuid"));
    assert_eq!(again.id, found.id);
    assert_eq!(a.connected_nodes()[0].cluster_uuid.as_deref(), Some("uuid"));
    assert_eq!(a.send(id(&b), URGENT, request("x")).await.unwrap(), "x");
    assert_eq!(proxy.accepted.load(Ordering::SeqCst), 1);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_second_address_of_a_node_does_not_replace_its_link() {
    let (a, b) = (node("a").await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    let mut events = a.events();
    a.probe(&address(&b), PATIENCE).await.unwrap();
    for _ in 0..3 {
        assert_eq!(a.probe(&proxy.address, PATIENCE).await.unwrap().id, id(&b));
    }
    assert_eq!(proxy.accepted.load(Ordering::SeqCst), 1);
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&b))
    );
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_node_finds_itself() {
    let a = node("a").await;
    assert_eq!(a.probe(&address(&a), PATIENCE).await.unwrap(), *a.local());
    let port = a.bound_addresses()[0].port();
    let all = a
        .probe_all(&format!("localhost:{port}"), PATIENCE)
        .await
        .unwrap();
    assert!(
        all.iter()
            .any(|(_, found)| found.as_ref().is_ok_and(|found| found.id == id(&a)))
    );
    assert_eq!(
        a.probe(&format!("localhost:{port}"), PATIENCE)
            .await
            .unwrap()
            .id,
        id(&a)
    );
    assert!(a.connected_nodes().is_empty());
}

#[tokio::test]
async fn concurrent_needs_share_one_dial_for_each_kind_of_link() {
    let (a, b) = (node("a").await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    a.set_address(id(&b), &proxy.address);
    let sends = (0..50).map(|i| {
        let action = if i % 2 == 0 { ECHO } else { URGENT };
        a.send(id(&b), action, request("x"))
    });
    for answer in futures::future::join_all(sends).await {
        assert_eq!(answer.unwrap(), "x");
    }
    assert_eq!(proxy.accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn giving_up_on_a_dial_leaves_it_to_the_others() {
    let (a, b) = (node("a").await, node("b").await);
    // Connects at once, but answers only when told to.
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    a.set_address(id(&b), &slow.local_addr().unwrap().to_string());
    let mut hasty = request("x");
    hasty.timeout = Duration::from_millis(20);
    let patient = tokio::spawn({
        let (a, to) = (a.clone(), id(&b));
        async move { a.send(to, ECHO, request("x")).await }
    });
    let hasty = a.send(id(&b), ECHO, hasty).await;
    let (mut inbound, _) = slow.accept().await.unwrap();
    let mut outbound = tokio::net::TcpStream::connect(address(&b)).await.unwrap();
    tokio::spawn(async move { tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await });
    assert!(
        matches!(hasty, Err(SendError::Timeout { sent: false, .. })),
        "{hasty:?}"
    );
    assert!(!hasty.unwrap_err().outcome_unknown());
    assert_eq!(patient.await.unwrap().unwrap(), "x");
}

#[tokio::test]
async fn three_nodes_talk_all_ways() {
    let nodes = [node("a").await, node("b").await, node("c").await];
    for from in &nodes {
        for to in &nodes {
            assert_eq!(ask(from, to, "hello").await.unwrap(), "hello");
        }
    }
    for node in &nodes {
        assert_eq!(node.connected_nodes().len(), 2);
    }
}

#[tokio::test]
async fn the_dialled_node_learns_the_way_back() {
    let (a, b) = (node("a").await, node("b").await);
    let unknown = b.send(id(&a), ECHO, request("x")).await.unwrap_err();
    assert!(matches!(unknown, SendError::NotConnected { .. }));
    assert_eq!(ApiError::from(unknown).code, ErrorCode::NodeNotConnected);
    a.probe(&address(&b), PATIENCE).await.unwrap();
    assert_eq!(b.send(id(&a), ECHO, request("x")).await.unwrap(), "x");
}

#[tokio::test]
async fn a_cut_line_is_told_at_once_and_fails_what_is_under_way() {
    let (a, b) = (node("a").await, node("b").await);
    b.register(
        "internal:stuck",
        Callers::Anyone,
        |_: InboundContext, _: Bytes| std::future::pending(),
    )
    .unwrap();
    let proxy = Proxy::to(address(&b)).await;
    a.set_address(id(&b), &proxy.address);
    assert_eq!(a.send(id(&b), URGENT, request("x")).await.unwrap(), "x");
    let mut events = a.events();
    let stuck = tokio::spawn({
        let (a, to) = (a.clone(), id(&b));
        async move { a.send(to, "internal:stuck", request("")).await }
    });
    eventually("both links are up", || {
        proxy.accepted.load(Ordering::SeqCst) == 2
    })
    .await;
    assert_eq!(a.send(id(&b), ECHO, request("x")).await.unwrap(), "x");
    proxy.set(Line::Cut);
    let (lost, _) = next_disconnect(&mut events).await;
    assert_eq!(lost, id(&b));
    let failed = stuck.await.unwrap().unwrap_err();
    assert!(
        matches!(failed, SendError::Disconnected { .. }),
        "{failed:?}"
    );
    assert!(failed.outcome_unknown());
    assert_eq!(ApiError::from(failed).code, ErrorCode::NodeDisconnected);
    assert!(a.connected_nodes().is_empty());

    // Both links closed, one event; then the node is found again.
    assert!(events.try_recv().is_err());
    proxy.set(Line::Open);
    assert_eq!(
        a.send(id(&b), ECHO, request("again")).await.unwrap(),
        "again"
    );
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&b))
    );
}

#[tokio::test]
async fn a_half_open_link_dies_by_its_keep_alive() {
    let brisk = TransportConfig {
        keep_alive: KeepAlive {
            interval: Duration::from_millis(500),
            timeout: 3 * SECOND,
        },
        ..config()
    };
    let (a, b) = (node_with(brisk, identity("a")).await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    let mut events = a.events();
    a.probe(&proxy.address, PATIENCE).await.unwrap();
    proxy.set(Line::Dead);
    let (lost, reason) = next_disconnect(&mut events).await;
    assert_eq!(lost, id(&b));
    assert!(reason.contains("keep-alive"), "{reason}");
}

#[tokio::test]
async fn a_link_that_falls_silent_leaves_those_beside_it_alone() {
    let brisk = TransportConfig {
        keep_alive: KeepAlive {
            interval: Duration::from_millis(100),
            timeout: SECOND,
        },
        ..config()
    };
    let (a, b) = (node_with(brisk, identity("a")).await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    let mut events = a.events();
    a.probe(&proxy.address, PATIENCE).await.unwrap();
    assert_eq!(ask(&a, &b, "x").await.unwrap(), "x");
    let dialled = || a.links().iter().filter(|link| link.dialled).count();
    assert_eq!(dialled(), 2);
    proxy.set(Line::Dead);
    eventually("the silent link closes", || dialled() == 1).await;
    assert_eq!(ask(&a, &b, "y").await.unwrap(), "y");
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&b))
    );
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_dial_that_hangs_is_begun_anew_beside() {
    let eager = TransportConfig {
        redial_interval: Duration::from_millis(100),
        ..config()
    };
    let (a, b) = (node_with(eager, identity("a")).await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    proxy.set(Line::Dead);
    let probe = a.probe(&proxy.address, PATIENCE);
    let heal = async {
        // What was swallowed stays lost: the first connections never get anywhere.
        eventually("a dial", || proxy.accepted.load(Ordering::SeqCst) > 0).await;
        proxy.set(Line::Open);
    };
    let (found, ()) = tokio::join!(probe, heal);
    assert_eq!(found.unwrap().id, id(&b));
}

#[tokio::test]
async fn a_request_waits_only_so_long_for_a_link() {
    let hasty = TransportConfig {
        connect_wait: Duration::from_millis(300),
        redial_interval: Duration::from_millis(100),
        ..config()
    };
    let (a, b) = (node_with(hasty, identity("a")).await, node("b").await);
    let proxy = Proxy::to(address(&b)).await;
    proxy.set(Line::Dead);
    a.set_address(id(&b), &proxy.address);
    for _ in 0..2 {
        let error = a.send(id(&b), ECHO, request("x")).await.unwrap_err();
        let SendError::Connect { source, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), "timeout", "{error}");
        assert!(!error.outcome_unknown());
    }
    // The link is made for those who ask later.
    proxy.set(Line::Open);
    let answered = async {
        while a.send(id(&b), ECHO, request("x")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn a_restarted_node_is_another_instance() {
    let (a, b) = (node("a").await, node("b").await);
    assert_eq!(ask(&a, &b, "x").await.unwrap(), "x");
    let mut events = a.events();
    let mut reborn = b.local().as_ref().clone();
    let port = b.bound_addresses()[0].port();
    b.shutdown().await;
    assert_eq!(next_disconnect(&mut events).await.0, reborn.id);

    reborn.ephemeral_id = ringwall_base::random_uuid();
    let same_port = TransportConfig {
        ports: port..=port,
        ..config()
    };
    let b = node_with(same_port, reborn).await;
    assert_eq!(a.send(id(&b), ECHO, request("y")).await.unwrap(), "y");
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&b))
    );
    assert_eq!(*a.connected_nodes()[0], *b.local());
}

#[tokio::test]
async fn another_instance_at_another_address_replaces_the_old_one() {
    let (a, old) = (node("a").await, node("b").await);
    let mut events = a.events();
    a.probe(&address(&old), PATIENCE).await.unwrap();
    let mut moved = identity("b");
    moved.id = id(&old);
    let new = node_with(config(), moved).await;
    a.probe(&address(&new), PATIENCE).await.unwrap();
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&old))
    );
    assert_eq!(
        next_disconnect(&mut events).await,
        (id(&old), "the node was restarted".to_owned())
    );
    assert_eq!(
        next_event(&mut events).await,
        ConnectionEvent::Connected(id(&old))
    );
    assert_eq!(
        a.connected_nodes()[0].ephemeral_id,
        new.local().ephemeral_id
    );
}

#[tokio::test]
async fn the_wrong_node_at_an_address_gets_no_request() {
    let (a, b) = (node("a").await, node("b").await);
    let wanted = NodeId::random();
    a.set_address(wanted, &address(&b));
    let error = a.send(wanted, ECHO, request("x")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("unexpected remote node [{b}") && text.contains(&wanted.to_string()),
        "{text}"
    );
    assert_eq!(ApiError::from(error).code, ErrorCode::ConnectTransport);
    assert!(a.connected_nodes().is_empty());
}

#[tokio::test]
async fn nobody_there_is_an_error_without_a_warning() {
    let logs = Logs::capture();
    let a = node("a").await;
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = a.probe(&gone, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tcp { .. }), "{error:?}");
    assert!(matches!(
        a.probe("no port", SECOND).await,
        Err(ConnectError::Resolve { .. })
    ));
    assert!(logs.matching("").is_empty());
}

#[tokio::test]
async fn a_silent_address_times_out() {
    let a = node("a").await;
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let error = a
        .probe(&address, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn disconnect_closes_both_links_and_tells() {
    let (a, b) = (node("a").await, node("b").await);
    let mut events = a.events();
    assert_eq!(ask(&a, &b, "x").await.unwrap(), "x");
    assert!(a.disconnect(id(&b)));
    assert!(!a.disconnect(id(&b)));
    assert_eq!(
        next_disconnect(&mut events).await,
        (id(&b), "disconnected by this node".to_owned())
    );
    assert_eq!(ask(&a, &b, "y").await.unwrap(), "y");
}

#[tokio::test]
async fn shutdown_lets_requests_finish_then_closes_silently() {
    let calm = TransportConfig {
        shutdown_grace: PATIENCE,
        ..config()
    };
    let (a, b) = (node("a").await, node_with(calm, identity("b")).await);
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    let started = std::sync::Arc::new(tokio::sync::Notify::new());
    let (wait, tell) = (go.clone(), started.clone());
    b.register(
        "internal:slow",
        Callers::Anyone,
        move |_: InboundContext, body: Bytes| {
            let (wait, tell) = (wait.clone(), tell.clone());
            async move {
                tell.notify_one();
                wait.notified().await;
                Ok(body)
            }
        },
    )
    .unwrap();
    assert_eq!(ask(&b, &a, "other way").await.unwrap(), "other way");
    assert_eq!(ask(&a, &b, "x").await.unwrap(), "x");
    let (mut events_a, mut events_b) = (a.events(), b.events());
    let slow = tokio::spawn({
        let (a, to) = (a.clone(), id(&b));
        async move { a.send(to, "internal:slow", request("done")).await }
    });
    started.notified().await;
    let stopping = tokio::spawn({
        let b = b.clone();
        async move { b.shutdown().await }
    });
    tokio::task::yield_now().await;
    go.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), "done");
    tokio::time::timeout(PATIENCE, stopping)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(next_disconnect(&mut events_a).await.0, id(&b));
    assert!(events_b.try_recv().is_err());
    assert!(matches!(
        b.send(id(&a), ECHO, request("x")).await,
        Err(SendError::ShuttingDown)
    ));
    assert!(matches!(
        b.send(id(&b), ECHO, request("x")).await,
        Err(SendError::ShuttingDown)
    ));
    assert!(matches!(
        a.probe(&address(&b), PATIENCE).await,
        Err(ConnectError::Tcp { .. })
    ));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let (a, b) = (node("a").await, node("b").await);
    b.register(
        "internal:stuck",
        Callers::Anyone,
        |_: InboundContext, _: Bytes| std::future::pending(),
    )
    .unwrap();
    assert_eq!(ask(&a, &b, "x").await.unwrap(), "x");
    let stuck = tokio::spawn({
        let (a, to) = (a.clone(), id(&b));
        async move { a.send(to, "internal:stuck", request("")).await }
    });
    tokio::task::yield_now().await;
    tokio::time::timeout(PATIENCE, b.shutdown()).await.unwrap();
    assert!(stuck.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_that_come_and_go_under_load_lose_no_request_silently() {
    let nodes = [node("a").await, node("b").await, node("c").await];
    let mut tasks = Vec::new();
    for from in &nodes {
        for to in &nodes {
            from.set_address(id(to), &address(to));
            for action in [ECHO, URGENT] {
                let (from, to) = (from.clone(), id(to));
                tasks.push(tokio::spawn(async move {
                    for i in 0..100u32 {
                        let body = Bytes::from(i.to_string());
                        match from.send(to, action, request(body.clone())).await {
                            Ok(answer) => assert_eq!(answer, body),
                            Err(SendError::Disconnected { .. } | SendError::Connect { .. }) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                        if i % 25 == 24 {
                            from.disconnect(to);
                        }
                    }
                }));
            }
        }
    }
    for task in tasks {
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    for from in &nodes {
        for to in &nodes {
            assert_eq!(ask(from, to, "after").await.unwrap(), "after");
        }
    }
}
