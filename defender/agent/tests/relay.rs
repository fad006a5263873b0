//! The relay over real sockets: honest entrypoints, and everybody else in the task.
#![allow(clippy::expect_used, reason = "a test ends where its ground is missing")]
use std::{
    fs,
    future::Future,
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use defender_agent::{
    config::Container,
    enforcement::{AuditSink, TierReport},
    link::{
        background::Background,
        desk::Desk,
        frame, identity,
        message::{FromSidecar, PROTOCOL, ToConsole, ToSidecar, WorkloadPolicy},
        protected::{Batch, Protected},
        relay::{self as client, Attachment},
    },
    recorder::Fetch,
    sidecar::{install::install, relay as server, table::Table, token::Tokens},
};
use defender_core::{Audit, AuditDraft, DefenderPolicy, Event, LookupEvent, Notice, Recorded};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{UnixListener, UnixStream},
    task::{AbortHandle, yield_now},
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A directory that is gone when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bartizan-{}", identity::instance().expect("random")));
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("relay.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Sidecar {
    directory: Directory,
    table: Arc<Table>,
    tokens: Arc<Tokens>,
}

impl Sidecar {
    fn start() -> Self {
        let container = |name: &str| Container { name: name.into(), image: None, id: None };
        let table = Table::new(&[container("web"), container("cart")], identity::instance).expect("a table");
        let tokens = Arc::new(Tokens::new("secret").expect("random"));
        let directory = Directory::new();
        serve(&directory.socket(), &table, &tokens);
        Self { directory, table, tokens }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.directory.socket()).await.expect("connected")
    }

    async fn attach(&self, container: &str, token: &str) -> (UnixStream, FromSidecar) {
        let mut stream = self.connect().await;
        let answer = exchange(&mut stream, &hello(container, token, &identity::instance().expect("random"))).await;
        (stream, answer)
    }

    /// What the Console would get now.
    fn batches(&self) -> Vec<Batch> {
        std::iter::from_fn(|| self.table.next_batch(500)).collect()
    }
}

fn serve(socket: &Path, table: &Arc<Table>, tokens: &Arc<Tokens>) {
    let listener = server::listen(socket, 0o666).expect("listening");
    let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
    tokio::spawn(server::serve(listener, table.clone(), tokens.clone()));
}

fn hello(container: &str, token: &str, instance: &str) -> ToSidecar {
    let (container, token, instance) = (container.into(), token.into(), instance.into());
    ToSidecar::Attach { protocol: PROTOCOL, container, token, instance, version: "0".into() }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("in time")
}

async fn exchange(stream: &mut UnixStream, message: &ToSidecar) -> FromSidecar {
    frame::write(stream, message).await.expect("written");
    answer(stream).await
}

async fn answer(stream: &mut UnixStream) -> FromSidecar {
    within(frame::read(stream)).await.expect("a frame").expect("an answer")
}

