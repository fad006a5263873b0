//! Socket calls on a copied descriptor, with addresses as the caller gave them.
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

use crate::{Errno, Result};

/// Largest address that the kernel takes (`struct sockaddr_storage`).
pub const LARGEST_ADDRESS: usize = 128;

/// An address as it stands in memory: checked by us, then used by us, so nobody can change it in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Vec<u8>);

impl Address {
    /// Takes the bytes of a `sockaddr`.
    ///
    /// # Errors
    /// `EINVAL` when there are more than the kernel takes.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() > LARGEST_ADDRESS { Err(Errno(libc::EINVAL)) } else { Ok(Self(bytes)) }
    }

    /// Its family (`AF_*`); `AF_UNSPEC` when too short to have one.
    #[must_use]
    pub fn family(&self) -> i32 {
        self.0.first_chunk().map_or(libc::AF_UNSPEC, |family| i32::from(u16::from_ne_bytes(*family)))
    }

    /// The address and port, when it is a whole IPv4 or IPv6 address.
    #[must_use]
    pub fn inet(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.0.get(2..4)?.try_into().ok()?);
        match self.family() {
            libc::AF_INET if self.0.len() >= 16 => {
                let octets: [u8; 4] = self.0.get(4..8)?.try_into().ok()?;
                Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(octets), port)))
            }
            libc::AF_INET6 if self.0.len() >= 24 => {
                let octets: [u8; 16] = self.0.get(8..24)?.try_into().ok()?;
                let scope = self.0.get(24..28).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
                Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
            }
            _ => None,
        }
    }

    /// Where a datagram goes that a socket of `domain` sends to it: on IPv4 sockets the kernel takes `AF_UNSPEC` for
    /// `AF_INET` (`udp_sendmsg`, and `inet_bind` likewise).
    #[must_use]
    pub fn inet_on(&self, domain: i32) -> Option<SocketAddr> {
        if domain == libc::AF_INET && self.0.len() >= 16 && self.family() == libc::AF_UNSPEC {
            let mut bytes = self.0.clone();
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            return Self(bytes).inet();
        }
        self.inet()
    }

    fn parts(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        (self.0.as_ptr().cast(), self.0.len() as libc::socklen_t)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = Vec::with_capacity(28);
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        bytes.extend((family as u16).to_ne_bytes());
        bytes.extend(address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                bytes.extend(v4.ip().octets());
                bytes.extend([0; 8]);
            }
            SocketAddr::V6(v6) => {
                bytes.extend(v6.flowinfo().to_ne_bytes());
                bytes.extend(v6.ip().octets());
                bytes.extend(v6.scope_id().to_ne_bytes());
            }
        }
        Self(bytes)
    }
}

/// What kind of socket a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `AF_*`.
    pub domain: i32,
    /// `SOCK_STREAM` and so on.
    pub kind: i32,
}

impl Kind {
    /// True for IPv4 and IPv6 sockets.
    #[must_use]
    pub fn is_inet(self) -> bool {
        self.domain == libc::AF_INET || self.domain == libc::AF_INET6
    }

    /// True for stream sockets.
    #[must_use]
    pub fn is_stream(self) -> bool {
        self.kind == libc::SOCK_STREAM
    }

    /// True for sockets that send packets of no transport protocol.
    #[must_use]
    pub fn is_raw(self) -> bool {
        self.kind == libc::SOCK_RAW
    }

    /// True for sockets whose every message may go elsewhere.
    #[must_use]
    pub fn is_datagram(self) -> bool {
        self.kind != libc::SOCK_STREAM && self.kind != libc::SOCK_SEQPACKET
    }
}

/// Asks the kernel what a descriptor is.
///
/// # Errors
/// `ENOTSOCK` for other files.
pub fn kind(socket: BorrowedFd<'_>) -> Result<Kind> {
    let of_socket = |name| option(socket, libc::SOL_SOCKET, name);
    Ok(Kind { domain: of_socket(libc::SO_DOMAIN)?, kind: of_socket(libc::SO_TYPE)? })
}

/// True for a TCP socket, of whatever family: no other has TCP's options. (TIPC sockets say that they have, for programs
/// that expect TCP, but tell no value.)
#[must_use]
pub fn is_tcp(socket: BorrowedFd<'_>) -> bool {
    option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY).is_ok()
}

fn option(socket: BorrowedFd<'_>, level: i32, name: i32) -> Result<i32> {
    let (mut value, mut length) = (0_i32, size_of::<i32>() as libc::socklen_t);
    let pointer = (&raw mut value).cast();
    // SAFETY: the options asked for are one int, which the pointers describe.
    Errno::check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, pointer, &raw mut length) })?;
    if length as usize == size_of::<i32>() { Ok(value) } else { Err(Errno(libc::ENOPROTOOPT)) }
}

