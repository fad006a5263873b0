//! HTTP/2 towards the application, without TLS and by prior knowledge (RFC 9113, section 3.3): what gRPC servers speak.
//!
//! The proxy writes HTTP/1.1 as ever; here each request becomes a stream of the one connection that is shared by all.

use std::{cell::RefCell, collections::HashMap, fmt::Write as _, time::Duration};

use bytes::Bytes;
use defender_waf::http::{Framing, Head, read_head};
use h2::{
    RecvStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response, Uri, Version};
use tokio::{
    io::{DuplexStream, duplex},
    net::TcpStream,
    task::spawn_local,
    time::timeout,
};

use super::{
    emission,
    http2::{BETWEEN, send_piece, trailers},
    limits::Limits,
    pool::{NoApplication, Pool, Upstream},
    request_body::RequestBody,
    wire::{Line, Wire},
};

/// Bytes that the application may send of a stream before some were taken.
const WINDOW: u32 = 1 << 20;

/// The connections to applications that speak HTTP/2, one for each port.
#[derive(Default)]
pub struct Shared(RefCell<HashMap<u16, SendRequest<Bytes>>>);

impl Shared {
    /// Something that takes one request of HTTP/1.1 and answers it by HTTP/2.
    ///
    /// # Errors
    /// [`NoApplication`].
    pub async fn open(&self, port: u16, limits: Limits) -> Result<Upstream, NoApplication> {
        let present = self.0.borrow().get(&port).cloned();
        let requests = match ready(present).await {
            Some(requests) => requests,
            None => self.connect(port, limits.connect).await?,
        };
        let (near, far) = duplex(BETWEEN);
        spawn_local(async move { carry(Wire::new(far), requests, limits).await });
        Ok(Upstream { wire: Wire::new(Line::Within(near)), used: false })
    }

    async fn connect(&self, port: u16, patience: Duration) -> Result<SendRequest<Bytes>, NoApplication> {
        let stream: TcpStream = Pool::connect(port, patience).await?;
        let mut builder = Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(4 * WINDOW).enable_push(false);
        let broken = |error: h2::Error| NoApplication::Unreachable(port, std::io::Error::other(error));
        let handshake = timeout(patience, builder.handshake(stream)).await;
        let (requests, connection) =
            handshake.map_err(|elapsed| NoApplication::Silent(port, elapsed))?.map_err(broken)?;
        // Its end shows with the next request.
        spawn_local(async move { drop(connection.await) });
        self.0.borrow_mut().insert(port, requests.clone());
        ready(Some(requests))
            .await
            .ok_or_else(|| NoApplication::Unreachable(port, std::io::ErrorKind::BrokenPipe.into()))
    }
}

async fn ready(requests: Option<SendRequest<Bytes>>) -> Option<SendRequest<Bytes>> {
    requests?.ready().await.ok()
}

/// One request and its response; when it breaks off, so does the line to the proxy.
async fn carry(near: Wire<DuplexStream>, mut requests: SendRequest<Bytes>, limits: Limits) -> Option<()> {
    let head = loop {
        let found = read_head(&near.received()).ok()?;
        if let Some((head, taken)) = found {
            near.consume(taken);
            break head;
        }
        near.fill().await.ok().filter(|count| *count > 0)?;
    };
    let mut body = RequestBody::new(head.framing(), false);
    let (response, mut stream) = requests.send_request(translated(&head)?, body.is_done()).ok()?;
    let sending = async {
        while !body.is_done() {
            let mut piece = Vec::new();
            // The proxy has its own time-outs for who sends.
            let patient = Limits { body: limits.silence, grace: limits.silence, ..limits };
            if body.next(&near, &patient, BETWEEN, &mut piece).await.is_err() {
                stream.send_reset(h2::Reason::CANCEL);
                return None;
            }
            send_piece(&mut stream, piece.into(), body.is_done()).await?;
        }
        std::future::pending().await
    };
    tokio::select! {
        outcome = sending => outcome,
        outcome = answer(&near, response, head.method()) => outcome,
    }
}

fn translated(head: &Head) -> Option<Request<()>> {
    let host = std::str::from_utf8(head.header("host")?).ok()?;
    let path = std::str::from_utf8(head.target()).ok()?;
    let uri = Uri::builder().scheme("http").authority(host).path_and_query(path).build().ok()?;
    let fields: Vec<(Vec<u8>, Vec<u8>)> = head
        .headers()
        .filter(|field| !field.name.eq_ignore_ascii_case(b"host"))
        .map(|field| (field.name.to_vec(), field.value.to_vec()))
        .collect();
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = http::Method::from_bytes(head.method()).ok()?;
    *request.uri_mut() = uri;
    *request.headers_mut() = trailers(&fields);
    Some(request)
}

async fn answer(near: &Wire<DuplexStream>, response: ResponseFuture, method: &[u8]) -> Option<()> {
    let (head, mut body): (http::response::Parts, RecvStream) = response.await.ok().map(Response::into_parts)?;
    let bodyless = method == b"HEAD" || matches!(head.status.as_u16(), 100..=199 | 204 | 304);
    let known = head.headers.contains_key(http::header::CONTENT_LENGTH);
    let framing = match (bodyless, body.is_end_stream(), known) {
        (true, ..) | (false, _, true) => Framing::None,
        (false, true, false) => Framing::Length(0),
        (false, false, false) => Framing::Chunked,
    };
    near.send(&written(&head, framing)).await.ok()?;
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        let mut out = Vec::new();
        if framing == Framing::Chunked {
            emission::chunk(&mut out, &piece);
        } else {
            out.extend_from_slice(&piece);
        }
        near.send(&out).await.ok()?;
        let _ = body.flow_control().release_capacity(piece.len());
    }
    if framing == Framing::Chunked {
        let last = body.trailers().await.ok()?.unwrap_or_default();
        let mut out = Vec::new();
        emission::last_chunk(&mut out, &fields(&last));
        near.send(&out).await.ok()?;
    }
    Some(())
}

fn fields(map: &HeaderMap) -> Vec<(Vec<u8>, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn written(head: &http::response::Parts, framing: Framing) -> Vec<u8> {
    let mut out = String::new();
    // Writing to memory cannot fail.
    let _ = write!(out, "HTTP/1.1 {}\r\n", head.status.as_u16());
    let mut out = out.into_bytes();
    for (name, value) in fields(&head.headers) {
        out.extend_from_slice(&[&name[..], b": ", &value, b"\r\n"].concat());
    }
    out.extend_from_slice(match framing {
        Framing::Chunked => b"Transfer-Encoding: chunked\r\n\r\n",
        Framing::Length(_) => b"Content-Length: 0\r\n\r\n",
        Framing::None => b"\r\n",
    });
    out
}