async fn closed(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    match within(stream.read_to_end(&mut rest)).await {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn policy() -> DefenderPolicy {
    DefenderPolicy { version: 1, rule: Some("shop".into()), ..DefenderPolicy::default() }
}

fn draft(detail: &str) -> AuditDraft {
    AuditDraft::notice(1, Notice::NotEnforcing, detail, 0)
}

fn audit(seq: u64, detail: &str) -> Audit {
    let AuditDraft { time, rule, effect, reason, matched, event, ancestry } = draft(detail);
    Audit { seq, time, rule, effect, reason, matched, event, ancestry, count: 1 }
}

/// A forged token attaches nothing, learns nothing, and is reported once under the container that it claimed.
#[tokio::test]
async fn a_forged_token_is_refused_and_reported() {
    let sidecar = Sidecar::start();
    sidecar.table.take_policies(vec![WorkloadPolicy {
        container: Some("web".into()),
        hash: "ab".repeat(32),
        policy: policy(),
    }]);
    for token in ["0".repeat(32), sidecar.tokens.of("cart"), String::new()] {
        let (mut stream, answer) = sidecar.attach("web", &token).await;
        assert!(matches!(answer, FromSidecar::Refused { .. }), "{answer:?}");
        assert!(closed(&mut stream).await);
    }
    let batches = sidecar.batches();
    assert_eq!(batches.len(), 1, "{batches:?}");
    assert_eq!((batches[0].container.as_deref(), batches[0].audits.len()), (Some("web"), 1));
}

/// A container that mounts the shared directory for reading alone, as embedding does, cannot take the socket away, put
/// another in its place or change its mode, though it is root; it can connect. Where it may write, it can do all of it.
#[tokio::test]
async fn the_socket_stays_where_the_directory_is_mounted_for_reading() {
    let sidecar = Sidecar::start();
    let (folder, socket) = (sidecar.directory.0.clone(), sidecar.directory.socket());
    let attacks = "connect() { python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $1; }
        connect $1/relay.sock && echo connected
        mount -o remount,bind,rw $1 && echo remounted; umount $1 && echo unmounted
        chmod 0 $1/relay.sock && echo closed; mv $1/relay.sock $1/elsewhere && echo moved
        touch $1/relay.sock && echo replaced; rm -f $1/elsewhere $1/relay.sock && echo removed; mv $1 $1.gone && echo gone";
    let attack = |mount: &str| {
        let script = format!(
            "mount --bind $1 $1 && mount -o remount,bind,{mount} $1 && exec setpriv --bounding-set -sys_admin sh -c \"$2\" sh $1"
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(&folder).arg(attacks);
        String::from_utf8_lossy(&command.output().expect("a shell").stdout).replace('\n', " ")
    };

    assert_eq!("connected ", attack("ro"));
    assert!(matches!(sidecar.attach("web", &sidecar.tokens.of("web")).await.1, FromSidecar::Policy { .. }));
    assert_eq!("connected closed moved replaced removed ", attack("rw"));
    assert!(!socket.exists());
}

/// Links that somebody planted before the sidecar starts are replaced, and what they lead to is left alone; a directory that
/// is a link is refused.
#[test]
fn planted_links_are_not_followed() {
    let directory = Directory::new();
    let victim = directory.0.join("victim");
    fs::write(&victim, "kept").expect("a file");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).expect("a mode");
    let plant = |name: &str| symlink(&victim, directory.0.join(name)).expect("a link");
    ["defender", ".defender.new", "relay.sock"].into_iter().for_each(plant);

    install(Path::new("/proc/self/exe"), &directory.0).expect("installed");
    let listening = server::listen(&directory.socket(), 0o666).expect("listening");

    let status = fs::metadata(&victim).expect("a file");
    assert_eq!(("kept".into(), 0o600), (fs::read_to_string(&victim).expect("text"), status.mode() & 0o777));
    assert!(directory.0.join("defender").symlink_metadata().expect("a file").is_file());
    drop(listening);
    fs::remove_dir(directory.0.join("run")).expect("a directory");
    symlink("/etc", directory.0.join("run")).expect("a link");
    assert!(install(Path::new("/proc/self/exe"), &directory.0).is_err());
}

/// While one attachment of a container lives a second is refused; the first goes on, and its end makes room.
#[tokio::test]
async fn one_attachment_for_each_container() {
    let sidecar = Sidecar::start();
    let token = sidecar.tokens.of("web");
    let (mut first, answer) = sidecar.attach("web", &token).await;
    assert!(matches!(answer, FromSidecar::Policy { policy: None, .. }), "{answer:?}");
    let (_, second) = sidecar.attach("web", &token).await;
    assert!(matches!(second, FromSidecar::Refused { .. }), "{second:?}");
    let (_other, other) = sidecar.attach("cart", &sidecar.tokens.of("cart")).await;
    assert!(matches!(other, FromSidecar::Policy { .. }), "{other:?}");
    frame::write(&mut first, &ToSidecar::Audits { audits: vec![audit(1, "x")] }).await.expect("still attached");
    while self::answer(&mut first).await != (FromSidecar::Ack { received: 1, committed: 0 }) {}
    drop(first);
    within(async {
        while !matches!(sidecar.attach("web", &token).await.1, FromSidecar::Policy { .. }) {
            yield_now().await;
        }
    })
    .await;
}

/// A container cannot report under the name of another's Defender, or of any in the world, by naming its instance: the
/// Console would close the channel of the whole task for it.
#[tokio::test]
async fn a_stolen_instance_gives_no_others_source() {
    let sidecar = Sidecar::start();
    let instance = identity::instance().expect("random");
    let mut web = sidecar.connect().await;
    exchange(&mut web, &hello("web", &sidecar.tokens.of("web"), &instance)).await;
    let mut cart = sidecar.connect().await;
    exchange(&mut cart, &hello("cart", &sidecar.tokens.of("cart"), &instance)).await;
    for stream in [&mut web, &mut cart] {
        frame::write(stream, &ToSidecar::Audits { audits: vec![audit(1, "x")] }).await.expect("written");
        while answer(stream).await != (FromSidecar::Ack { received: 1, committed: 0 }) {}
    }
    let batches = sidecar.batches();
    let of = |name: &str| batches.iter().find(|batch| batch.container.as_deref() == Some(name)).expect("a batch");
    assert_ne!(of("web").source, of("cart").source);
    assert!(batches.iter().all(|batch| batch.source != instance && batch.audits.len() == 1));
}

/// While the Console is away a container that floods loses its own oldest alerts, never another's; it is not made to wait,
/// and how much was lost is reported.
#[tokio::test]
async fn a_flood_costs_only_the_one_who_floods() {
    let sidecar = Sidecar::start();
    let (mut web, _) = sidecar.attach("web", &sidecar.tokens.of("web")).await;
    let (mut cart, _) = sidecar.attach("cart", &sidecar.tokens.of("cart")).await;
    frame::write(&mut cart, &ToSidecar::Audits { audits: vec![audit(1, "precious")] }).await.expect("written");
    while answer(&mut cart).await != (FromSidecar::Ack { received: 1, committed: 0 }) {}
    for first in (1..=1000).step_by(10) {
        let audits = (first..first + 10).map(|seq| audit(seq, &"x".repeat(10_000))).collect();
        frame::write(&mut web, &ToSidecar::Audits { audits }).await.expect("written");
    }
    while answer(&mut web).await != (FromSidecar::Ack { received: 1000, committed: 0 }) {}

    let batches = std::iter::from_fn(|| sidecar.table.next_batch(500)).collect::<Vec<_>>();
    let of = |name| batches.iter().filter(move |batch| batch.container.as_deref() == Some(name));
    let audits = |name| of(name).flat_map(|batch| &batch.audits).collect::<Vec<_>>();
    let lost = audits("web").iter().find_map(|audit| match &audit.event {
        Event::Defender(event) if event.notice == Notice::AuditsDropped => Some(event.count),
        _ => None,
    });
    assert_eq!(audits("cart").len(), 1);
    assert_eq!(audits("web").len() as u64 - 1 + lost.expect("a notice"), 1000);
}

/// However many connections say nothing, an honest one gets through, and the oldest silent ones are closed.
#[tokio::test]
async fn a_flood_of_silent_connections_keeps_nobody_out() {
    let sidecar = Sidecar::start();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(sidecar.connect().await);
    }
    let (_stream, answer) = sidecar.attach("web", &sidecar.tokens.of("web")).await;
    assert!(matches!(answer, FromSidecar::Policy { .. }), "{answer:?}");
    assert!(closed(&mut silent[0]).await);
}

/// A connection that does not attach in time is closed.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_five_seconds() {
    let sidecar = Sidecar::start();
    let mut stream = sidecar.connect().await;
    let answer = frame::read(&mut stream).await.expect("a frame");
    assert!(matches!(answer, Some(FromSidecar::Refused { .. })), "{answer:?}");
}