/// connect(2) with our own copy of the address.
///
/// # Errors
/// The kernel's answer; `EINPROGRESS` on a non-blocking socket is not a failure.
pub fn connect(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let (pointer, length) = address.parts();
    // SAFETY: the pointer and length describe the bytes of `address`, alive for the call.
    Errno::check(unsafe { libc::connect(socket.as_raw_fd(), pointer, length) }).map(drop)
}

/// bind(2) with our own copy of the address.
///
/// # Errors
/// The kernel's answer; `EINVAL` when it is bound already.
pub fn bind(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let (pointer, length) = address.parts();
    // SAFETY: the pointer and length describe the bytes of `address`, alive for the call.
    Errno::check(unsafe { libc::bind(socket.as_raw_fd(), pointer, length) }).map(drop)
}

/// listen(2).
///
/// # Errors
/// The kernel's answer.
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// How long a blocking connect or send waits (`SO_SNDTIMEO`); none for as long as it takes.
///
/// # Errors
/// The kernel's answer.
pub fn patience(socket: BorrowedFd<'_>) -> Result<Option<Duration>> {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut length = size_of::<libc::timeval>() as libc::socklen_t;
    let pointer = (&raw mut time).cast();
    // SAFETY: this option is one timeval, which the pointers describe.
    Errno::check(unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDTIMEO, pointer, &raw mut length)
    })?;
    let whole = Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs());
    Ok((!whole.is_zero()).then_some(whole))
}

/// The local address of an inet socket.
///
/// # Errors
/// The kernel's answer; `EAFNOSUPPORT` for other sockets.
pub fn local_address(socket: BorrowedFd<'_>) -> Result<SocketAddr> {
    let mut bytes = vec![0_u8; LARGEST_ADDRESS];
    let mut length = LARGEST_ADDRESS as libc::socklen_t;
    // SAFETY: the buffer and its length describe each other.
    Errno::check(unsafe { libc::getsockname(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut length) })?;
    bytes.truncate(length as usize);
    Address(bytes).inet().ok_or(Errno(libc::EAFNOSUPPORT))
}

/// The peer of a connected inet socket.
///
/// # Errors
/// The kernel's answer, `ENOTCONN` without one; `EAFNOSUPPORT` for other sockets.
pub fn peer_address(socket: BorrowedFd<'_>) -> Result<SocketAddr> {
    let mut bytes = vec![0_u8; LARGEST_ADDRESS];
    let mut length = LARGEST_ADDRESS as libc::socklen_t;
    // SAFETY: the buffer and its length describe each other.
    Errno::check(unsafe { libc::getpeername(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut length) })?;
    bytes.truncate(length as usize);
    Address(bytes).inet().ok_or(Errno(libc::EAFNOSUPPORT))
}

/// Ties a socket to a network interface (`SO_BINDTODEVICE`): it sends and hears through this one only. An empty name
/// unties it.
///
/// # Errors
/// The kernel's answer; `EPERM` for a tied socket without `CAP_NET_RAW`.
pub fn tie(socket: BorrowedFd<'_>, interface: &str) -> Result<()> {
    let length = interface.len() as libc::socklen_t;
    let pointer = interface.as_ptr().cast();
    // SAFETY: pointer and length describe the name.
    Errno::check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, pointer, length)
    })
    .map(drop)
}

/// A datagram socket at an IPv4 address of another machine, heard on this one only: it is tied to `interface`.
///
/// # Errors
/// The kernel's answer; `EPERM` without `CAP_NET_RAW` or `CAP_NET_ADMIN` (`IP_TRANSPARENT`, ip(7)).
pub fn foreign_datagrams(place: SocketAddrV4, interface: &str) -> Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: integers only.
    let number = Errno::check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let (on, length) = (1_i32, size_of::<i32>() as libc::socklen_t);
    let pointer = (&raw const on).cast();
    // SAFETY: this option is one int, which the pointers describe.
    Errno::check(unsafe { libc::setsockopt(number, libc::SOL_IP, libc::IP_TRANSPARENT, pointer, length) })?;
    tie(socket.as_fd(), interface)?;
    bind(socket.as_fd(), &Address::from(SocketAddr::V4(place)))?;
    Ok(socket)
}

