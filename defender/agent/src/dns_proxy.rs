//! The resolver in between: judges every look-up before it leaves the workload, and learns which names gave an address.
//!
//! The supervisor redirects `connect()` calls that go to port 53 to this proxy and, while the caller still waits for its
//! reply, registers who asks and which server was meant. A question that the policy prevents is answered with NXDOMAIN and
//! goes nowhere; any other is forwarded unchanged (EDNS records, sizes and the case of names included) to the server that
//! was meant, from a socket made for it alone, and only a response from that server with the same id and question is
//! passed back. A truncated one is passed back too: its client asks again over TCP, which is served likewise.
//!
//! Everything is bounded: clients remembered, questions and connections at a time, bytes per message, time per question.
mod clients;
mod forward;
mod places;
mod resolvers;
pub mod stand_in;
mod unheard;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use defender_core::{
    AuditDraft, Decision, Effect, Event, Judged, LookupEvent, Notice, Protocol, Reason, decide,
    dns::{self, Question},
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, mpsc},
    time::timeout,
};

pub use self::{clients::Asker, resolvers::Resolvers, stand_in::StandIn};
use self::{
    clients::{Clients, Redirection},
    forward::{Upstream, by_udp, read_message, write_message},
    places::Places,
    unheard::Unheard,
};
use crate::{
    enforcement::{AuditSink, PolicyHandle},
    names::{Names, now},
};

/// Our own questions have their places under no process's number.
const OURSELVES: u32 = 0;
const CONNECTIONS: usize = 128;
/// Questions to ask again that wait for their turn.
const QUEUED: usize = 64;
const LARGEST_DATAGRAM: usize = 4096;
/// Longer than the resolvers' own time-outs (glibc and musl wait 5 s), so that theirs decide.
const PATIENCE: Duration = Duration::from_secs(6);
/// RFC 7766, section 6.2.3, leaves idle connections to the server; ours are short-lived.
const IDLE: Duration = Duration::from_secs(15);
const OPCODE: u8 = 0x78;

/// A running proxy. It lives as long as the Defender.
#[derive(Clone)]
pub struct DnsProxy {
    v4: SocketAddr,
    v6: Option<SocketAddr>,
    stand_ins: Arc<[StandIn]>,
    judge: Arc<Judge>,
    again: mpsc::Sender<(Vec<u8>, SocketAddr)>,
}

impl DnsProxy {
    /// Opens the loopback sockets (one port for UDP and TCP each of IPv4 and, where there is any, IPv6) and serves them on
    /// a thread of its own. What the answers give goes to `names`; `resolvers` are those whose word counts.
    ///
    /// # Errors
    /// When the IPv4 loopback sockets or the thread cannot be had.
    pub fn start(
        policy: PolicyHandle,
        audits: Arc<dyn AuditSink>,
        names: Names,
        resolvers: Resolvers,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let v4 = runtime.block_on(Listeners::open(Ipv4Addr::LOCALHOST.into()))?;
        let v6 = runtime.block_on(Listeners::open(Ipv6Addr::LOCALHOST.into())).ok();
        let judge = Arc::new(Judge {
            policy,
            audits,
            names,
            resolvers,
            clients: Clients::default(),
            unheard: Unheard::default(),
            questions: Places::default(),
            connections: Semaphore::new(CONNECTIONS),
        });
        let (again, queue) = mpsc::channel(QUEUED);
        let (stand_ins, sockets): (Vec<_>, Vec<_>) = StandIn::open_all(judge.resolvers.all()).into_iter().unzip();
        let proxy = Self {
            v4: v4.address,
            v6: v6.as_ref().map(|listeners| listeners.address),
            stand_ins: stand_ins.into(),
            judge: judge.clone(),
            again,
        };
        std::thread::Builder::new().name("dns".into()).stack_size(256 << 10).spawn(move || {
            runtime.block_on(async {
                tokio::spawn(ask_again(queue, judge.clone()));
                for socket in sockets.into_iter().filter_map(in_this_runtime) {
                    tokio::spawn(serve_udp(Arc::new(socket), Source::Server, judge.clone()));
                }
                let v6 = v6.map(|listeners| tokio::spawn(listeners.serve(judge.clone())));
                v4.serve(judge).await;
                drop(v6);
            });
        })?;
        Ok(proxy)
    }

