//! `openssl s_client` and `s_server` as the other side: every mode, client-authentication setting and protocol.
//! Keys and stores made by `openssl` and `keytool` as the material of a context.
//!
//! Where a tool is missing its tests say so and check nothing.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use ringwall_pki::pem;
use ringwall_tls::{
    ClientAuthentication, HandshakeFailure, KeySource, SslConfig, SslContext, TrustSource,
    VerificationMode, explain_io_error,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::support::{Cert, Fixture, WITHIN, check, shake};

const MODES: [VerificationMode; 3] = [
    VerificationMode::Full,
    VerificationMode::Certificate,
    VerificationMode::None,
];
const AUTHENTICATIONS: [ClientAuthentication; 3] = [
    ClientAuthentication::Required,
    ClientAuthentication::Optional,
    ClientAuthentication::None,
];
/// Elasticsearch's name of a version, and openssl's option for it.
const PROTOCOLS: [(&str, &str); 2] = [("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")];

#[tokio::test]
async fn s_client_is_let_in_as_the_mode_and_the_client_authentication_say() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    for mode in MODES {
        for authentication in AUTHENTICATIONS {
            for (protocol, option) in PROTOCOLS {
                for client in [Cert::None, Cert::Good, Cert::OtherCa] {
                    let server = context(&fixture, Cert::Good, mode, authentication, protocol);
                    let arguments = s_client_arguments(&fixture, client, option);
                    let (accepted, said) = serve_s_client(&server, &arguments).await;
                    let what =
                        format!("s_client {client:?} at {mode:?} {authentication:?} {protocol}");
                    let expected = refusal_of_client(mode, authentication, client);
                    check(&what, &accepted, expected);
                    // s_client gets its bytes back exactly where it was let in.
                    assert_eq!(said.contains("ping"), expected.is_empty(), "{what}: {said}");
                    assert!(
                        said.contains("Verify return code: 0 (ok)") || !expected.is_empty(),
                        "{what}: {said}"
                    );
                }
            }
        }
    }
}

/// What a node signs is bound to the exporter of its session, which only an extended master secret makes one of a kind.
#[tokio::test]
async fn between_nodes_tls_1_2_has_the_extended_master_secret() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    let without = fixture.path("without.cnf");
    let options = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = default\n[default]\n\
                   Options = -ExtendedMasterSecret\n";
    std::fs::write(&without, options).unwrap();
    let arguments = s_client_arguments(&fixture, Cert::Good, "-tls1_2");
    for (prefix, lets_in) in [
        ("xpack.security.transport.ssl", false),
        ("xpack.security.http.ssl", true),
    ] {
        let mut config = fixture.config(Cert::Good);
        config.name = prefix.to_owned();
        let server = fixture.context(config);
        let environment = [("OPENSSL_CONF", without.as_path())];
        let (accepted, said) = serve_s_client_of(&server, &arguments, &environment).await;
        let expected = match lets_in {
            true => "",
            false => "without the extended master secret (RFC 7627)",
        };
        check(prefix, &accepted, expected);
        assert!(said.contains("Extended master secret: no"), "{said}");
        assert_eq!(said.contains("ping"), lets_in, "{said}");
        let (accepted, said) = serve_s_client(&server, &arguments).await;
        check(prefix, &accepted, "");
        assert!(said.contains("Extended master secret: yes"), "{said}");
    }

    let s_server = SServer::start_of(
        &fixture,
        shown(&fixture, Cert::Good),
        "-tls1_2",
        None,
        &[("OPENSSL_CONF", without.as_path())],
    )
    .await;
    let client = fixture.context(fixture.config(Cert::Good));
    check(
        "s_server",
        &s_server.dial(&client).await,
        "without the extended master secret (RFC 7627)",
    );
}

fn refusal_of_client(
    mode: VerificationMode,
    authentication: ClientAuthentication,
    client: Cert,
) -> &'static str {
    match (authentication, client) {
        (ClientAuthentication::Required, Cert::None) => "did not provide a certificate",
        (ClientAuthentication::None, _) | (_, Cert::None | Cert::Good) => "",
        _ if mode == VerificationMode::None => "",
        _ => {
            "failed to establish trust with client|not configured to trust that issuer [CN=Other CA]"
        }
    }
}

