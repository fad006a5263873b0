//! The reverse proxy before the application's web ports.
//!
//! It runs on a thread of its own, `waas`. Each request is read, judged by a [`defender_waf::firewall::Exchange`] phase by
//! phase, and written anew for the application; nothing is passed on that was not understood. The policy is swapped whole
//! between requests, so that a change costs no request.

pub mod connection;
pub mod counters;
pub mod emission;
mod forwarding;
pub mod halt;
pub mod limits;
mod listening;
pub mod plane;
pub mod pool;
pub mod ports;
mod reply;
pub mod report;
mod request_body;
pub mod response;
mod response_body;
pub mod settings;
pub mod target;
pub mod trailing;
mod tunnel;
mod turn;
pub mod wire;

use std::{
    collections::BTreeMap,
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use defender_waf::{
    Ruleset,
    firewall::{Firewall, Policy},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime,
    sync::{mpsc, watch},
    task::{LocalSet, spawn_local},
    time::{Instant, interval, sleep_until},
};

use self::{
    limits::Limits,
    plane::{Armed, Local, Plane, Reporter},
    ports::{Port, Ports},
    settings::Settings,
};
use crate::enforcement::FailMode;

/// How often idle connections to the application are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How often it is looked whether all connections have ended, once no more are taken.
const DRAINING: Duration = Duration::from_millis(10);

/// What the proxy begins with.
pub struct Config {
    /// Listened on from the first moment.
    pub ports: Ports,
    /// What happens while there is no policy.
    pub fail_mode: FailMode,
    /// The proxy's bounds.
    pub limits: Limits,
    /// The rules that policies are compiled with.
    pub ruleset: Arc<Ruleset>,
    /// Takes what is to be told.
    pub reporter: Arc<dyn Reporter>,
    /// The id of this Defender process.
    pub instance: String,
}

/// A running proxy.
pub struct Waas {
    plane: Arc<Plane>,
    ruleset: Arc<Ruleset>,
    state: Arc<Mutex<State>>,
    news: mpsc::UnboundedSender<()>,
    draining: watch::Sender<bool>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// What is told of the proxy.
#[derive(Debug, Default)]
struct State {
    hash: Option<String>,
    error: Option<String>,
    /// Wanted ports, and why one is not open.
    ports: BTreeMap<u16, (Port, Option<String>)>,
}

impl Waas {
    /// Starts the proxy on a thread of its own; the ports of its configuration are open when this returns.
    ///
    /// # Errors
    /// The system's answer when there is no thread, no poller, or a port of the configuration cannot be opened.
    pub fn start(config: Config) -> io::Result<Arc<Self>> {
        let plane = Arc::new(Plane::new(config.fail_mode, config.limits, config.reporter, &config.instance));
        let state = Arc::new(Mutex::new(State::default()));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let mut listeners = Vec::new();
        {
            let _entered = runtime.enter();
            for port in &config.ports.0 {
                let listener = listening::open(port.exposed).map_err(|error| {
                    io::Error::new(error.kind(), format!("port {} cannot be listened on: {error}", port.exposed))
                })?;
                // The system chooses for port 0.
                let port = Port { exposed: listener.local_addr()?.port(), ..*port };
                state.lock().unwrap_or_else(PoisonError::into_inner).ports.insert(port.exposed, (port, None));
                listeners.push((port, listener));
            }
        }
        let (news, announced) = mpsc::unbounded_channel();
        let (draining, drained) = watch::channel(false);
        let acceptor = Acceptor { plane: plane.clone(), state: state.clone(), draining: drained };
        let thread = thread::Builder::new()
            .name("waas".into())
            .spawn(move || LocalSet::new().block_on(&runtime, acceptor.run(listeners, announced)))?;
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { plane, ruleset: config.ruleset, state, news, draining, thread }))
    }

    /// Puts a policy in force, or none. One that cannot be understood leaves the last good one in force, and is told of.
    pub fn take_policy(&self, hash: &str, policy: Option<&str>) {
        let outcome = policy.map(|text| self.compile(hash, text)).transpose();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(armed) => {
                state.hash = armed.is_some().then(|| hash.to_owned());
                state.error = None;
                self.plane.armed.store(armed.map(Arc::new));
            }
            Err(error) => {
                crate::say!("bartizan: the WAAS policy was refused, the last one stays: {error}");
                state.error = Some(error);
            }
        }
        drop(state);
        // A proxy that has ended needs no policy.
        let _ = self.news.send(());
    }

    fn compile(&self, hash: &str, text: &str) -> Result<Armed, String> {
        let settings = Settings::parse(text.as_bytes())?;
        let policy = Policy::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        let firewall = Firewall::new(policy, self.ruleset.clone()).map_err(|error| error.to_string())?;
        let limits = self.plane.limits.reading(settings.read_timeout);
        Ok(Armed { hash: hash.to_owned(), firewall, settings, limits })
    }

    /// The `waas` field of a status message.
    #[must_use]
    pub fn status(&self) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<Port> =
            state.ports.values().filter(|(_, error)| error.is_none()).map(|(port, _)| *port).collect();
        let closed = state.ports.values().find_map(|(_, error)| error.clone());
        json!({
            "hash": state.hash,
            "error": state.error.clone().or(closed),
            "ports": open,
            "counters": self.plane.counters.to_json(),
        })
    }

    /// The ports that are open, as clients reach them.
    #[must_use]
    pub fn ports(&self) -> Vec<Port> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ports.values().filter(|(_, error)| error.is_none()).map(|(port, _)| *port).collect()
    }

    /// Takes no more connections, lets requests under way end within their time, and waits for that.
    pub fn stop(&self) {
        self.draining.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A proxy that panicked has ended.
        let _ = thread.map(thread::JoinHandle::join);
    }
}