/// True for an internet socket (or one to a virtual machine's host) that has a peer: what is written to it leaves.
#[must_use]
pub fn is_connected(socket: BorrowedFd<'_>) -> bool {
    let leaves = kind(socket).is_ok_and(|kind| kind.is_inet() || kind.domain == libc::AF_VSOCK);
    let mut bytes = [0_u8; LARGEST_ADDRESS];
    let mut length = LARGEST_ADDRESS as libc::socklen_t;
    // SAFETY: the buffer and its length describe each other.
    leaves && unsafe { libc::getpeername(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut length) } == 0
}

/// Status flags of the open file description (`O_NONBLOCK` and others).
///
/// # Errors
/// The kernel's answer.
pub fn status_flags(socket: BorrowedFd<'_>) -> Result<i32> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) })
}

/// Sets the status flags.
///
/// # Errors
/// The kernel's answer.
pub fn set_status_flags(socket: BorrowedFd<'_>, flags: i32) -> Result<()> {
    // SAFETY: integers only.
    Errno::check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags) }).map(drop)
}

/// One message to send: our own copies of everything that the caller pointed to.
#[derive(Debug, Clone)]
pub struct Message {
    /// Destination; none on a connected socket.
    pub address: Option<Address>,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Ancillary data, as it stood in the caller's memory.
    pub control: Vec<u8>,
}

/// sendmsg(2); never raises SIGPIPE in this process.
///
/// # Errors
/// The kernel's answer.
pub fn send(socket: BorrowedFd<'_>, message: &Message, flags: i32) -> Result<usize> {
    let mut vector =
        libc::iovec { iov_base: message.payload.as_ptr().cast_mut().cast(), iov_len: message.payload.len() };
    // SAFETY: an all-zero msghdr is a valid, empty one.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    if let Some(address) = &message.address {
        let (pointer, length) = address.parts();
        header.msg_name = pointer.cast_mut().cast();
        header.msg_namelen = length;
    }
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    if !message.control.is_empty() {
        header.msg_control = message.control.as_ptr().cast_mut().cast();
        header.msg_controllen = message.control.len() as _;
    }
    // SAFETY: every pointer in the header describes memory of `message`, which the kernel only reads.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags | libc::MSG_NOSIGNAL) };
    Errno::check(sent).map(|length| length as usize)
}

/// The inode of the descriptor's file: the identity of a socket.
///
/// # Errors
/// The kernel's answer.
pub fn inode(socket: BorrowedFd<'_>) -> Result<u64> {
    // SAFETY: an all-zero stat is a valid buffer.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the buffer is valid for one stat.
    Errno::check(unsafe { libc::fstat(socket.as_raw_fd(), &raw mut status) })?;
    Ok(status.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_meaning_as_bytes() {
        for text in ["127.0.0.1:53", "203.0.113.9:65535", "[::1]:443", "[2001:db8::7]:1"] {
            let address: SocketAddr = text.parse().unwrap();

            assert_eq!(Some(address), Address::from(address).inet());
        }
    }

    #[test]
    fn only_tcp_sockets_are_tcp() {
        use std::{
            net::{TcpListener, UdpSocket},
            os::{fd::AsFd, unix::net::UnixDatagram},
        };
        for place in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may have no IPv6.
            let Ok(server) = TcpListener::bind(place) else { continue };
            assert!(is_tcp(server.as_fd()), "{place}");
        }
        assert!(!is_tcp(UdpSocket::bind("127.0.0.1:0").unwrap().as_fd()));
        assert!(!is_tcp(UnixDatagram::unbound().unwrap().as_fd()));
        assert!(!is_tcp(std::fs::File::open("/").unwrap().as_fd()));
    }

    #[test]
    fn an_ipv4_socket_sends_to_addresses_without_a_family() {
        let mut bytes = Address::from("203.0.113.9:53".parse::<SocketAddr>().unwrap()).0;
        bytes[..2].fill(0);
        let address = Address::new(bytes).unwrap();

        assert_eq!(None, address.inet());
        assert_eq!(None, address.inet_on(libc::AF_INET6));
        assert_eq!(Some("203.0.113.9:53".parse().unwrap()), address.inet_on(libc::AF_INET));
    }

    #[test]
    fn short_and_foreign_addresses_are_no_inet_addresses() {
        let whole = Address::from("127.0.0.1:53".parse::<SocketAddr>().unwrap());
        for length in 0..16 {
            assert_eq!(None, Address::new(whole.0[..length].to_vec()).unwrap().inet());
        }
        assert_eq!(None, Address::new(vec![1, 0, b'/', b'x']).unwrap().inet());
        assert_eq!(Err(Errno(libc::EINVAL)), Address::new(vec![0; 129]));
    }
}
