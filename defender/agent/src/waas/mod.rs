//! The reverse proxy before the application's web ports.
//!
//! It runs on a thread of its own, `waas`. Each request is read, judged by a [`defender_waf::firewall::Exchange`] phase by
//! phase, and written anew for the application; nothing is passed on that was not understood. The policy is swapped whole
//! between requests, so that a change costs no request.

pub mod bystanders;
mod calls;
pub mod connection;
pub mod counters;
pub mod delivery;
pub mod discoveries;
pub mod emission;
mod forwarding;
pub mod frames;
pub mod front;
pub mod halt;
mod http2;
pub mod limits;
pub mod listening;
pub mod plane;
pub mod pool;
pub mod ports;
mod reply;
pub mod report;
mod request_body;
pub mod response;
mod response_body;
pub mod reverse;
pub mod settings;
pub mod target;
pub mod tls;
pub mod trailing;
mod tunnel;
mod turn;
pub mod upstream2;
pub mod wire;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use defender_waf::{
    Ruleset,
    firewall::{Firewall, Policy, Standing},
    inspection::Profile,
};
use ring::hmac;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::{self, LocalOptions},
    sync::watch,
    task::spawn_local,
    time::{Instant, interval, sleep_until},
};

use self::{
    bystanders::{Bystander, Watch, Whose},
    delivery::Set,
    limits::Limits,
    listening::Opened,
    plane::{Armed, Local, Plane, Reporter},
    ports::Port,
    reverse::Reverse,
    settings::Settings,
};
use crate::{enforcement::FailMode, rules};

/// How often idle connections to the application are looked through.
const SWEEP: Duration = Duration::from_secs(10);
/// How often it is looked for ports that do not stand behind the firewall.
const WATCH: Duration = Duration::from_secs(1);
/// How often it is looked whether all connections have ended, once no more are taken.
const DRAINING: Duration = Duration::from_millis(10);
/// Characters of what is told of rules that do not compile.
const MOST_TOLD: usize = 2048;
/// Rules that are not judged, of which a status tells; `messages.py` has the same number.
const MOST_LEFT_OUT: usize = 1000;

/// Gives the rules that policies of a profile are compiled with, when the first of them comes.
pub type Rules = Box<dyn Fn(Profile) -> Result<Arc<Ruleset>, String> + Send + Sync>;

/// The rules that come with this Defender.
///
/// # Errors
/// What of them cannot be understood.
pub fn builtin_rules(profile: Profile) -> Result<Arc<Ruleset>, String> {
    rules::load(profile, &rules::built_in()).map(Arc::new).map_err(|error| error.to_string())
}

/// What the proxy begins with.
pub struct Config {
    /// Open already, and listened on from the first moment.
    pub opened: Vec<Opened>,
    /// What happens while there is no policy.
    pub fail_mode: FailMode,
    /// The proxy's bounds.
    pub limits: Limits,
    /// The rules that policies are compiled with.
    pub rules: Rules,
    /// Takes what is to be told.
    pub reporter: Arc<dyn Reporter>,
    /// The id of this Defender process.
    pub instance: String,
    /// Certificates with their keys (PEM) that policies may name.
    pub certificates: BTreeMap<String, String>,
    /// Who is asked for the names of clients' addresses.
    pub resolvers: Vec<SocketAddr>,
    /// Seals what clients are to send again; see [`session_secret`].
    pub secret: [u8; 32],
    /// Whose other ports are told of.
    pub whose: Whose,
}

/// The secret that seals sessions of an application: the same in all its tasks, so that a load balancer may send a client to
/// any of them.
#[must_use]
pub fn session_secret(bundle_secret: &str, application: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, bundle_secret.as_bytes());
    let mut secret = [0; 32];
    secret.copy_from_slice(hmac::sign(&key, &[b"waas sessions\0", application.as_bytes()].concat()).as_ref());
    secret
}

