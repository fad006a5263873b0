//! The link to the Console against a small one of our own: TLS, certificates, WebSocket, and whatever can go wrong.
#![allow(clippy::expect_used, clippy::panic, reason = "a test ends where its ground is missing")]
#[path = "channel/proxy.rs"]
mod proxy;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use defender_agent::{
    config::{EmbeddedConfig, Environment},
    enforcement::{AuditSink, FailMode, TierReport},
    link::{
        background::Background,
        console::{self, Speaker},
        desk::{self, Desk},
        identity,
        message::{FromConsole, Kind, ToConsole, WorkloadPolicy, encode},
        protected::Embedded,
    },
    waas::{self, Waas, front::Front, limits::Limits},
};
use defender_core::{AuditDraft, DefenderPolicy, Event, LookupEvent, Notice, Reason};
use defender_waf::seclang::{Source, load};
use futures_util::{SinkExt, StreamExt};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        http::HeaderValue,
    },
};

const DEADLINE: Duration = Duration::from_secs(20);
const DAY: u64 = 86_400_000;
/// What comes before the point of a P-256 key in its `SubjectPublicKeyInfo` (RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("in time")
}

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn pin(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.certificate);
        hex(digest.as_ref())
    }

    fn server(&self) -> ServerConfig {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .expect("a configuration")
    }

    /// A client certificate for the key of a request.
    fn client(&self, request: &str) -> String {
        let der =
            rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(request.as_bytes()).expect("a request");
        let at = der.windows(P256.len()).position(|window| window == P256).expect("a P-256 key") + P256.len();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&Key(der[at..at + 65].to_vec()), &self.issuer).expect("a certificate").pem()
    }
}

/// The public half of somebody's key.
struct Key(Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A Console that does what the test says.
struct FakeConsole {
    authority: Authority,
    listener: TcpListener,
    tls: TlsAcceptor,
}

/// One accepted WebSocket.
struct Peer {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    path: String,
    certified: bool,
}

impl FakeConsole {
    async fn start() -> Self {
        let authority = Authority::new();
        let tls = TlsAcceptor::from(Arc::new(authority.server()));
        Self { authority, listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"), tls }
    }

    /// A link of a fresh Defender to this Console; the desk is the application's side of it.
    fn link(&self, pin: &str) -> (Arc<Desk>, Background) {
        let address = format!("wss://localhost:{}", self.listener.local_addr().expect("bound").port());
        let bundle = format!(r#"{{"v":1,"id":"b1","secret":"hush","pins":["{pin}"],"addresses":["{address}"]}}"#);
        let environment: Environment =
            [("INSTALL_BUNDLE", STANDARD.encode(bundle)), ("DEFENDER_APP_ID", "shop".to_owned())].into_iter().collect();
        let config = EmbeddedConfig::read(&environment).expect("a configuration").console;
        let desk = Desk::new(identity::instance().expect("random"));
        let protected = Arc::new(Front::new(Arc::new(Embedded(desk.clone())), proxy_of(&desk), None));
        let (kind, task, instance) = (Kind::AppEmbedded, None, desk.instance().to_owned());
        let speaker = Speaker { config, kind, task, instance, protected };
        (desk, Background::start(move |stop| console::run(speaker, stop)).expect("a link"))
    }

    /// The next WebSocket; handshakes that fail are passed over.
    async fn accept(&self) -> Peer {
        within(Box::pin(async {
            loop {
                let (stream, _) = self.listener.accept().await.expect("accepted");
                let Ok(stream) = self.tls.accept(stream).await else { continue };
                let certified = stream.get_ref().1.peer_certificates().is_some();
                let mut path = String::new();
                // The callback's type is the library's.
                #[allow(clippy::result_large_err, reason = "the callback's type is the library's")]
                let note = |request: &Request, mut response: Response| {
                    request.uri().path().clone_into(&mut path);
                    response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("bartizan.v1"));
                    Ok(response)
                };
                let socket = accept_hdr_async(stream, note).await.expect("a WebSocket");
                return Peer { socket, path, certified };
            }
        }))
        .await
    }

    /// Serves one enrolment; the certificate is said to live for `life` milliseconds.
    async fn enrol(&self, life: u64) {
        let mut peer = self.accept().await;
        assert_eq!((peer.path.as_str(), peer.certified), ("/enrol", false));
        let ToConsole::Enrol { bundle, secret, csr, .. } = peer.receive().await else { panic!("an enrolment") };
        assert_eq!((bundle.as_str(), secret.as_str()), ("b1", "hush"));
        let certificate = self.authority.client(&csr);
        peer.send(&FromConsole::Enrolled { certificate, ca: String::new(), not_after: desk::now() + life }).await;
    }

    /// Accepts a channel up to the welcome and gives its peer.
    async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        assert_eq!((peer.path.as_str(), peer.certified), ("/channel", true));
        let first = peer.receive().await;
        let ToConsole::Hello { architecture, .. } = first else { panic!("a hello") };
        assert!(["amd64", "arm64"].contains(&architecture.as_str()), "{architecture}");
        peer.send(&FromConsole::Welcome { server_time: desk::now(), heartbeat_seconds: 30, max_batch: 2 }).await;
        peer
    }
}

impl Peer {
    async fn receive(&mut self) -> ToConsole {
        within(async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("a message"),
                    Some(Ok(_)) => {}
                    other => panic!("a message was expected, not {other:?}"),
                }
            }
        })
        .await
    }

    async fn send(&mut self, message: &FromConsole) {
        within(self.socket.send(Message::text(encode(message)))).await.expect("sent");
    }

    /// The numbers of the next batch of audits.
    async fn batch(&mut self) -> Vec<u64> {
        loop {
            if let ToConsole::Audits { audits, .. } = self.receive().await {
                return audits.iter().map(|audit| audit.seq).collect();
            }
        }
    }
}

