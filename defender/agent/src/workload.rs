//! The two modes that protect a workload: link first, then policy, then the application.
use std::{
    ffi::OsString,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use defender_core::Notice;
use defender_sys::{keeper::Keeper, signals::Signals};
use thiserror::Error;

use crate::{
    config::{ConfigError, EmbeddedConfig, EntrypointConfig, Environment},
    dns_proxy::Resolvers,
    enforcement::{Application, FailMode, READING, Wanted},
    link::{
        background::Background,
        console::{self, Speaker},
        desk::Desk,
        identity::{self, IdentityError},
        message::Kind,
        protected::Embedded,
        relay::{self, Attachment},
    },
    supervisor,
    waas::{self, Waas, bystanders::Whose, front::Front, limits::Limits, listening},
};

const FAIL_CLOSED: u8 = 78;
/// Signals that mean the end: SIGHUP, SIGINT, SIGQUIT and SIGTERM end a process that does not handle them (signal(7)).
pub const ENDING: [i32; 4] = [1, 2, 3, 15];
/// How often signals are looked at while there is no application yet.
const SIGNAL_PAUSE: Duration = Duration::from_millis(50);
/// For how long the last audits may hold up the end of the application's container.
const FLUSH: Duration = Duration::from_secs(1);

/// Why nothing was started.
#[derive(Debug, Error)]
pub enum WorkloadError {
    /// The environment cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A port of the reverse proxy cannot be opened.
    #[error("the Defender cannot stand before the application: {0}")]
    Port(std::io::Error),
    /// No thread for the link.
    #[error("the link cannot be started: {0}")]
    Link(#[from] std::io::Error),
}

/// `defender fargate entrypoint PROGRAM [ARGUMENT…]`: runs the application of a wrapped container, gives its exit code.
///
/// `first` is process 1 where the application is to be it; `directory` is the one that the sidecar shares.
///
/// # Errors
/// [`WorkloadError`] when nothing was started.
pub fn entrypoint(
    environment: &Environment,
    signals: &Signals,
    first: Option<Keeper>,
    directory: &Path,
    command: (OsString, Vec<OsString>),
) -> Result<u8, WorkloadError> {
    let config = EntrypointConfig::read(environment)?;
    let desk = Desk::with_record(identity::instance()?, config.record_bytes);
    let attachment = Attachment { container: config.container, token: config.token };
    let (socket, shared) = (relay::socket(directory), desk.clone());
    let link = Background::start(move |stop| relay::run(socket, attachment, shared, stop))?;
    let application = application(command, environment.of_wrapped_application(), config.fail_mode, config.wanted);
    let application = Application { watch_files: config.watch_files, allow_32_bit: config.allow_32_bit, ..application };
    let code = run(&application, signals, first, &desk, config.policy_timeout);
    desk.flush(FLUSH);
    link.stop();
    Ok(code)
}

/// `defender app-embedded PROGRAM [ARGUMENT…]`: runs the application of an image with the Defender in it, gives its exit code.
///
/// `first` is process 1 where the application is to be it.
///
/// # Errors
/// [`WorkloadError`] when nothing was started.
pub fn embedded(
    environment: &Environment,
    signals: &Signals,
    first: Option<Keeper>,
    command: (OsString, Vec<OsString>),
) -> Result<u8, WorkloadError> {
    let config = EmbeddedConfig::read(environment)?;
    let desk = Desk::with_record(identity::instance()?, config.record_bytes);
    let waas = Waas::start(waas::Config {
        opened: listening::open_all(&config.waas.ports).map_err(WorkloadError::Port)?,
        fail_mode: config.fail_mode,
        limits: Limits::default(),
        rules: Box::new(waas::builtin_rules),
        reporter: desk.clone(),
        instance: desk.instance().to_owned(),
        certificates: config.waas.certificates,
        resolvers: Resolvers::of_this_machine().sockets(),
        secret: waas::session_secret(&config.console.bundle.secret, &config.console.app_id),
        whose: Whose::Workload,
    })?;
    let speaker = Speaker {
        config: config.console,
        kind: Kind::AppEmbedded,
        task: None,
        instance: desk.instance().to_owned(),
        protected: Arc::new(Front::new(Arc::new(Embedded(desk.clone())), waas.clone(), None)),
    };
    let link = Background::start(move |stop| console::run(speaker, stop))?;
    let application = application(command, environment.of_embedded_application(), config.fail_mode, config.wanted);
    let application = Application { watch_files: config.watch_files, allow_32_bit: config.allow_32_bit, ..application };
    let code = run(&application, signals, first, &desk, config.policy_timeout);
    waas.stop();
    // The link itself sends what is left before it says goodbye.
    link.stop();
    Ok(code)
}

fn application(
    (program, arguments): (OsString, Vec<OsString>),
    environment: Vec<(OsString, OsString)>,
    fail_mode: FailMode,
    wanted: Wanted,
) -> Application {
    Application {
        program,
        arguments,
        environment,
        fail_mode,
        wanted,
        watch_files: false,
        allow_32_bit: false,
        reading: READING,
    }
}

fn run(
    application: &Application,
    signals: &Signals,
    first: Option<Keeper>,
    desk: &Arc<Desk>,
    patience: Duration,
) -> u8 {
    match wait_for_policy(desk, signals, patience, application.fail_mode) {
        Waited::Policy => {}
        Waited::Signal(code) => return code,
        Waited::InVain => {
            let reason = "no policy could be had in time".to_owned();
            if application.fail_mode == FailMode::Closed {
                crate::say!("bartizan: the application is not started: {reason}, and the fail mode is `closed`");
                return FAIL_CLOSED;
            }
            crate::say!("bartizan: the application is started without policy: {reason}");
            desk.notice(Notice::StartedWithoutPolicy, &reason);
        }
    }
    let code = supervisor::run(application, signals, first, desk.policy(), desk.clone(), desk.as_ref());
    desk.release();
    code
}

/// How the wait for a policy ended.
enum Waited {
    Policy,
    InVain,
    /// Somebody wants us to end; there is no application yet that could. The exit code for it.
    Signal(u8),
}

/// In fail mode `open` the sidecar's word that it has none is enough: it has waited already, before this container was started.
fn wait_for_policy(desk: &Desk, signals: &Signals, patience: Duration, fail_mode: FailMode) -> Waited {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let pause = left.min(SIGNAL_PAUSE);
        if fail_mode == FailMode::Open && desk.wait_for_news(pause) {
            return if desk.wait_for_policy(Duration::ZERO) { Waited::Policy } else { Waited::InVain };
        }
        if fail_mode == FailMode::Closed && desk.wait_for_policy(pause) {
            return Waited::Policy;
        }
        while let Some(signal) = signals.take() {
            if ENDING.contains(&signal) {
                return Waited::Signal(128 + signal as u8);
            }
        }
        if left.is_zero() {
            return Waited::InVain;
        }
    }
}
