//! What an upgraded connection carries: messages of the client are judged before the application has them whole, everything
//! of the application passes.

use std::{cell::Cell, time::Instant};

use defender_waf::{firewall::Ruling, http::Head};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    connection::Site,
    frames::{self, FrameHead, Kind},
    limits::Limits,
    pool::{Pool, Upstream},
    report,
    wire::Wire,
};

/// Bytes of a message that are judged as a whole; of what follows, pieces with some of what came before.
const MOST_MESSAGE: usize = 1 << 20;
const OVERLAP: usize = 4 << 10;

/// Why the client's side ended; a status as RFC 6455, section 7.4.1, lists them.
enum End {
    /// One side has closed.
    Closed,
    /// The other is told why.
    Status(u16, String),
}

/// A message on its way: frames as they came, and what they say.
#[derive(Default)]
struct Message {
    under_way: Option<Kind>,
    frames: Vec<u8>,
    text: Vec<u8>,
    /// Some of it was judged and is gone.
    long: bool,
}

impl Site {
    /// Passes bytes both ways: what nobody here can read.
    pub(super) async fn pipe<S: AsyncRead + AsyncWrite + Unpin>(&self, client: &Wire<S>) {
        let limits = self.local.plane.limits;
        let Ok(application) = Pool::open(self.port, limits.connect).await else { return };
        let mut draining = self.local.draining.clone();
        let moved = Cell::new(Instant::now());
        tokio::select! {
            () = pump(client, &application.wire, &limits, &moved) => {}
            () = pump(&application.wire, client, &limits, &moved) => {}
            _ = draining.wait_for(|draining| *draining) => {}
        }
        let _ = timeout(limits.send, async { (client.finish().await, application.wire.finish().await) }).await;
    }

    /// Passes frames both ways until one side has nothing more to say, or says what it must not.
    pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &Wire<S>,
        application: &Upstream,
        head: &Head,
    ) {
        let limits = self.local.plane.limits;
        let mut draining = self.local.draining.clone();
        let moved = Cell::new(Instant::now());
        let end = tokio::select! {
            end = self.inspect(client, &application.wire, head, &moved) => end,
            () = pump(&application.wire, client, &limits, &moved) => End::Closed,
            _ = draining.wait_for(|draining| *draining) => End::Status(1001, String::new()),
        };
        if let End::Status(status, reason) = end {
            // Whoever is gone does not want to know.
            let _ = timeout(limits.send, client.send(&frames::close(status, &reason))).await;
            let _ = timeout(limits.send, application.wire.send(&frames::close_masked(1001))).await;
        }
        let _ = timeout(limits.send, async { (client.finish().await, application.wire.finish().await) }).await;
    }

    async fn inspect<A, B>(&self, client: &Wire<A>, application: &Wire<B>, head: &Head, moved: &Cell<Instant>) -> End
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let limits = self.local.plane.limits;
        let mut message = Message::default();
        loop {
            let found = frames::read(&client.received());
            match found {
                Ok(Some(frame)) => {
                    if let Err(end) = self.frame(client, application, head, &frame, &mut message, moved).await {
                        return end;
                    }
                }
                Ok(None) => {
                    if !more(client, &limits, moved).await {
                        return End::Closed;
                    }
                }
                Err(bad) => {
                    self.local.plane.counters.parse_errors.add();
                    return End::Status(1002, bad.to_string());
                }
            }
        }
    }

    /// Takes a frame whose head has come.
    async fn frame<A, B>(
        &self,
        client: &Wire<A>,
        application: &Wire<B>,
        head: &Head,
        frame: &FrameHead,
        message: &mut Message,
        moved: &Cell<Instant>,
    ) -> Result<(), End>
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let limits = self.local.plane.limits;
        let control = matches!(frame.kind, Kind::Close | Kind::Control);
        if !control && message.under_way.is_some() != (frame.kind == Kind::Continuation) {
            self.local.plane.counters.parse_errors.add();
            return Err(End::Status(1002, "a message begins within another, or goes on without one".into()));
        }
        // Control frames may stand between those of a message, and do not wait for its end.
        let mut own = Message::default();
        let part = if control { &mut own } else { message };
        if !control && frame.kind != Kind::Continuation {
            part.under_way = Some(frame.kind);
        }
        part.frames.extend_from_slice(&client.received()[..frame.size]);
        client.consume(frame.size);
        let mut offset = 0;
        while offset < frame.length {
            if client.received().is_empty() && !more(client, &limits, moved).await {
                return Err(End::Closed);
            }
            let taken = {
                let received = client.received();
                let length = usize::try_from(frame.length - offset).unwrap_or(usize::MAX).min(received.len());
                part.frames.extend_from_slice(&received[..length]);
                frames::unmask(&received[..length], frame.mask, offset, &mut part.text);
                length
            };
            client.consume(taken);
            offset += taken as u64;
            if part.text.len() > MOST_MESSAGE {
                self.judge(head, part)?;
                self.pass(application, part, &limits).await?;
                if !std::mem::replace(&mut part.long, true) {
                    self.local.plane.counters.inspection_limit.add();
                }
                let gone = part.text.len() - OVERLAP;
                part.text.drain(..gone);
            }
        }
        if control {
            return self.pass(application, part, &limits).await;
        }
        if frame.last {
            self.judge(head, part)?;
            self.pass(application, part, &limits).await?;
            *part = Message::default();
        }
        Ok(())
    }

    async fn pass<B: AsyncRead + AsyncWrite + Unpin>(
        &self,
        application: &Wire<B>,
        message: &mut Message,
        limits: &Limits,
    ) -> Result<(), End> {
        let outcome = timeout(limits.send, application.send(&message.frames)).await;
        message.frames.clear();
        if matches!(outcome, Ok(Ok(()))) { Ok(()) } else { Err(End::Closed) }
    }

    /// Judges what is held of a message by the policy of now. Data that is no text has nothing that rules could read.
    fn judge(&self, head: &Head, message: &Message) -> Result<(), End> {
        if message.under_way == Some(Kind::Binary) && std::str::from_utf8(&message.text).is_err() {
            return Ok(());
        }
        let plane = &self.local.plane;
        let Some(armed) = plane.armed.load_full() else { return Ok(()) };
        let id = plane.next_id();
        let mut exchange = armed.firewall.open(head, self.client, &self.local.standing, plane.now(), &id);
        let ruling = exchange.message(&message.text);
        for report in exchange.finish() {
            plane.reporter.report(report::audit(report, None, &[]));
        }
        match ruling {
            Ruling::Pass => Ok(()),
            Ruling::Answer(_) => {
                plane.counters.blocked.add();
                Err(End::Status(1008, format!("blocked, event {id}")))
            }
        }
    }
}

/// Waits for more of one side; false at its end, or when neither side has said anything for too long.
async fn more<S: AsyncRead + AsyncWrite + Unpin>(wire: &Wire<S>, limits: &Limits, moved: &Cell<Instant>) -> bool {
    loop {
        match timeout(limits.silence, wire.fill()).await {
            Ok(Ok(1..)) => {
                moved.set(Instant::now());
                return true;
            }
            Err(_) if moved.get().elapsed() < limits.silence => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

async fn pump<A, B>(from: &Wire<A>, to: &Wire<B>, limits: &Limits, moved: &Cell<Instant>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let piece = from.received().to_vec();
        from.consume(piece.len());
        if !matches!(timeout(limits.send, to.send(&piece)).await, Ok(Ok(()))) || !more(from, limits, moved).await {
            return;
        }
    }
}
