//! The response on its way from the application to the client.

use std::io;

use defender_waf::{
    firewall::{Exchange, ResponseHead},
    http::Version,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    emission::{self, Sent},
    forwarding::Progress,
    halt::Halt,
    pool::Upstream,
    response::{self, Framing, Parsed},
    response_body::ResponseBody,
    turn::{Turn, lines},
};

const STRICT: &[u8] = b"Strict-Transport-Security";

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is sent whole.
    Whole {
        /// The application's connection can serve another request.
        persistent: bool,
        /// The client's cannot.
        closes: bool,
    },
    /// Both sides speak WebSocket from here on.
    Switched,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Turn<'_, S> {
    /// Awaits the response and passes it on.
    pub(super) async fn reply(&self, upstream: &Upstream, progress: &Progress) -> Result<Reply, Halt> {
        let parsed = loop {
            let parsed = self.head(upstream, progress).await?;
            match parsed.head.status {
                101 => return self.switch(parsed).await,
                102..=199 if self.head.version() == Version::Http11 => {
                    self.send(&emission::response(&parsed.head, &parsed.reason, Sent::Nothing, false)).await?;
                }
                // Ours was sent when the body was asked for; others are nothing to HTTP/1.0.
                100..=199 => {}
                _ => break parsed,
            }
        };
        self.pass(upstream, parsed, progress).await
    }

    async fn head(&self, upstream: &Upstream, progress: &Progress) -> Result<Parsed, Halt> {
        loop {
            let found = response::read(&upstream.wire.received(), self.head.method()).map_err(Halt::BadResponse)?;
            if let Some((parsed, taken)) = found {
                upstream.wire.consume(taken);
                return Ok(parsed);
            }
            match timeout(self.limits.answer, upstream.wire.fill()).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) if upstream.wire.received().is_empty() && upstream.used => {
                    return Err(Halt::Stale(usize::MAX));
                }
                Ok(Ok(0) | Err(_)) => {
                    return Err(Halt::Broken("the application closed the connection before it answered"));
                }
                // While the client still sends, the application need not say anything.
                Err(_) if !progress.done.get() => {}
                Err(_) => return Err(Halt::Silent("the application did not answer in time".into())),
            }
        }
    }

    async fn switch(&self, parsed: Parsed) -> Result<Reply, Halt> {
        if !self.upgrades() || !emission::says(&parsed.head, "upgrade", b"websocket") {
            return Err(Halt::Broken("the application switches to a protocol that nobody asked for"));
        }
        let Parsed { mut head, reason, .. } = parsed;
        // An extension that was not offered cannot have been agreed on.
        if response::named(&head.headers, "sec-websocket-extensions").next().is_some() {
            return Err(Halt::Broken("the application uses a WebSocket extension that was not offered"));
        }
        self.judged(|exchange| exchange.response_head(&mut head))?;
        self.begin(&head);
        self.send(&emission::switch(&head, &reason)).await?;
        Ok(Reply::Switched)
    }

    /// Passes head and body on, the body as it comes unless the firewall wants to see some of it first.
    async fn pass(&self, upstream: &Upstream, parsed: Parsed, progress: &Progress) -> Result<Reply, Halt> {
        let Parsed { mut head, reason, framing, persistent } = parsed;
        let status = head.status;
        self.judged(|exchange| exchange.response_head(&mut head))?;
        if let Some(strict) = self.strict {
            head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(STRICT));
            head.headers.push((STRICT.to_vec(), strict.as_bytes().to_vec()));
        }
        let mut body = ResponseBody::new(framing);
        let mut piece = self.show(upstream, &head, &mut body).await?;
        let sent = match framing {
            Framing::None => Sent::Nothing,
            Framing::Length(length) => Sent::Length(length),
            Framing::Chunked | Framing::Close if self.head.version() == Version::Http11 => Sent::Chunked,
            Framing::Chunked | Framing::Close => Sent::Close,
        };
        // A request that is not read whole leaves the connection in disorder.
        let closes = !self.persists() || sent == Sent::Close || !progress.done.get() || progress.cut.get();
        let reason = if head.status == status { reason } else { Vec::new() };
        let mut out = emission::response(&head, &reason, sent, closes);
        self.begin(&head);
        loop {
            read_more(upstream, &mut body, &mut piece)?;
            frame(sent, &body, &piece, &mut out);
            if !out.is_empty() {
                self.send(&out).await?;
                progress.moved.set(progress.moved.get() + 1);
            }
            if body.is_done() {
                return Ok(Reply::Whole { persistent, closes });
            }
            out.clear();
            piece.clear();
            if self.more(upstream).await? == 0 {
                body.end()?;
                if sent == Sent::Chunked {
                    emission::last_chunk(&mut out, &[]);
                    self.send(&out).await?;
                }
                return Ok(Reply::Whole { persistent: false, closes });
            }
        }
    }

    /// What the firewall wants to see of the body before any of it is sent. Streams are not held up.
    async fn show(&self, upstream: &Upstream, head: &ResponseHead, body: &mut ResponseBody) -> Result<Vec<u8>, Halt> {
        let need = self.exchange.as_ref().map_or(0, |exchange| exchange.borrow().response_body_need());
        let mut shown = Vec::new();
        if need == 0 || body.is_done() || is_stream(head) {
            return Ok(shown);
        }
        loop {
            read_more(upstream, body, &mut shown)?;
            if body.is_done() || shown.len() >= need {
                break;
            }
            if self.more(upstream).await? == 0 {
                body.end()?;
                break;
            }
        }
        self.judged(|exchange: &mut Exchange| exchange.response_body(&shown[..shown.len().min(need)]))?;
        Ok(shown)
    }

    async fn more(&self, upstream: &Upstream) -> Result<usize, Halt> {
        match timeout(self.limits.silence, upstream.wire.fill()).await {
            Ok(Ok(count)) => Ok(count),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(Halt::Broken("the application broke the connection within a response"))
            }
            Ok(Err(_)) => Err(Halt::Broken("the application's connection failed within a response")),
            Err(_) => Err(Halt::Silent("the application stopped within a response".into())),
        }
    }

    fn begin(&self, head: &ResponseHead) {
        self.told.status.set(Some(head.status));
        self.local.plane.counters.answered(head.status);
        if self.exchange.is_some() {
            let names = head.headers.iter().map(|(name, _)| String::from_utf8_lossy(name));
            *self.told.names.borrow_mut() = lines(names);
        }
    }
}

fn read_more(upstream: &Upstream, body: &mut ResponseBody, out: &mut Vec<u8>) -> Result<(), Halt> {
    let taken = body.read(&upstream.wire.received(), out)?;
    upstream.wire.consume(taken);
    Ok(())
}

fn frame(sent: Sent, body: &ResponseBody, piece: &[u8], out: &mut Vec<u8>) {
    if sent != Sent::Chunked {
        out.extend_from_slice(piece);
        return;
    }
    emission::chunk(out, piece);
    if body.is_done() {
        emission::last_chunk(out, body.trailers());
    }
}

/// Whether a response is one whose pieces mean something by themselves.
fn is_stream(head: &ResponseHead) -> bool {
    response::named(&head.headers, "content-type").any(|value| {
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        kind == b"text/event-stream" || kind.starts_with(b"application/grpc")
    })
}
