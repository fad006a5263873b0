//! Looks the Console's name up, without the C library.
//!
//! The Defender is one static binary that starts in any image. A static `getaddrinfo` loads whatever modules the image's
//! `/etc/nsswitch.conf` names, built for another C library than ours, so it is not used: `/etc/hosts` and the servers of
//! `/etc/resolv.conf` are asked here (hosts(5), resolv.conf(5)), over UDP, and over TCP for what does not fit.
use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use defender_core::dns::{self, Addresses};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

const DNS_PORT: u16 = 53;
/// As the C library has them (resolv.conf(5)).
const MOST_SERVERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(3);
const LARGEST_DATAGRAM: usize = 4096;
/// Of `/etc/hosts` and `/etc/resolv.conf`; honest ones are far smaller.
const LARGEST_FILE: usize = 1 << 20;

/// How names are looked up here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    hosts: Vec<(IpAddr, String)>,
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with this many dots is tried as it is first.
    dots: usize,
}

impl Resolver {
    /// Reads the system's files as they are now; a missing one counts as empty.
    #[must_use]
    pub fn of_system() -> Self {
        let read = |path| {
            let mut text = fs::read(path).unwrap_or_default();
            text.truncate(LARGEST_FILE);
            String::from_utf8_lossy(&text).into_owned()
        };
        Self::new(&read("/etc/hosts"), &read("/etc/resolv.conf"))
    }

    /// A resolver from the texts of `/etc/hosts` and `/etc/resolv.conf`; lines that make no sense are passed over.
    #[must_use]
    pub fn new(hosts: &str, configuration: &str) -> Self {
        let mut resolver = Self { hosts: parse_hosts(hosts), servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in configuration.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if resolver.servers.len() < MOST_SERVERS => {
                    resolver.servers.extend(words.next().and_then(parse_server));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).take(6).collect(),
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    resolver.dots = dots.map_or(resolver.dots, |dots: usize| dots.min(15));
                }
                _ => {}
            }
        }
        if resolver.servers.is_empty() {
            resolver.servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        resolver
    }

    /// The addresses of a host, those of IPv4 first; an address stands for itself.
    ///
    /// # Errors
    /// `NotFound` when there is no such name, else why no server answered.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let known: Vec<IpAddr> = self
            .hosts
            .iter()
            .filter(|(_, name)| name.eq_ignore_ascii_case(host))
            .map(|(address, _)| *address)
            .collect();
        if !known.is_empty() {
            return Ok(known);
        }
        let mut answer = Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no host `{host}`")));
        for name in self.candidates(host) {
            match self.ask(&name).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(error) => answer = Err(error),
            }
        }
        answer
    }

    /// The names to try, in order.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let enough = host.matches('.').count() >= self.dots;
        names.insert(if enough { 0 } else { names.len() }, host.to_owned());
        names
    }

    async fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let (v4, v6) = tokio::join!(self.ask_for(name, false), self.ask_for(name, true));
        match (v4, v6) {
            (Ok(v4), v6) => Ok(v4.into_iter().chain(v6.unwrap_or_default()).collect()),
            (Err(error), Ok(v6)) if v6.is_empty() => Err(error),
            (Err(_), v6) => v6,
        }
    }

    async fn ask_for(&self, name: &str, v6: bool) -> io::Result<Vec<IpAddr>> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "there is no name server");
        for server in &self.servers {
            let Some(query) = dns::address_query(random_id()?, name, v6) else {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no host name")));
            };
            match timeout(PATIENCE, exchange(*server, &query)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::Error::new(io::ErrorKind::TimedOut, format!("name server {server} is silent")),
            }
        }
        Err(failure)
    }
}

async fn exchange(server: SocketAddr, query: &[u8]) -> io::Result<Vec<IpAddr>> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (std::net::Ipv6Addr::UNSPECIFIED, 0).into() };
    // A socket of its own for each question: the port is random, and only the server's datagrams arrive.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let response = &buffer[..length];
        if !dns::answers(query, response) {
            continue;
        }
        return match dns::parse_addresses(query, response) {
            Some(Addresses::Found(found)) => Ok(found),
            Some(Addresses::Truncated) => exchange_stream(server, query).await,
            None => Err(io::Error::other(format!("name server {server} failed"))),
        };
    }
}

