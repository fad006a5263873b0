//! Rows of the kernel's tables of TCP sockets (`/proc/net/tcp`, `/proc/net/tcp6`; proc(5)).
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpRow {
    /// Its own address, in canonical form.
    pub local: SocketAddr,
    /// Its peer's, in canonical form; unspecified for one that listens.
    pub remote: SocketAddr,
    /// Its state (`include/net/tcp_states.h`).
    pub state: u8,
    /// Its inode; 0 when no process holds it any more.
    pub inode: u64,
}

const SYN_SENT: u8 = 2;
const SYN_RECEIVED: u8 = 3;
const TIME_WAIT: u8 = 6;
const LISTEN: u8 = 10;

impl TcpRow {
    /// Reads one line. None for the heading and for what is no row.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (socket_address(words.next()?)?, socket_address(words.next()?)?);
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        // Queues, timer, retransmissions, user and timeout stand in between.
        let inode = words.nth(5)?.parse().ok()?;
        Some(Self { local, remote, state, inode })
    }

    /// True for a socket that waits for connections.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.state == LISTEN
    }

    /// True for a socket that asked for a connection and has no answer yet: nobody accepts one like that.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.state == SYN_SENT
    }

    /// True for a socket with a peer, held by some process.
    #[must_use]
    pub fn has_peer(&self) -> bool {
        self.inode != 0 && self.remote.port() != 0 && ![SYN_RECEIVED, TIME_WAIT, LISTEN].contains(&self.state)
    }
}

/// `0100007F:1F90`: the words of the address as the machine reads them, then the port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = address.as_bytes().chunks(8).map(word).collect::<Option<_>>()?;
    let address = match words.as_slice() {
        [octets] => IpAddr::from(Ipv4Addr::from(*octets)),
        words => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)),
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

fn word(digits: &[u8]) -> Option<[u8; 4]> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 8)?;
    Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of both families are read as the kernel writes them; an IPv4-mapped address is one of IPv4.
    #[test]
    fn rows_are_read() {
        let v4 =
            "   1: 0100007F:1F90 090071CB:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 20";
        let v6 = "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 \
                  00:00000000 00000000     0        0 77 1 0";
        let mapped =
            "   2: 0000000000000000FFFF00000100007F:0001 0000000000000000FFFF0000090071CB:0002 02 0:0 00:0 0 0 0 9";

        let (v4, v6, mapped) = (TcpRow::parse(v4).unwrap(), TcpRow::parse(v6).unwrap(), TcpRow::parse(mapped).unwrap());

        assert_eq!((v4.local, v4.remote), ("127.0.0.1:8080".parse().unwrap(), "203.113.0.9:443".parse().unwrap()));
        assert_eq!((v4.inode, v4.has_peer(), v4.listens()), (12345, true, false));
        assert_eq!((v6.local, v6.listens(), v6.has_peer()), ("[::]:22".parse().unwrap(), true, false));
        assert_eq!((mapped.remote, mapped.is_asking()), ("203.113.0.9:2".parse().unwrap(), true));
    }

    /// Headings and cut rows are no rows.
    #[test]
    fn what_is_no_row_is_passed_over() {
        for line in
            ["", "  sl  local_address rem_address   st tx_queue", "  1: 0100007F:1F90", "  1: 01:1 01:1 01 0 0 0 0 0 1"]
        {
            assert_eq!(TcpRow::parse(line), None, "{line}");
        }
    }

    proptest! {
        /// Reading ends, whatever a line says.
        #[test]
        fn total(line in "[0-9A-F: ]{0,120}|\\PC{0,60}") {
            let _ = TcpRow::parse(&line);
        }
    }
}
