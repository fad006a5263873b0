//! TLS and HTTP/2: the same requests in other clothes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use bytes::Bytes;
use h2::{client, server};
use http::{HeaderMap, Request, Response};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName},
};

use crate::stage::{Application, Client, Stage, eventually, ok, read_head};

struct Identity {
    pem: String,
    der: CertificateDer<'static>,
}

fn identity(name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Identity { pem: certificate.pem() + &key.serialize_pem(), der: certificate.der().clone() }
}

fn policy(stage: &Stage, applications: &[(&str, &Identity)], least: &str) -> String {
    let applications: Vec<serde_json::Value> = applications
        .iter()
        .map(|(host, identity)| {
            serde_json::json!({
                "appID": host, "sqli": {"effect": "prevent"}, "certificate": {"plain": identity.pem},
                "tlsConfig": {"minTLSVersion": least, "HSTSConfig": {"enabled": true, "maxAgeSeconds": 60}},
                "apiSpec": {"endpoints": [
                    {"host": host, "basePath": "*", "exposedPort": stage.port, "internalPort": 0, "tls": true, "http2": true}
                ]},
            })
        })
        .collect();
    serde_json::json!({"version": 1, "rule": "shop", "applications": applications}).to_string()
}

fn config(trusted: &Identity, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn connected(
    port: u16,
    name: &str,
    trusted: &Identity,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config(trusted, versions)), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap())
}

/// A client that trusts one certificate, and says what it got instead of an answer.
fn ask(
    port: u16,
    name: &str,
    trusted: &Identity,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<String, String> {
    let mut stream = connected(port, name, trusted, versions);
    write!(stream, "GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").map_err(|error| error.to_string())?;
    let mut all = String::new();
    stream.read_to_string(&mut all).map_err(|error| error.to_string())?;
    Ok(all)
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// Each host has its certificate, the application hears that the way was safe, and browsers are told to come back so.
#[test]
fn hosts_have_certificates() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let (one, other) = (identity("one.test"), identity("other.test"));
    stage.waas.take_policy("1", Some(&policy(&stage, &[("one.test", &one), ("other.test", &other)], "1.2")));
    assert_eq!(stage.waas.status().unwrap()["error"], serde_json::Value::Null);

    for (name, identity) in [("one.test", &one), ("other.test", &other)] {
        let all = ask(stage.port, name, identity, BOTH).unwrap();
        assert!(all.contains("X-Forwarded-Proto: https\r\n"), "{all}");
        assert!(all.contains("Strict-Transport-Security: max-age=60\r\n"), "{all}");
    }
    assert!(ask(stage.port, "one.test", &other, BOTH).is_err());
}

/// Old versions are spoken unless the policy forbids it, and new certificates come without a restart.
#[test]
fn policies_change_tls() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    let (first, second) = (identity("one.test"), identity("one.test"));
    let old: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

    stage.waas.take_policy("1", Some(&policy(&stage, &[("*", &first)], "1.2")));
    assert!(ask(stage.port, "one.test", &first, old).unwrap().starts_with("HTTP/1.1 200 "));
    stage.waas.take_policy("2", Some(&policy(&stage, &[("*", &second)], "1.3")));
    assert!(ask(stage.port, "one.test", &second, old).is_err());
    assert!(ask(stage.port, "one.test", &first, BOTH).is_err());
    assert!(ask(stage.port, "one.test", &second, BOTH).unwrap().starts_with("HTTP/1.1 200 "));
}

/// Who speaks HTTP where TLS is spoken is told so.
#[test]
fn plain_http_is_refused_where_tls_is_spoken() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    stage.waas.take_policy("1", Some(&policy(&stage, &[("*", &identity("one.test"))], "1.2")));

    assert_eq!(stage.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").0, 400);
    assert!(application.seen().is_empty());
}

