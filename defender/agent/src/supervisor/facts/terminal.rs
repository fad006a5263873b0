//! Connections as input and output: how a reverse shell talks to its master.
use std::{fs, os::fd::AsFd};

use defender_sys::socket;

use crate::supervisor::descriptor::Descriptors;

/// True when descriptor 0, 1 or 2 of the process is a connected internet socket.
#[must_use]
pub fn is_connection(process: u32, descriptors: &mut Descriptors) -> bool {
    (0..=2).filter_map(|number| socket_inode(process, number).map(|inode| (number, inode))).any(|(number, inode)| {
        match descriptors.copy(process, number) {
            Ok(copy) => socket::is_connected(copy.as_fd()),
            // Where descriptors cannot be copied, the kernel's tables say as much.
            Err(_) => is_in_tables(process, inode),
        }
    })
}

fn socket_inode(process: u32, number: i32) -> Option<u64> {
    let target = fs::read_link(format!("/proc/{process}/fd/{number}")).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn is_in_tables(process: u32, inode: u64) -> bool {
    let table = |name| fs::read_to_string(format!("/proc/{process}/net/{name}")).unwrap_or_default();
    ["tcp", "tcp6", "udp", "udp6"].into_iter().any(|name| has_peer(&table(name), inode))
}

/// True when a table of `/proc/net` (proc(5)) has a socket with this inode and the address of a peer.
fn has_peer(table: &str, inode: u64) -> bool {
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace();
        let remote = fields.nth(2).unwrap_or_default();
        let peer = remote.rsplit_once(':').is_some_and(|(_, port)| port != "0000");
        peer && fields.nth(6).and_then(|field| field.parse().ok()) == Some(inode)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn tables_tell_connected_sockets_from_listening_ones() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, _peer) = UnixStream::pair().unwrap();
        let own = std::process::id();

        assert!(is_in_tables(own, socket::inode(stream.as_fd()).unwrap()));
        assert!(!is_in_tables(own, socket::inode(listener.as_fd()).unwrap()));
        assert!(!is_in_tables(own, socket::inode(local.as_fd()).unwrap()));
        assert!(!has_peer("garbage\n1 2 3\n\n", 3));
    }

    #[test]
    fn sockets_tell_whether_they_lead_to_another_machine() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, _peer) = UnixStream::pair().unwrap();

        assert!(socket::is_connected(stream.as_fd()));
        assert!(!socket::is_connected(listener.as_fd()));
        assert!(!socket::is_connected(local.as_fd()));
    }
}
