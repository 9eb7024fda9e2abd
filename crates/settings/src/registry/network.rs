//! Addresses, ports and limits of the HTTP and transport layers. Source: Elasticsearch reference, "Networking".

use ringwall_base::{ByteSizeValue, TimeValue};

use super::Section;
use crate::setting::Setting;
use crate::types::{PortRange, PublishPort};

pub static NETWORK_HOST: Setting<Vec<String>> = Setting::new(
    "network.host",
    "Addresses to bind and to publish: IP addresses, host names, `_local_`, `_site_`, `_global_` \
     or `_<interface>_`. Anything but loopback puts the node in production mode.",
)
.default("_local_")
.example("192.168.0.1");

pub static NETWORK_BIND_HOST: Setting<Vec<String>> = Setting::new(
    "network.bind_host",
    "Addresses to bind, if others than are published.",
)
.default("_local_")
.fallback(&["network.host"])
.example("0.0.0.0");

pub static NETWORK_PUBLISH_HOST: Setting<Vec<String>> = Setting::new(
    "network.publish_host",
    "Address at which others reach this node. Of several the best is picked: one that more than a link \
     reaches, then IPv4, then a public one.",
)
.default("_local_")
.fallback(&["network.host"])
.example("10.0.0.5");

pub(super) static SECTION: Section = Section {
    title: "Network",
    intro: "Addresses of both layers. `http.*` and `transport.*` win over `network.*`.",
    settings: &[&NETWORK_HOST, &NETWORK_BIND_HOST, &NETWORK_PUBLISH_HOST],
};

pub static HTTP_HOST: Setting<Vec<String>> = Setting::new(
    "http.host",
    "Addresses that the HTTP layer binds and publishes; of several, the best is published.",
)
.default("_local_")
.fallback(&["network.host"])
.example("0.0.0.0");

pub static HTTP_BIND_HOST: Setting<Vec<String>> =
    Setting::new("http.bind_host", "Addresses that the HTTP layer binds.")
        .default("_local_")
        .fallback(&["http.host", "network.bind_host", "network.host"]);

pub static HTTP_PUBLISH_HOST: Setting<Vec<String>> = Setting::new(
    "http.publish_host",
    "Address at which clients reach this node.",
)
.default("_local_")
.fallback(&["http.host", "network.publish_host", "network.host"]);

pub static HTTP_PORT: Setting<PortRange> = Setting::new(
    "http.port",
    "Port of the HTTP layer; the first free one of a range is taken, and 0 lets the system choose.",
)
.default("9200-9300")
.example("9200");

pub static HTTP_PUBLISH_PORT: Setting<PublishPort> = Setting::new(
    "http.publish_port",
    "Port at which clients reach this node, if another than it binds.",
)
.example("443");

pub static HTTP_MAX_CONTENT_LENGTH: Setting<ByteSizeValue> = Setting::new(
    "http.max_content_length",
    "Largest body of a request, before and after decompression; larger ones are answered 413.",
)
.default("100mb")
.between(1, 2_147_483_647);

pub static HTTP_MAX_CONTENT_VALUES: Setting<usize> = Setting::new(
    "http.max_content_values",
    "Largest number of values in a JSON body that is parsed as a whole, keys counted too; larger ones are answered 413. \
     Documents are not, nor are lines of `_bulk`.",
)
.default("1000000")
.at_least(1000)
.ours();

pub static HTTP_MAX_HEADER_SIZE: Setting<ByteSizeValue> = Setting::new(
    "http.max_header_size",
    "Largest size of all headers of a request together.",
)
.default("16kb")
.between(1024, 16 << 20);

pub static HTTP_MAX_INITIAL_LINE_LENGTH: Setting<ByteSizeValue> = Setting::new(
    "http.max_initial_line_length",
    "Largest length of the request line, which holds the URL.",
)
.default("4kb")
.between(128, 1 << 20);

pub static HTTP_COMPRESSION: Setting<Option<bool>> = Setting::new(
    "http.compression",
    "Whether responses are compressed for clients that accept it. Not set: only when HTTPS is off, \
     because the length of a compressed response can betray its content.",
)
.example("true");

pub static HTTP_MAX_CONNECTIONS: Setting<usize> = Setting::new(
    "http.max_connections",
    "Largest number of client connections. For a further one, the connection that has been idle longest is closed; \
     when all carry requests, the new one is.",
)
.default("10000")
.at_least(1)
.ours();

