//! Requests and their answers.

#![expect(
    clippy::disallowed_methods,
    reason = "this crate is below `security::system`"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use ringwall_api::{ApiError, Authentication, ErrorCode};
use ringwall_base::breaker::{Breakers, Limit, Limits, Purpose};
use ringwall_transport::{
    Callers, InboundContext, Message, NodeAction, Observer, Request, SendError, Transport,
    TransportConfig, TypedHandler,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

use crate::support::*;

/// Half of it is more than a request takes to arrive.
const A_WHILE: Duration = Duration::from_secs(240);

/// Tells when a handler starts, and when it is dropped.
#[derive(Clone, Default)]
struct Stuck {
    started: Arc<Notify>,
    dropped: Arc<Notify>,
}

impl Stuck {
    async fn handle(self) -> Result<Bytes, ApiError> {
        struct OnDrop(Arc<Notify>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let _told = OnDrop(Arc::clone(&self.dropped));
        self.started.notify_one();
        std::future::pending().await
    }

    fn register(&self, transport: &Transport) {
        let stuck = self.clone();
        let handler = move |_: InboundContext, _: Bytes| stuck.clone().handle();
        transport
            .register("internal:stuck", Callers::Anyone, handler)
            .unwrap();
    }
}

#[tokio::test]
async fn a_handler_sees_who_asks_for_whom_and_until_when() {
    let (a, b) = (node("a").await, node("b").await);
    let handler = async |context: InboundContext, body: Bytes| {
        assert!(context.remaining() <= A_WHILE);
        assert!(context.remaining() > A_WHILE / 2);
        let who = context.authentication.map(|who| who.user.username.clone());
        Ok(Bytes::from(format!(
            "{}/{}/{who:?}/{}",
            context.peer.name,
            context.peer.attributes["rack"],
            String::from_utf8_lossy(&body)
        )))
    };
    b.register("internal:who", Callers::Anyone, handler)
        .unwrap();
    b.set_address(id(&b), "ignored");
    a.set_address(id(&b), &address(&b));
    let system = Authentication::system();
    for (authentication, expected) in [
        (Some(&system), "a/r1/Some(\"_system\")/body"),
        (None, "a/r1/None/body"),
    ] {
        let request = Request {
            body: Bytes::from("body"),
            authentication,
            timeout: A_WHILE,
        };
        let answer = a.send(id(&b), "internal:who", request).await.unwrap();
        assert_eq!(answer, expected);
    }
}

#[tokio::test]
async fn an_authentication_crosses_whole_however_large() {
    let (a, b) = (node("a").await, node("b").await);
    let mut who = Authentication::system();
    let mut user = (*who.user).clone();
    user.metadata
        .insert("groups".to_owned(), vec!["x".repeat(100); 1000].into());
    who.user = Arc::new(user);
    let handler =
        TypedHandler::new(
            |context: InboundContext, (): ()| async move { Ok(context.authentication) },
        );
    b.register("internal:who", Callers::Anyone, handler)
        .unwrap();
    a.set_address(id(&b), &address(&b));
    let action: NodeAction<(), Option<Authentication>> = NodeAction::new("internal:who");
    let back = a
        .send_typed(id(&b), action, (), Some(&who), PATIENCE)
        .await
        .unwrap();
    assert_eq!(back, Some(who));
}

#[tokio::test]
async fn typed_messages_cross_and_malformed_ones_are_refused() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Sum {
        terms: Vec<i64>,
    }
    let (a, b) = (node("a").await, node("b").await);
    let handler =
        TypedHandler::new(async |_: InboundContext, sum: Sum| Ok(sum.terms.iter().sum::<i64>()));
    b.register("internal:sum", Callers::Anyone, handler)
        .unwrap();
    a.set_address(id(&b), &address(&b));
    let sum = Sum {
        terms: vec![1, 2, 39],
    };
    let action: NodeAction<Sum, i64> = NodeAction::new("internal:sum");
    let answer = a
        .send_typed(id(&b), action, sum.clone(), None, PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer, 42);
    match a.send(id(&b), "internal:sum", request("\u{1}junk")).await {
        Err(SendError::Remote(error)) => assert_eq!(error.code, ErrorCode::IllegalArgument),
        other => panic!("{other:?}"),
    }
    let wrong: NodeAction<Sum, String> = NodeAction::new("internal:sum");
    let wrong = a.send_typed(id(&b), wrong, sum, None, PATIENCE).await;
    assert!(matches!(wrong, Err(SendError::Invalid { .. })), "{wrong:?}");
}

#[tokio::test]
async fn an_error_crosses_intact() {
    let (a, b) = (node("a").await, node("b").await);
    let error = ApiError::index_not_found("logs")
        .with("nested", serde_json::json!({"a": [1, 2.5, null]}))
        .with_header("WWW-Authenticate", "Basic")
        .caused_by(ApiError::illegal_argument("why"));
    let thrown = error.clone();
    let handler = move |_: InboundContext, _: Bytes| {
        let thrown = thrown.clone();
        async move { Err(thrown) }
    };
    b.register("internal:fail", Callers::Anyone, handler)
        .unwrap();
    a.set_address(id(&b), &address(&b));
    let failed = a
        .send(id(&b), "internal:fail", request(""))
        .await
        .unwrap_err();
    assert!(!failed.outcome_unknown());
    assert_eq!(ApiError::from(failed), error);
}

#[tokio::test]
async fn an_unknown_action_has_no_handler() {
    let (a, b) = (node("a").await, node("b").await);
    a.set_address(id(&b), &address(&b));
    for to in [&a, &b] {
        let error: ApiError = a
            .send(id(to), "indices:x", request(""))
            .await
            .unwrap_err()
            .into();
        assert_eq!(error.code, ErrorCode::ActionNotFound);
        assert_eq!(error.reason, "No handler for action [indices:x]");
    }
    assert!(a.register(ECHO, Callers::Anyone, echo).is_err());
    assert!(
        a.register(ringwall_transport::HANDSHAKE_ACTION, Callers::Anyone, echo)
            .is_err()
    );
}

#[tokio::test]
async fn local_delivery_has_the_same_semantics() {
    let a = node("a").await;
    let stuck = Stuck::default();
    stuck.register(&a);
    let handler = async |context: InboundContext, _: Bytes| {
        Ok(Bytes::from(
            context.peer.name.clone() + &context.authentication.unwrap().user.username,
        ))
    };
    a.register("internal:who", Callers::Anyone, handler)
        .unwrap();
    let system = Authentication::system();
    let mut to_self = request("");
    to_self.authentication = Some(&system);
    assert_eq!(
        a.send(id(&a), "internal:who", to_self).await.unwrap(),
        "a_system"
    );
    let mut hasty = request("");
    hasty.timeout = Duration::from_millis(30);
    let late = a.send(id(&a), "internal:stuck", hasty).await.unwrap_err();
    assert!(
        matches!(late, SendError::Timeout { sent: true, .. }),
        "{late:?}"
    );
    stuck.dropped.notified().await;
    assert!(a.connected_nodes().is_empty());
}

/// A message that nothing may encode or decode.
#[derive(Debug)]
struct Unencoded(Arc<str>);

impl Serialize for Unencoded {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a message to oneself is encoded")
    }
}

