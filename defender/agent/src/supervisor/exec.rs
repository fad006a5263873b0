//! Program starts: judged at the call, and again when the new image is loaded but has not run.
//!
//! 1. The call is notified. The path is read and followed; a file that is not there is answered at once (a PATH search has
//!    nothing to race). A program that the policy stops is refused with `EACCES`, cleanly.
//! 2. Anything else may be a race: the path can be flipped, the link exchanged. So the caller is seized, the kernel goes on
//!    with the call, and an interruption makes sure that it stops again soon.
//! 3. If it stops with an exec event, the new image is there and nothing of it has run. What was really loaded is judged by
//!    what cannot be changed any more: `/proc/PID/exe` and the new stack. If it must not run, it is killed.
//! 4. If it stops in any other way the call failed, and it is let go.
//!
//! A file that has to be compared and is not read at once is read piece by piece at the stop, while others are served.
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use defender_core::{CompiledPolicy, Decision, Effect, Event, Notice, Reason, Violation};
use defender_sys::{
    Errno, constants,
    notify::{Listener, Notification, Reply},
    trace,
};

use super::{
    ending,
    facts::{Facts, Links, Moment, Needs},
    judge::{Judge, Verdict},
    process, script,
    start::{self, Family},
};

/// Starts that could not be watched are told apart by their program; so many are told of.
const MOST_UNWATCHED: usize = 64;

/// How long a loaded program waits for its file to be read, while everything else goes on: the first where it is stopped then,
/// the other where it goes on, and when the waiting is told.
const LONGEST_READING: Duration = Duration::from_secs(15);
const LONG_READING: Duration = Duration::from_millis(1500);

/// Watches program starts. Everything here runs on the one thread that waits for children.
pub struct ExecWatch {
    judge: Judge,
    /// The workload's first process, until its program runs.
    main: Option<u32>,
    /// Threads whose next stop is ours, with what is known of who starts a program.
    seized: HashMap<u32, Option<Family>>,
    unwatched: HashSet<String>,
    /// Loaded programs that wait until their files are read, the longest waiting first.
    unread: VecDeque<Loading>,
    policy: Arc<CompiledPolicy>,
    needs: Needs,
    facts: Facts,
    /// False where nothing can be prevented: what cannot be watched is let go then.
    pub prevents: bool,
}

impl ExecWatch {
    /// Watches the workload whose first process is `main`, before that runs its program. `reading` is what one attempt to
    /// read a file may take.
    #[must_use]
    pub fn new(judge: Judge, main: u32, reading: Duration) -> Self {
        let policy = judge.policy();
        let needs = Needs::of(&policy);
        let facts = Facts::new(&needs, reading);
        let (seized, unwatched, unread) = Default::default();
        Self { judge, main: Some(main), seized, unwatched, unread, policy, needs, facts, prevents: true }
    }

