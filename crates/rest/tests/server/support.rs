//! A server without a node behind it, and clients that keep to no rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringwall_api::action::{AnyMessage, ErasedRequest};
use ringwall_api::{
    ActionSpec, ApiError, ApiResult, Authentication, Client, ErrorCode, RequestContext,
};
use ringwall_pki::{
    CaParams, CertificateAuthority, DistinguishedName, KeySpec, NodeCertParams, pem,
};
use ringwall_rest::{RestConfig, RestServer, ServerHandle};
use ringwall_security::Authenticator;
use ringwall_tls::{
    ClientAuthentication, ClientStream, ConfiguredPath, KeySource, RefusalLog, SslConfig,
    SslContext, TrustSource,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub const WITHIN: Duration = Duration::from_secs(120);

/// Answers every action with an error: what is tested here comes before.
#[derive(Default)]
struct NoNode {
    admits_nobody: AtomicBool,
}

impl Client for NoNode {
    fn admit(&self, _caller: &Authentication, action: &ActionSpec) -> ApiResult<()> {
        match self.admits_nobody.load(Ordering::Relaxed) {
            true => Err(ApiError::new(ErrorCode::Security, action.name).with_status(403)),
            false => Ok(()),
        }
    }

    fn execute_erased(
        &self,
        _context: RequestContext,
        _request: ErasedRequest,
    ) -> BoxFuture<'_, ApiResult<AnyMessage>> {
        Box::pin(async { Err(ApiError::internal("there is no node here")) })
    }
}

pub struct Server {
    pub handle: Option<ServerHandle>,
    client: Arc<NoNode>,
    log: Arc<RefusalLog>,
    pub address: SocketAddr,
    pub tls: Option<Arc<SslContext>>,
    pub files: Files,
}

impl Server {
    /// Serves without TLS.
    pub async fn plain(config: RestConfig) -> Self {
        Self::start(config, Files::new()).await
    }

    /// Serves HTTPS, asking clients for certificates of the authority in [`Files`].
    pub async fn secure(config: RestConfig, clients: ClientAuthentication) -> Self {
        let files = Files::new();
        let ssl = SslConfig {
            client_authentication: clients,
            ..files.config("node")
        };
        let config = RestConfig {
            tls: Some(SslContext::load(ssl, &["h2", "http/1.1"]).unwrap()),
            ..config
        };
        Self::start(config, files).await
    }

    async fn start(config: RestConfig, files: Files) -> Self {
        let tls = config.tls.clone();
        let config = RestConfig {
            ports: 0..=0,
            ..config
        };
        let server = RestServer::bind(config).await.unwrap();
        let address = server.addresses()[0];
        let log = server.refusals();
        let client = Arc::new(NoNode::default());
        let handle = server.serve(client.clone(), Arc::new(Authenticator::disabled()), None);
        Self {
            client,
            handle: Some(handle),
            log,
            address,
            tls,
            files,
        }
    }

    /// Has every request refused that says what it is for.
    pub fn admits_nobody(&self) {
        self.client.admits_nobody.store(true, Ordering::Relaxed);
    }

    pub async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects as the holder of a certificate, with the first of these protocols that the server has.
    pub async fn tls_as(&self, name: &str, alpn: &[&str]) -> ClientStream {
        let context = SslContext::load(self.files.config(name), alpn).unwrap();
        let tcp = self.tcp().await;
        context
            .connect(tcp, "127.0.0.1", self.address, WITHIN)
            .await
            .unwrap()
    }

    /// Connects as one that reads nothing, and has room for little.
    pub async fn deaf(&self) -> ClientStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let tcp = socket.connect(self.address).await.unwrap();
        let context = SslContext::load(self.files.config("client"), &["http/1.1"]).unwrap();
        context
            .connect(tcp, "127.0.0.1", self.address, WITHIN)
            .await
            .unwrap()
    }

    pub async fn tls(&self) -> ClientStream {
        self.tls_as("client", &["http/1.1"]).await
    }

    pub async fn http2(&self) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.tls_as("client", &["h2"]).await;
        assert_eq!(stream.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Returns the lines that the log has of refused clients.
    pub fn refusals(&self) -> Vec<(&'static str, String)> {
        let told = self.log.told();
        told.into_iter().map(|told| (told.why, told.line)).collect()
    }

    /// Waits until a client was refused for this reason, and returns the line.
    pub async fn refused_for(&self, why: &str) -> String {
        let told = async {
            loop {
                let found = self.refusals().into_iter().find(|(told, _)| *told == why);
                match found {
                    Some((_, line)) => return line,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(WITHIN, told)
            .await
            .unwrap_or_else(|_| panic!("no refusal [{why}] in {:?}", self.refusals()))
    }
}

/// An authority and what it has issued, in a directory.
pub struct Files {
    pub dir: tempfile::TempDir,
    authority: CertificateAuthority,
}

impl Files {
    fn new() -> Self {
        let params = CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        };
        let files = Self {
            dir: tempfile::tempdir().unwrap(),
            authority: CertificateAuthority::generate(&params).unwrap(),
        };
        files.write("ca.crt", files.authority.certificate_pem());
        for name in ["node", "client"] {
            files.issue(name);
        }
        files
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn issue(&self, name: &str) {
        let issued = self
            .authority
            .issue(&NodeCertParams {
                key: KeySpec::EcP256,
                name: DistinguishedName::common_name(name),
                ips: vec![[127, 0, 0, 1].into()],
                ..NodeCertParams::default()
            })
            .unwrap();
        self.write(&format!("{name}.crt"), issued.certificate_pem());
        let key = pem::encode_private_key(&issued.key, None).unwrap();
        self.write(&format!("{name}.key"), key.expose());
    }

    /// Returns the configuration of a holder of this certificate who trusts the authority.
    pub fn config(&self, name: &str) -> SslConfig {
        let key = KeySource::Pem {
            key: self.path(&format!("{name}.key")),
            passphrase: None,
            certificate: self.path(&format!("{name}.crt")),
        };
        let trust = TrustSource::Pem(vec![self.path("ca.crt")]);
        SslConfig::new("xpack.security.http.ssl", key, trust)
    }

    fn path(&self, name: &str) -> ConfiguredPath {
        ConfiguredPath::new(name, self.dir.path())
    }

    /// Replaces what is trusted by another authority.
    pub fn trust_another(&self) {
        let another = Self::new();
        self.write("ca.crt", another.authority.certificate_pem());
    }
}

/// Sends bytes and returns everything that comes until the server closes.
pub async fn exchange(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, sent: &str) -> String {
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request on a connection that stays open, and returns the head and body of its answer.
pub async fn ask(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    request: &str,
) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = tokio::time::timeout(WITHIN, stream.read(&mut piece))
            .await
            .unwrap()
            .unwrap();
        assert!(
            read > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            return text.into_owned();
        }
    }
}

/// Waits until the server has closed the connection.
pub async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut byte = [0; 1];
    let read = tokio::time::timeout(WITHIN, stream.read(&mut byte)).await;
    let read = read.expect("the server closes in time");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

pub async fn answer(
    sender: &mut http2::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> (Response<()>, String) {
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(parts, ()),
        String::from_utf8_lossy(&body).into_owned(),
    )
}
