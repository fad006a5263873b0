//! The sentry: it looks for what no call announces. Processes from outside ten times a second, for what is injected often
//! lives no longer; changes to what the kernel knows of the Defender or to its program file once a second.
use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{fs::MetadataExt, net::UnixDatagram},
    },
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use defender_core::{DefenderEvent, Event, Notice, Reason};

use super::{
    ending,
    injected::{Origin, Scan, Sign},
    judge::{Judge, Verdict},
    protection::process_event,
};

const ROUND: Duration = Duration::from_secs(1);
/// How often it is looked whether a process was started: one read of `/proc/loadavg` while none was.
const GLANCE: Duration = Duration::from_millis(100);
/// After a look at many processes there is a rest of so many times as long, so that it never costs more than two percent.
const REST: u32 = 50;
/// How likely the kernel is to kill us when memory runs out (proc(5)).
const KILL_SCORE: &str = "/proc/self/oom_score_adj";

/// The supervisor's end.
pub struct Sentry {
    begin: Sender<Sign>,
    found: UnixDatagram,
}

impl Sentry {
    /// Starts the thread. Call it before the workload is started, so that the thread is protected like the others.
    ///
    /// # Errors
    /// When no thread or socket can be made.
    pub fn start(judge: Judge) -> io::Result<Self> {
        let (found, finds) = UnixDatagram::pair()?;
        found.set_nonblocking(true)?;
        // A supervisor that is busy finds the process at the next round.
        finds.set_nonblocking(true)?;
        let (begin, start) = mpsc::channel();
        // What it compares with is from before the workload.
        let mut watch = Watch::new(judge, finds);
        thread::Builder::new().name("sentry".into()).stack_size(256 << 10).spawn(move || {
            if let Ok(sign) = start.recv() {
                watch.scan.sign = sign;
                watch.run(&start);
            }
        })?;
        Ok(Self { begin, found })
    }

    /// The workload runs: from now on, whatever does not have its `sign` is not of it.
    pub fn begin(&self, sign: Sign) {
        // A sentry that is gone has nothing to tell.
        let _ = self.begin.send(sign);
    }

    /// Readable when there is something to take.
    #[must_use]
    pub fn news(&self) -> BorrowedFd<'_> {
        self.found.as_fd()
    }

    /// A process that was found and may stay, to be traced from now on.
    #[must_use]
    pub fn take(&self) -> Option<u32> {
        let mut id = [0; 4];
        (self.found.recv(&mut id).ok()? == id.len()).then(|| u32::from_ne_bytes(id))
    }
}

struct Watch {
    judge: Judge,
    scan: Scan,
    finds: UnixDatagram,
    score: Option<String>,
    program: Option<(String, Identity)>,
}

type Identity = (u64, u64, u64, i64, i64);

impl Watch {
    fn new(judge: Judge, finds: UnixDatagram) -> Self {
        let program = fs::read_link("/proc/self/exe").ok().and_then(|path| {
            let path = path.to_string_lossy().into_owned();
            let identity = identity(&path)?;
            Some((path, identity))
        });
        Self { judge, scan: Scan::new(), finds, score: fs::read_to_string(KILL_SCORE).ok(), program }
    }

    fn run(mut self, supervisor: &Receiver<Sign>) {
        let mut round: Option<Instant> = None;
        loop {
            let begin = Instant::now();
            // What is found takes its time, and comes from outside: the workload cannot make us busy with it.
            let found = self.look_for_processes();
            let pause = if found { GLANCE } else { (begin.elapsed() * REST).clamp(GLANCE, ROUND) };
            if round.is_none_or(|last| last.elapsed() >= ROUND) {
                round = Some(begin);
                self.judge.tick();
                self.keep_score();
                self.check_program();
            }
            if supervisor.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// True when there was one.
    fn look_for_processes(&mut self) -> bool {
        let found = self.scan.look();
        for &(process, origin) in &found {
            let (reason, matched) = match origin {
                Origin::Outside => (Reason::InjectedProcess, None),
                Origin::Escaped => (Reason::Tampering, Some("CLONE_UNTRACED".to_owned())),
            };
            if self.judge.detected(reason, matched, process_event(process)) == Verdict::Stop {
                ending::end(process);
            } else if self.judge.policy().source().rule.is_some() {
                let _ = self.finds.send(&process.to_ne_bytes());
            }
        }
        !found.is_empty()
    }

    /// Whoever is root may make us the first to be killed; we write back what it was.
    fn keep_score(&mut self) {
        let Some(score) = &self.score else { return };
        let now = fs::read_to_string(KILL_SCORE).ok();
        if now.as_ref().is_some_and(|now| now != score) {
            let kept = fs::write(KILL_SCORE, score).is_ok();
            let detail = if kept { "it was set back" } else { "it cannot be set back" };
            self.tampering("oom_score_adj", &format!("the Defender's oom_score_adj was changed; {detail}"));
            if !kept {
                self.score = now;
            }
        }
    }

    /// We run on from the file that we were started from; whoever replaces it wants to be started in our place.
    fn check_program(&mut self) {
        let Some((path, identity)) = &self.program else { return };
        if self::identity(path).as_ref() != Some(identity) {
            let detail = format!("the Defender's program file `{path}` was changed or replaced");
            self.program = None;
            self.tampering("program", &detail);
        }
    }

    fn tampering(&self, what: &str, detail: &str) {
        let event = DefenderEvent { notice: Notice::Attacked, detail: detail.to_owned(), count: 1 };
        self.judge.detected(Reason::Tampering, Some(what.to_owned()), Event::Defender(event));
    }
}

fn identity(path: &str) -> Option<Identity> {
    let status = fs::metadata(path).ok()?;
    Some((status.dev(), status.ino(), status.size(), status.mtime(), status.mtime_nsec()))
}