/// The proxy: a thread that runs as soon as there is a port to listen on, or a policy.
pub struct Waas {
    plane: Arc<Plane>,
    rules: Rules,
    certificates: BTreeMap<String, String>,
    resolvers: Vec<SocketAddr>,
    secret: [u8; 32],
    /// Held while policy and rules are put together, so that neither takes the place of a newer one.
    changing: Mutex<()>,
    /// Counts the sets of rules that came: only the newest is compiled.
    sets: AtomicU64,
    whose: Whose,
    state: Arc<Mutex<State>>,
    news: watch::Sender<()>,
    draining: watch::Sender<bool>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// Rules, and the profile that they were compiled for.
type Compiled = (Profile, Arc<Ruleset>);

/// What is told of the proxy.
#[derive(Default)]
struct State {
    /// The rules in force, compiled for a profile.
    ruleset: Option<Compiled>,
    /// What they were compiled from; none: those that come with the Defender.
    set: Option<Arc<Set>>,
    set_error: Option<String>,
    /// The policy in force.
    policy: Option<(String, String)>,
    hash: Option<String>,
    error: Option<String>,
    /// Wanted ports, and why one is not open.
    ports: BTreeMap<u16, (Port, Option<String>)>,
    /// Ports that others listen on.
    bystanders: Vec<Bystander>,
    /// True once there was anything to do.
    began: bool,
}

impl Waas {
    /// Starts the proxy where there are ports to listen on; otherwise it waits for a policy.
    ///
    /// # Errors
    /// The system's answer when there is no thread, or no poller.
    pub fn start(config: Config) -> io::Result<Arc<Self>> {
        let plane = Arc::new(Plane::new(config.fail_mode, config.limits, config.reporter, &config.instance));
        let ports = config.opened.iter().map(|opened| (opened.port.exposed, (opened.port, None))).collect();
        let waas = Self {
            plane,
            rules: config.rules,
            certificates: config.certificates,
            resolvers: config.resolvers,
            secret: config.secret,
            changing: Mutex::default(),
            sets: AtomicU64::new(0),
            whose: config.whose,
            state: Arc::new(Mutex::new(State { ports, ..State::default() })),
            news: watch::channel(()).0,
            draining: watch::channel(false).0,
            thread: Mutex::default(),
        };
        if !config.opened.is_empty() {
            waas.run(config.opened)?;
        }
        Ok(Arc::new(waas))
    }

    /// Starts the thread unless it runs.
    fn run(&self, opened: Vec<Opened>) -> io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() || *self.draining.borrow() {
            return Ok(());
        }
        let (state, draining, announced) = (self.state.clone(), self.draining.subscribe(), self.news.subscribe());
        let (resolvers, secret) = (self.resolvers.clone(), self.secret);
        let acceptor = Acceptor { plane: self.plane.clone(), state, draining, resolvers, secret, whose: self.whose };
        let (tell, told) = mpsc::channel();
        // A runtime for one thread is made on it, and spares its tasks what those of many threads need.
        let run = move || match runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
        {
            Ok(runtime) => {
                drop(tell);
                runtime.block_on(acceptor.run(opened, announced));
            }
            // Whoever started it awaits a word.
            Err(error) => drop(tell.send(error)),
        };
        *thread = Some(thread::Builder::new().name("waas".into()).spawn(run)?);
        if let Ok(error) = told.recv() {
            *thread = None;
            return Err(error);
        }
        self.state().began = true;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a policy in force, or none. One that cannot be understood leaves the last good one in force, and is told of.
    pub fn take_policy(&self, hash: &str, policy: Option<&str>) {
        let changing = self.changing();
        let outcome = policy.map(|text| self.compile(hash, text)).transpose();
        let outcome = outcome.and_then(|armed| match &armed {
            Some(Armed { firewall, .. }) if !firewall.policy().applications.is_empty() => {
                self.run(Vec::new()).map(|()| armed).map_err(|error| format!("there is no thread for it: {error}"))
            }
            // Nothing to listen for.
            _ => Ok(armed),
        });
        let mut state = self.state();
        match outcome {
            Ok(armed) => {
                state.hash = armed.is_some().then(|| hash.to_owned());
                state.error = None;
                let applications = armed.iter().flat_map(|armed| &armed.firewall.policy().applications);
                self.plane.discoveries.keep(applications.map(|application| application.app_id.as_str()));
                state.policy = policy.map(|text| (hash.to_owned(), text.to_owned()));
                self.plane.armed.store(armed.map(Arc::new));
            }
            Err(error) => {
                crate::say!("bartizan: the WAAS policy was refused, the last one stays: {error}");
                state.error = Some(error);
                state.began = true;
            }
        }
        drop((state, changing));
        self.news.send_replace(());
    }

