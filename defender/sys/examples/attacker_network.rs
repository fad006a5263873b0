//! A hostile program for the tests of the network (`defender/agent/tests/network.rs`): each mode tries one thing and prints
//! what it achieved as words or numbers.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)] // an attacker takes no care
mod patience;

use std::{
    env, fs,
    io::{Error, Read, Write},
    mem::{size_of_val, zeroed},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::exit,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use patience::{patient, tries};

fn main() {
    let words: Vec<String> = env::args().collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let number = |index: usize| word(index).parse::<u32>().unwrap_or(0);
    let port = |index: usize| number(index) as u16;
    let answer = match word(1) {
        "nothing" => String::new(),
        "connect" => connect_to(word(2).parse().unwrap()).to_string(),
        "open-and-connect" => open_and_connect(word(2).parse().unwrap()).to_string(),
        "stay" => stay(word(2).parse().unwrap()),
        "accept" => accept_and_hold(number(2)),
        "listen" => listen_on(word(2).parse().unwrap()).to_string(),
        "listen-unbound" => listen_unbound().to_string(),
        "bind-udp" => bind_udp(word(2).parse().unwrap(), libc::AF_INET).to_string(),
        "bind-udp-nameless" => bind_udp(word(2).parse().unwrap(), libc::AF_UNSPEC).to_string(),
        "bind-as-nobody" => bind_as_nobody(port(2)).to_string(),
        "race-bind" => race_bind(tries(number(2))).to_string(),
        "nameless" => send_without_family(port(2)).to_string(),
        "raw" => unusual_sockets(),
        "scan" => scan(number(2)).to_string(),
        "errors" => errors(),
        "tables" => foreign_tables(),
        "narrow-run" => narrow_run(&format!("{}\0", word(2))).to_string(),
        "run" => std::process::Command::new(word(2))
            .status()
            .map_or_else(
                |error| error.raw_os_error().unwrap_or(0),
                |status| {
                    use std::os::unix::process::ExitStatusExt;
                    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
                },
            )
            .to_string(),
        "narrow-connect" => narrow_connect(port(2)),
        "narrow-send" => narrow_send(port(2)),
        "narrow-race" => narrow_race(number(2)).to_string(),
        "narrow-write" => narrow_write(&format!("{}\0", word(2))),
        "narrow-attack" => narrow_attack(),
        "fastopen" => fast_open_message(port(2)).to_string(),
        "alarm" => alarm(word(2) == "restart"),
        "again" => again(),
        "interrupted" => interrupted(tries(number(2))).to_string(),
        "patience" => patience(),
        "pending" => many_pending(tries(number(2))),
        "resets" => resets(tries(number(2))).to_string(),
        "rights" => pass_descriptor(),
        "receive" => receive_connections(word(2), number(3)),
        "swap" => swap(number(2), true).to_string(),
        "swap-descriptor" => swap(tries(number(2)), false).to_string(),
        "give" => give_connection(word(2), word(3).parse().unwrap()),
        "lookup" => lookup(word(2), word(3), word(4)),
        "storm" => storm(word(2).parse().unwrap(), tries(number(3))),
        "storm-of-connections" => storm_of_connections(tries(number(2))),
        "visit" => visit(word(2), port(3), word(4)),
        "follow" => follow(word(2), port(3)),
        "serve" => serve(&words[2..]),
        other => panic!("no such attack: {other}"),
    };
    println!("{answer}");
}

fn last() -> i32 {
    Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// 0, or the error.
fn outcome(returned: i64) -> i32 {
    if returned < 0 { last() } else { 0 }
}

fn raw_address(address: SocketAddr) -> (libc::sockaddr_storage, u32) {
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            unsafe { ptr::write((&raw mut storage).cast(), raw) };
            size_of_val(&raw)
        }
        SocketAddr::V6(v6) => {
            let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
            raw.sin6_family = libc::AF_INET6 as u16;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            unsafe { ptr::write((&raw mut storage).cast(), raw) };
            size_of_val(&raw)
        }
    };
    (storage, length as u32)
}

fn family(address: SocketAddr) -> i32 {
    if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn stream_socket(family: i32) -> i32 {
    unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) }
}

fn connect(socket: i32, address: SocketAddr) -> i32 {
    let (raw, length) = raw_address(address);
    outcome(unsafe { libc::connect(socket, (&raw const raw).cast(), length) }.into())
}

fn bind(socket: i32, address: SocketAddr, family: i32) -> i32 {
    let (mut raw, length) = raw_address(address);
    raw.ss_family = family as u16;
    outcome(unsafe { libc::bind(socket, (&raw const raw).cast(), length) }.into())
}

fn connect_to(address: SocketAddr) -> i32 {
    connect(stream_socket(family(address)), address)
}