/// An oversized frame ends its connection and no other.
#[tokio::test]
async fn an_oversized_frame_ends_its_connection() {
    let sidecar = Sidecar::start();
    let (mut web, _) = sidecar.attach("web", &sidecar.tokens.of("web")).await;
    let (mut cart, _) = sidecar.attach("cart", &sidecar.tokens.of("cart")).await;
    web.write_all(&u32::MAX.to_be_bytes()).await.expect("written");
    assert!(closed(&mut web).await);
    frame::write(&mut cart, &ToSidecar::Audits { audits: vec![audit(1, "x")] }).await.expect("written");
    while answer(&mut cart).await != (FromSidecar::Ack { received: 1, committed: 0 }) {}
}

/// Audits that the Console would refuse are refused by the sidecar: one container must not end the link of all.
#[tokio::test]
async fn audits_that_the_console_would_refuse_go_no_further() {
    let sidecar = Sidecar::start();
    for bad in
        [audit(0, "x"), audit(u64::MAX, "x"), Audit { time: u64::MAX, ..audit(1, "x") }, audit(1, &"x".repeat(300_000))]
    {
        let (mut web, _) = loop {
            let (stream, answer) = sidecar.attach("web", &sidecar.tokens.of("web")).await;
            if matches!(answer, FromSidecar::Policy { .. }) {
                break (stream, answer);
            }
        };
        frame::write(&mut web, &ToSidecar::Audits { audits: vec![bad] }).await.expect("written");
        assert!(closed(&mut web).await);
    }
    let reported: Vec<Batch> = sidecar.batches();
    assert!(
        reported
            .iter()
            .flat_map(|batch| &batch.audits)
            .all(|audit| audit.reason == defender_core::Reason::Defender && audit.time < u64::MAX && audit.seq == 1)
    );
}