    /// Judges by other rules from the moment on when they are compiled, which a thread of its own does; none are those that
    /// come with the Defender. Rules that do not compile leave the last good ones in force, and are told of. `done` is called then.
    pub fn take_ruleset(self: &Arc<Self>, set: Result<Option<Set>, String>, done: impl FnOnce() + Send + 'static) {
        let set = match set {
            Ok(set) => set,
            Err(error) => {
                self.refuse_rules(&error);
                return done();
            }
        };
        let number = self.sets.fetch_add(1, Ordering::SeqCst) + 1;
        let waas = self.clone();
        let change = move || {
            let changing = waas.changing();
            if waas.sets.load(Ordering::SeqCst) == number {
                waas.change_rules(set.map(Arc::new).as_ref());
            }
            drop(changing);
            done();
        };
        if let Err(error) = thread::Builder::new().name("waas-rules".into()).spawn(change) {
            self.refuse_rules(&format!("there is no thread for it: {error}"));
        }
    }

    fn change_rules(&self, set: Option<&Arc<Set>>) {
        match self.with_rules(set.map(Arc::as_ref)) {
            Ok((armed, ruleset)) => {
                let left_out: Vec<_> = left_out(&ruleset.1).map(|rule| rule.to_string()).collect();
                if !left_out.is_empty() {
                    crate::say!(
                        "bartizan: {} rules of the set are not judged: {}",
                        left_out.len(),
                        left_out.join(", ")
                    );
                }
                let mut state = self.state();
                (state.set, state.set_error, state.ruleset, state.began) = (set.cloned(), None, Some(ruleset), true);
                if armed.is_some() {
                    self.plane.armed.store(armed.map(Arc::new));
                }
            }
            Err(error) => self.refuse_rules(&error),
        }
    }

    /// The rules compiled, and the policy in force with them.
    fn with_rules(&self, set: Option<&Set>) -> Result<(Option<Armed>, Compiled), String> {
        let policy = self.state().policy.clone();
        let profile = match &policy {
            Some((_, text)) => Policy::parse(text.as_bytes()).map_err(|error| error.to_string())?.profile,
            None => Profile::default(),
        };
        let ruleset = self.load(profile, set)?;
        let armed = policy.map(|(hash, text)| self.arm(&hash, &text, &ruleset)).transpose()?;
        Ok((armed, (profile, ruleset)))
    }

    fn refuse_rules(&self, error: &str) {
        crate::say!("bartizan: the set of rules was refused, the last one stays: {error}");
        let mut state = self.state();
        (state.set_error, state.began) = (Some(error.chars().take(MOST_TOLD).collect()), true);
    }

    /// The hash of the set of rules in force; none when it came with the Defender.
    #[must_use]
    pub fn ruleset_hash(&self) -> Option<String> {
        self.state().set.as_ref().map(|set| set.hash.clone())
    }

    fn load(&self, profile: Profile, set: Option<&Set>) -> Result<Arc<Ruleset>, String> {
        match set {
            Some(set) => rules::load(profile, &set.files).map(Arc::new).map_err(|error| error.to_string()),
            None => (self.rules)(profile),
        }
    }

    fn ruleset(&self, profile: Profile) -> Result<Arc<Ruleset>, String> {
        let state = self.state();
        if let Some((of, ruleset)) = &state.ruleset
            && *of == profile
        {
            return Ok(ruleset.clone());
        }
        let set = state.set.clone();
        drop(state);
        // Without the lock: it takes a while, and the state is asked for meanwhile.
        let ruleset = self.load(profile, set.as_deref())?;
        self.state().ruleset = Some((profile, ruleset.clone()));
        Ok(ruleset)
    }

    fn compile(&self, hash: &str, text: &str) -> Result<Armed, String> {
        let policy = Policy::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        // Rules take time and memory, which a policy without applications is not worth.
        let ruleset = if policy.applications.is_empty() { Arc::default() } else { self.ruleset(policy.profile)? };
        self.arm(hash, text, &ruleset)
    }

    fn arm(&self, hash: &str, text: &str, ruleset: &Arc<Ruleset>) -> Result<Armed, String> {
        let settings = Settings::parse(text.as_bytes(), &self.certificates)?;
        let policy = Policy::parse(text.as_bytes()).map_err(|error| error.to_string())?;
        let firewall = Firewall::new(policy, ruleset.clone()).map_err(|error| error.to_string())?;
        let limits = self.plane.limits.reading(settings.read_timeout);
        Ok(Armed { hash: hash.to_owned(), firewall, settings, limits })
    }

