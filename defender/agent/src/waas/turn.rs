//! One request and its response: judged phase by phase, and passed on as far as the firewall lets it.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
};

use defender_waf::{
    firewall::{BodyNeed, Client, Exchange, Ruling},
    http::{Framing, Head, Version},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    emission::{self, Passage, Sent},
    halt::Halt,
    limits::Limits,
    plane::{Held, Local},
    pool::Upstream,
    request_body::RequestBody,
    target::{self, Target},
    wire::{Wire, within},
};

/// Bytes that are taken at a time of a body that is passed on.
pub(super) const PIECE: usize = 64 << 10;

/// One request under way.
pub struct Turn<'a, S> {
    pub(super) local: &'a Local,
    pub(super) wire: &'a Wire<S>,
    pub(super) limits: &'a Limits,
    pub(super) head: &'a Head,
    pub(super) client: Client,
    /// The application's port.
    pub(super) port: u16,
    /// Whether the peer is a proxy whose `X-Forwarded-…` fields are passed on.
    pub(super) believed: bool,
    /// The application speaks HTTP/2.
    pub(super) http2: bool,
    /// `Strict-Transport-Security`, where browsers are to remember it.
    pub(super) strict: Option<&'a str>,
    /// None while there is no policy.
    pub(super) exchange: Option<RefCell<Exchange<'a>>>,
    pub(super) told: Told,
    /// What is held because of the body.
    pub(super) reserve: Held<'a>,
}

/// What the client was sent so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The status, once its head is on its way.
    pub status: Cell<Option<u16>>,
    /// Names of the response's header fields, one a line: few exchanges have anything to tell.
    pub names: RefCell<String>,
    /// Whether the application was asked.
    pub forwarded: Cell<bool>,
}

/// Texts that have no line ends, one a line.
pub(super) fn lines<'t>(texts: impl Iterator<Item = Cow<'t, str>>) -> String {
    let mut lines = String::with_capacity(256);
    for text in texts {
        lines.push_str(&text);
        lines.push('\n');
    }
    lines
}

/// What follows a response.
#[derive(Debug)]
pub enum Next {
    /// The connection can serve another request.
    Again,
    /// It is to be closed.
    Close,
    /// It is not HTTP any more, but carries what the application's does.
    Upgraded(Upstream),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Turn<'_, S> {
    /// Serves the request; whatever goes wrong before the response has begun is answered here.
    pub async fn serve(&self) -> Next {
        let mut body = RequestBody::new(self.head.framing(), self.expects());
        match self.proceed(&mut body).await {
            Ok(next) => next,
            Err(halt) => {
                self.note(&halt);
                // Nothing can be taken back of a response that has begun.
                if self.told.status.get().is_some() {
                    return Next::Close;
                }
                self.answer(halt, &mut body).await
            }
        }
    }

    async fn proceed(&self, body: &mut RequestBody) -> Result<Next, Halt> {
        self.judged(|exchange: &mut Exchange| exchange.request_head())?;
        let target = self.checked()?;
        let held = self.hold(body).await?;
        let sent = match (self.head.framing(), body.is_done()) {
            (Framing::None, _) => Sent::Nothing,
            (_, true) => Sent::Length(held.len() as u64),
            (Framing::Length(length), false) => Sent::Length(length),
            (Framing::Chunked, false) => Sent::Chunked,
        };
        let (peer, secure, believed) = (self.client.peer, self.client.secure, self.believed);
        let passage = Passage { peer, secure, believed, upgrade: self.upgrades(), body: sent };
        let mut request = emission::request(self.head, target.path, target.authority, &passage);
        if sent == Sent::Chunked {
            emission::chunk(&mut request, &held);
        } else {
            request.reserve_exact(held.len());
            request.extend_from_slice(&held);
        }
        drop(held);
        // What has no body waits for nobody's.
        if sent != Sent::Nothing {
            self.hold_on(request.len())?;
        }
        self.forward(request, body).await
    }

    /// Asks the firewall.
    pub(super) fn judged(&self, phase: impl FnOnce(&mut Exchange) -> Ruling) -> Result<(), Halt> {
        match self.exchange.as_ref().map(|exchange| phase(&mut exchange.borrow_mut())) {
            None | Some(Ruling::Pass) => Ok(()),
            Some(Ruling::Answer(answer)) => Err(Halt::Blocked(answer)),
        }
    }