#[tokio::test]
async fn s_server_is_trusted_as_the_mode_says() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    for mode in MODES {
        for (protocol, option) in PROTOCOLS {
            for server in [Cert::Good, Cert::WrongName, Cert::OtherCa, Cert::Expired] {
                // -Verify demands a certificate, -verify asks for one, neither asks for none.
                for (asks, client) in [
                    (Some("-Verify"), Cert::Good),
                    (Some("-verify"), Cert::None),
                    (None, Cert::Good),
                ] {
                    let s_server = SServer::start(&fixture, server, option, asks).await;
                    let context = context(
                        &fixture,
                        client,
                        mode,
                        ClientAuthentication::Required,
                        protocol,
                    );
                    let dialled = s_server.dial(&context).await;
                    let expected = match (mode, server) {
                        (VerificationMode::None, _) | (_, Cert::Good) => "",
                        (VerificationMode::Certificate, Cert::WrongName) => "",
                        (_, Cert::WrongName) => {
                            "not valid for [localhost]|[DNS:elsewhere.example,IP:192.0.2.7]"
                        }
                        (_, Cert::OtherCa) => "not configured to trust that issuer [CN=Other CA]",
                        _ => "the certificate has expired",
                    };
                    check(
                        &format!("{mode:?} {protocol} dials s_server {server:?} {asks:?}"),
                        &dialled,
                        expected,
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn s_server_that_refuses_us_is_explained() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    for (protocol, option) in PROTOCOLS {
        for (client, expected) in [
            (Cert::None, "this side has no certificate"),
            (
                Cert::OtherCa,
                "rejected this node with the TLS alert [unknown_ca]|issued by [CN=Other CA]",
            ),
            (
                Cert::Expired,
                "rejected this node with the TLS alert [certificate_expired]",
            ),
        ] {
            let s_server = SServer::start(&fixture, Cert::Good, option, Some("-Verify")).await;
            let mode = VerificationMode::Full;
            let context = context(
                &fixture,
                client,
                mode,
                ClientAuthentication::Required,
                protocol,
            );
            let dialled = s_server.dial(&context).await;
            check(
                &format!("{protocol} {client:?} at s_server -Verify"),
                &dialled,
                expected,
            );
        }
    }
}

/// What OpenSSL makes when asked, and libraries of today do not: a short key, and certificates without extensions.
#[tokio::test]
async fn old_certificates_are_told_and_taken_where_anything_is() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    let directory = fixture.dir.path();
    let short_key = "its RSA key has 1024 bits";
    let version_1 =
        "is of X.509 version 1, which has no extensions|openssl x509 -req with an -extfile";
    for (name, kind) in [("short", "rsa:1024"), ("plain", "rsa:2048")] {
        let request = format!(
            "req -new -newkey {kind} -nodes -keyout {name}.key -subj /CN=node-1 -out {name}.csr"
        );
        tool(directory, "openssl", words(&request)).await;
    }
    sign(&fixture, "short").await;
    let without_extensions =
        "x509 -req -in plain.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out plain.crt";
    tool(directory, "openssl", words(without_extensions)).await;
    let has_version_1 = is_version_1(&fixture, "plain.crt").await;
    for mode in MODES {
        for (protocol, option) in PROTOCOLS {
            for (name, refusal, always) in [("short", short_key, true), ("plain", version_1, false)]
            {
                if name == "plain" && !has_version_1 {
                    continue;
                }
                let expected = match mode {
                    VerificationMode::None if !always => "",
                    _ => refusal,
                };
                let what = format!("{mode:?} {protocol} {name}");
                let ours = context(
                    &fixture,
                    Cert::Good,
                    mode,
                    ClientAuthentication::Required,
                    protocol,
                );
                let weak = ["-cipher", "DEFAULT@SECLEVEL=0"].map(str::to_owned);
                let shown = format!("-key {name}.key -cert {name}.crt");
                let shown = [paths(&fixture, &shown), weak.to_vec()].concat();
                let mut arguments = s_client_arguments(&fixture, Cert::None, option);
                arguments.extend(shown.clone());
                let (accepted, said) = serve_s_client(&ours, &arguments).await;
                check(&format!("{what}, accepted"), &accepted, expected);
                assert_eq!(said.contains("ping"), expected.is_empty(), "{what}: {said}");
                let s_server = SServer::start_with(&fixture, shown, option, None).await;
                let dialled = s_server.dial(&ours).await;
                check(&format!("{what}, dialled"), &dialled, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_ca_without_extensions_is_told() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    let directory = fixture.dir.path();
    for step in [
        "req -new -newkey rsa:2048 -nodes -keyout old.key -subj /CN=old-CA -out old.csr",
        "x509 -req -in old.csr -signkey old.key -days 30 -out old.crt",
        "req -new -newkey rsa:2048 -nodes -keyout made.key -subj /CN=node-1 -out made.csr",
    ] {
        tool(directory, "openssl", words(step)).await;
    }
    if !is_version_1(&fixture, "old.crt").await {
        return;
    }
    fixture.write("names.ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    let sign = "x509 -req -in made.csr -CA old.crt -CAkey old.key -CAcreateserial -days 30 \
                -extfile names.ext -out made.crt";
    tool(directory, "openssl", words(sign)).await;
    let trust = TrustSource::Pem(vec![fixture.configured("old.crt")]);
    let node = context_of(&fixture, fixture.pem_key("made"), trust);
    let outcome = shake(&node, &node, "localhost").await;
    check(
        "a CA of version 1",
        &outcome.client,
        "the trusted certificate [CN=old-CA] signed it, but is no CA|version 1|openssl x509 -in",
    );
}

/// Returns whether openssl made a certificate without extensions: those of later versions add some.
async fn is_version_1(fixture: &Fixture, name: &str) -> bool {
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in", name])
        .current_dir(fixture.dir.path())
        .output()
        .await
        .unwrap();
    let is_so = String::from_utf8_lossy(&shown.stdout).contains("Version: 1 (0x0)");
    if !is_so {
        eprintln!("skipped: this openssl makes no certificates of version 1");
    }
    is_so
}

/// Returns options whose files are those of the fixture.
fn paths(fixture: &Fixture, options: &str) -> Vec<String> {
    let options = words(options).into_iter();
    options
        .map(|option| match option.starts_with('-') {
            true => option,
            false => text(&fixture.path(&option)),
        })
        .collect()
}

#[tokio::test]
async fn stores_and_keys_of_openssl_are_material_of_a_node() {
    if !have("openssl") {
        return;
    }
    let fixture = Fixture::new();
    let request =
        "req -new -newkey rsa:2048 -nodes -keyout made.key -subj /CN=node-1 -out made.csr";
    tool(fixture.dir.path(), "openssl", words(request)).await;
    sign(&fixture, "made").await;
    let export = |file: &str, options: &[&str]| {
        let mut arguments = words(
            "pkcs12 -export -inkey made.key -in made.crt -certfile ca.crt -passout pass:secret",
        );
        arguments.extend(["-out".to_owned(), file.to_owned()]);
        arguments.extend(options.iter().map(|&option| option.to_owned()));
        tool(fixture.dir.path(), "openssl", arguments)
    };
    export("modern.p12", &[]).await;
    export("legacy.p12", &["-legacy"]).await;
    for name in ["modern.p12", "legacy.p12"] {
        let context = context_of(&fixture, keystore(&fixture, name), pem_trust(&fixture));
        meets_itself(name, &fixture, &context).await;
    }
    // Encrypted keys as openssl writes them today, and as it did long ago (`Proc-Type: 4,ENCRYPTED`).
    for (name, form) in [
        ("pkcs8.key", "pkcs8 -topk8 -v2 aes-256-cbc"),
        ("traditional.key", "rsa -aes128 -traditional"),
    ] {
        let arguments = format!("{form} -in made.key -passout pass:secret -out {name}");
        tool(fixture.dir.path(), "openssl", words(&arguments)).await;
        let key = KeySource::Pem {
            key: fixture.configured(name),
            passphrase: Some("secret".into()),
            certificate: fixture.configured("made.crt"),
        };
        let context = context_of(&fixture, key, pem_trust(&fixture));
        meets_itself(name, &fixture, &context).await;
    }
}

#[tokio::test]
async fn stores_of_keytool_are_material_of_a_node() {
    if !have("openssl") || !have("keytool") {
        return;
    }
    let fixture = Fixture::new();
    let store = "-storetype PKCS12 -storepass secret -keystore node.p12";
    for step in [
        format!("-genkeypair -alias node -keyalg RSA -keysize 2048 -dname CN=node-1 {store}"),
        format!("-certreq -alias node -file node.csr {store}"),
    ] {
        tool(fixture.dir.path(), "keytool", words(&step)).await;
    }
    sign(&fixture, "node").await;
    for step in [
        format!("-importcert -noprompt -alias ca -file ca.crt {store}"),
        format!("-importcert -noprompt -alias node -file node.crt {store}"),
        "-importcert -noprompt -alias ca -file ca.crt -storetype PKCS12 -storepass secret -keystore trust.p12".to_owned(),
    ] {
        tool(fixture.dir.path(), "keytool", words(&step)).await;
    }
    let trust = TrustSource::Truststore {
        path: fixture.configured("trust.p12"),
        password: "secret".into(),
    };
    let separate = context_of(&fixture, keystore(&fixture, "node.p12"), trust);
    meets_itself("a truststore of keytool", &fixture, &separate).await;
    let own = TrustSource::OwnCertificates;
    let single = context_of(&fixture, keystore(&fixture, "node.p12"), own);
    meets_itself("one store of keytool for key and trust", &fixture, &single).await;
}

#[tokio::test]
async fn old_stores_of_keytool_are_material_of_a_node() {
    if !have("openssl") || !have("keytool") {
        return;
    }
    let fixture = Fixture::new();
    let trust = "-storetype JKS -storepass secret -keystore trust.jks";
    for (name, key_password) in [("same.jks", "secret"), ("other.jks", "of-the-key")] {
        let store = format!("-storetype JKS -storepass secret -keystore {name}");
        for step in [
            format!(
                "-genkeypair -alias node -keyalg RSA -keysize 2048 -dname CN=node-1 -keypass {key_password} {store}"
            ),
            format!("-certreq -alias node -file node.csr -keypass {key_password} {store}"),
        ] {
            tool(fixture.dir.path(), "keytool", words(&step)).await;
        }
        sign(&fixture, "node").await;
        for step in [
            format!("-importcert -noprompt -alias ca -file ca.crt {store}"),
            format!(
                "-importcert -noprompt -alias node -file node.crt -keypass {key_password} {store}"
            ),
        ] {
            tool(fixture.dir.path(), "keytool", words(&step)).await;
        }
        let key = |password: &str| KeySource::Keystore {
            path: fixture.configured(name),
            password: "secret".into(),
            key_password: Some(password.into()),
        };
        let single = context_of(&fixture, key(key_password), TrustSource::OwnCertificates);
        meets_itself(name, &fixture, &single).await;
        let rows = single.certificates();
        assert!(rows.iter().all(|row| row.format == "jks"), "{rows:?}");
        let doubts = single.checkup(&[]);
        let weak = doubts
            .iter()
            .any(|doubt| doubt.to_string().contains("of the JKS format"));
        assert!(weak, "{doubts:?}");
        let wrong = SslConfig::new("p", key("wrong"), TrustSource::OwnCertificates);
        let error = SslContext::load(wrong, &[]).unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains("[jks] keystore")
                && line.contains(name)
                && line.contains("incorrect key-password"),
            "{line}"
        );
    }
    // A truststore may have keys too, whose password is not asked for.
    let import = format!("-importcert -noprompt -alias ca -file ca.crt {trust}");
    tool(fixture.dir.path(), "keytool", words(&import)).await;
    for name in ["trust.jks", "other.jks"] {
        let trust = TrustSource::Truststore {
            path: fixture.configured(name),
            password: "secret".into(),
        };
        fixture.key(Cert::Good);
        let node = context_of(&fixture, fixture.pem_key("Good"), trust);
        meets_itself(name, &fixture, &node).await;
    }
}

/// Signs `<name>.csr` with openssl and the fixture's authority; writes `<name>.crt`.
async fn sign(fixture: &Fixture, name: &str) {
    let key = pem::encode_private_key(fixture.ca.private_key(), None).unwrap();
    fixture.write("ca.key", key.expose());
    fixture.write("names.ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    let sign = format!(
        "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
         -extfile names.ext -out {name}.crt"
    );
    tool(fixture.dir.path(), "openssl", words(&sign)).await;
}

fn context(
    fixture: &Fixture,
    cert: Cert,
    mode: VerificationMode,
    authentication: ClientAuthentication,
    protocol: &str,
) -> Arc<SslContext> {
    let mut config = fixture.config(cert);
    config.verification_mode = mode;
    config.client_authentication = authentication;
    config.protocols = vec![protocol.to_owned()];
    fixture.context(config)
}

fn context_of(fixture: &Fixture, key: KeySource, trust: TrustSource) -> Arc<SslContext> {
    fixture.context(SslConfig::new("xpack.security.transport.ssl", key, trust))
}

fn keystore(fixture: &Fixture, name: &str) -> KeySource {
    KeySource::Keystore {
        path: fixture.configured(name),
        password: "secret".into(),
        key_password: None,
    }
}

fn pem_trust(fixture: &Fixture) -> TrustSource {
    TrustSource::Pem(vec![fixture.configured("ca.crt")])
}

/// A mutual handshake of the context with itself and with a certificate of ours, in both directions.
async fn meets_itself(what: &str, fixture: &Fixture, context: &Arc<SslContext>) {
    let ours = fixture.context(fixture.config(Cert::Good));
    for (server, client) in [(context, context), (&ours, context), (context, &ours)] {
        let outcome = shake(server, client, "localhost").await;
        check(&format!("{what}: at the server"), &outcome.server, "");
        check(&format!("{what}: at the client"), &outcome.client, "");
    }
}

/// Runs `s_client` against the context; returns how the handshake ended here, and what s_client printed.
///
/// The server sends back what it reads.
async fn serve_s_client(
    server: &Arc<SslContext>,
    arguments: &[String],
) -> (Result<(), HandshakeFailure>, String) {
    serve_s_client_of(server, arguments, &[]).await
}

async fn serve_s_client_of(
    server: &Arc<SslContext>,
    arguments: &[String],
    environment: &[(&str, &Path)],
) -> (Result<(), HandshakeFailure>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut s_client = Command::new("openssl")
        .args(arguments)
        .args(["-connect", &address])
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = s_client.stdin.take().unwrap();
    input.write_all(b"ping\n").await.unwrap();
    let serve = async {
        let (socket, peer) = listener.accept().await.unwrap();
        let mut stream = server.accept(socket, peer, WITHIN).await?;
        let mut ping = [0; 5];
        stream.read_exact(&mut ping).await.unwrap();
        stream.write_all(&ping).await.unwrap();
        stream.shutdown().await.unwrap();
        Ok(())
    };
    let (served, output) = tokio::join!(serve, s_client.wait_with_output());
    drop(input);
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (served, String::from_utf8_lossy(&said).into_owned())
}

fn s_client_arguments(fixture: &Fixture, client: Cert, protocol: &str) -> Vec<String> {
    let ca = fixture.path("ca.crt");
    let mut arguments = words("s_client -verify_hostname localhost -verify_return_error -CAfile");
    arguments.extend([text(&ca), protocol.to_owned()]);
    arguments.extend(shown(fixture, client));
    arguments
}

/// An `openssl s_server` that sends back what it reads, reversed (`-rev`).
struct SServer {
    _process: Child,
    port: u16,
}

impl SServer {
    async fn start(fixture: &Fixture, cert: Cert, protocol: &str, asks: Option<&str>) -> Self {
        Self::start_with(fixture, shown(fixture, cert), protocol, asks).await
    }

    async fn start_with(
        fixture: &Fixture,
        shown: Vec<String>,
        protocol: &str,
        asks: Option<&str>,
    ) -> Self {
        Self::start_of(fixture, shown, protocol, asks, &[]).await
    }

    async fn start_of(
        fixture: &Fixture,
        shown: Vec<String>,
        protocol: &str,
        asks: Option<&str>,
        environment: &[(&str, &Path)],
    ) -> Self {
        let mut arguments = words("s_server -accept 127.0.0.1:0 -rev -verify_return_error -CAfile");
        arguments.extend([text(&fixture.path("ca.crt")), protocol.to_owned()]);
        arguments.extend(shown);
        if let Some(asks) = asks {
            arguments.extend([asks.to_owned(), "2".to_owned()]);
        }
        let mut process = Command::new("openssl")
            .args(&arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("s_server ended before it listened");
            if let Some(address) = line.strip_prefix("ACCEPT ") {
                break address.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        // Its output is read to the end, or a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            _process: process,
            port,
        }
    }

    async fn dial(&self, context: &Arc<SslContext>) -> Result<(), HandshakeFailure> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let address = socket.peer_addr().unwrap();
        let mut stream = context
            .connect(socket, "localhost", address, WITHIN)
            .await?;
        let exchanged = async {
            stream.write_all(b"ping\n").await?;
            stream.flush().await?;
            let mut pong = [0; 5];
            stream.read_exact(&mut pong).await?;
            Ok::<_, std::io::Error>(pong)
        };
        match exchanged.await {
            Ok(pong) => {
                assert_eq!(&pong, b"gnip\n");
                Ok(())
            }
            Err(error) => Err(explain_io_error(&error)
                .unwrap_or_else(|| panic!("not explained: {error:?}"))
                .clone()),
        }
    }
}

/// Returns the options with which openssl shows the certificate; none for none.
fn shown(fixture: &Fixture, cert: Cert) -> Vec<String> {
    if cert == Cert::None {
        return Vec::new();
    }
    fixture.key(cert);
    let [key, certificate] =
        ["key", "crt"].map(|kind| text(&fixture.path(&format!("{cert:?}.{kind}"))));
    ["-key", &key, "-cert", &certificate]
        .map(str::to_owned)
        .to_vec()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

async fn tool(directory: &Path, program: &str, arguments: Vec<String>) {
    let mut command = Command::new(program);
    let output = command
        .args(&arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

fn have(program: &str) -> bool {
    let found = std::process::Command::new(program)
        .arg("version")
        .output()
        .is_ok();
    if !found {
        eprintln!("skipped: no {program} on this machine");
    }
    found
}
