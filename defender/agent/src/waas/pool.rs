//! Connections to the application that are kept open between requests.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

use super::wire::{Line, Wire};

/// Connections that wait for one port.
const MOST_IDLE: usize = 64;
/// For how long one waits. Most applications close theirs after 5 seconds or more.
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// For a request that must not be sent twice, only a connection that was used so shortly ago that no application can have
/// begun to close it.
const FRESH: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NoApplication {
    /// Nobody listens there, or nobody may.
    #[error("the application does not listen on port {0}: {1}")]
    Unreachable(u16, io::Error),
    /// Nobody answers.
    #[error("the application on port {0} does not accept the connection")]
    Silent(u16, Elapsed),
}

/// A connection to the application.
#[derive(Debug)]
pub struct Upstream {
    /// The connection.
    pub wire: Wire<Line>,
    /// True when it served a request before.
    pub used: bool,
}

/// A connection that waits, and since when.
type Idle = (Instant, Wire<Line>);

/// The connections that wait.
#[derive(Debug, Default)]
pub struct Pool {
    idle: RefCell<HashMap<u16, Vec<Idle>>>,
}

impl Pool {
    /// A connection that waits, if there is a live one. `once`: the request must not be sent twice.
    pub fn waiting(&self, port: u16, once: bool) -> Option<Upstream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&port)?;
        let longest = if once { FRESH } else { LONGEST_IDLE };
        while let Some((since, wire)) = waiting.pop() {
            // The last was used last: those before it are older still.
            if since.elapsed() > longest {
                if !once {
                    waiting.clear();
                }
                return None;
            }
            if is_open(&wire.stream()) {
                return Some(Upstream { wire, used: true });
            }
        }
        None
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`NoApplication`].
    pub async fn open(port: u16, patience: Duration) -> Result<Upstream, NoApplication> {
        let stream = Self::connect(port, patience).await?;
        Ok(Upstream { wire: Wire::new(Line::Tcp(stream)), used: false })
    }

    /// A new connection to the application's port on loopback.
    ///
    /// # Errors
    /// [`NoApplication`].
    pub async fn connect(port: u16, patience: Duration) -> Result<TcpStream, NoApplication> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(NoApplication::Unreachable(port, error)),
            Err(elapsed) => return Err(NoApplication::Silent(port, elapsed)),
        };
        // Small pieces are sent at once; a system that cannot only sends them later.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Keeps a connection whose last response is read whole.
    pub fn keep(&self, port: u16, upstream: Upstream) {
        // What follows a response unasked for is no response to anything.
        if !upstream.wire.received().is_empty() || !is_open(&upstream.wire.stream()) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(port).or_default();
        if waiting.len() < MOST_IDLE {
            waiting.push((Instant::now(), upstream.wire));
        }
    }

    /// Closes those that waited for too long.
    pub fn sweep(&self) {
        for waiting in self.idle.borrow_mut().values_mut() {
            waiting.retain(|(since, wire)| since.elapsed() <= LONGEST_IDLE && is_open(&wire.stream()));
        }
    }
}

/// Nothing may have come: an end or bytes that nobody asked for mean that it is of no use.
fn is_open(line: &Line) -> bool {
    // A translator serves one request.
    let Line::Tcp(stream) = line else { return false };
    let outcome = stream.try_read(&mut [0]);
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
