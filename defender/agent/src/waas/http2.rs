//! HTTP/2 towards clients: each stream becomes a request of HTTP/1.1, so that one reader and one firewall judge both.
//!
//! A head that cannot be written as one of HTTP/1.1 (RFC 9113, section 8.2.1) is refused by the same strict parser that
//! refuses it there; lengths that contradict the stream are refused by `h2` (RFC 9113, section 8.1.1).

use std::rc::Rc;

use bytes::Bytes;
use defender_waf::firewall::ResponseHead;
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, SendResponse},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    task::spawn_local,
    time::timeout,
};

use super::{
    connection::Site,
    emission,
    response::{self, Parsed},
    response_body::ResponseBody,
    wire::Wire,
};

/// What a client that speaks HTTP/2 sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes between the two sides of a stream.
pub(super) const BETWEEN: usize = 64 << 10;
/// Requests of one connection at a time.
const MOST_STREAMS: u32 = 128;
/// Bytes that a client may send of a stream, and of a connection, before some were taken.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Streams that a client resets before they were answered, before the connection is closed (CVE-2023-44487).
const MOST_RESETS: usize = 64;

impl Site {
    /// Serves a connection of HTTP/2 to its end.
    pub(super) async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let plane = &self.local.plane;
        let limits = plane.limits;
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(MOST_STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(response::MOST_HEAD as u32)
            .max_concurrent_reset_streams(MOST_RESETS)
            .max_pending_accept_reset_streams(MOST_RESETS);
        let Ok(Ok(mut connection)) = timeout(limits.head, builder.handshake::<_, Bytes>(stream)).await else { return };
        let mut draining = self.local.draining.clone();
        // Each stream under way holds one more.
        let (streams, mut ending) = (Rc::new(()), false);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining), if !ending => {
                    ending = true;
                    connection.graceful_shutdown();
                    continue;
                }
                accepted = timeout(limits.idle, connection.accept()) => accepted,
            };
            match accepted {
                Ok(Some(Ok((request, respond)))) => {
                    let site = self.clone();
                    let held = streams.clone();
                    spawn_local(async move {
                        site.stream(request, respond).await;
                        drop(held);
                    });
                }
                Ok(Some(Err(_)) | None) => return,
                // Streams under way answer to their own time-outs.
                Err(_) if Rc::strong_count(&streams) > 1 => {}
                Err(_) if ending => return,
                Err(_) => {
                    ending = true;
                    connection.graceful_shutdown();
                }
            }
        }
    }

    /// One stream: its request goes in as HTTP/1.1, the response comes back as such.
    async fn stream(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, body) = request.into_parts();
        let method = head.method.as_str().as_bytes().to_vec();
        let (near, far) = duplex(BETWEEN);
        let site = self.clone();
        spawn_local(async move { site.serve_requests(Wire::new(far)).await });
        let near = Wire::new(near);
        let chunked = !body.is_end_stream() && !head.headers.contains_key(http::header::CONTENT_LENGTH);
        let sending = async {
            if near.send(&written(&head, chunked)).await.is_ok() {
                send_body(body, &near, chunked).await;
            }
            // The request's end must not be taken for the client's.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => {}
            outcome = answer(&near, &method, &mut respond) => if outcome.is_none() {
                respond.send_reset(Reason::INTERNAL_ERROR);
            },
        }
    }
}

/// The head as HTTP/1.1 has it. What must not be there stays, for the parser to refuse.
fn written(head: &http::request::Parts, chunked: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = head.uri.authority().map(http::uri::Authority::as_str);
    out.extend_from_slice(
        if head.method == http::Method::CONNECT { authority.unwrap_or("/") } else { target }.as_bytes(),
    );
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let mut add = |name: &[u8], value: &[u8]| {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    };
    if let Some(authority) = authority {
        add(b"host", authority.as_bytes());
    }
    // A cookie may come in pieces (RFC 9113, section 8.2.3).
    let cookies: Vec<&[u8]> = head.headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if !cookies.is_empty() {
        add(b"cookie", &cookies.join(&b"; "[..]));
    }
    for (name, value) in &head.headers {
        let again = name == http::header::HOST && authority.is_some_and(|own| own.as_bytes() == value.as_bytes());
        if !again && name != http::header::COOKIE {
            add(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if chunked {
        add(b"transfer-encoding", b"chunked");
    }
    add(b"connection", b"close");
    out.extend_from_slice(b"\r\n");
    out
}

async fn send_body(mut body: RecvStream, near: &Wire<DuplexStream>, chunked: bool) {
    let mut out = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        out.clear();
        if chunked {
            emission::chunk(&mut out, &piece);
        } else {
            out.extend_from_slice(&piece);
        }
        if near.send(&out).await.is_err() {
            return;
        }
        // The client may send as much again.
        let _ = body.flow_control().release_capacity(piece.len());
    }
    // A stream that broke off is no whole body.
    if chunked && body.is_end_stream() {
        out.clear();
        emission::last_chunk(&mut out, &[]);
        let _ = near.send(&out).await;
    } else if !body.is_end_stream() {
        near.finish().await;
    }
}

/// Passes the response on; none when it broke off.
async fn answer(near: &Wire<DuplexStream>, method: &[u8], respond: &mut SendResponse<Bytes>) -> Option<()> {
    let Parsed { head, framing, .. } = loop {
        let found = response::read(&near.received(), method).ok()?;
        match found {
            Some((parsed, taken)) => {
                near.consume(taken);
                if parsed.head.status >= 200 {
                    break parsed;
                }
            }
            None => more(near).await?,
        }
    };
    let mut body = ResponseBody::new(framing);
    let mut stream = respond.send_response(translated(&head)?, body.is_done()).ok()?;
    while !body.is_done() {
        let mut piece = Vec::new();
        let taken = body.read(&near.received(), &mut piece).ok()?;
        near.consume(taken);
        if piece.is_empty() && !body.is_done() {
            if more(near).await.is_none() {
                body.end().ok()?;
            }
            if !body.is_done() {
                continue;
            }
        }
        let trailers = trailers(body.trailers());
        let last = body.is_done() && trailers.is_empty();
        send_piece(&mut stream, piece.into(), last).await?;
        if body.is_done() && !last {
            stream.send_trailers(trailers).ok()?;
        }
    }
    Some(())
}

async fn more(near: &Wire<DuplexStream>) -> Option<()> {
    near.fill().await.ok().filter(|count| *count > 0).map(|_| ())
}

/// Sends a piece as the other side takes it.
pub(super) async fn send_piece(stream: &mut SendStream<Bytes>, mut piece: Bytes, last: bool) -> Option<()> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
        if room == 0 {
            continue;
        }
        let part = piece.split_to(room.min(piece.len()));
        stream.send_data(part, last && piece.is_empty()).ok()?;
        if piece.is_empty() {
            return Some(());
        }
    }
    if last { stream.send_data(Bytes::new(), true).ok() } else { Some(()) }
}

fn translated(head: &ResponseHead) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.version_mut() = Version::HTTP_2;
    *response.status_mut() = http::StatusCode::from_u16(head.status).ok()?;
    *response.headers_mut() = trailers(&head.headers);
    Some(response)
}

/// Fields without those of a connection.
pub(super) fn trailers(fields: &[(Vec<u8>, Vec<u8>)]) -> HeaderMap {
    const OF_CONNECTION: [&str; 5] = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let field = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = field
            && !OF_CONNECTION.contains(&name.as_str())
        {
            map.append(name, value);
        }
    }
    map
}