    /// Where to connect instead of `server`; none when this machine's loopback lacks the socket's family. For datagrams
    /// that is a place with the server's own address where there is one.
    #[must_use]
    pub fn instead_of(&self, protocol: Protocol, server: SocketAddr) -> Option<StandIn> {
        self.stand_ins
            .iter()
            .find(|one| protocol == Protocol::Udp && one.place.ip() == server.ip())
            .copied()
            .or_else(|| self.loopback_for(server))
    }

    /// The same without any server's address.
    #[must_use]
    pub fn loopback_for(&self, server: SocketAddr) -> Option<StandIn> {
        if server.is_ipv4() { Some(self.v4) } else { self.v6 }.map(StandIn::plain)
    }

    /// The places with servers' own addresses.
    #[must_use]
    pub fn stand_ins(&self) -> &[StandIn] {
        &self.stand_ins
    }

    /// True for a program that takes no answers from us, while its look-ups are not prevented: it may as well ask the
    /// server itself.
    #[must_use]
    pub fn lets_alone(&self, path: impl FnOnce() -> String) -> bool {
        !self.judge.unheard.is_empty()
            && self.judge.policy.current().source().dns.effect != Effect::Prevent
            && self.judge.unheard.has(&path())
    }

    /// Remembers who is behind a client's local address.
    pub fn register(&self, protocol: Protocol, client: SocketAddr, asker: Asker) {
        self.judge.clients.remember(protocol, client, asker);
    }

    /// True for a resolver that the workload was started with.
    #[must_use]
    pub fn trusts(&self, server: IpAddr) -> bool {
        self.judge.resolvers.has(server)
    }

    /// Asks a question for ourselves that a client asked without us, to learn what its answer gives.
    pub fn ask_again(&self, query: &[u8], server: SocketAddr) {
        if self.judge.learns() {
            // With a full queue some answers are not learnt.
            let _ = self.again.try_send((query.to_vec(), server));
        }
    }
}

async fn ask_again(mut queue: mpsc::Receiver<(Vec<u8>, SocketAddr)>, judge: Arc<Judge>) {
    while let Some((query, server)) = queue.recv().await {
        let judge = judge.clone();
        tokio::spawn(async move {
            let Some(_place) = judge.questions.take(OURSELVES) else { return };
            if let Ok(Ok(response)) = timeout(PATIENCE, by_udp(&query, server)).await {
                judge.names.learn(&query, &response, judge.resolvers.has(server.ip()));
            }
        });
    }
}

fn in_this_runtime(socket: std::net::UdpSocket) -> Option<UdpSocket> {
    socket.set_nonblocking(true).ok()?;
    UdpSocket::from_std(socket).ok()
}

struct Listeners {
    udp: Arc<UdpSocket>,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listeners {
    async fn open(address: IpAddr) -> io::Result<Self> {
        let tcp = TcpListener::bind((address, 0)).await?;
        let address = tcp.local_addr()?;
        Ok(Self { udp: Arc::new(UdpSocket::bind(address).await?), tcp, address })
    }

    async fn serve(self, judge: Arc<Judge>) {
        tokio::join!(serve_udp(self.udp, Source::Elsewhere, judge.clone()), serve_tcp(self.tcp, judge));
    }
}

/// Where answers come from, as their clients see it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The address of the server that was asked: nobody has a reason not to take them.
    Server,
    Elsewhere,
}

