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
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    connection::Site,
    plane::Local,
    ports::{Port, Ports},
    wire::Wire,
};
use crate::{enforcement::FailMode, link::desk};

/// Between two attempts when the system gives no more connections.
const PAUSE: Duration = Duration::from_millis(50);

/// The first byte of a TLS connection (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

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
        serve(site, stream).await;
        drop(admission);
    });
}

/// Speaks what the policy has for this port. Without a policy nobody knows: what looks like TLS is the application's own.
async fn serve(site: Site, stream: TcpStream) {
    let plane = site.local.plane.clone();
    let armed = plane.armed.load_full();
    let limits = armed.as_ref().map_or(plane.limits, |armed| armed.limits);
    let config = armed.as_ref().and_then(|armed| armed.settings.tls.get(&site.client.port)).cloned();
    if config.is_none() && armed.is_some() {
        return site.serve(Wire::new(stream)).await;
    }
    let mut first = [0];
    if !matches!(timeout(limits.idle, stream.peek(&mut first)).await, Ok(Ok(1))) {
        return;
    }
    match (config, first == [HANDSHAKE]) {
        (Some(config), true) => {
            let Ok(Ok(stream)) = Box::pin(timeout(limits.head, TlsAcceptor::from(config).accept(stream))).await else {
                plane.counters.failed(desk::now(), "a TLS handshake failed");
                return;
            };
            let site = Site { client: Client { secure: true, ..site.client }, ..site };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                Box::pin(site.serve_http2(stream)).await;
            } else {
                site.serve_requests(Wire::new(stream)).await;
            }
        }
        (Some(_), false) => Box::pin(site.refuse_plain(&Wire::new(stream))).await,
        (None, true) if plane.fail_mode == FailMode::Open => Box::pin(site.pipe(&Wire::new(stream))).await,
        (None, _) => site.serve(Wire::new(stream)).await,
    }
}