/// Audits outlive a lost connection and arrive once; the policy and the status pass too.
#[tokio::test]
async fn audits_survive_a_disconnect_and_arrive_once() {
    let sidecar = Sidecar::start();
    let desk = Desk::new(identity::instance().expect("random"));
    let attachment = Attachment { container: "web".into(), token: sidecar.tokens.of("web") };
    let wire = Wire::to(&sidecar);
    let (socket, shared) = (wire.socket.clone(), desk.clone());
    let link = Background::start(move |stop| client::run(socket, attachment, shared, stop)).expect("a link");
    let hash = "ab".repeat(32);
    let given = WorkloadPolicy { container: Some("web".into()), hash: hash.clone(), policy: policy() };
    sidecar.table.take_policies(vec![given]);
    assert!(at_desk(&desk, |desk| desk.wait_for_policy(DEADLINE)).await);
    assert_eq!(desk.status().policy_hash, Some(hash));
    desk.report(2, vec!["no ptrace".into()]);
    desk.submit(draft("one"));
    assert!(at_desk(&desk, |desk| desk.flush(DEADLINE)).await);
    within(sidecar.table.changes().wait_for(|_| sidecar.table.statuses().iter().any(|status| status.tier == 2)))
        .await
        .expect("a status");
    let first = sidecar.batches();
    let source = sidecar.tokens.source("web", desk.instance());
    assert_eq!((first[0].source.as_str(), first[0].container.as_deref()), (source.as_str(), Some("web")));

    let mut changes = sidecar.table.changes();
    wire.cut();
    let detached = || sidecar.table.statuses().iter().all(|status| status.tier == 0);
    within(changes.wait_for(|_| detached())).await.expect("the break is noticed");
    desk.submit(draft("two"));
    assert!(!desk.flush(Duration::ZERO), "nobody can have taken it");
    let _again = Wire::to(&sidecar);
    desk.submit(draft("three"));
    assert!(at_desk(&desk, |desk| desk.flush(DEADLINE)).await);
    sidecar.table.rewind();
    let numbers: Vec<u64> = sidecar.batches().iter().flat_map(|batch| &batch.audits).map(|audit| audit.seq).collect();
    assert_eq!(numbers, [1, 2, 3]);
    sidecar.table.committed(&source, 3);
    assert!(sidecar.table.flushed());
    tokio::task::spawn_blocking(|| link.stop()).await.expect("stopped");
}

fn lookup(name: &str) -> Event {
    Event::Lookup(LookupEvent { name: name.into(), record_type: "A".into(), pid: 1, path: String::new() })
}

/// A question for the record goes down to the container it names, and the answer comes up under that container's name.
#[tokio::test]
async fn a_record_is_fetched_through_the_sidecar() {
    let sidecar = Sidecar::start();
    let desk = Desk::new(identity::instance().expect("random"));
    let attachment = Attachment { container: "web".into(), token: sidecar.tokens.of("web") };
    let (socket, shared) = (sidecar.directory.socket(), desk.clone());
    let link = Background::start(move |stop| client::run(socket, attachment, shared, stop)).expect("a link");
    desk.saw(&lookup("a.test"), None);
    let id = "ab".repeat(16);
    sidecar.table.fetch(Some("web".into()), Fetch { id: id.clone(), after: 0 });
    let answer = within(async {
        loop {
            match sidecar.table.next_news() {
                Some(ToConsole::Snapshot { id, container, events, newest, .. }) => {
                    return (id, container, events, newest);
                }
                _ => sidecar.table.due().notified().await,
            }
        }
    })
    .await;
    assert_eq!((answer.0, answer.1.as_deref(), answer.3), (id, Some("web"), 1));
    assert_eq!(answer.2[0].event, lookup("a.test"));
    tokio::task::spawn_blocking(|| link.stop()).await.expect("stopped");
}