/// Listens at an address of this machine and connects to it.
fn open_and_connect(address: SocketAddr) -> i32 {
    let _server = TcpListener::bind(address).unwrap();
    connect_to(address)
}

/// Connects to a server of its own again and again; prints how often that worked, and by how many KiB the Defender grew
/// since the first thousand.
fn storm_of_connections(count: u32) -> String {
    let server = TcpListener::bind(local(0)).unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || server.incoming().for_each(drop));
    let (mut made, mut before) = (0, memory_of_parent());
    for number in 0..count {
        if number == 1000 {
            before = memory_of_parent();
        }
        made += u32::from(TcpStream::connect(address).is_ok());
    }
    format!("{made} {}", memory_of_parent().saturating_sub(before))
}

fn listen_on(address: SocketAddr) -> i32 {
    let socket = stream_socket(family(address));
    match bind(socket, address, family(address)) {
        0 => outcome(unsafe { libc::listen(socket, 1) }.into()),
        errno => errno,
    }
}

fn listen_unbound() -> i32 {
    outcome(unsafe { libc::listen(stream_socket(libc::AF_INET), 1) }.into())
}

fn bind_udp(address: SocketAddr, as_family: i32) -> i32 {
    let socket = unsafe { libc::socket(family(address), libc::SOCK_DGRAM, 0) };
    let as_family = if address.is_ipv4() { as_family } else { family(address) };
    bind(socket, address, as_family)
}

/// Without any capability a low port is not for everybody, whoever binds it in the end.
fn bind_as_nobody(port: u16) -> i32 {
    unsafe { libc::setuid(65534) };
    listen_on(local(port))
}

/// A thread flips the port between check and use; prints how many sockets got the forbidden one, 7666.
fn race_bind(tries: u32) -> usize {
    let (raw, length) = raw_address(local(7777));
    let address = Box::leak(Box::new(raw));
    let port = &raw mut *address as usize + 2;
    thread::spawn(move || {
        loop {
            unsafe { ptr::write_volatile(port as *mut u16, 7666_u16.to_be()) };
            unsafe { ptr::write_volatile(port as *mut u16, 7777_u16.to_be()) };
        }
    });
    let got = (0..tries).filter(|_| {
        let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)) };
        unsafe { libc::bind(socket.as_raw_fd(), (&raw const *address).cast(), length) };
        UdpSocket::from(socket).local_addr().is_ok_and(|address| address.port() == 7666)
    });
    got.count()
}

/// A datagram to an address without a family, which IPv4 sockets send all the same; prints whether it arrived.
fn send_without_family(port: u16) -> bool {
    let receiver = UdpSocket::bind(local(port)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind(local(0)).unwrap();
    let (mut raw, length) = raw_address(local(port));
    raw.ss_family = libc::AF_UNSPEC as u16;
    unsafe { libc::sendto(sender.as_raw_fd(), c"x".as_ptr().cast(), 1, 0, (&raw const raw).cast(), length) };
    receiver.recv(&mut [0; 8]).is_ok()
}

/// The errors of opening a raw, a packet, a netlink and an SCTP socket.
fn unusual_sockets() -> String {
    let sockets = [
        (libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP),
        (libc::AF_PACKET, libc::SOCK_DGRAM, 0),
        (libc::AF_NETLINK, libc::SOCK_RAW, 0),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
    ];
    let errors = sockets
        .map(|(family, kind, protocol)| outcome(unsafe { libc::socket(family, kind, protocol) }.into()).to_string());
    errors.join(" ")
}

/// Tries ports from 2001 on; the last of them is open. Prints whether that one was reached.
fn scan(ports: u32) -> bool {
    let last = 2000 + ports as u16;
    let _open = TcpListener::bind(local(last)).unwrap();
    (2001..=last).map(|port| TcpStream::connect(local(port))).fold(false, |_, tried| tried.is_ok())
}

/// What wrong calls of every kind return: it must be the same with and without a Defender.
fn errors() -> String {
    let (raw, length) = raw_address(local(1));
    let udp = UdpSocket::bind(local(0)).unwrap();
    let tcp = stream_socket(libc::AF_INET);
    let tcp6 = stream_socket(libc::AF_INET6);
    let file = fs::File::open("/dev/null").unwrap();
    let unix = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
    let address = (&raw const raw).cast::<libc::sockaddr>();
    let connect = |socket: i32, address, length| outcome(unsafe { libc::connect(socket, address, length) }.into());
    let bind = |socket: i32, address, length| outcome(unsafe { libc::bind(socket, address, length) }.into());
    let send = |socket: i32, address, length| {
        outcome(unsafe { libc::sendto(socket, c"x".as_ptr().cast(), 1, libc::MSG_NOSIGNAL, address, length) } as i64)
    };
    let nowhere = ptr::without_provenance::<libc::sockaddr>(8);
    let mut unspecified = raw;
    unspecified.ss_family = 0;
    let unspecified = (&raw const unspecified).cast::<libc::sockaddr>();
    let listener = TcpListener::bind(local(0)).unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let results = [
        connect(-1, address, length),
        connect(file.as_raw_fd(), address, length),
        connect(tcp, nowhere, length),
        connect(tcp, address, 200),
        connect(tcp, address, 4),
        connect(tcp, address, length),
        connect(tcp6, address, length),
        connect(unix, address, length),
        connect(connected.as_raw_fd(), address, length),
        connect(udp.as_raw_fd(), unspecified, length),
        connect(connected.as_raw_fd(), unspecified, length),
        connect(listener.as_raw_fd(), address, length),
        bind(-1, address, length),
        bind(file.as_raw_fd(), address, length),
        bind(udp.as_raw_fd(), address, length),
        bind(tcp6, address, length),
        bind(unix, address, length),
        bind(tcp, nowhere, length),
        outcome(unsafe { libc::listen(-1, 1) }.into()),
        outcome(unsafe { libc::listen(file.as_raw_fd(), 1) }.into()),
        outcome(unsafe { libc::listen(udp.as_raw_fd(), 1) }.into()),
        outcome(unsafe { libc::listen(listener.as_raw_fd(), 5) }.into()),
        send(udp.as_raw_fd(), nowhere, length),
        send(udp.as_raw_fd(), address, 200),
        send(udp.as_raw_fd(), address, 4),
        send(stream_socket(libc::AF_INET), address, length),
        send(-1, address, length),
    ];
    results.map(|errno| errno.to_string()).join(" ")
}

/// connect by the 32-bit table, directly and by way of socketcall, and by x32.
fn foreign_tables() -> String {
    let foreign = outcome(unsafe { libc::syscall(0x4000_0000 + libc::SYS_connect, -1, 0, 0) });
    format!("{} {} {foreign}", by_32(362, [0; 5]), by_32(SOCKETCALL, [0; 5]))
}

fn fast_open_message(port: u16) -> i32 {
    let (mut raw, length) = raw_address(local(port));
    let mut payload = libc::iovec { iov_base: c"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = (&raw mut raw).cast();
    header.msg_namelen = length;
    header.msg_iov = &raw mut payload;
    header.msg_iovlen = 1;
    let socket = stream_socket(libc::AF_INET);
    outcome(unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_FASTOPEN) } as i64)
}

