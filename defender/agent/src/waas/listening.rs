//! Ports that are listened on, and the connections that come in there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use defender_waf::firewall::Client;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::spawn_local,
    time::sleep,
};

use super::{connection::Site, plane::Local, wire::Wire};

/// Connections that the system holds for us.
const BACKLOG: u32 = 1024;
/// Between two attempts when the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens a port on every address, IPv6 and IPv4; where there is no IPv6, on IPv4.
///
/// # Errors
/// The system's answer.
pub fn open(port: u16) -> io::Result<TcpListener> {
    // One socket of IPv6 takes both, unless the system was told otherwise.
    bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        .or_else(|_| bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections on a port until no more are to be taken. `exposed` is the port as it was asked for.
pub async fn accept(listener: TcpListener, exposed: u16, internal: u16, local: Rc<Local>) {
    let mut draining = local.draining.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer.ip().to_canonical(), exposed, internal, &local),
            // No descriptors are left, for the moment: those that come wait.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn begin(stream: TcpStream, peer: IpAddr, exposed: u16, internal: u16, local: &Rc<Local>) {
    let Some(admission) = local.admit(peer) else { return };
    // Small pieces are sent at once; a system that cannot only sends them later.
    let _ = stream.set_nodelay(true);
    let client = Client { peer, port: exposed, secure: false };
    let site = Site { local: local.clone(), client, port: internal };
    spawn_local(async move {
        site.serve(Wire::new(stream)).await;
        drop(admission);
    });
}
