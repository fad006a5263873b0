//! The sidecar of a Fargate task: one link to the Console for all its containers.
pub mod health;
pub mod install;
pub mod relay;
pub mod table;
pub mod token;

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixListener},
    path::Path,
    sync::Arc,
};

use defender_sys::{hardening, poll, signals::Signals};
use thiserror::Error;

use self::{health::Health, table::Table, token::Tokens};
use crate::{
    config::SidecarConfig,
    dns_proxy::Resolvers,
    link::{
        self,
        background::{Background, Stop},
        console::{self, Speaker},
        identity::{self, IdentityError},
        message::Kind,
    },
    waas::{
        self, Waas,
        bystanders::Whose,
        front::{Front, Tray},
        limits::Limits,
        listening,
    },
};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Why there is no sidecar.
#[derive(Debug, Error)]
pub enum SidecarError {
    /// The shared directory cannot be used.
    #[error("the Defender cannot be installed in `{0}`: {1}")]
    Install(String, io::Error),
    /// A socket cannot be opened there.
    #[error("a socket cannot be opened in `{0}`: {1}")]
    Listen(String, io::Error),
    /// The system gives no poller.
    #[error("the sidecar cannot wait for anything: {0}")]
    Runtime(io::Error),
    /// A port of the reverse proxy cannot be opened.
    #[error("the sidecar cannot stand before the application: {0}")]
    Port(io::Error),
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Runs the sidecar until SIGTERM or SIGINT; `directory` is shared with the other containers, `program` is this executable.
///
/// # Errors
/// [`SidecarError`] when it cannot start.
pub fn run(config: SidecarConfig, signals: &Signals, directory: &Path, program: &Path) -> Result<(), SidecarError> {
    // Neither can fail on a kernel that this program runs on; if one does, the next steps still hold.
    let _ = hardening::hide();
    let _ = hardening::no_new_privileges();
    hardening::raise_descriptor_limit();
    let shown = || directory.display().to_string();
    install::install(program, directory).map_err(|error| SidecarError::Install(shown(), error))?;
    let listen = |path: &Path, mode| relay::listen(path, mode).map_err(|error| SidecarError::Listen(shown(), error));
    let sockets = Sockets {
        relay: listen(&link::relay::socket(directory), 0o666)?,
        health: listen(&health::socket(directory), 0o600)?,
    };
    let opened = listening::open_all(&config.waas.ports).map_err(SidecarError::Port)?;
    // All that needed a privilege is done.
    if let Err(error) = hardening::drop_all_capabilities() {
        crate::say!("bartizan: capabilities cannot be given up: {error}");
    }
    let table = Table::new(&config.containers, identity::instance)?;
    let identities = config.containers.iter().filter_map(|each| Some((each.name.clone(), each.id.clone()?)));
    let tokens = Tokens::new(&config.console.bundle.secret).ok_or(IdentityError::Random)?.with_identities(identities);
    let tokens = Arc::new(tokens);
    let health = Health::new(table.clone(), config.fail_mode, config.policy_timeout);
    let instance = identity::instance()?;
    let tray = Tray::new(instance.clone(), table.clone());
    let waas = Waas::start(waas::Config {
        opened,
        fail_mode: config.fail_mode,
        limits: Limits::default(),
        rules: Box::new(waas::builtin_rules),
        reporter: tray.clone(),
        instance: instance.clone(),
        certificates: config.waas.certificates,
        resolvers: Resolvers::of_this_machine().sockets(),
        secret: waas::session_secret(&config.console.bundle.secret, &config.console.app_id),
        whose: Whose::Network,
    })
    .map_err(SidecarError::Runtime)?;
    let speaker = Speaker {
        config: config.console,
        kind: Kind::Fargate,
        task: config.task,
        instance,
        protected: Arc::new(Front::new(table.clone(), waas.clone(), Some(tray))),
    };
    let served = Background::start(move |stop| async move {
        if let Err(error) = serve(sockets, table, tokens, health, speaker, stop).await {
            crate::say!("bartizan: the sidecar cannot listen: {error}");
        }
    })
    .map_err(SidecarError::Runtime)?;
    wait_for_end(signals);
    // Requests under way are answered before anything else ends.
    waas.stop();
    // The link sends what is left, says goodbye, and ends within moments.
    served.stop();
    Ok(())
}

struct Sockets {
    relay: UnixListener,
    health: UnixListener,
}

async fn serve(
    sockets: Sockets,
    table: Arc<Table>,
    tokens: Arc<Tokens>,
    health: Health,
    speaker: Speaker,
    stop: Stop,
) -> io::Result<()> {
    tokio::spawn(relay::serve(tokio::net::UnixListener::from_std(sockets.relay)?, table, tokens));
    tokio::spawn(health::serve(tokio::net::UnixListener::from_std(sockets.health)?, health));
    console::run(speaker, stop).await;
    Ok(())
}

fn wait_for_end(signals: &Signals) {
    loop {
        match signals.take() {
            Some(SIGINT | SIGTERM) => return,
            Some(_) => {}
            None => {
                // An interrupted wait is looked at like any other.
                let _ = poll::wait(&[(signals.as_fd(), poll::Interest::Readable)], None);
            }
        }
    }
}