    /// What the parser takes so that rules can judge it, but nobody passes on.
    fn checked(&self) -> Result<Target<'_>, Halt> {
        let refused = |status, why: &str| Err(Halt::Refused(status, why.to_owned()));
        if self.head.version() == Version::Unspoken {
            return refused(505, "the request is of a version of HTTP that is not spoken here");
        }
        if self.head.method() == b"CONNECT" {
            return refused(405, "the request asks for a tunnel");
        }
        let host = self.head.header("host");
        if self.head.version() == Version::Http11 && host.is_none() {
            return refused(400, "the request has no host");
        }
        if self.head.header("expect").is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
            return refused(417, "the request expects what nobody knows");
        }
        target::parts(self.head.target(), host)
            .ok_or_else(|| Halt::Refused(400, "the request's target and its `Host` name two hosts".into()))
    }

    /// Holds back as much of the body as the firewall wants to see first.
    async fn hold(&self, body: &mut RequestBody) -> Result<Vec<u8>, Halt> {
        let need = self.exchange.as_ref().map_or(BodyNeed::Nothing, |exchange| exchange.borrow().body_need());
        let mut held = Vec::new();
        if let BodyNeed::Held(limit) = need
            && !self.is_call()
        {
            let mut piece = Vec::new();
            while !body.is_done() && held.len() < limit {
                piece.clear();
                body.next(self.wire, self.limits, (limit - held.len()).min(PIECE), &mut piece).await?;
                if !piece.is_empty() {
                    self.judged(|exchange| exchange.request_body(&piece))?;
                    held.extend_from_slice(&piece);
                }
                self.hold_on(held.len())?;
            }
            if !body.is_done() {
                self.local.plane.counters.inspection_limit.add();
            }
        }
        self.judged(|exchange: &mut Exchange| exchange.request_end())?;
        Ok(held)
    }

    /// Counts what is held: so many bytes for the application, and what the firewall keeps.
    pub(super) fn hold_on(&self, bytes: usize) -> Result<(), Halt> {
        let kept = self.exchange.as_ref().map_or(0, |exchange| exchange.borrow().holds());
        if self.reserve.hold(bytes + kept) { Ok(()) } else { Err(Halt::Crowded) }
    }

    /// Whether it is a call of gRPC: its messages go both ways at once, and whoever holds one back may wait for ever. Elsewhere
    /// than at an endpoint of gRPC the name of its content type says nothing: it would hide bodies from being judged.
    pub(super) fn is_call(&self) -> bool {
        self.http2 && self.head.header("content-type").is_some_and(|value| value.starts_with(b"application/grpc"))
    }

    /// Whether the client wants to speak WebSocket from now on (RFC 6455, section 4.1).
    pub(super) fn upgrades(&self) -> bool {
        self.head.version() == Version::Http11
            && self.head.method() == b"GET"
            && self.head.framing() == Framing::None
            && self.head.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
            && emission::options(self.head).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
    }

    fn expects(&self) -> bool {
        let value = self.head.header("expect");
        self.head.version() == Version::Http11 && value.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// Whether the client, and we, want another request on this connection.
    pub(super) fn persists(&self) -> bool {
        self.head.version() == Version::Http11
            && !self.local.is_draining()
            && !emission::options(self.head).any(|option| option.eq_ignore_ascii_case(b"close"))
    }

    /// Sends bytes to the client, who must take them in time.
    pub(super) async fn send(&self, bytes: &[u8]) -> Result<(), Halt> {
        match within(self.limits.send, self.wire.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Halt::Gone),
            Err(_) => {
                self.local.plane.counters.timeouts.add();
                Err(Halt::Gone)
            }
        }
    }

    fn note(&self, halt: &Halt) {
        let counters = &self.local.plane.counters;
        match halt {
            Halt::Blocked(_) => counters.blocked.add(),
            Halt::Refused(..) => counters.parse_errors.add(),
            Halt::Slow | Halt::Silent(_) => counters.timeouts.add(),
            _ => {}
        }
        if let Some(error) = halt.error() {
            counters.failed(crate::link::desk::now(), &error);
        }
    }

    /// Answers in the application's place.
    async fn answer(&self, halt: Halt, body: &mut RequestBody) -> Next {
        // Who framed badly, or stopped within a body, cannot be understood any more.
        let lost = matches!(halt, Halt::Refused(..) | Halt::Slow | Halt::Gone);
        let Some(answer) = halt.answer() else { return Next::Close };
        // A client that awaits a word will not send the body now.
        let reads_on = !lost && !body.is_awaited() && body.left().is_some_and(|left| left <= PIECE as u64);
        let closes = !reads_on || !self.persists();
        let bytes = emission::answer(&answer, self.head.method() == b"HEAD", closes);
        self.told.status.set(Some(answer.status));
        self.local.plane.counters.answered(answer.status);
        *self.told.names.borrow_mut() = lines(answer.headers.iter().map(|(name, _)| name.as_str().into()));
        if self.send(&bytes).await.is_err() || closes {
            return Next::Close;
        }
        let mut rest = Vec::new();
        while !body.is_done() {
            rest.clear();
            if body.next(self.wire, self.limits, PIECE, &mut rest).await.is_err() {
                return Next::Close;
            }
        }
        Next::Again
    }
}