/// A container that answers what nobody asked, or too much of it, gets nothing through to the Console.
#[tokio::test]
async fn answers_that_nobody_asked_for_go_no_further() {
    let sidecar = Sidecar::start();
    let recorded = |name: &str| Recorded { time: 1, event: lookup(name), judged: None };
    let snapshot = |id: &str, events| ToSidecar::Snapshot { id: id.repeat(16), first: 1, newest: 1, events };
    let (mut web, _) = sidecar.attach("web", &sidecar.tokens.of("web")).await;
    frame::write(&mut web, &snapshot("ab", vec![recorded("forged.test")])).await.expect("written");
    frame::write(&mut web, &ToSidecar::Audits { audits: vec![audit(1, "x")] }).await.expect("written");
    while answer(&mut web).await != (FromSidecar::Ack { received: 1, committed: 0 }) {}
    assert_eq!(sidecar.table.next_news(), None);

    sidecar.table.fetch(Some("web".into()), Fetch { id: "cd".repeat(16), after: 0 });
    let large = vec![recorded(&"x".repeat(950_000))];
    frame::write(&mut web, &snapshot("cd", large)).await.expect("written");
    assert!(closed(&mut web).await);
    assert_eq!(sidecar.table.next_news(), None);
}

/// What a container was seen to do comes up at its end at the latest, and again when the Console did not say it has it.
#[tokio::test]
async fn observations_come_up_and_are_sent_until_they_arrive() {
    let sidecar = Sidecar::start();
    let desk = Desk::new(identity::instance().expect("random"));
    let attachment = Attachment { container: "web".into(), token: sidecar.tokens.of("web") };
    let (socket, shared) = (sidecar.directory.socket(), desk.clone());
    let link = Background::start(move |stop| client::run(socket, attachment, shared, stop)).expect("a link");
    desk.saw(&lookup("a.test"), None);
    assert!(at_desk(&desk, |desk| desk.flush(DEADLINE)).await);
    sidecar.table.hurry();
    let next = async || {
        within(async {
            loop {
                match sidecar.table.next_news() {
                    Some(ToConsole::Observations { container, number, observed, .. }) => {
                        return (container, number, observed);
                    }
                    _ => sidecar.table.due().notified().await,
                }
            }
        })
        .await
    };
    let (container, number, observed) = next().await;
    assert_eq!((container.as_deref(), number, observed[0].value.as_str()), (Some("web"), 1, "a.test"));
    sidecar.table.rewind();
    let (_, again, observed) = next().await;
    assert_eq!((again, observed[0].count), (2, 1));
    sidecar.table.learned(Some("web"), 2);
    sidecar.table.rewind();
    assert_eq!(sidecar.table.next_news(), None);
    tokio::task::spawn_blocking(|| link.stop()).await.expect("stopped");
}

async fn at_desk(desk: &Arc<Desk>, wait: impl FnOnce(&Desk) -> bool + Send + 'static) -> bool {
    let desk = desk.clone();
    tokio::task::spawn_blocking(move || wait(&desk)).await.expect("no panic")
}

/// A way to the sidecar that can be cut.
struct Wire {
    socket: PathBuf,
    tasks: AbortHandle,
}

impl Wire {
    fn to(sidecar: &Sidecar) -> Self {
        let (socket, target) = (sidecar.directory.0.join("wire.sock"), sidecar.directory.socket());
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("listening");
        let tasks = tokio::spawn(async move {
            // One connection at a time is all that an entrypoint makes; the end of this task ends it too.
            loop {
                let (mut near, _) = listener.accept().await.expect("accepted");
                let mut far = UnixStream::connect(&target).await.expect("connected");
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
        Self { socket, tasks: tasks.abort_handle() }
    }

    fn cut(&self) {
        self.tasks.abort();
        fs::remove_file(&self.socket).expect("a socket");
    }
}