async fn serve_udp(socket: Arc<UdpSocket>, source: Source, judge: Arc<Judge>) {
    let mut buffer = [0; LARGEST_DATAGRAM];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Some((redirection, asker)) = judge.clients.find(Protocol::Udp, client) else { continue };
        let (query, socket, judge) = (buffer[..length].to_vec(), socket.clone(), judge.clone());
        tokio::spawn(async move {
            let doubted = if source == Source::Elsewhere { dns::parse_query(&query) } else { None };
            if let Some(question) = &doubted {
                judge.note_repetition(question, &asker, redirection);
            }
            if let Some(response) = judge.answer(&query, &asker, None).await {
                // The client may be gone; then nobody waits for this.
                let _ = socket.send_to(&response, client).await;
                if let Some(question) = doubted {
                    judge.unheard.answered(redirection, question, now());
                }
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, judge: Arc<Judge>) {
    loop {
        let Ok((stream, client)) = listener.accept().await else { continue };
        let judge = judge.clone();
        tokio::spawn(async move {
            let Ok(_place) = judge.connections.try_acquire() else { return };
            // Ends with the client's end of file, an idle connection or a broken one: nothing to report.
            let _ = serve_connection(stream, client, &judge).await;
        });
    }
}

async fn serve_connection(mut stream: TcpStream, client: SocketAddr, judge: &Judge) -> io::Result<()> {
    let mut upstream = Upstream::default();
    loop {
        let query = timeout(IDLE, read_message(&mut stream)).await??;
        // The connection is there before its client is registered, a question is not.
        let Some((_, asker)) = judge.clients.find(Protocol::Tcp, client) else { return Ok(()) };
        let Some(response) = judge.answer(&query, &asker, Some(&mut upstream)).await else { return Ok(()) };
        write_message(&mut stream, &response).await?;
        if dns::parse_query(&query).is_some_and(|question| question.is_transfer()) {
            while let Some(more) = upstream.next_of_transfer(&query).await {
                timeout(PATIENCE, write_message(&mut stream, &more)).await??;
            }
            upstream.close();
        }
    }
}

struct Judge {
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    names: Names,
    resolvers: Resolvers,
    clients: Clients,
    unheard: Unheard,
    questions: Places,
    connections: Semaphore,
}

impl Judge {
    /// The response to one query, over TCP when there is an `upstream`; none when the server does not answer in time.
    async fn answer(&self, query: &[u8], asker: &Asker, upstream: Option<&mut Upstream>) -> Option<Vec<u8>> {
        let _place = self.questions.take(asker.pid)?;
        if let Some(refusal) = self.refusal(query, asker) {
            return Some(refusal);
        }
        let forward = async {
            match upstream {
                None => by_udp(query, asker.server).await,
                Some(upstream) => upstream.ask(query, asker.server).await,
            }
        };
        match timeout(PATIENCE, forward).await.ok()? {
            Ok(response) => {
                self.names.learn(query, &response, self.resolvers.has(asker.server.ip()));
                Some(response)
            }
            // The server cannot be reached: clients that hear so ask the next one at once.
            Err(_) => dns::failure(query, dns::SERVER_FAILED),
        }
    }

    /// The answer to what is prevented; none for what may be asked.
    fn refusal(&self, query: &[u8], asker: &Asker) -> Option<Vec<u8>> {
        let Some(question) = dns::parse_query(query) else {
            // What we cannot read could ask for anything.
            let prevents = self.policy.current().source().dns.effect == Effect::Prevent;
            let ordinary = query.get(2).is_some_and(|flags| flags & OPCODE == 0);
            let code = if ordinary { dns::REFUSED } else { dns::NOT_IMPLEMENTED };
            return prevents.then(|| dns::failure(query, code))?;
        };
        let event = LookupEvent {
            name: question.name,
            record_type: question.record_type,
            pid: asker.pid,
            path: asker.path.clone(),
        };
        if self.prevents(Event::Lookup(event)) { dns::nxdomain(query) } else { None }
    }

    /// Tells of a program that did not take our answer, once.
    fn note_repetition(&self, question: &Question, asker: &Asker, redirection: Redirection) {
        if !self.unheard.asks_again(redirection, &asker.path, question, now()) {
            return;
        }
        let detail = format!(
            "`{}` takes no answers but from `{}` itself, which the Defender cannot stand in for (that takes CAP_NET_RAW and \
             IPv4): its look-ups fail where they are prevented, and are not seen elsewhere",
            asker.path,
            asker.server.ip()
        );
        self.audits.submit(AuditDraft::notice(unix_time(), Notice::NotEnforcing, detail, 1));
    }

    /// True while somebody wants to know which names gave an address.
    fn learns(&self) -> bool {
        let policy = self.policy.current();
        policy.source().dns.effect != Effect::Disable || policy.detection(Reason::UnresolvedAddress) != Effect::Disable
    }

    fn prevents(&self, event: Event) -> bool {
        let (violation, effect) = match decide(&self.policy.current(), &event) {
            Decision::Allow => {
                self.audits.saw(&event, None);
                return false;
            }
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        self.audits.saw(&event, Some(Judged { effect, reason: violation.reason }));
        self.audits.submit(AuditDraft {
            time: unix_time(),
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

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