/// A server that accepts nothing and has no room: who connects to it waits.
fn full_server() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind(local(0)).unwrap();
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().unwrap();
    let waiting = std::iter::from_fn(|| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok());
    let waiting = waiting.collect();
    (listener, waiting)
}

/// A blocking connect with a time limit of its own.
fn patience() -> String {
    let (server, _filling) = full_server();
    let socket = stream_socket(libc::AF_INET);
    let time = libc::timeval { tv_sec: 0, tv_usec: 300_000 };
    let length = size_of_val(&time) as u32;
    unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO, (&raw const time).cast(), length) };
    let begin = Instant::now();
    let result = connect(socket, server.local_addr().unwrap());
    format!("{result} {}", (Duration::from_millis(250)..patient(Duration::from_secs(1))).contains(&begin.elapsed()))
}

/// Waits in connect with very many threads, and looks up meanwhile how long starting programs takes.
fn many_pending(count: u32) -> String {
    let (server, _filling) = full_server();
    let address = server.local_addr().unwrap();
    for _ in 0..count {
        thread::Builder::new().stack_size(64 << 10).spawn(move || connect_to(address)).unwrap();
    }
    let waiting = || fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(|line| line.contains(" 02 ")).count();
    let begin = Instant::now();
    while waiting() < count as usize && begin.elapsed() < patient(Duration::from_secs(20)) {
        thread::sleep(Duration::from_millis(50));
    }
    let waiting = waiting();
    let begin = Instant::now();
    let own = env::current_exe().unwrap();
    let worked =
        (0..tries(20)).all(|_| std::process::Command::new(&own).arg("nothing").output().unwrap().status.success());
    println!("{worked} {} {}", waiting >= count as usize, begin.elapsed() < patient(Duration::from_secs(2)));
    exit(0);
}

/// Connects to a server that resets every connection as soon as it is made; prints how many connects failed.
fn resets(tries: u32) -> usize {
    let server = TcpListener::bind(local(0)).unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        for client in server.incoming().flatten() {
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            let length = size_of_val(&linger) as u32;
            let pointer = (&raw const linger).cast();
            unsafe { libc::setsockopt(client.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, pointer, length) };
        }
    });
    (0..tries).filter(|_| TcpStream::connect(address).is_err()).count()
}

include!("attacker_network/names.rs");
include!("attacker_network/descriptors.rs");
include!("attacker_network/narrow.rs");
include!("attacker_network/signals.rs");