/// Before any policy nobody knows what an application speaks: TLS of its own passes as it is.
#[test]
fn foreign_tls_passes_without_a_policy() {
    let application = Application::raw(|mut stream| {
        let mut hello = [0; 5];
        stream.read_exact(&mut hello)?;
        stream.write_all(&hello)
    });
    let stage = Stage::with_nothing(application.port);
    let mut client = stage.connect();
    client.send([22, 3, 1, 0, 1]);
    let mut answer = [0; 5];
    client.0.read_exact(&mut answer).unwrap();

    assert_eq!(answer, [22, 3, 1, 0, 1]);
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn http2(port: u16) -> client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (requests, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    requests.ready().await.unwrap()
}

async fn whole(response: client::ResponseFuture) -> (u16, Vec<u8>, HeaderMap) {
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    (head.status.as_u16(), all, body.trailers().await.unwrap().unwrap_or_default())
}

/// HTTP/2 is agreed on within TLS (ALPN) by clients that speak it, and HTTP/1.1 by those that do not; both are judged.
#[test]
fn http2_is_agreed_on() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let shop = identity("shop.test");
    stage.waas.take_policy("1", Some(&policy(&stage, &[("shop.test", &shop)], "1.2")));
    let connect = async |protocols: &[&[u8]]| {
        let mut config = config(&shop, BOTH);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", stage.port)).await.unwrap();
        let name = ServerName::try_from("shop.test").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        (stream, agreed)
    };
    run(async {
        let (_, agreed) = connect(&[b"http/1.1"]).await;
        assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
        let (stream, agreed) = connect(&[b"h2", b"http/1.1"]).await;
        assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
        let (requests, connection) = client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut requests = requests.ready().await.unwrap();
        let ask = |uri: &str| Request::get(uri).body(()).unwrap();
        let (response, _) = requests.send_request(ask("https://shop.test/a"), true).unwrap();
        let (status, text, _) = whole(response).await;
        let text = String::from_utf8(text).unwrap();
        assert!(status == 200 && text.contains("X-Forwarded-Proto: https\r\n"), "{text}");
        let (response, _) = requests.send_request(ask("https://shop.test/?q=attack"), true).unwrap();
        assert_eq!(whole(response).await.0, 403);
    });
    assert_eq!(application.seen().len(), 1);
}

/// A new certificate is for those who connect after it came; who is connected is served on.
#[test]
fn open_connections_outlive_certificates() {
    let stage = Stage::new(Application::new(|_| ok("x")).port);
    let (first, second) = (identity("one.test"), identity("one.test"));
    stage.waas.take_policy("1", Some(&policy(&stage, &[("*", &first)], "1.2")));
    let mut old = connected(stage.port, "one.test", &first, BOTH);
    let mut asked = || {
        old.write_all(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n").unwrap();
        let mut reader = BufReader::new(&mut old);
        let head = read_head(&mut reader);
        reader.read_exact(&mut [0; 1]).unwrap();
        head
    };
    assert!(asked().starts_with("HTTP/1.1 200 "));

    stage.waas.take_policy("2", Some(&policy(&stage, &[("*", &second)], "1.2")));

    assert!(ask(stage.port, "one.test", &second, BOTH).unwrap().starts_with("HTTP/1.1 200 "));
    assert!(asked().starts_with("HTTP/1.1 200 "));
}

/// What calls itself gRPC at an endpoint that does not speak it is judged as a whole, as anything else is.
#[test]
fn the_name_of_grpc_hides_nothing() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 6\r\n\r\nattack";

    assert_eq!(stage.ask(request).0, 403);

    assert!(application.seen().is_empty());
}

/// Requests of HTTP/2 reach an application that speaks HTTP/1.1, and attacks among them do not.
#[test]
fn http2_is_spoken_to_clients() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    run(async {
        let mut requests = http2(stage.port).await;
        let ask = |uri: &str| Request::post(uri).header("x-a", "1").body(()).unwrap();
        let (response, mut body) = requests.send_request(ask("http://shop.test/a?b=c"), false).unwrap();
        body.send_data("x=1".into(), true).unwrap();
        let (status, text, _) = whole(response).await;
        let text = String::from_utf8(text).unwrap();
        assert_eq!(status, 200);
        assert!(
            text.starts_with("POST /a?b=c HTTP/1.1\r\nHost: shop.test\r\n") && text.ends_with("\r\n\r\nx=1"),
            "{text}"
        );

        let (response, _) = requests.send_request(ask("http://shop.test/?q=attack"), true).unwrap();
        assert_eq!(whole(response).await.0, 403);
        let smuggled = Request::post("http://a/").header("host", "b").body(()).unwrap();
        let (response, _) = requests.send_request(smuggled, true).unwrap();
        assert_eq!(whole(response).await.0, 400);
    });
    assert_eq!(application.seen().len(), 1);
}

