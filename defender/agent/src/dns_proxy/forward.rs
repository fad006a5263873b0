//! The way to the server that was meant, and back.
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use defender_core::dns;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Between two messages of a zone transfer.
const TRANSFER_PAUSE: Duration = Duration::from_secs(5);

/// Asks over UDP, from a socket made for this question alone: its source port is the kernel's random choice, it hears only
/// that server, and only an answer with the same id and question counts (RFC 5452, section 9).
pub async fn by_udp(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: std::net::IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    loop {
        // Room is made when something is there, so that many unanswered questions take none.
        if socket.ready(Interest::READABLE | Interest::ERROR).await?.is_error() {
            return Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::ConnectionRefused.into()));
        }
        let mut buffer = vec![0; u16::MAX.into()];
        match socket.try_recv(&mut buffer) {
            Ok(length) if belongs(query, &buffer[..length]) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            // Somebody else's, or nothing after all.
            _ => {}
        }
    }
}

/// A connection to a server, kept while its client's lasts.
#[derive(Default)]
pub struct Upstream(Option<TcpStream>);

impl Upstream {
    /// Asks over TCP. A server may have closed the connection since the last question (RFC 7766, section 6.2.4), so it is
    /// asked again on a new one.
    pub async fn ask(&mut self, query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
        if let Some(stream) = &mut self.0
            && let Ok(response) = exchange(stream, query).await
        {
            return Ok(response);
        }
        let stream = self.0.insert(TcpStream::connect(server).await?);
        exchange(stream, query).await
    }

    /// The next message of a zone transfer; none when the server has no more.
    pub async fn next_of_transfer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let response = timeout(TRANSFER_PAUSE, read_message(self.0.as_mut()?)).await.ok()?.ok()?;
        // Only the first one need have the question (RFC 5936, section 2.2.1).
        (query.get(..2)? == response.get(..2)?).then_some(response)
    }

    /// Forgets the connection: what is still on its way there belongs to no later question.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

async fn exchange(stream: &mut TcpStream, query: &[u8]) -> io::Result<Vec<u8>> {
    write_message(stream, query).await?;
    let response = read_message(stream).await?;
    if belongs(query, &response) { Ok(response) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// What is no ordinary query is let through only where nothing is prevented; its answer has its id.
fn belongs(query: &[u8], response: &[u8]) -> bool {
    match dns::parse_query(query) {
        Some(_) => dns::answers(query, response),
        None => response.len() >= 12 && query.get(..2) == response.get(..2) && response[2] & 0x80 != 0,
    }
}

/// RFC 1035, section 4.2.2: two bytes of length, then the message.
pub async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// The same for writing.
pub async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}
