//! The resolver in between: judges every look-up before it leaves the workload.
//!
//! The supervisor redirects `connect()` calls that go to port 53 to this proxy and, while the caller still waits for its
//! reply, registers who asks and which server was meant. A question that the policy prevents is answered with NXDOMAIN and
//! goes nowhere; any other is forwarded unchanged to the server that was meant, from a socket made for it alone (so the
//! source port is random), and only a response from that server with the same id and question is passed back.
//!
//! Everything is bounded: clients remembered, questions in flight, bytes per message, time per question.
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use defender_core::{AuditDraft, Decision, Effect, Event, LookupEvent, Protocol, decide, dns};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    time::timeout,
};

use crate::enforcement::{AuditSink, PolicyHandle};

const CLIENTS_REMEMBERED: usize = 4096;
const QUESTIONS_IN_FLIGHT: usize = 256;
const LARGEST_DATAGRAM: usize = 4096;
/// Longer than the resolvers' own time-outs (glibc and musl wait 5 s), so that theirs decide.
const PATIENCE: Duration = Duration::from_secs(6);
/// RFC 7766, section 6.2.3, leaves idle connections to the server; ours are short-lived.
const IDLE: Duration = Duration::from_secs(15);

/// Who asks, and the server that was meant.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Process id.
    pub pid: u32,
    /// Executable path.
    pub path: String,
    /// The resolver that the process wanted to reach.
    pub server: SocketAddr,
}

/// A running proxy. It lives as long as the Defender.
#[derive(Clone)]
pub struct DnsProxy {
    v4: SocketAddr,
    v6: Option<SocketAddr>,
    clients: Arc<Clients>,
}

impl DnsProxy {
    /// Opens the loopback sockets (one port for UDP and TCP each of IPv4 and, where there is any, IPv6) and serves them on
    /// a thread of its own.
    ///
    /// # Errors
    /// When the IPv4 loopback sockets or the thread cannot be had.
    pub fn start(policy: PolicyHandle, audits: Arc<dyn AuditSink>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let v4 = runtime.block_on(Listeners::open(Ipv4Addr::LOCALHOST.into()))?;
        let v6 = runtime.block_on(Listeners::open(Ipv6Addr::LOCALHOST.into())).ok();
        let proxy =
            Self { v4: v4.address, v6: v6.as_ref().map(|listeners| listeners.address), clients: Arc::default() };
        let judge = Arc::new(Judge {
            policy,
            audits,
            clients: proxy.clients.clone(),
            places: Semaphore::new(QUESTIONS_IN_FLIGHT),
        });
        std::thread::Builder::new().name("dns".into()).stack_size(256 << 10).spawn(move || {
            runtime.block_on(async {
                let v6 = v6.map(|listeners| tokio::spawn(listeners.serve(judge.clone())));
                v4.serve(judge).await;
                drop(v6);
            });
        })?;
        Ok(proxy)
    }

    /// Where to connect instead of `server`; none when this machine's loopback lacks the socket's family.
    #[must_use]
    pub fn instead_of(&self, server: SocketAddr) -> Option<SocketAddr> {
        if server.is_ipv4() { Some(self.v4) } else { self.v6 }
    }

    /// Remembers who is behind a client's local address. The oldest client is forgotten when there are too many.
    pub fn register(&self, protocol: Protocol, client: SocketAddr, asker: Asker) {
        self.clients.remember((protocol == Protocol::Tcp, client), asker);
    }
}

#[derive(Default)]
struct Clients(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    askers: HashMap<ClientKey, (u64, Asker)>,
    order: VecDeque<(u64, ClientKey)>,
    count: u64,
}

type ClientKey = (bool, SocketAddr);

impl Clients {
    fn remember(&self, key: ClientKey, asker: Asker) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.count += 1;
        let mark = remembered.count;
        remembered.askers.insert(key, (mark, asker));
        remembered.order.push_back((mark, key));
        while remembered.order.len() > CLIENTS_REMEMBERED
            && let Some((mark, oldest)) = remembered.order.pop_front()
        {
            // A port that was used again is as new as its last use.
            if remembered.askers.get(&oldest).is_some_and(|(last, _)| *last == mark) {
                remembered.askers.remove(&oldest);
            }
        }
    }

    fn find(&self, key: ClientKey) -> Option<Asker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).askers.get(&key).map(|(_, asker)| asker.clone())
    }
}