/// An application that speaks gRPC and answers each message with itself.
fn caller() -> Application {
    Application::raw(|stream| {
        stream.set_nonblocking(true)?;
        run(async {
            let mut connection = server::handshake(tokio::net::TcpStream::from_std(stream)?).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                assert_eq!(request.headers()["te"], "trailers");
                tokio::spawn(async move {
                    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
                    let mut stream = respond.send_response(response, false).unwrap();
                    let mut body = request.into_body();
                    while let Some(Ok(piece)) = body.data().await {
                        body.flow_control().release_capacity(piece.len()).unwrap();
                        stream.send_data(piece, false).unwrap();
                    }
                    stream
                        .send_trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]))
                        .unwrap();
                });
            }
            Ok(())
        })
    })
}

/// A message with what stands before it ("gRPC over HTTP2", Length-Prefixed-Message), of one field with a text.
fn call(text: &str) -> Bytes {
    let field = [&[0x0a, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [&[0][..], &u32::try_from(field.len()).unwrap().to_be_bytes(), &field].concat().into()
}

/// A stage whose one endpoint is of gRPC.
fn calls(application: &Application) -> Stage {
    let stage = Stage::new(application.port);
    let policy = format!(
        r#"{{"version":1,"rule":"r","applications":[{{"appID":"a","sqli":{{"effect":"prevent"}},"apiSpec":{{"endpoints":[
            {{"host":"*","basePath":"*","exposedPort":{},"internalPort":{},"grpc":true}}]}}}}]}}"#,
        stage.port, application.port
    );
    stage.waas.take_policy("1", Some(&policy));
    stage
}

fn watching() -> Request<()> {
    let request = Request::post("http://a/shop.Carts/Watch").header("content-type", "application/grpc");
    request.header("te", "trailers").body(()).unwrap()
}

/// A message of a call is judged before the application has any of it, also when the call began long ago, in whatever pieces it
/// comes, deep within other messages.
#[test]
fn messages_of_grpc_are_judged() {
    let application = caller();
    let stage = calls(&application);
    run(async {
        let mut requests = http2(stage.port).await;
        let (response, mut up) = requests.send_request(watching(), false).unwrap();
        up.send_data(call("an attack"), false).unwrap();
        assert_eq!(whole(response).await.0, 403);

        let (response, mut up) = requests.send_request(watching(), false).unwrap();
        up.send_data(call("one"), false).unwrap();
        let mut down = response.await.unwrap().into_body();
        assert_eq!(down.data().await.unwrap().unwrap(), call("one"));
        let within = call("attack").slice(5..);
        let message = [&[0_u8, 0, 0, 0, 10, 0x12, 8][..], &within].concat();
        up.send_data(Bytes::copy_from_slice(&message[..9]), false).unwrap();
        up.send_data(Bytes::copy_from_slice(&message[9..]), false).unwrap();
        assert!(!matches!(down.data().await, Some(Ok(_))));
    });
    let told = stage.reports.requests();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|event| event.attack == "sqli"));
}

/// A call of gRPC goes to an application that speaks HTTP/2: messages both ways at once, and the outcome after them.
#[test]
fn calls_of_grpc_pass() {
    let application = caller();
    let stage = calls(&application);
    run(async {
        let mut requests = http2(stage.port).await;
        let (response, mut up) = requests.send_request(watching(), false).unwrap();
        up.send_data(call("one"), false).unwrap();
        let (head, mut down) = response.await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(down.data().await.unwrap().unwrap(), call("one"));
        up.send_data(call("two"), true).unwrap();
        assert_eq!(down.data().await.unwrap().unwrap(), call("two"));
        assert!(down.data().await.is_none());
        assert_eq!(down.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    });
}

/// A connection that begins like HTTP/2 and goes on otherwise reaches nobody.
#[test]
fn half_a_preface_is_no_request() {
    let application = Application::echo();
    let stage = Stage::new(application.port);
    let mut client: Client = stage.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(read_head(&mut BufReader::new(&mut client.0 as &mut dyn BufRead)).starts_with("HTTP/1.1 400 "));
    assert!(application.seen().is_empty());
    eventually("a refusal", || stage.counter("parseErrors") == 1);
}