pub static HTTP_HANDSHAKE_TIMEOUT: Setting<TimeValue> = Setting::new(
    "http.handshake_timeout",
    "Time that a client has for the TLS handshake.",
)
.default("10s")
.at_least(1)
.ours();

pub static HTTP_HANDSHAKE_THREADS: Setting<Option<usize>> = Setting::new(
    "http.handshake_threads",
    "Threads that work for TLS handshakes with clients. Addresses take turns. Not set: half of the processors.",
)
.between(1, 64)
.example("2")
.ours();

pub static HTTP_MAX_HANDSHAKE_FAILURES: Setting<usize> = Setting::new(
    "http.max_handshake_failures",
    "Failed handshakes of one address after which its next ones are delayed by half a second, at most 16 at once. One \
     failure is forgotten each second, and half of them when one succeeds.",
)
.default("20")
.at_least(1)
.ours();

pub static HTTP_HEADER_TIMEOUT: Setting<TimeValue> = Setting::new(
    "http.header_timeout",
    "Time that a client has to send the headers of a request.",
)
.default("30s")
.at_least(1)
.ours();

pub static HTTP_IDLE_TIMEOUT: Setting<TimeValue> = Setting::new(
    "http.idle_timeout",
    "How long a client connection may be open without a request. When all of `http.max_connections` are taken, the one \
     that has been idle longest is closed earlier.",
)
.default("5m")
.at_least(1)
.ours();

pub static HTTP_BODY_TIMEOUT: Setting<TimeValue> = Setting::new(
    "http.body_timeout",
    "How long a client may pause while it sends the body of a request or reads its answer.",
)
.default("30s")
.at_least(1)
.ours();

pub static HTTP_DISCARD_LIMIT: Setting<ByteSizeValue> = Setting::new(
    "http.discard_limit",
    "Up to so much of the body of a request that is refused is read and thrown away, so that its connection lives on. \
     Beyond, the answer tells an HTTP/1.1 client that its connection closes.",
)
.default("1mb")
.between(0, 2_147_483_647)
.ours();

pub static HTTP_DISCARD_TIMEOUT: Setting<TimeValue> = Setting::new(
    "http.discard_timeout",
    "How long a client may take to send the rest of a request that is refused.",
)
.default("5s")
.at_least(1)
.ours();

pub static HTTP_DISTRUST_GRACE: Setting<TimeValue> = Setting::new(
    "http.distrust_grace",
    "How long requests of a client whose certificate is no longer trusted after a reload may go on. Its connection \
     takes nothing new.",
)
.default("5s")
.at_least(0)
.ours();

pub static HTTP_SHUTDOWN_GRACE_PERIOD: Setting<TimeValue> = Setting::new(
    "http.shutdown_grace_period",
    "Time that running requests have to end when the node stops.",
)
.default("5s")
.at_least(0);

pub static CORS_ENABLED: Setting<bool> = Setting::new(
    "http.cors.enabled",
    "Whether browsers are told which pages of other origins may use this node; requests of others are refused.",
)
.default("false")
.example("true");

pub static CORS_ALLOW_ORIGIN: Setting<Vec<String>> = Setting::new(
    "http.cors.allow-origin",
    "Origins that are allowed: a list, `*`, or one `/regular expression/`. Not set: none.",
)
.example("[ \"https://console.example\" ]");

pub static CORS_MAX_AGE: Setting<usize> = Setting::new(
    "http.cors.max-age",
    "Seconds for which browsers remember what they were told.",
)
.default("1728000");

pub static CORS_ALLOW_METHODS: Setting<Vec<String>> = Setting::new(
    "http.cors.allow-methods",
    "HTTP methods that such pages may use.",
)
.default("OPTIONS,HEAD,GET,POST,PUT,DELETE");

pub static CORS_ALLOW_HEADERS: Setting<Vec<String>> = Setting::new(
    "http.cors.allow-headers",
    "Request headers that such pages may send.",
)
.default(
    "X-Requested-With,Content-Type,Content-Length,Authorization,Accept,User-Agent,X-Elastic-Client-Meta",
);