struct Listeners {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listeners {
    async fn open(address: std::net::IpAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind((address, 0)).await?;
        let address = tcp.local_addr()?;
        Ok(Self { udp: Arc::new(UdpSocket::bind(address).await?), tcp, address })
    }

    async fn serve(self, judge: Arc<Judge>) {
        tokio::join!(serve_udp(self.udp, judge.clone()), serve_tcp(self.tcp, judge));
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, judge: Arc<Judge>) {
    let mut buffer = [0; LARGEST_DATAGRAM];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(asker) = judge.clients.find((false, client)) else { continue };
        let (query, socket, judge) = (buffer[..length].to_vec(), socket.clone(), judge.clone());
        tokio::spawn(async move {
            let Ok(_place) = judge.places.try_acquire() else { return };
            if let Some(response) = judge.answer(&query, &asker, Protocol::Udp).await {
                // The client may be gone; then nobody waits for this.
                let _ = socket.send_to(&response, client).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, judge: Arc<Judge>) {
    loop {
        let Ok((stream, client)) = listener.accept().await else { continue };
        let judge = judge.clone();
        tokio::spawn(async move {
            let Ok(_place) = judge.places.try_acquire() else { return };
            // We can be here before the supervisor has registered the client; its first byte comes after that.
            let Ok(Ok(_)) = timeout(IDLE, stream.peek(&mut [0])).await else { return };
            let Some(asker) = judge.clients.find((true, client)) else { return };
            // Ends with the client's end of file, an idle connection or a broken one: nothing to report.
            let _ = serve_connection(stream, &asker, &judge).await;
        });
    }
}

async fn serve_connection(mut stream: TcpStream, asker: &Asker, judge: &Judge) -> io::Result<()> {
    loop {
        let query = timeout(IDLE, read_message(&mut stream)).await??;
        let Some(response) = judge.answer(&query, asker, Protocol::Tcp).await else { return Ok(()) };
        write_message(&mut stream, &response).await?;
    }
}

/// RFC 1035, section 4.2.2: two bytes of length, then the message.
async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

struct Judge {
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    clients: Arc<Clients>,
    places: Semaphore,
}

impl Judge {
    /// The response to one query; none for what is no query, and when the server does not answer.
    async fn answer(&self, query: &[u8], asker: &Asker, protocol: Protocol) -> Option<Vec<u8>> {
        let question = dns::parse_query(query)?;
        let event = LookupEvent {
            name: question.name.clone(),
            record_type: question.record_type.clone(),
            pid: asker.pid,
            path: asker.path.clone(),
        };
        if self.prevents(Event::Lookup(event)) {
            return dns::nxdomain(query);
        }
        let forward = async {
            match protocol {
                Protocol::Udp => forward_udp(query, asker.server).await,
                Protocol::Tcp => forward_tcp(query, asker.server).await,
            }
        };
        timeout(PATIENCE, forward).await.ok()?.ok()
    }

    fn prevents(&self, event: Event) -> bool {
        let (violation, effect) = match decide(&self.policy.current(), &event) {
            Decision::Allow => return false,
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        self.audits.submit(AuditDraft {
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
            rule: Some(violation.rule),
            effect,
            reason: violation.reason,
            matched: violation.matched,
            event,
            ancestry: Vec::new(),
        });
        effect == Effect::Prevent
    }
}

async fn forward_udp(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: std::net::IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; u16::MAX.into()];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if dns::answers(query, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn forward_tcp(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_message(&mut stream, query).await?;
    let response = read_message(&mut stream).await?;
    if dns::answers(query, &response) { Ok(response) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_used_again_is_not_forgotten_as_the_oldest() {
        let key = |port| (false, SocketAddr::from(([127, 0, 0, 1], port)));
        let asker = |pid| Asker { pid, path: String::new(), server: SocketAddr::from(([192, 0, 2, 1], 53)) };
        let clients = Clients::default();
        for port in 1..=CLIENTS_REMEMBERED as u16 {
            clients.remember(key(port), asker(1));
        }

        clients.remember(key(1), asker(2));
        clients.remember(key(u16::MAX), asker(3));

        assert_eq!(Some(2), clients.find(key(1)).map(|asker| asker.pid));
        assert!(clients.find(key(2)).is_none());
        assert!(clients.0.lock().unwrap().askers.len() <= CLIENTS_REMEMBERED);
    }
}