/// The part that lives on the proxy's thread.
struct Acceptor {
    plane: Arc<Plane>,
    state: Arc<Mutex<State>>,
    draining: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self, listeners: Vec<(Port, TcpListener)>, mut announced: mpsc::UnboundedReceiver<()>) {
        let local = Rc::new(Local::new(self.plane.clone(), self.draining.clone()));
        for (port, listener) in listeners {
            spawn_local(listening::accept(listener, port.exposed, port.internal, local.clone()));
        }
        let (mut draining, mut sweep) = (self.draining.clone(), interval(SWEEP));
        loop {
            tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => break,
                Some(()) = announced.recv() => self.open_named(&local),
                _ = sweep.tick() => local.pool.sweep(),
            }
        }
        let (end, mut look) = (Instant::now() + self.plane.limits.drain, interval(DRAINING));
        while local.open() > 0 {
            tokio::select! {
                _ = look.tick() => {}
                () = sleep_until(end) => return,
            }
        }
    }

    /// Opens the ports that the policy names and that are not open.
    fn open_named(&self, local: &Rc<Local>) {
        let Some(armed) = self.plane.armed.load_full() else { return };
        for place in &armed.settings.places {
            let port = Port { exposed: place.exposed, internal: place.internal };
            let known = |state: &State| state.ports.get(&port.exposed).is_some_and(|(_, error)| error.is_none());
            if !known(&self.state.lock().unwrap_or_else(PoisonError::into_inner)) {
                self.add(port, listening::open(port.exposed), local);
            }
        }
    }

    fn add(&self, port: Port, opened: io::Result<TcpListener>, local: &Rc<Local>) {
        let error = opened.as_ref().err().map(|error| format!("port {} cannot be listened on: {error}", port.exposed));
        if let Some(error) = &error {
            crate::say!("bartizan: {error}");
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ports.insert(port.exposed, (port, error));
        if let Ok(listener) = opened {
            spawn_local(listening::accept(listener, port.exposed, port.internal, local.clone()));
        }
    }
}