pub static CORS_EXPOSE_HEADERS: Setting<Vec<String>> = Setting::new(
    "http.cors.expose-headers",
    "Response headers that such pages may read.",
)
.default("X-elastic-product");

pub static CORS_ALLOW_CREDENTIALS: Setting<bool> = Setting::new(
    "http.cors.allow-credentials",
    "Whether such pages may act with the credentials that the browser holds.",
)
.default("false");

pub static HTTP_HSTS_MAX_AGE: Setting<TimeValue> = Setting::new(
    "http.hsts.max_age",
    "How long browsers are told to use only HTTPS here; 0 tells them nothing. Browsers apply it to every port \
     of the host.",
)
.default("0")
.at_least(0)
.example("365d")
.ours();

pub(super) static HTTP_SECTION: Section = Section {
    title: "HTTP",
    intro: "The layer that clients use.",
    settings: &[
        &HTTP_HOST,
        &HTTP_BIND_HOST,
        &HTTP_PUBLISH_HOST,
        &HTTP_PORT,
        &HTTP_PUBLISH_PORT,
        &HTTP_MAX_CONTENT_LENGTH,
        &HTTP_MAX_CONTENT_VALUES,
        &HTTP_MAX_HEADER_SIZE,
        &HTTP_MAX_INITIAL_LINE_LENGTH,
        &HTTP_COMPRESSION,
        &HTTP_MAX_CONNECTIONS,
        &HTTP_HANDSHAKE_TIMEOUT,
        &HTTP_HANDSHAKE_THREADS,
        &HTTP_MAX_HANDSHAKE_FAILURES,
        &HTTP_HEADER_TIMEOUT,
        &HTTP_BODY_TIMEOUT,
        &HTTP_IDLE_TIMEOUT,
        &HTTP_DISCARD_LIMIT,
        &HTTP_DISCARD_TIMEOUT,
        &HTTP_DISTRUST_GRACE,
        &HTTP_SHUTDOWN_GRACE_PERIOD,
        &CORS_ENABLED,
        &CORS_ALLOW_ORIGIN,
        &CORS_MAX_AGE,
        &CORS_ALLOW_METHODS,
        &CORS_ALLOW_HEADERS,
        &CORS_EXPOSE_HEADERS,
        &CORS_ALLOW_CREDENTIALS,
        &HTTP_HSTS_MAX_AGE,
    ],
};

pub static TRANSPORT_HOST: Setting<Vec<String>> = Setting::new(
    "transport.host",
    "Addresses that the transport layer binds and publishes; of several, the best is published.",
)
.default("_local_")
.fallback(&["network.host"])
.example("10.0.0.5");

pub static TRANSPORT_BIND_HOST: Setting<Vec<String>> = Setting::new(
    "transport.bind_host",
    "Addresses that the transport layer binds.",
)
.default("_local_")
.fallback(&["transport.host", "network.bind_host", "network.host"]);

pub static TRANSPORT_PUBLISH_HOST: Setting<Vec<String>> = Setting::new(
    "transport.publish_host",
    "Address at which other nodes reach this node.",
)
.default("_local_")
.fallback(&["transport.host", "network.publish_host", "network.host"]);

pub static TRANSPORT_PORT: Setting<PortRange> = Setting::new(
    "transport.port",
    "Port of the transport layer; the first free one of a range is taken, and 0 lets the system \
     choose.",
)
.default("9300-9400")
.example("9300");

pub static TRANSPORT_PUBLISH_PORT: Setting<PublishPort> = Setting::new(
    "transport.publish_port",
    "Port at which other nodes reach this node, if another than it binds.",
)
.example("9300");

pub static TRANSPORT_CONNECT_TIMEOUT: Setting<TimeValue> = Setting::new(
    "transport.connect_timeout",
    "Time to open a connection to another node.",
)
.default("30s")
.at_least(1);

pub static TRANSPORT_CONNECT_WAIT: Setting<TimeValue> = Setting::new(
    "transport.connect_wait",
    "How long a request to another node waits for a connection that is being made, before it fails or takes another \
     way; `transport.connect_timeout` bounds the making of it.",
)
.default("2s")
.at_least(100)
.ours();

pub static TRANSPORT_REDIAL_INTERVAL: Setting<TimeValue> = Setting::new(
    "transport.redial_interval",
    "After how long without a result another attempt to connect is begun beside the first, which a lost packet may \
     hold up for long.",
)
.default("1s")
.at_least(100)
.ours();

