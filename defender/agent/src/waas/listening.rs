//! Ports that are listened on, and the connections that come in there.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    time::Duration,
};

use defender_waf::firewall::Client;
use tokio::{
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::sleep,
};

use super::{
    connection::Site,
    plane::Local,
    ports::{Port, Ports},
    wire::Wire,
};

/// Between two attempts when the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(50);

/// A port that is open; connections wait there until they are accepted.
#[derive(Debug)]
pub struct Opened {
    /// The port, as the system gave it.
    pub port: Port,
    /// Its socket.
    pub listener: std::net::TcpListener,
}

/// Opens a port on every address, IPv6 and IPv4; where there is no IPv6, on IPv4. For port 0 the system chooses.
///
/// # Errors
/// The system's answer.
pub fn open(port: Port) -> io::Result<Opened> {
    // One socket of IPv6 takes both, unless the system was told otherwise.
    let listener = std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, port.exposed))
        .or_else(|_| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port.exposed)))?;
    listener.set_nonblocking(true)?;
    let exposed = listener.local_addr()?.port();
    Ok(Opened { port: Port { exposed, ..port }, listener })
}

/// Opens all of them.
///
/// # Errors
/// The system's answer for the first that cannot be opened, with its number.
pub fn open_all(ports: &Ports) -> io::Result<Vec<Opened>> {
    let named = |port: &Port, error: io::Error| {
        io::Error::new(error.kind(), format!("port {} cannot be listened on: {error}", port.exposed))
    };
    ports.0.iter().map(|port| open(*port).map_err(|error| named(port, error))).collect()
}

/// Accepts connections on a port until no more are to be taken.
pub async fn accept(listener: TcpListener, port: Port, local: Rc<Local>) {
    let mut draining = local.draining.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer.ip().to_canonical(), port, &local),
            // No descriptors are left, for the moment: those that come wait.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn begin(stream: TcpStream, peer: IpAddr, port: Port, local: &Rc<Local>) {
    let Some(admission) = local.admit(peer) else { return };
    // Small pieces are sent at once; a system that cannot only sends them later.
    let _ = stream.set_nodelay(true);
    let client = Client { peer, port: port.exposed, secure: false };
    let site = Site { local: local.clone(), client, port: port.internal };
    spawn_local(async move {
        site.serve(Wire::new(stream)).await;
        drop(admission);
    });
}