/// The Console asks for the record and gets a piece; observations come before the goodbye, and again until they arrived.
#[tokio::test]
async fn record_and_observations_come_over_the_channel() {
    let console = FakeConsole::start().await;
    let (desk, link) = console.link(&console.authority.pin());
    console.enrol(DAY).await;
    let mut peer = console.welcome().await;
    let event = LookupEvent { name: "a.test".into(), record_type: "A".into(), pid: 1, path: String::new() };
    desk.saw(&Event::Lookup(event), None);
    let id = "ab".repeat(16);
    let fetch = FromConsole::Fetch { id: id.clone(), container: None, after: 0, reason: "a look".into() };
    peer.send(&fetch).await;
    loop {
        let ToConsole::Snapshot { id: answered, container, first, newest, events } = peer.receive().await else {
            continue;
        };
        assert_eq!((answered, container, first, newest, events.len()), (id, None, 1, 1, 1));
        break;
    }
    let stopping = tokio::task::spawn_blocking(|| link.stop());
    let mut seen = Vec::new();
    loop {
        match peer.receive().await {
            ToConsole::Observations { number, observed, .. } => seen.push((number, observed[0].value.clone())),
            ToConsole::Goodbye { .. } => break,
            _ => {}
        }
    }
    assert_eq!(seen, [(1, "a.test".to_owned())]);
    within(stopping).await.expect("stopped");
}

fn draft() -> AuditDraft {
    AuditDraft::notice(1, Notice::NotEnforcing, "x", 0)
}

async fn at_desk<T: Send + 'static>(desk: &Arc<Desk>, act: impl FnOnce(&Desk) -> T + Send + 'static) -> T {
    let desk = desk.clone();
    tokio::task::spawn_blocking(move || act(&desk)).await.expect("no panic")
}

async fn stop(link: Background) {
    within(tokio::task::spawn_blocking(|| link.stop())).await.expect("stopped");
}

/// What the Console has not committed is sent again on the next connection, and nothing else is.
#[tokio::test]
async fn a_reconnect_sends_again_what_is_not_committed() {
    let console = FakeConsole::start().await;
    let (desk, link) = console.link(&console.authority.pin());
    (0..4).for_each(|_| desk.submit(draft()));
    console.enrol(DAY).await;
    let mut first = console.welcome().await;
    assert_eq!((first.batch().await, first.batch().await), (vec![1, 2], vec![3, 4]));
    first.send(&FromConsole::Ack { source: desk.instance().to_owned(), committed: 2 }).await;
    assert!(!at_desk(&desk, |desk| desk.flush(Duration::from_millis(1))).await);
    // The acknowledgement is on its way before the connection breaks.
    first.send(&FromConsole::Policies { revision: 1, policies: vec![policy("a")] }).await;
    assert!(at_desk(&desk, |desk| desk.wait_for_policy(DEADLINE)).await);
    drop(first);

    let mut second = console.welcome().await;

    assert_eq!(second.batch().await, [3, 4]);
    second.send(&FromConsole::Ack { source: desk.instance().to_owned(), committed: 4 }).await;
    assert!(at_desk(&desk, |desk| desk.flush(DEADLINE)).await);
    stop(link).await;
}

/// A proxy that waits for a policy, and objects to everything that says `attack`.
fn proxy_of(desk: &Arc<Desk>) -> Arc<Waas> {
    let rules = |_| {
        let text = br#"SecRule ARGS "@contains attack" "id:942001,phase:1,deny,status:403,severity:CRITICAL""#;
        load(&[Source { name: "rules.conf", text }], &[]).map(Arc::new).map_err(|error| error.to_string())
    };
    let config = waas::Config {
        opened: Vec::new(),
        fail_mode: FailMode::Open,
        limits: Limits::default(),
        rules: Box::new(rules),
        reporter: desk.clone(),
        instance: desk.instance().to_owned(),
        certificates: std::collections::BTreeMap::new(),
        resolvers: Vec::new(),
        secret: [7; 32],
        whose: defender_agent::waas::bystanders::Whose::Workload,
    };
    Waas::start(config).expect("a proxy")
}