pub static TRANSPORT_HANDSHAKE_TIMEOUT: Setting<TimeValue> = Setting::new(
    "transport.handshake_timeout",
    "Time for the TLS handshake and the first message of a connection.",
)
.default("10s")
.at_least(1)
.ours();

pub static TRANSPORT_MAX_CONNECTIONS: Setting<usize> = Setting::new(
    "transport.max_connections",
    "Largest number of connections from other nodes; further ones are closed at once.",
)
.default("1000")
.at_least(1)
.ours();

pub static TRANSPORT_MAX_HANDSHAKES: Setting<usize> = Setting::new(
    "transport.max_handshakes",
    "Largest number of connections from other nodes that are in their TLS handshake. For a further one, the oldest \
     of the address that has most of them is closed.",
)
.default("128")
.at_least(1)
.ours();

pub static TRANSPORT_HANDSHAKE_THREADS: Setting<Option<usize>> = Setting::new(
    "transport.handshake_threads",
    "Threads that work for TLS handshakes with nodes that dial this one, and as many for those that it dials. \
     Addresses take turns. Not set: half of the processors.",
)
.between(1, 64)
.example("2")
.ours();

pub static TRANSPORT_MAX_HANDSHAKE_FAILURES: Setting<usize> = Setting::new(
    "transport.max_handshake_failures",
    "Failed handshakes of one address after which its next ones are delayed by half a second, at most 16 at once. One \
     failure is forgotten each second, and half of them when one succeeds.",
)
.default("20")
.at_least(1)
.ours();

pub static TRANSPORT_MAX_MESSAGE_SIZE: Setting<ByteSizeValue> = Setting::new(
    "transport.max_message_size",
    "Largest message between nodes. Must exceed `http.max_content_length`.",
)
.default("256mb")
.between(1 << 20, 2_147_483_647)
.ours();

pub static TRANSPORT_MEMBER_WAIT: Setting<TimeValue> = Setting::new(
    "transport.member_wait",
    "How long a request of a node that this one does not know as a member of the cluster waits for word that it is \
     one, before it is refused. Members learn of a new one at about the same time.",
)
.default("5s")
.at_least(0)
.ours();

pub static TRANSPORT_DISTRUST_GRACE: Setting<TimeValue> = Setting::new(
    "transport.distrust_grace",
    "How long a link whose peer is no longer trusted after a reload may finish what runs. It takes nothing new.",
)
.default("5s")
.at_least(0)
.ours();

pub static TRANSPORT_PING_INTERVAL: Setting<TimeValue> = Setting::new(
    "transport.ping_interval",
    "How often a connection on which nothing arrives is probed, so that a dead peer is noticed.",
)
.default("500ms")
.at_least(100)
.ours();

pub static TRANSPORT_PING_TIMEOUT: Setting<TimeValue> = Setting::new(
    "transport.ping_timeout",
    "Time to answer a probe before the connection is closed, and what waits on it takes another way.",
)
.default("2s")
.at_least(100)
.ours();

pub(super) static TRANSPORT_SECTION: Section = Section {
    title: "Transport",
    intro: "The layer between nodes.",
    settings: &[
        &TRANSPORT_HOST,
        &TRANSPORT_BIND_HOST,
        &TRANSPORT_PUBLISH_HOST,
        &TRANSPORT_PORT,
        &TRANSPORT_PUBLISH_PORT,
        &TRANSPORT_CONNECT_TIMEOUT,
        &TRANSPORT_CONNECT_WAIT,
        &TRANSPORT_REDIAL_INTERVAL,
        &TRANSPORT_HANDSHAKE_TIMEOUT,
        &TRANSPORT_MAX_CONNECTIONS,
        &TRANSPORT_MAX_HANDSHAKES,
        &TRANSPORT_HANDSHAKE_THREADS,
        &TRANSPORT_MAX_HANDSHAKE_FAILURES,
        &TRANSPORT_MAX_MESSAGE_SIZE,
        &TRANSPORT_MEMBER_WAIT,
        &TRANSPORT_DISTRUST_GRACE,
        &TRANSPORT_PING_INTERVAL,
        &TRANSPORT_PING_TIMEOUT,
    ],
};
