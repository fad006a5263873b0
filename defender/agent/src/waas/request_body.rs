//! The body of a request as it comes.

use std::time::Instant;

use defender_waf::http::{Chunked, Framing};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{halt::Halt, limits::Limits, wire::Wire};

/// The rest of a request's body.
#[derive(Debug)]
pub struct RequestBody {
    rest: Rest,
    /// The client waits for a word before it sends it (RFC 9110, section 10.1.1).
    expected: bool,
    began: Instant,
    came: u64,
}

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Chunked),
    Done,
}

impl RequestBody {
    /// Of a request with this framing. `expected`: the client awaits `100 Continue`.
    #[must_use]
    pub fn new(framing: Framing, expected: bool) -> Self {
        let rest = match framing {
            Framing::None | Framing::Length(0) => Rest::Done,
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunked(Chunked::default()),
        };
        Self { rest, expected, began: Instant::now(), came: 0 }
    }

    /// True when all of it came.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    /// How much is still to come, where that is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        match self.rest {
            Rest::Length(left) => Some(left),
            Rest::Chunked(_) => None,
            Rest::Done => Some(0),
        }
    }

    /// True while the client waits for a word.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.expected && !self.is_done()
    }

    /// Appends the next piece, of at most about `room` bytes, to `out`; nothing is appended at the end alone.
    ///
    /// # Errors
    /// [`Halt`] for a client that is gone, too slow, or does not chunk as it should.
    pub async fn next<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        wire: &Wire<S>,
        limits: &Limits,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let before = out.len();
        while !self.is_done() && out.len() == before {
            if wire.received().is_empty() {
                self.wait(wire, limits).await?;
            }
            let taken = self.read(&wire.received(), room, out)?;
            wire.consume(taken);
        }
        self.came += (out.len() - before) as u64;
        Ok(())
    }

    async fn wait<S: AsyncRead + AsyncWrite + Unpin>(&mut self, wire: &Wire<S>, limits: &Limits) -> Result<(), Halt> {
        if std::mem::take(&mut self.expected) {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Halt::Gone)?;
        }
        let passed = self.began.elapsed();
        if passed > limits.grace && self.came < limits.rate.saturating_mul(passed.as_secs()) {
            return Err(Halt::Slow);
        }
        match timeout(limits.body, wire.fill()).await {
            Err(_) => Err(Halt::Slow),
            Ok(Err(_) | Ok(0)) => Err(Halt::Gone),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn read(&mut self, received: &[u8], room: usize, out: &mut Vec<u8>) -> Result<usize, Halt> {
        let received = &received[..received.len().min(room.max(1))];
        match &mut self.rest {
            Rest::Done => Ok(0),
            Rest::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(received.len());
                out.extend_from_slice(&received[..taken]);
                *left -= taken as u64;
                if *left == 0 {
                    self.rest = Rest::Done;
                }
                Ok(taken)
            }
            Rest::Chunked(chunked) => {
                let progress = chunked.read(received, out).map_err(|bad| Halt::Refused(400, bad.to_string()))?;
                if progress.done {
                    self.rest = Rest::Done;
                }
                Ok(progress.taken)
            }
        }
    }
}