impl<'de> Deserialize<'de> for Unencoded {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a message to oneself is decoded")
    }
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Observer for Counting {
    fn observe(
        &self,
        _action: &str,
        _context: &InboundContext,
        handling: BoxFuture<'static, Result<Message, ApiError>>,
    ) -> BoxFuture<'static, Result<Message, ApiError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        handling
    }
}

#[tokio::test]
async fn a_call_to_oneself_passes_the_value_and_is_checked_and_seen_like_any_other() {
    const SAME: NodeAction<Unencoded, Unencoded> = NodeAction::new("internal:same");
    let a = node("a").await;
    let seen = Arc::new(Counting::default());
    a.observe(seen.clone());
    let handler = TypedHandler::new(async |_: InboundContext, value: Unencoded| Ok(value));
    a.register(SAME.name(), Callers::MembersForUsers, handler)
        .unwrap();
    let text: Arc<str> = "text".into();
    let value = || Unencoded(Arc::clone(&text));
    let system = Authentication::system();
    let back = a
        .send_typed(id(&a), SAME, value(), Some(&system), PATIENCE)
        .await
        .unwrap();
    assert!(Arc::ptr_eq(&back.0, &text));
    assert_eq!(seen.0.load(Ordering::Relaxed), 1);
    // Who calls is asked here too.
    let refused = a
        .send_typed(id(&a), SAME, value(), None, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(ApiError::from(refused).code, ErrorCode::Security);
    // What is registered by another type is an error, not a panic.
    let other: NodeAction<String, Unencoded> = NodeAction::new(SAME.name());
    let other = a
        .send_typed(id(&a), other, String::new(), Some(&system), PATIENCE)
        .await;
    assert_eq!(ApiError::from(other.unwrap_err()).status, 500);
    // A handler that ends late, and one that panics, are what they are to others.
    const STUCK: NodeAction<(), ()> = NodeAction::new("internal:stuck");
    let stuck = TypedHandler::new(async |_: InboundContext, (): ()| {
        std::future::pending::<()>().await;
        Ok(())
    });
    a.register(STUCK.name(), Callers::Anyone, stuck).unwrap();
    let hasty = Duration::from_millis(30);
    let late = a.send_typed(id(&a), STUCK, (), None, hasty).await;
    assert!(matches!(late, Err(SendError::Timeout { sent: true, .. })));
    const PANICS: NodeAction<(), ()> = NodeAction::new("internal:panics");
    let panics = TypedHandler::new(async |_: InboundContext, (): ()| -> Result<(), ApiError> {
        panic!("boom")
    });
    a.register(PANICS.name(), Callers::Anyone, panics).unwrap();
    let failed = a.send_typed(id(&a), PANICS, (), None, PATIENCE).await;
    assert_eq!(ApiError::from(failed.unwrap_err()).status, 500);
}

#[tokio::test]
async fn a_late_handler_is_dropped_on_both_ends() {
    let (a, b) = (node("a").await, node("b").await);
    let stuck = Stuck::default();
    stuck.register(&b);
    assert_eq!(ask(&a, &b, "warm").await.unwrap(), "warm");
    let mut hasty = request("");
    // The handler begins before.
    hasty.timeout = 3 * SECOND;
    let late = a.send(id(&b), "internal:stuck", hasty).await.unwrap_err();
    // The two ends' clocks run against each other: either may notice first.
    let code = ApiError::from(late.clone()).code;
    assert_eq!(code, ErrorCode::ReceiveTimeout, "{late:?}");
    tokio::time::timeout(PATIENCE, stuck.dropped.notified())
        .await
        .unwrap();
    assert_eq!(ask(&a, &b, "still up").await.unwrap(), "still up");
}

#[tokio::test]
async fn giving_up_drops_the_handler_at_the_other_node() {
    let (a, b) = (node("a").await, node("b").await);
    let stuck = Stuck::default();
    stuck.register(&b);
    a.set_address(id(&b), &address(&b));
    let sending = tokio::spawn({
        let (a, to) = (a.clone(), id(&b));
        async move { a.send(to, "internal:stuck", request("")).await }
    });
    stuck.started.notified().await;
    sending.abort();
    tokio::time::timeout(PATIENCE, stuck.dropped.notified())
        .await
        .unwrap();
    assert_eq!(ask(&a, &b, "still up").await.unwrap(), "still up");
}

#[tokio::test]
async fn more_cancelled_requests_than_http2_tolerates_by_default_keep_the_link() {
    let (a, b) = (node("a").await, node("b").await);
    let mut events = a.events();
    let (go, started) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (wait, tell) = (Arc::clone(&go), Arc::clone(&started));
    b.register(
        "internal:big",
        Callers::Anyone,
        move |_: InboundContext, _: Bytes| {
            let (wait, tell) = (Arc::clone(&wait), Arc::clone(&tell));
            async move {
                tell.add_permits(1);
                wait.acquire().await.unwrap().forget();
                Ok(Bytes::from(vec![7; 5000]))
            }
        },
    )
    .unwrap();
    assert_eq!(ask(&a, &b, "warm").await.unwrap(), "warm");
    next_event(&mut events).await;
    for _ in 0..15 {
        let sends: Vec<_> = (0..200)
            .map(|_| {
                let (a, to) = (a.clone(), id(&b));
                tokio::spawn(async move { a.send(to, "internal:big", request("")).await })
            })
            .collect();
        started.acquire_many(200).await.unwrap().forget();
        // All answers set out while all who wait for them give up.
        go.add_permits(200);
        tokio::task::yield_now().await;
        for send in &sends {
            send.abort();
        }
        futures::future::join_all(sends).await;
        go.forget_permits(200);
    }
    assert_eq!(ask(&a, &b, "still up").await.unwrap(), "still up");
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn big_bodies_cross_both_ways() {
    let (a, b) = (node("a").await, node("b").await);
    a.set_address(id(&b), &address(&b));
    let body: Vec<u8> = (0..40_000_000u32).map(|i| (i % 251) as u8).collect();
    let body = Bytes::from(body);
    let answer = a.send(id(&b), ECHO, request(body.clone())).await.unwrap();
    assert!(answer == body);
}

#[tokio::test]
async fn many_requests_share_few_turns() {
    let few = TransportConfig {
        max_concurrent_requests: 8,
        ..config()
    };
    let a = node_with(few.clone(), identity("a")).await;
    let b = node_with(few, identity("b")).await;
    a.set_address(id(&b), &address(&b));
    let sends = (0..1000u32).map(|i| {
        let (a, to) = (a.clone(), id(&b));
        tokio::spawn(async move {
            let body = Bytes::from(i.to_string());
            assert_eq!(a.send(to, ECHO, request(body.clone())).await.unwrap(), body);
        })
    });
    for send in futures::future::join_all(sends).await {
        send.unwrap();
    }
}

#[tokio::test]
async fn a_full_queue_rejects() {
    let narrow = TransportConfig {
        max_concurrent_requests: 1,
        max_queued_requests: 1,
        ..config()
    };
    let a = node_with(narrow.clone(), identity("a")).await;
    let b = node_with(narrow, identity("b")).await;
    let stuck = Stuck::default();
    stuck.register(&b);
    assert_eq!(ask(&a, &b, "warm").await.unwrap(), "warm");
    let spawn = || {
        let (a, to) = (a.clone(), id(&b));
        tokio::spawn(async move { a.send(to, "internal:stuck", request("")).await })
    };
    let running = spawn();
    stuck.started.notified().await;
    // One of the two gets the only place in the queue.
    let (second, third) = (spawn(), spawn());
    let rejected = tokio::select! {
        done = second => done,
        done = third => done,
    };
    let rejected = rejected.unwrap().unwrap_err();
    assert!(!running.is_finished());
    assert!(
        matches!(rejected, SendError::Rejected { .. }),
        "{rejected:?}"
    );
    assert_eq!(ApiError::from(rejected).status, 429);
    // The urgent link has its own turns.
    assert_eq!(a.send(id(&b), URGENT, request("now")).await.unwrap(), "now");
}

#[tokio::test]
async fn messages_beyond_the_limit_are_refused_on_either_end() {
    let small = TransportConfig {
        max_message_bytes: 1000,
        ..config()
    };
    let a = node_with(small.clone(), identity("a")).await;
    let b = node("b").await;
    b.register(
        "internal:grow",
        Callers::Anyone,
        |_: InboundContext, _: Bytes| std::future::ready(Ok(Bytes::from(vec![0; 5000]))),
    )
    .unwrap();
    a.set_address(id(&b), &address(&b));
    b.set_address(id(&a), &address(&a));
    let too_large = |error: &SendError| matches!(error, SendError::TooLarge { limit: 1000, .. });
    let here = a
        .send(id(&b), ECHO, request(vec![0; 1001]))
        .await
        .unwrap_err();
    assert!(too_large(&here), "{here:?}");
    let response = a
        .send(id(&b), "internal:grow", request(""))
        .await
        .unwrap_err();
    assert!(too_large(&response), "{response:?}");
    let there: ApiError = b
        .send(id(&a), ECHO, request(vec![0; 5000]))
        .await
        .unwrap_err()
        .into();
    assert_eq!(there.code, ErrorCode::ContentTooLong, "{there}");
    assert_eq!(
        a.send(id(&b), ECHO, request(vec![1; 1000]))
            .await
            .unwrap()
            .len(),
        1000
    );
}

#[tokio::test]
async fn requests_beyond_the_memory_budget_are_refused_but_cluster_actions_pass() {
    let limit = Limit {
        bytes: 1000,
        overhead: 1.0,
    };
    let breakers = Breakers::new(Limits {
        in_flight: limit,
        ..Limits::none()
    });
    let poor = TransportConfig {
        breakers: breakers.clone(),
        ..config()
    };
    let (a, b) = (node("a").await, node_with(poor, identity("b")).await);
    a.set_address(id(&b), &address(&b));
    let error: ApiError = a
        .send(id(&b), ECHO, request(vec![0; 1001]))
        .await
        .unwrap_err()
        .into();
    assert_eq!(
        (error.code, error.status),
        (ErrorCode::CircuitBreaking, 429)
    );
    assert!(error.reason.contains("[1001/1001b]"), "{error}");
    assert_eq!(
        a.send(id(&b), URGENT, request(vec![0; 1001]))
            .await
            .unwrap()
            .len(),
        1001
    );
    for _ in 0..5 {
        assert_eq!(
            a.send(id(&b), ECHO, request(vec![0; 900]))
                .await
                .unwrap()
                .len(),
            900
        );
        settled(&breakers).await;
    }
}

/// A charge ends a moment after the answer.
async fn settled(breakers: &Breakers) {
    let settled = async {
        while breakers.used(Purpose::InFlight) > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_is_charged_for_as_long_as_a_part_of_it_is_held() {
    #[derive(Serialize, Deserialize)]
    struct Document {
        #[serde(with = "ringwall_base::encoding::shared")]
        source: Bytes,
        rest: Vec<u8>,
    }
    const KEEP: NodeAction<Document, ()> = NodeAction::new("internal:keep");
    let breakers = Breakers::new(Limits::none());
    let charged = TransportConfig {
        breakers: breakers.clone(),
        ..config()
    };
    let (a, b) = (node("a").await, node_with(charged, identity("b")).await);
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let handler = TypedHandler::new(move |_: InboundContext, document: Document| {
        *keep.lock().unwrap() = Some(document.source);
        std::future::ready(Ok(()))
    });
    b.register(KEEP.name(), Callers::Anyone, handler).unwrap();
    a.set_address(id(&b), &address(&b));
    let document = Document {
        source: vec![b'x'; 9_000].into(),
        rest: vec![0; 100],
    };
    a.send_typed(id(&b), KEEP, document, None, PATIENCE)
        .await
        .unwrap();
    // The slice keeps all of it.
    assert!(breakers.used(Purpose::InFlight) > 9_100);
    let source = kept.lock().unwrap().take();
    assert_eq!(source.unwrap(), vec![b'x'; 9_000]);
    settled(&breakers).await;
}

#[tokio::test]
async fn a_panic_in_a_handler_fails_only_its_request() {
    let (a, b) = (node("a").await, node("b").await);
    b.register(
        "internal:panic",
        Callers::Anyone,
        |_: InboundContext, body: Bytes| async move {
            assert!(body.is_empty(), "expected by the test");
            Ok(body)
        },
    )
    .unwrap();
    a.set_address(id(&b), &address(&b));
    let mut events = a.events();
    let error: ApiError = a
        .send(id(&b), "internal:panic", request("x"))
        .await
        .unwrap_err()
        .into();
    assert_eq!(error.code, ErrorCode::IllegalState);
    assert_eq!(
        a.send(id(&b), "internal:panic", request("")).await.unwrap(),
        ""
    );
    next_event(&mut events).await;
    assert!(events.try_recv().is_err());
}