    /// The `waas` field of a status message; none before there was anything to do.
    #[must_use]
    pub fn status(&self) -> Option<Value> {
        let ports = self.ports();
        let state = self.state();
        let closed = state.ports.values().find_map(|(_, error)| error.clone());
        state.began.then(|| {
            json!({
                "hash": state.hash,
                "error": state.error.clone().or(closed),
                "ports": ports,
                "openPorts": state.bystanders,
                "counters": self.plane.counters.to_json(),
                "ruleset": {
                    "hash": state.set.as_ref().map(|set| &set.hash),
                    "version": state.set.as_ref().map_or_else(rules::version, |set| Some(set.version.clone())),
                    "error": state.set_error,
                    "leftOut": state.ruleset.iter().flat_map(|(_, ruleset)| left_out(ruleset)).collect::<Vec<_>>(),
                },
            })
        })
    }

    /// The `discovery` field of a status message: what was learnt of applications' endpoints since the last one.
    #[must_use]
    pub fn discovery(&self) -> Option<Value> {
        self.plane.discoveries.take()
    }

    /// The ports that are open, as clients reach them.
    #[must_use]
    pub fn ports(&self) -> Vec<Port> {
        self.state().ports.values().filter(|(_, error)| error.is_none()).map(|(port, _)| *port).collect()
    }

    /// Takes no more connections, lets requests under way end within their time, and waits for that.
    pub fn stop(&self) {
        self.draining.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A proxy that panicked has ended.
        let _ = thread.map(thread::JoinHandle::join);
    }
}

/// Numbers of rules that are not judged, as many as a status tells of.
fn left_out(ruleset: &Ruleset) -> impl Iterator<Item = u32> {
    ruleset.left_out.iter().map(|left| left.rule).take(MOST_LEFT_OUT)
}

/// The part that lives on the proxy's thread.
struct Acceptor {
    plane: Arc<Plane>,
    state: Arc<Mutex<State>>,
    draining: watch::Receiver<bool>,
    resolvers: Vec<SocketAddr>,
    secret: [u8; 32],
    whose: Whose,
}

impl Acceptor {
    async fn run(self, opened: Vec<Opened>, mut announced: watch::Receiver<()>) {
        let (standing, reverse) = (Standing::new(self.secret), Reverse::new(self.resolvers.clone()));
        let local = Rc::new(Local::new(self.plane.clone(), standing, reverse, self.draining.clone()));
        for Opened { port, listener } in opened {
            self.add(port, TcpListener::from_std(listener), &local);
        }
        let (mut draining, mut sweep, mut watch) = (self.draining.clone(), interval(SWEEP), interval(WATCH));
        let mut bystanders = Watch::new(self.whose);
        self.open_named(&local);
        loop {
            tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => break,
                _ = announced.changed() => self.open_named(&local),
                _ = sweep.tick() => local.pool.sweep(),
                _ = watch.tick() => self.look_around(&mut bystanders),
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
        for place in armed.settings.places.iter().filter(|place| place.internal != 0) {
            let port = Port { exposed: place.exposed, internal: place.internal };
            let open = self.state().ports.get(&port.exposed).is_some_and(|(_, error)| error.is_none());
            if !open {
                self.add(port, listening::open(port).and_then(|opened| TcpListener::from_std(opened.listener)), local);
            }
        }
    }

    /// Tells of ports beside the firewall.
    fn look_around(&self, watch: &mut Watch) {
        let ports: Vec<Port> = self.state().ports.values().map(|(port, _)| *port).collect();
        let seen = watch.look(&ports);
        watch.news(&seen).into_iter().for_each(|draft| self.plane.reporter.report(draft));
        self.state().bystanders = seen;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, port: Port, opened: io::Result<TcpListener>, local: &Rc<Local>) {
        let error = opened.as_ref().err().map(|error| format!("port {} cannot be listened on: {error}", port.exposed));
        if let Some(error) = &error {
            crate::say!("bartizan: {error}");
        }
        self.state().ports.insert(port.exposed, (port, error));
        if let Ok(listener) = opened {
            spawn_local(listening::accept(listener, port, local.clone()));
        }
    }
}