/// RFC 1035, section 4.2.2: two bytes of length, then the message.
async fn exchange_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<IpAddr>> {
    let mut stream = TcpStream::connect(server).await?;
    let framed = [&(query.len() as u16).to_be_bytes(), query].concat();
    stream.write_all(&framed).await?;
    let mut response = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut response).await?;
    match dns::parse_addresses(query, &response) {
        Some(Addresses::Found(found)) => Ok(found),
        _ => Err(io::Error::other(format!("name server {server} failed"))),
    }
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| io::Error::other("no random numbers can be had"))?;
    Ok(u16::from_be_bytes(id))
}

fn parse_hosts(text: &str) -> Vec<(IpAddr, String)> {
    let line = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
        address.map_or_else(Vec::new, |address| words.map(|name| (address, name.to_owned())).collect())
    };
    text.lines().flat_map(line).collect()
}

/// An address; the zone of a link-local one is passed over, for nobody's Console is behind it.
fn parse_server(word: &str) -> Option<SocketAddr> {
    word.parse().ok().map(|address: IpAddr| SocketAddr::new(address, DNS_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both files are read as their manual pages say; nonsense is passed over.
    #[test]
    fn reads_the_systems_files() {
        let resolver = Resolver::new(
            "127.0.0.1 localhost # here\n# 1.1.1.1 no\n192.0.2.7\tconsole.test console\nx y\n",
            "nameserver 192.0.2.53\nnameserver nonsense\nnameserver 2001:db8::53\nsearch a.test b.test\noptions edns0 ndots:2\n",
        );

        let servers = ["192.0.2.53:53", "[2001:db8::53]:53"].map(|text| text.parse().expect("an address"));
        assert_eq!(resolver.servers, servers);
        assert_eq!(resolver.hosts.len(), 3);
        assert_eq!(resolver.candidates("web"), ["web.a.test", "web.b.test", "web"]);
        assert_eq!(resolver.candidates("a.b.c"), ["a.b.c", "a.b.c.a.test", "a.b.c.b.test"]);
        assert_eq!(resolver.candidates("web."), ["web."]);
    }

    /// Addresses stand for themselves and hosts of the file for what it says; no server is asked.
    #[tokio::test]
    async fn asks_nobody_for_what_it_knows() {
        let resolver = Resolver::new("192.0.2.7 Console.test\n2001:db8::7 console.test\n", "nameserver 0.0.0.0\n");

        let expected: [IpAddr; 2] = ["192.0.2.7", "2001:db8::7"].map(|text| text.parse().expect("an address"));
        assert_eq!(resolver.addresses("console.TEST").await.expect("known"), expected);
        assert_eq!(resolver.addresses("::1").await.expect("an address"), [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }

    /// A server that answers every query about `console.test` with one address, and lies first.
    async fn lying_server(socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let query = buffer[..length].to_vec();
            let mut lie = query.clone();
            lie[0] ^= 1;
            lie[2] |= 0x80;
            let mut answer = query.clone();
            answer[2] |= 0x80;
            let is_v4 = query[length - 4..length - 2] == [0, 1];
            if is_v4 {
                answer[7] = 1;
                answer.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
            }
            for message in [&lie, &answer] {
                socket.send_to(message, client).await.expect("sent");
            }
        }
    }

    /// A server is asked for what no file knows; datagrams that are no answer to the question are passed over.
    #[tokio::test]
    async fn asks_a_server() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let mut resolver = Resolver::new("", "");
        resolver.servers = vec![socket.local_addr().expect("bound")];
        tokio::spawn(lying_server(socket));

        let found = resolver.addresses("console.test").await.expect("found");

        assert_eq!(found, ["192.0.2.7".parse::<IpAddr>().expect("an address")]);
    }

    /// A name that no message can carry, and a name that is nowhere, are told apart from silence.
    #[tokio::test]
    async fn impossible_names_are_refused() {
        let error = Resolver::new("", "").addresses("a..b").await.expect_err("no such name");

        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
