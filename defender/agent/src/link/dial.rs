//! One WebSocket connection to the Console: dial, TLS 1.3, upgrade; then whole messages.
use std::{fmt, io, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

use super::{
    address::Address,
    message::{FromConsole, LARGEST_MESSAGE, SUBPROTOCOL},
    resolve::Resolver,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no connection, or none any more.
#[derive(Debug)]
pub enum Broken {
    /// Nobody answers there.
    Unreachable(String),
    /// Somebody answers, but TLS or the upgrade was refused.
    Refused(String),
    /// An established connection ended.
    Lost(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreachable(reason) | Self::Refused(reason) | Self::Lost(reason)) = self;
        out.write_str(reason)
    }
}

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(FromConsole),
    /// A sign of life.
    Pong,
}

/// An open connection.
pub struct Connection(WebSocketStream<TlsStream<TcpStream>>);

impl Connection {
    /// Opens a connection to a path of the Console.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn open(address: &Address, path: &str, tls: Arc<ClientConfig>) -> Result<Self, Broken> {
        timeout(CONNECT_TIMEOUT, open(address, path, tls))
            .await
            .unwrap_or_else(|_| Err(Broken::Unreachable("no answer came in time".into())))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`Broken::Lost`].
    pub async fn send(&mut self, message: &impl Serialize) -> Result<(), Broken> {
        let text = serde_json::to_string(message).map_err(|error| Broken::Lost(error.to_string()))?;
        self.put(Message::text(text)).await
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// [`Broken::Lost`].
    pub async fn ping(&mut self) -> Result<(), Broken> {
        self.put(Message::Ping(tungstenite::Bytes::new())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), Broken> {
        match timeout(SEND_TIMEOUT, self.0.send(message)).await {
            Ok(result) => result.map_err(|error| Broken::Lost(error.to_string())),
            Err(_) => Err(Broken::Lost("the console takes nothing any more".into())),
        }
    }

    /// The next thing that comes in. May be dropped and asked again: nothing is lost.
    ///
    /// # Errors
    /// [`Broken::Lost`], also for a message that does not fit the contract.
    pub async fn next(&mut self) -> Result<Incoming, Broken> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).map_err(|error| {
                        Broken::Lost(format!("a message of the console does not fit the contract: {error}"))
                    })?;
                    return Ok(Incoming::Message(message));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(Incoming::Pong),
                Some(Ok(Message::Close(Some(close)))) if !close.reason.is_empty() => {
                    return Err(Broken::Lost(format!("the console closed the connection: {}", close.reason)));
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(Broken::Lost("the console closed the connection".into()));
                }
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(Broken::Lost(error.to_string())),
            }
        }
    }

    /// Ends the connection in good order, as far as the other side takes part.
    pub async fn close(mut self, patience: Duration) {
        // What the other side does with it is its own affair; the process ends.
        let _ = timeout(patience, async {
            let _ = self.0.close(None).await;
            while let Some(Ok(_)) = self.0.next().await {}
        })
        .await;
    }
}

/// Tries the addresses of the host one after the other, each for a share of the time.
async fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut failure = io::ErrorKind::AddrNotAvailable.into();
    for ip in Resolver::of_system().addresses(&address.host()).await? {
        match timeout(ADDRESS_TIMEOUT, TcpStream::connect((ip, address.port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = io::Error::new(io::ErrorKind::TimedOut, format!("{ip} does not answer")),
        }
    }
    Err(failure)
}

async fn open(address: &Address, path: &str, tls: Arc<ClientConfig>) -> Result<Connection, Broken> {
    let tcp = connect(address).await.map_err(|error| Broken::Unreachable(error.to_string()))?;
    // Without it small messages would wait for each other's acknowledgement.
    tcp.set_nodelay(true).map_err(|error| Broken::Unreachable(error.to_string()))?;
    let stream = TlsConnector::from(tls)
        .connect(address.server.clone(), tcp)
        .await
        .map_err(|error| Broken::Refused(error.to_string()))?;
    let refused = |error: tungstenite::Error| Broken::Refused(error.to_string());
    let mut request = address.url(path).into_client_request().map_err(refused)?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let config =
        WebSocketConfig::default().max_message_size(Some(LARGEST_MESSAGE)).max_frame_size(Some(LARGEST_MESSAGE));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(|error| match error {
        // "Come later" says nothing about the certificate.
        tungstenite::Error::Http(response) if response.status().is_server_error() => {
            Broken::Unreachable(format!("the console answers {}", response.status()))
        }
        other => refused(other),
    })?;
    Ok(Connection(socket))
}
