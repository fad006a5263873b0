//! One connection of a client: requests one after the other, until one of both sides has enough.

use std::{cell::RefCell, rc::Rc, time::Duration};

use defender_waf::{
    firewall::{Client, Exchange},
    http::{Head, Refusal, read_head},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout, timeout_at},
};

use super::{
    emission,
    halt::{Halt, plain},
    http2::PREFACE,
    limits::Limits,
    plane::{Armed, Held, Local},
    report,
    turn::{Next, Told, Turn},
    wire::Wire,
};
use crate::enforcement::FailMode;

/// For how long, and how much, is read of what a client still sends when it was answered.
const LINGER: Duration = Duration::from_secs(2);
const MOST_LINGERING: usize = 1 << 20;

/// Where a connection came in and where it leads.
#[derive(Clone)]
pub struct Site {
    /// What all connections share.
    pub local: Rc<Local>,
    /// Who connected.
    pub client: Client,
    /// The application's port.
    pub port: u16,
}

/// What stands at the beginning of what came.
enum Came {
    Head(Head),
    /// The client has closed, or says nothing.
    Nothing,
    /// The client began and did not end in time.
    Slow,
    Refused(Refusal),
}

impl Site {
    /// Serves a connection to its end, whichever version of HTTP its client begins with.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: Wire<S>) {
        match self.begins_http2(&wire).await {
            // What most connections never come to, or not while they wait, has its memory when it is needed.
            Some(true) => Box::pin(self.serve_http2(wire)).await,
            Some(false) => self.serve_requests(wire).await,
            None => {}
        }
    }

    /// None when nothing comes.
    async fn begins_http2<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &Wire<S>) -> Option<bool> {
        let limits = self.local.plane.limits;
        let mut draining = self.local.draining.clone();
        loop {
            let begun = wire.received().len();
            if begun >= PREFACE.len() || !PREFACE.starts_with(&wire.received()) {
                return Some(wire.received().starts_with(PREFACE));
            }
            let patience = if begun == 0 { limits.idle } else { limits.head };
            let more = tokio::select! {
                biased;
                more = timeout(patience, wire.fill()) => more,
                _ = draining.wait_for(|draining| *draining) => return None,
            };
            if !matches!(more, Ok(Ok(1..))) {
                return None;
            }
        }
    }

    /// Serves requests of HTTP/1.1, one after the other.
    pub(super) async fn serve_requests<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: Wire<S>) {
        loop {
            let plane = &self.local.plane;
            let limits = plane.armed.load().as_ref().map_or(plane.limits, |armed| armed.limits);
            let head = match self.next_head(&wire, &limits).await {
                Came::Head(head) => head,
                Came::Nothing => return,
                Came::Slow => {
                    plane.counters.timeouts.add();
                    self.refuse(&wire, 408).await;
                    return linger(&wire).await;
                }
                Came::Refused(refusal) => {
                    // What was awaited for long is judged by the policy of now.
                    self.refused(&wire, refusal, plane.armed.load().as_deref()).await;
                    return linger(&wire).await;
                }
            };
            match Box::pin(self.turn(&wire, &head)).await {
                Next::Again if !self.local.is_draining() => {}
                Next::Again | Next::Close => return linger(&wire).await,
                Next::Upgraded(upstream) => return Box::pin(self.tunnel(&wire, &upstream, &head)).await,
            }
        }
    }

    async fn next_head<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &Wire<S>, limits: &Limits) -> Came {
        if wire.received().is_empty() {
            let mut draining = self.local.draining.clone();
            let first = tokio::select! {
                biased;
                first = timeout(limits.idle, wire.fill()) => first,
                // Nothing of a request came: nobody is let down.
                _ = draining.wait_for(|draining| *draining) => return Came::Nothing,
            };
            if !matches!(first, Ok(Ok(1..))) {
                return Came::Nothing;
            }
        }
        let end = Instant::now() + limits.head;
        loop {
            let found = read_head(&wire.received());
            match found {
                Ok(Some((head, taken))) => {
                    wire.consume(taken);
                    return Came::Head(head);
                }
                Ok(None) => {}
                Err(refusal) => return Came::Refused(refusal),
            }
            match timeout_at(end, wire.fill()).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Came::Nothing,
                Err(_) => return Came::Slow,
            }
        }
    }

    async fn turn<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &Wire<S>, head: &Head) -> Next {
        let local: &Local = &self.local;
        let plane = &local.plane;
        plane.counters.requests.add();
        let armed = plane.armed.load_full();
        if armed.is_none() && plane.fail_mode == FailMode::Closed {
            let halt = Halt::Unprotected;
            plane.counters.failed(crate::link::desk::now(), &halt.error().unwrap_or_default());
            self.refuse(wire, 503).await;
            return Next::Close;
        }
        let (client, id) = (self.client, plane.next_id());
        let firewall = armed.as_ref().map(|armed| &armed.firewall);
        let mut judge = firewall.map(|firewall| firewall.open(head, client, &local.standing, plane.now(), &id));
        if let Some(exchange) = &mut judge
            && let Some(names) = exchange.wants_names().and_then(|address| local.reverse.names(address))
        {
            exchange.name_client(names);
        }
        let limits = armed.as_ref().map_or(plane.limits, |armed| armed.limits);
        let believed = armed.as_ref().is_none_or(|armed| armed.firewall.policy().trust.believes(client.peer));
        let strict = armed.as_ref().and_then(|armed| armed.settings.strict.get(&client.port)).map(String::as_str);
        let http2 = armed.as_ref().is_some_and(|armed| armed.settings.speaks_http2(client.port));
        let (exchange, told, limits, port) = (judge.map(RefCell::new), Told::default(), &limits, self.port);
        let reserve = Held::new(local);
        let turn = Turn { local, wire, limits, head, client, port, believed, http2, strict, exchange, told, reserve };
        let next = turn.serve().await;
        let Turn { exchange, told, .. } = turn;
        let mut exchange = exchange.map(RefCell::into_inner);
        if let Some(exchange) = &mut exchange {
            plane.discoveries.observe(exchange);
            plane.reporter.ended(client, exchange);
        }
        for report in exchange.map(Exchange::finish).unwrap_or_default() {
            let names: Vec<String> = told.names.borrow().lines().map(str::to_owned).collect();
            plane.reporter.report(report::audit(report, told.status.get(), &names));
        }
        next
    }

    /// Answers who speaks HTTP where TLS is spoken.
    pub async fn refuse_plain<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &Wire<S>) {
        self.local.plane.counters.requests.add();
        self.local.plane.counters.parse_errors.add();
        self.refuse(wire, 400).await;
        linger(wire).await;
    }

    /// Answers a head that is none, and tells of it.
    async fn refused<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &Wire<S>,
        refusal: Refusal,
        armed: Option<&Armed>,
    ) {
        let plane = &self.local.plane;
        plane.counters.requests.add();
        plane.counters.parse_errors.add();
        let status = if refusal == Refusal::TooLarge { 431 } else { 400 };
        if let Some(rule) = armed.and_then(|armed| armed.firewall.policy().rule.as_deref()) {
            let id = plane.next_id();
            plane.reporter.report(report::refused(refusal, &wire.received(), rule, self.client, &id, status));
        }
        self.refuse(wire, status).await;
    }

    async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &Wire<S>, status: u16) {
        let plane = &self.local.plane;
        plane.counters.answered(status);
        // Whoever is gone does not want to know.
        let _ = timeout(plane.limits.send, wire.send(&emission::answer(&plain(status), false, true))).await;
    }
}

/// Closes so that what was sent last still arrives: a system that closes while bytes come in takes back what it sent.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(wire: &Wire<S>) {
    let end = Instant::now() + LINGER;
    if timeout_at(end, wire.finish()).await.is_err() {
        return;
    }
    let mut read = 0;
    while read < MOST_LINGERING {
        let pending = wire.received().len();
        wire.consume(pending);
        match timeout_at(end, wire.fill()).await {
            Ok(Ok(count @ 1..)) => read += count,
            _ => return,
        }
    }
}