    /// Answers a notified execve or execveat.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        self.follow_policy();
        let reply = match self.at_call(listener, call) {
            Answer::Now(reply) => reply,
            Answer::Nothing => return,
            Answer::AtTheStop(path, family) => match self.seize(call.thread, &path, family) {
                Ok(()) => Reply::Continue,
                Err(reply) => reply,
            },
        };
        // When nobody waits any more (the caller was killed or interrupted), the interruption lets the thread go.
        let _ = listener.reply(call.id, reply);
        if self.seized.contains_key(&call.thread) {
            let _ = trace::interrupt(call.thread);
        }
    }

    fn follow_policy(&mut self) {
        let policy = self.judge.policy();
        if !Arc::ptr_eq(&policy, &self.policy) {
            self.needs = Needs::of(&policy);
            self.policy = policy;
        }
    }

    fn at_call(&mut self, listener: &Listener, call: &Notification) -> Answer {
        let by_descriptor = i64::from(call.number) == constants::SYS_execveat;
        let (directory, path_at, vector_at) = if by_descriptor {
            (call.arguments[0] as i32, call.arguments[1], call.arguments[2])
        } else {
            (constants::AT_FDCWD, call.arguments[0], call.arguments[1])
        };
        let vector = process::Vector { address: vector_at, narrow: call.is_narrow() };
        if !self.needs.judged && self.main != Some(call.thread) {
            return Answer::Now(Reply::Continue);
        }
        // Before Linux 5.19 a signal can break the wait for our answer, and execve then fails with EINTR, which no program
        // expects. When nothing can be refused, the wait is made as short as it can be.
        if !self.needs.prevents && !listener.never_restarts {
            return Answer::AtTheStop(String::new(), None);
        }
        let path = match process::path_at(call.thread, path_at) {
            Ok(path) => path,
            // Closed memory (a process of another user, and no right to look): the stop still sees what is loaded.
            Err(Errno::EPERM | Errno::EACCES) => return Answer::AtTheStop(String::new(), None),
            Err(errno) => return Answer::Now(Reply::Fail(errno)),
        };
        let found = process::find(call.thread, directory, &path);
        if !listener.is_valid(call.id) {
            return Answer::Nothing;
        }
        match found {
            Err(errno) if process::is_final(errno) => Answer::Now(Reply::Fail(errno)),
            // The kernel may see more than we do, or less: it decides, and the stop judges.
            Err(_) => Answer::AtTheStop(process::absolute(call.thread, &path), None),
            Ok(found) => self.before(call.thread, &path, &found, vector),
        }
    }

    /// The opinion before the kernel has loaded anything: good for a clean refusal, not for letting through.
    fn before(&mut self, thread: u32, path: &[u8], found: &process::Found, vector: process::Vector) -> Answer {
        let main = self.main == Some(thread);
        let mut event = start::announced(thread, path, found, vector, &self.needs, main);
        let link = found.link();
        let status = found.status();
        let links = Links { image: &link, status: status.as_ref(), script: None };
        let known = self.facts.fill(&mut event, &links, &self.needs, Moment::Call);
        let family = self.needs.ancestors.then(|| Family::of(&event));
        if known.is_err() {
            return Answer::AtTheStop(found.path.clone(), family);
        }
        let mut event = Event::Process(event);
        let Some((violation, Effect::Prevent)) = self.opinion(&event, &[]) else {
            return Answer::AtTheStop(found.path.clone(), family);
        };
        // A script not on an allow list may have an interpreter that is: only the stop knows.
        if violation.reason == Reason::ProcessNotAllowed && script::is_script(&link) {
            return Answer::AtTheStop(found.path.clone(), family);
        }
        if let Event::Process(event) = &mut event {
            event.arguments = process::arguments_at(thread, vector, start::MOST_ARGUMENTS);
            start::complete(event);
        }
        self.judge.report(violation, Effect::Prevent, event);
        Answer::Now(Reply::Fail(Errno::EACCES))
    }

    /// What is most objected to: the start itself, what a loader was told to run, or a script on the way.
    fn opinion(&self, event: &Event, scripts: &[String]) -> Option<(Violation, Effect)> {
        let mut strongest = self.objection(event);
        let Event::Process(start) = event else { return strongest };
        let loaded = start::as_loaded(start).into_iter().map(|event| (event, start::OF_LOADED));
        let scripts = scripts.iter().map(|script| (start::as_script(start, script), start::OF_SCRIPTS));
        for (event, reasons) in loaded.chain(scripts) {
            let other = self.objection(&Event::Process(event)).filter(|(other, _)| reasons.contains(&other.reason));
            let effect = |objection: &Option<(Violation, Effect)>| objection.as_ref().map(|(_, effect)| *effect);
            if effect(&other) > effect(&strongest) {
                strongest = other;
            }
        }
        strongest
    }

    fn objection(&self, event: &Event) -> Option<(Violation, Effect)> {
        match self.judge.opinion(event) {
            Decision::Allow => None,
            Decision::Alert(violation) => Some((violation, Effect::Alert)),
            Decision::Prevent(violation) => Some((violation, Effect::Prevent)),
        }
    }

    /// Makes the next stop of a thread ours. Who is traced already cannot be watched; then it depends on whether the policy
    /// prevents anything.
    fn seize(&mut self, thread: u32, path: &str, family: Option<Family>) -> Result<(), Reply> {
        if self.seized.contains_key(&thread) {
            return Ok(());
        }
        match trace::seize(thread) {
            Ok(()) => {
                self.seized.insert(thread, family);
                Ok(())
            }
            Err(Errno::ESRCH) => Err(Reply::Fail(Errno::ESRCH)),
            Err(_) if !self.needs.judged => Err(Reply::Continue),
            Err(errno) => {
                self.tell_unwatched(thread, path, errno);
                Err(if self.stops() { Reply::Fail(Errno::EACCES) } else { Reply::Continue })
            }
        }
    }

    /// What cannot be judged is stopped.
    fn stops(&self) -> bool {
        self.prevents && self.needs.prevents
    }

    fn tell_unwatched(&mut self, thread: u32, path: &str, errno: Errno) {
        if self.unwatched.len() >= MOST_UNWATCHED || !self.unwatched.insert(path.to_owned()) {
            return;
        }
        let why = match process::tracer(thread) {
            Some(tracer) => format!("process {tracer} (`{}`) traces it", process::executable_path(tracer)),
            None => errno.to_string(),
        };
        let outcome = if self.stops() { "it was denied" } else { "it runs unjudged" };
        let detail = format!("the start of `{path}` cannot be watched, so {outcome}: {why}");
        self.judge.notice(Notice::NotEnforcing, &detail);
    }

    /// A program waits long for its file to be read: said once.
    fn tell_long(&self, loading: &mut Loading, path: &str) {
        if !loading.told && loading.since.elapsed() >= LONG_READING {
            loading.told = true;
            let detail = format!("the start of `{path}` waits until its file is read to compare it, which takes long");
            self.judge.notice(Notice::AnsweredLate, &detail);
        }
    }

    /// What a program holds could not be found out in time.
    fn tell_late(&self, path: &str) -> Verdict {
        let stops = self.stops();
        let outcome = if stops { "it was killed unjudged" } else { "it is judged without" };
        let detail = format!("the file of `{path}` could not be read in time to compare it, so {outcome}");
        self.judge.notice(Notice::AnsweredLate, &detail);
        if stops { Verdict::Stop } else { Verdict::Go }
    }

    /// Judges the new image of `process`; one that must not run is killed. `former` is the thread that called execve,
    /// `for_life` whether it stays traced. Gives it back when it may be let go, whether killed or not; otherwise its file has
    /// still to be read.
    pub fn judge_image(&mut self, process: u32, former: u32, for_life: bool) -> Option<Loading> {
        self.follow_policy();
        let family = self.seized.remove(&former).or_else(|| self.seized.remove(&process)).flatten();
        self.seized.remove(&process);
        let main = self.main.take_if(|main| *main == process).is_some();
        if main {
            self.facts.learn(process);
        }
        self.settle(Loading { process, former, for_life, main, family, since: Instant::now(), told: false })
    }

    /// Reads on for the program that waits longest, and judges it as [`Self::judge_image`] does.
    pub fn read_on(&mut self) -> Option<Loading> {
        self.follow_policy();
        let loading = self.unread.pop_front()?;
        self.settle(loading)
    }

    /// The program that waits longest for its file to be read.
    #[must_use]
    pub fn unread(&self) -> Option<u32> {
        self.unread.front().map(|loading| loading.process)
    }

    fn settle(&mut self, mut loading: Loading) -> Option<Loading> {
        if !self.needs.judged {
            return Some(loading);
        }
        match self.judge_loaded(&mut loading) {
            None => self.unread.push_back(loading),
            Some(verdict) => {
                if verdict == Verdict::Stop {
                    // Killed while stopped: no instruction of the new image ever runs.
                    ending::end(loading.process);
                }
                return Some(loading);
            }
        }
        None
    }

    /// True when a thread is watched until its program runs.
    #[must_use]
    pub fn has(&self, thread: u32) -> bool {
        self.seized.contains_key(&thread)
    }

    /// None when the file has still to be read and there is time for it.
    fn judge_loaded(&mut self, loading: &mut Loading) -> Option<Verdict> {
        let policy = self.judge.policy();
        let sees_roots = !policy.source().processes.allow.is_empty();
        let process = loading.process;
        let Some(mut loaded) = start::loaded(process, loading.main, sees_roots) else {
            return Some(if self.needs.prevents { Verdict::Stop } else { Verdict::Go });
        };
        match loading.family.clone() {
            Some(family) => family.fill(&mut loaded.event),
            None if self.needs.ancestors => Family::find(&mut loaded.event, false),
            None => {}
        }
        let links = Links { image: &loaded.link, status: Some(&loaded.status), script: loaded.script.as_deref() };
        if self.facts.fill(&mut loaded.event, &links, &self.needs, Moment::Stop).is_err() {
            if loading.since.elapsed() < if self.stops() { LONGEST_READING } else { LONG_READING } {
                self.tell_long(loading, &loaded.event.path);
                return None;
            }
            let stopped = self.tell_late(&loaded.event.path);
            if stopped == Verdict::Stop {
                return Some(stopped);
            }
        }
        let scripts =
            if loaded.script.is_some() { script::scripts_between(process, loaded.name()) } else { Vec::new() };
        let mut event = Event::Process(loaded.event);
        let opinion = self.opinion(&event, &scripts);
        // Also for what may run: the record tells who started what.
        if let Event::Process(event) = &mut event {
            start::complete(event);
        }
        let Some((violation, effect)) = opinion else {
            self.judge.saw(&event);
            return Some(Verdict::Go);
        };
        Some(self.judge.report(violation, effect, event))
    }

    /// A seized thread stopped, but not with a new image: its execve failed. `signal` is delivered to it.
    pub fn on_other_stop(&mut self, thread: u32, signal: i32) {
        self.seized.remove(&thread);
        let _ = trace::detach(thread, signal);
    }

    /// A process or thread is gone.
    pub fn on_end(&mut self, thread: u32) {
        self.seized.remove(&thread);
        self.unread.retain(|loading| loading.process != thread);
    }
}

/// A program that is loaded and stopped before its first instruction.
#[derive(Debug)]
pub struct Loading {
    /// Its process.
    pub process: u32,
    /// The thread that called execve.
    pub former: u32,
    /// Whether it stays traced.
    pub for_life: bool,
    main: bool,
    family: Option<Family>,
    since: Instant,
    /// That it takes long was said.
    told: bool,
}

enum Answer {
    Now(Reply),
    /// The kernel goes on; the path is told when that cannot be watched, the family is kept for the stop.
    AtTheStop(String, Option<Family>),
    Nothing,
}
