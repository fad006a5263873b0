//! One connection: bytes that came and are not taken yet, and a way to send while others are awaited.

use std::{
    cell::{Cell, Ref, RefCell},
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

/// Bytes that are asked for at a time.
const PIECE: usize = 16 << 10;
/// Bytes that a connection may keep room for while nothing waits to be taken: most of the time most connections only wait.
const SMALL: usize = 1 << 10;

/// A connection of one task. Reading and writing may go on at the same time, each by one future.
#[derive(Debug)]
pub struct Wire<S> {
    stream: RefCell<S>,
    received: RefCell<Vec<u8>>,
    taken: Cell<usize>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection of which nothing was read.
    pub fn new(stream: S) -> Self {
        Self { stream: RefCell::new(stream), received: RefCell::default(), taken: Cell::new(0) }
    }

    /// What came and is not taken.
    pub fn received(&self) -> Ref<'_, [u8]> {
        Ref::map(self.received.borrow(), |bytes| &bytes[self.taken.get()..])
    }

    /// The first `count` bytes of it are done with.
    pub fn consume(&self, count: usize) {
        let mut received = self.received.borrow_mut();
        let taken = self.taken.get() + count;
        if taken >= received.len() {
            received.clear();
            self.taken.set(0);
            if received.capacity() > SMALL {
                *received = Vec::new();
            }
        } else {
            self.taken.set(taken);
        }
    }

    /// Waits for more; 0 at the end of the connection.
    ///
    /// # Errors
    /// The system's answer.
    pub async fn fill(&self) -> io::Result<usize> {
        poll_fn(|context| {
            // Whoever waits has no room of its own: that is there when something comes.
            let mut room = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut room);
            std::task::ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, &mut piece))?;
            let mut received = self.received.borrow_mut();
            let taken = self.taken.replace(0);
            received.drain(..taken);
            received.extend_from_slice(piece.filled());
            Poll::Ready(Ok(piece.filled().len()))
        })
        .await
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The system's answer, and how much was sent before it.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), Unsent> {
        let sent = Cell::new(0);
        poll_fn(|context| {
            let mut stream = self.stream.borrow_mut();
            while sent.get() < bytes.len() {
                match Pin::new(&mut *stream).poll_write(context, &bytes[sent.get()..]) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => sent.set(sent.get() + count),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            // Encrypted connections may hold something back until they are told not to.
            Pin::new(&mut *stream).poll_flush(context)
        })
        .await
        .map_err(|error| Unsent { sent: sent.get(), error })
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&self) {
        // Whoever is gone does not want to know.
        let _ = poll_fn(|context| Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context)).await;
    }

    /// The connection itself.
    pub fn stream(&self) -> Ref<'_, S> {
        self.stream.borrow()
    }
}

/// Awaits something for so long. What is ready at once, as sending mostly is, needs no timer.
///
/// # Errors
/// It was not ready in time.
pub(super) async fn within<F: Future>(patience: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => timeout(patience, future).await,
    }
}

/// A connection that took no more.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unsent {
    /// Bytes that it did take.
    pub sent: usize,
    /// Why no more.
    pub error: io::Error,
}

/// What has come is read first.
impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let (received, taken) = (wire.received.get_mut(), wire.taken.get_mut());
        let waiting = &received[*taken..];
        if waiting.is_empty() {
            return Pin::new(wire.stream.get_mut()).poll_read(context, out);
        }
        let count = waiting.len().min(out.remaining());
        out.put_slice(&waiting[..count]);
        *taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().stream.get_mut()).poll_shutdown(context)
    }
}

/// A connection to the application, or to what speaks another language to it.
#[derive(Debug)]
pub enum Line {
    /// The application itself.
    Tcp(TcpStream),
    /// A translator within this process.
    Within(DuplexStream),
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, out),
            Self::Within(stream) => Pin::new(stream).poll_read(context, out),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Within(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Within(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Within(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Bytes stay until they are taken, and what comes later follows them.
    #[tokio::test]
    async fn bytes_wait() {
        let (near, mut far) = tokio::io::duplex(64);
        let wire = Wire::new(near);
        far.write_all(b"abc").await.unwrap();
        wire.fill().await.unwrap();
        wire.consume(1);
        far.write_all(b"de").await.unwrap();
        wire.fill().await.unwrap();

        assert_eq!(&*wire.received(), b"bcde");
        drop(far);
        assert_eq!(wire.fill().await.unwrap(), 0);
    }
}
