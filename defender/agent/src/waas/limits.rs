//! How long and how much: the bounds within which clients and applications have to stay.

use std::time::Duration;

/// Bounds of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A head has to be whole within this time from its first byte, and a TLS handshake from the connection's beginning.
    pub head: Duration,
    /// Between two pieces of a body.
    pub body: Duration,
    /// A body that has taken this long must have come at [`Limits::rate`] on average.
    pub grace: Duration,
    /// Bytes a second.
    pub rate: u64,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// For a client to take a piece of a response.
    pub send: Duration,
    /// Until the application accepts a connection.
    pub connect: Duration,
    /// Until the application begins to answer.
    pub answer: Duration,
    /// Between two pieces of an answer, or of what an upgraded connection carries.
    pub silence: Duration,
    /// For requests under way, once the end was announced.
    pub drain: Duration,
    /// Bytes of bodies that are held back at a time, of all requests together.
    pub held: usize,
    /// Connections in all.
    pub connections: usize,
    /// Connections of one address. Load balancers have few addresses and many connections.
    pub connections_of_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            rate: 256,
            idle: Duration::from_secs(75),
            send: Duration::from_mins(1),
            connect: Duration::from_secs(5),
            answer: Duration::from_mins(5),
            silence: Duration::from_hours(1),
            drain: Duration::from_secs(20),
            held: 64 << 20,
            connections: 4096,
            connections_of_client: 2048,
        }
    }
}

impl Limits {
    /// As a policy's `readTimeoutSeconds` wants it: for how long heads and pieces of bodies are waited for.
    #[must_use]
    pub fn reading(self, seconds: Option<u64>) -> Self {
        match seconds {
            None | Some(0) => self,
            Some(seconds) => {
                let patience = Duration::from_secs(seconds.min(3600));
                Self { head: patience, body: patience, ..self }
            }
        }
    }
}
