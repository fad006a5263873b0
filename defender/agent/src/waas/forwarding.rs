//! The application's side of a request: a connection, the request on it, and what comes back.

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    time::Instant,
};

use defender_waf::firewall::{Exchange, Ruling};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

use super::{
    calls::Messages,
    emission,
    halt::Halt,
    pool::{NoApplication, Pool, Upstream},
    reply::Reply,
    report,
    request_body::RequestBody,
    turn::{Next, PIECE, Turn},
    wire::{Unsent, within},
};

/// What of the request is sent.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Nothing more of it is to be sent.
    pub done: Cell<bool>,
    /// The application took not all of it.
    pub cut: Cell<bool>,
    /// Counts the pieces that went either way.
    pub moved: Cell<u64>,
}

/// A request's head with what was held of its body, as long as it may have to be sent once more.
type Beginning = RefCell<Rc<Vec<u8>>>;

impl<S: AsyncRead + AsyncWrite + Unpin> Turn<'_, S> {
    /// Sends the request, of which `request` is the head with what was held of the body, and passes the response on.
    pub(super) async fn forward(&self, request: Vec<u8>, body: &mut RequestBody) -> Result<Next, Halt> {
        if self.told.forwarded.replace(true) {
            return Err(Halt::Broken("a request was to be sent twice"));
        }
        self.local.plane.counters.forwarded.add();
        // RFC 9110, section 9.2.2.
        let repeatable = matches!(self.head.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE");
        let whole = body.is_done();
        let request = &RefCell::new(Rc::new(request));
        if self.http2 {
            let upstream = self.local.shared.open(self.port, *self.limits).await.map_err(|error| absent(&error))?;
            return self.carry(upstream, request, body).await;
        }
        if let Some(upstream) = self.local.pool.waiting(self.port, !(repeatable && whole)) {
            match self.carry(upstream, request, body).await {
                Err(Halt::Stale(sent)) if sent == 0 || repeatable && whole => {}
                outcome => return outcome,
            }
        }
        let upstream = Pool::open(self.port, self.limits.connect).await.map_err(|error| absent(&error))?;
        self.carry(upstream, request, body).await
    }

    /// Sends and receives at the same time: an application may answer before it has read everything.
    async fn carry(&self, upstream: Upstream, request: &Beginning, body: &mut RequestBody) -> Result<Next, Halt> {
        let progress = Progress::default();
        let reply = {
            let mut sending = pin!(self.send_request(&upstream, request, body, &progress));
            let mut reply = pin!(self.reply(&upstream, &progress));
            let mut watching = pin!(self.watch(&progress));
            let mut failed: Option<Halt> = None;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut sending, if !progress.done.get() => match outcome {
                        Ok(()) => progress.done.set(true),
                        // An application that takes no more may have said why.
                        Err(halt @ Halt::Stale(_)) => {
                            failed = Some(halt);
                            progress.done.set(true);
                            progress.cut.set(true);
                        }
                        Err(halt) => return Err(halt),
                    },
                    outcome = &mut reply => break match (outcome, failed) {
                        (Err(Halt::Stale(_)), Some(halt)) => Err(halt),
                        (outcome, _) => outcome,
                    },
                    () = &mut watching, if progress.done.get() => return Err(Halt::Gone),
                }
            }
        }?;
        Ok(self.end(reply, upstream, progress.done.get() && !progress.cut.get()))
    }

    fn end(&self, reply: Reply, upstream: Upstream, sent: bool) -> Next {
        match reply {
            Reply::Switched => Next::Upgraded(upstream),
            Reply::Whole { persistent, closes } => {
                if persistent && sent {
                    self.local.pool.keep(self.port, upstream);
                }
                // What the client still sends of a body that nobody reads is no request.
                if closes || !sent { Next::Close } else { Next::Again }
            }
        }
    }

    async fn send_request(
        &self,
        upstream: &Upstream,
        request: &Beginning,
        body: &mut RequestBody,
        progress: &Progress,
    ) -> Result<(), Halt> {
        let chunked = body.left().is_none();
        let beginning = request.borrow().clone();
        let mut sent = self.send_up(upstream, &beginning, 0).await?;
        if !body.is_done() {
            // It is not sent again once something of it was sent; the rest may take long, and needs no memory.
            drop(beginning);
            drop(request.take());
            self.hold_on(0)?;
        }
        let (mut piece, mut framed) = (Vec::new(), Vec::new());
        let mut messages = self.is_call().then(Messages::default);
        while !body.is_done() {
            piece.clear();
            body.next(self.wire, self.limits, PIECE, &mut piece).await?;
            if !piece.is_empty() {
                self.judged(|exchange: &mut Exchange| exchange.request_body(&piece))?;
            }
            if body.is_done() {
                // What came after the last window is judged as well before the application has the whole of it.
                self.judged(|exchange: &mut Exchange| exchange.request_end())?;
            }
            if let Some(messages) = &mut messages {
                let judge = &mut |compressed, message: &[u8]| self.judge_call(compressed, message);
                piece = messages.take(&piece, judge)?;
                if body.is_done() {
                    piece.extend(messages.end(judge)?);
                } else if piece.is_empty() {
                    continue;
                }
            }
            let out = if chunked {
                framed.clear();
                emission::chunk(&mut framed, &piece);
                if body.is_done() {
                    emission::last_chunk(&mut framed, &[]);
                }
                &framed
            } else {
                &piece
            };
            sent = self.send_up(upstream, out, sent).await?;
            progress.moved.set(progress.moved.get() + 1);
        }
        Ok(())
    }

    /// Judges a message of a call of gRPC by the policy of now.
    fn judge_call(&self, compressed: bool, message: &[u8]) -> Result<(), Halt> {
        let plane = &self.local.plane;
        let Some(armed) = plane.armed.load_full() else { return Ok(()) };
        let id = plane.next_id();
        let mut exchange = armed.firewall.open(self.head, self.client, &self.local.standing, plane.now(), &id);
        let coding = compressed.then(|| self.head.header("grpc-encoding").unwrap_or_default());
        let ruling = exchange.call(message, coding);
        for found in exchange.finish() {
            plane.reporter.report(report::audit(found, None, &[]));
        }
        match ruling {
            Ruling::Pass => Ok(()),
            Ruling::Answer(answer) => Err(Halt::Blocked(answer)),
        }
    }

    async fn send_up(&self, upstream: &Upstream, bytes: &[u8], before: usize) -> Result<usize, Halt> {
        match within(self.limits.answer, upstream.wire.send(bytes)).await {
            Ok(Ok(())) => Ok(before + bytes.len()),
            Ok(Err(Unsent { sent, .. })) => Err(Halt::Stale(before + sent)),
            Err(_) => Err(Halt::Silent("the application takes no more of a request".into())),
        }
    }

    /// Resolves when the client is gone. One that only says that it will send no more still gets its response, as long as
    /// there is something of it within the time that it is given to take it.
    async fn watch(&self, progress: &Progress) {
        loop {
            // What comes meanwhile is the next request, and waits.
            if self.wire.received().len() >= PIECE {
                return std::future::pending().await;
            }
            match self.wire.fill().await {
                Ok(0) => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        loop {
            let (before, began) = (progress.moved.get(), Instant::now());
            sleep(self.limits.send).await;
            if progress.moved.get() == before && began.elapsed() >= self.limits.send {
                return;
            }
        }
    }
}

fn absent(error: &NoApplication) -> Halt {
    match error {
        NoApplication::Unreachable(..) => Halt::Unreachable(error.to_string()),
        NoApplication::Silent(..) => Halt::Silent(error.to_string()),
    }
}