fn policy(digit: &str) -> WorkloadPolicy {
    let policy = DefenderPolicy { version: 1, rule: Some("shop".into()), ..DefenderPolicy::default() };
    WorkloadPolicy { container: None, hash: digit.repeat(64), policy }
}

/// Policies are put in force and reported; one that cannot be understood leaves the last good one.
#[tokio::test]
async fn a_bad_policy_leaves_the_last_good_one() {
    let console = FakeConsole::start().await;
    let (desk, link) = console.link(&console.authority.pin());
    console.enrol(DAY).await;
    let mut peer = console.welcome().await;
    let mut bad = policy("b");
    bad.policy.version = 2;

    peer.send(&FromConsole::Policies { revision: 1, policies: vec![policy("a")] }).await;
    peer.send(&FromConsole::Policies { revision: 2, policies: vec![bad] }).await;

    let reported = loop {
        if let ToConsole::Status { workloads, .. } = peer.receive().await
            && let Some(hash) = &workloads[0].policy_hash
        {
            break hash.clone();
        }
    };
    assert_eq!(reported, "a".repeat(64));
    desk.report(1, Vec::new());
    let tier = loop {
        if let ToConsole::Status { workloads, .. } = peer.receive().await {
            break workloads[0].tier;
        }
    };
    assert_eq!((tier, desk.status().policy_hash), (1, Some("a".repeat(64))));
    stop(link).await;
}

/// A Console below another authority gets no WebSocket, so the install bundle's secret never reaches it.
#[tokio::test]
async fn the_secret_goes_to_the_pinned_console_alone() {
    let (console, other) = (FakeConsole::start().await, Authority::new());
    let (_desk, link) = console.link(&other.pin());

    for _ in 0..2 {
        let (stream, _) = within(console.listener.accept()).await.expect("accepted");
        let refused = within(console.tls.accept(stream)).await;
        // TLS 1.3 may finish on our side first; then the refusal is what is read next.
        if let Ok(mut stream) = refused {
            let read = within(tokio::io::AsyncReadExt::read_u8(&mut stream)).await;
            assert!(read.is_err(), "{read:?}");
        }
    }
    stop(link).await;
}

/// The certificate is renewed in its middle, on the open channel.
#[tokio::test]
async fn a_certificate_is_renewed_in_its_middle() {
    let console = FakeConsole::start().await;
    let (_desk, link) = console.link(&console.authority.pin());
    console.enrol(2000).await;
    let mut peer = console.welcome().await;

    let began = desk::now();
    let csr = loop {
        if let ToConsole::Renew { csr } = peer.receive().await {
            break csr;
        }
    };

    assert!(desk::now() - began < 1900, "it would have ended before");
    let certificate = console.authority.client(&csr);
    peer.send(&FromConsole::Renewed { certificate, not_after: desk::now() + DAY }).await;
    drop(peer);
    // The next connection comes with the new certificate, without another enrolment.
    console.welcome().await;
    stop(link).await;
}

/// After a refusal that concerns the certificate the Defender enrols anew; before the welcome no audit goes out.
#[tokio::test]
async fn a_refused_defender_enrols_anew() {
    let console = FakeConsole::start().await;
    let (desk, link) = console.link(&console.authority.pin());
    desk.submit(draft());
    console.enrol(DAY).await;
    let mut peer = console.accept().await;
    assert!(matches!(peer.receive().await, ToConsole::Hello { .. }));
    let (code, message) = ("revoked".to_owned(), "no".to_owned());
    peer.send(&FromConsole::Error { code, message, retry_after_seconds: None }).await;

    console.enrol(DAY).await;

    assert_eq!(console.welcome().await.batch().await, [1]);
    stop(link).await;
}

/// A Defender that stops sends what is left, waits for its acknowledgement and says goodbye.
#[tokio::test]
async fn the_last_audits_go_out_before_the_goodbye() {
    let console = FakeConsole::start().await;
    let (desk, link) = console.link(&console.authority.pin());
    console.enrol(DAY).await;
    let mut peer = console.welcome().await;
    assert!(matches!(peer.receive().await, ToConsole::Status { .. }));
    (0..3).for_each(|_| desk.submit(draft()));
    let stopped = tokio::spawn(stop(link));

    let mut seen = 0;
    loop {
        match peer.receive().await {
            ToConsole::Audits { source, audits, .. } => {
                seen = audits.last().expect("an audit").seq;
                peer.send(&FromConsole::Ack { source, committed: seen }).await;
            }
            ToConsole::Goodbye { .. } => break,
            _ => {}
        }
    }

    assert_eq!(seen, 3);
    drop(peer);
    within(stopped).await.expect("stopped");
}
