//! Places at the resolvers' own addresses.
//!
//! Some clients connect and then compare the address that an answer came from with the server's (c-ares, as in Node's
//! `dns.resolve` and in curl). They are redirected to a socket that has the server's address and a port of its own. Where
//! that is an address of this machine (127.0.0.11, 127.0.0.53) anybody may have it. Elsewhere the socket is tied to the
//! loopback interface, and so is the client's: the kernel then delivers here whatever the address is. That takes
//! `CAP_NET_RAW`, which containers have by default.
//!
//! The port is never 53: a client that unties its socket again reaches a port of the real server on which nobody resolves.
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use defender_sys::{Result, socket};

const LOOPBACK: &str = "lo";
/// resolv.conf(5) has three.
const MOST: usize = 8;
/// On this machine's own loopback nothing takes long.
const SOON: Duration = Duration::from_millis(200);
const PROBE: &[u8] = b"probe";

/// One place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandIn {
    /// Where to connect: the server's address, another port.
    pub place: SocketAddr,
    /// True when the client's socket has to be tied to the loopback interface.
    tied: bool,
}

impl StandIn {
    /// A place like this without a server's address.
    #[must_use]
    pub fn plain(place: SocketAddr) -> Self {
        Self { place, tied: false }
    }

    /// Readies a client's socket for being connected to this place.
    ///
    /// # Errors
    /// The kernel's answer; then the client cannot use this place.
    pub fn admit(&self, client: BorrowedFd<'_>) -> Result<()> {
        if self.tied { socket::tie(client, LOOPBACK) } else { Ok(()) }
    }

    /// Opens a place at the address of each server; none where that is impossible. Each was tried out.
    #[must_use]
    pub fn open_all(servers: &[IpAddr]) -> Vec<(Self, UdpSocket)> {
        servers.iter().take(MOST).filter_map(|server| Self::open(*server)).collect()
    }

    fn open(server: IpAddr) -> Option<(Self, UdpSocket)> {
        let near = || UdpSocket::bind((server, 0)).ok().and_then(|socket| Self::tried(socket, false));
        let far = || match server {
            IpAddr::V4(v4) => {
                let socket = socket::foreign_datagrams(SocketAddrV4::new(v4, 0), LOOPBACK).ok()?;
                Self::tried(socket.into(), true)
            }
            // The kernel has no such way for IPv6.
            IpAddr::V6(_) => None,
        };
        near().or_else(far)
    }

    /// Asks and answers once, as a client will.
    fn tried(socket: UdpSocket, tied: bool) -> Option<(Self, UdpSocket)> {
        let this = Self { place: socket.local_addr().ok()?, tied };
        let any: IpAddr =
            if this.place.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let client = UdpSocket::bind((any, 0)).ok()?;
        this.admit(client.as_fd()).ok()?;
        client.connect(this.place).ok()?;
        client.send(PROBE).ok()?;
        let mut buffer = [0; PROBE.len()];
        [&socket, &client].into_iter().try_for_each(|socket| socket.set_read_timeout(Some(SOON))).ok()?;
        let (_, asker) = socket.recv_from(&mut buffer).ok()?;
        socket.send_to(PROBE, asker).ok()?;
        let (_, source) = client.recv_from(&mut buffer).ok()?;
        (source == this.place).then_some((this, socket))
    }
}

/// Gives a client's socket, which may be connected to one of these places, its way to everywhere else back. True when it
/// was tied.
#[must_use]
pub fn release(places: &[StandIn], client: BorrowedFd<'_>) -> bool {
    let tied = |peer: SocketAddr| {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        places.iter().any(|one| one.tied && one.place == peer)
    };
    places.iter().any(|one| one.tied) && socket::peer_address(client).is_ok_and(tied) && socket::tie(client, "").is_ok()
}

/// Ties a client's socket again after [`release`].
pub fn retie(client: BorrowedFd<'_>) {
    // It was tied a moment ago, so it can be; otherwise its look-ups get no answer.
    let _ = socket::tie(client, LOOPBACK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_at_an_address_of_this_machine_needs_nothing() {
        let server = IpAddr::from([127, 0, 0, 53]);

        let (stand_in, socket) = StandIn::open(server).unwrap();

        assert_eq!((server, false), (stand_in.place.ip(), stand_in.tied));
        assert_eq!(stand_in.place, socket.local_addr().unwrap());
        assert_ne!(53, stand_in.place.port());
    }

    #[test]
    fn more_servers_than_anybody_has_are_passed_over() {
        let servers: Vec<IpAddr> = (1..=2 * MOST as u8).map(|last| IpAddr::from([127, 0, 9, last])).collect();

        assert_eq!(MOST, StandIn::open_all(&servers).len());
    }
}
