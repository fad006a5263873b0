//! Program starts: judged at the call, and again when the new image is loaded but has not run.
//!
//! 1. The call is notified. The path is read and followed; a file that is not there is answered at once (a PATH search has
//!    nothing to race). A program that the policy stops is refused with `EACCES`, cleanly.
//! 2. Anything else may be a race: the path can be flipped, the link exchanged. So the caller is seized, the kernel goes on
//!    with the call, and an interruption makes sure that it stops again soon.
//! 3. If it stops with an exec event, the new image is there and nothing of it has run. What was really loaded is judged by
//!    what cannot be changed any more: `/proc/PID/exe` and the new stack. If it must not run, it is killed.
//! 4. If it stops in any other way the call failed, and it is let go.
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use defender_core::{CompiledPolicy, Decision, Effect, Event, Notice, ProcessEvent, Reason, Violation};
use defender_sys::{
    Errno, constants,
    notify::{Listener, Notification, Reply},
    signals, trace,
};

use super::{
    facts::{Facts, Links, Moment, Needs},
    judge::{Judge, Verdict},
    process, start,
};

/// Starts that could not be watched are told apart by their program; so many are told of.
const MOST_UNWATCHED: usize = 64;

/// Watches program starts. Everything here runs on the one thread that waits for children.
pub struct ExecWatch {
    judge: Judge,
    /// The workload's first process, until its program runs.
    main: Option<u32>,
    /// Threads whose next stop is ours, with the program that called execve where that matters.
    seized: HashMap<u32, Option<String>>,
    unwatched: HashSet<String>,
    policy: Arc<CompiledPolicy>,
    needs: Needs,
    facts: Facts,
}

impl ExecWatch {
    /// Watches the workload whose first process is `main`, before that runs its program.
    #[must_use]
    pub fn new(judge: Judge, main: u32) -> Self {
        let policy = judge.policy();
        let needs = Needs::of(&policy);
        let facts = Facts::new(&needs);
        Self { judge, main: Some(main), seized: HashMap::new(), unwatched: HashSet::new(), policy, needs, facts }
    }

    /// Answers a notified execve or execveat.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        self.follow_policy();
        let reply = match self.at_call(listener, call) {
            Answer::Now(reply) => reply,
            Answer::Nothing => return,
            Answer::AtTheStop(path) => match self.seize(call.thread, &path) {
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
        if !self.needs.judged && self.main != Some(call.thread) {
            return Answer::Now(Reply::Continue);
        }
        // Before Linux 5.19 a signal can break the wait for our answer, and execve then fails with EINTR, which no program
        // expects. When nothing can be refused, the wait is made as short as it can be.
        if !self.needs.prevents && !listener.never_restarts {
            return Answer::AtTheStop(String::new());
        }
        let path = match process::path_at(call.thread, path_at) {
            Ok(path) => path,
            // Closed memory (a process of another user, and no right to look): the stop still sees what is loaded.
            Err(Errno::EPERM) => return Answer::AtTheStop(String::new()),
            Err(errno) => return Answer::Now(Reply::Fail(errno)),
        };
        let found = process::find(call.thread, directory, &path);
        if !listener.is_valid(call.id) {
            return Answer::Nothing;
        }
        match found {
            Err(errno) if process::is_final(errno) => Answer::Now(Reply::Fail(errno)),
            // The kernel may see more than we do, or less: it decides, and the stop judges.
            Err(_) => Answer::AtTheStop(process::absolute(call.thread, &path)),
            Ok(found) => self.before(call.thread, &path, &found, vector_at),
        }
    }

    /// The opinion before the kernel has loaded anything: good for a clean refusal, not for letting through.
    fn before(&mut self, thread: u32, path: &[u8], found: &process::Found, vector_at: u64) -> Answer {
        let mut event = start::announced(thread, path, found, vector_at, &self.needs);
        event.main = self.main == Some(thread);
        let link = found.link();
        let links = Links { image: &link, script: None };
        self.facts.fill(&mut event, links, self.caller(thread), &self.needs, Moment::Call);
        let opinion = self.opinion(event, &[]);
        let Some(Objection { violation, effect: Effect::Prevent, mut event }) = opinion else {
            return Answer::AtTheStop(found.path.clone());
        };
        // A script not on an allow list may have an interpreter that is: only the stop knows.
        if violation.reason == Reason::ProcessNotAllowed && process::is_script(&link) {
            return Answer::AtTheStop(event.path);
        }
        event.arguments = process::arguments_at(thread, vector_at, start::MOST_ARGUMENTS);
        start::complete(&mut event);
        self.judge.report(violation, Effect::Prevent, Event::Process(event));
        Answer::Now(Reply::Fail(Errno::EACCES))
    }

    /// What is most objected to: the start itself, what a loader was told to run, or a script on the way.
    fn opinion(&self, event: ProcessEvent, scripts: &[String]) -> Option<Objection> {
        let loaded = start::as_loaded(&event).into_iter().map(|event| (event, start::OF_LOADED));
        let scripts = scripts.iter().map(|script| (start::as_script(&event, script), start::OF_SCRIPTS));
        let others: Vec<_> = loaded.chain(scripts).collect();
        let first = self.objection(event);
        others.into_iter().fold(first, |strongest, (event, reasons)| {
            let other = self.objection(event).filter(|other| reasons.contains(&other.violation.reason));
            let known = strongest.as_ref().map(|objection| objection.effect);
            if other.as_ref().map(|objection| objection.effect) > known { other } else { strongest }
        })
    }

    fn objection(&self, event: ProcessEvent) -> Option<Objection> {
        let event = Event::Process(event);
        let (violation, effect) = match self.judge.opinion(&event) {
            Decision::Allow => return None,
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        let Event::Process(event) = event else { return None };
        Some(Objection { violation, effect, event })
    }

    /// The program that a thread runs before its execve, where somebody wants to know.
    fn caller(&self, thread: u32) -> Option<String> {
        self.needs.ancestors.then(|| process::executable_path(thread)).filter(|_| self.main != Some(thread))
    }

    /// Makes the next stop of a thread ours. Who is traced already cannot be watched; then it depends on whether the policy
    /// prevents anything.
    fn seize(&mut self, thread: u32, path: &str) -> Result<(), Reply> {
        if self.seized.contains_key(&thread) {
            return Ok(());
        }
        match trace::seize(thread) {
            Ok(()) => {
                let caller = self.caller(thread);
                self.seized.insert(thread, caller);
                Ok(())
            }
            Err(Errno::ESRCH) => Err(Reply::Fail(Errno::ESRCH)),
            Err(_) if !self.needs.judged => Err(Reply::Continue),
            Err(errno) => {
                self.tell_unwatched(thread, path, errno);
                Err(if self.needs.prevents { Reply::Fail(Errno::EACCES) } else { Reply::Continue })
            }
        }
    }

    fn tell_unwatched(&mut self, thread: u32, path: &str, errno: Errno) {
        if self.unwatched.len() >= MOST_UNWATCHED || !self.unwatched.insert(path.to_owned()) {
            return;
        }
        let why = match process::tracer(thread) {
            Some(tracer) => format!("process {tracer} (`{}`) traces it", process::executable_path(tracer)),
            None => errno.to_string(),
        };
        let outcome = if self.needs.prevents { "it was denied" } else { "it runs unjudged" };
        let detail = format!("the start of `{path}` cannot be watched, so {outcome}: {why}");
        self.judge.notice(Notice::NotEnforcing, &detail);
    }

    /// A new image is loaded in `process`; `former` is the thread that called execve.
    pub fn on_exec(&mut self, process: u32, former: u32) {
        let caller = self.seized.remove(&former).or_else(|| self.seized.remove(&process)).flatten();
        self.seized.remove(&process);
        let main = self.main.take_if(|main| *main == process).is_some();
        if main {
            self.facts.learn(process);
        }
        if self.needs.judged && self.judge_loaded(process, main, caller) == Verdict::Stop {
            // Killed while stopped: no instruction of the new image ever runs.
            let _ = signals::send(process as i32, constants::SIGKILL);
        }
        let _ = trace::detach(process, 0);
    }

    fn judge_loaded(&mut self, process: u32, main: bool, caller: Option<String>) -> Verdict {
        let policy = self.judge.policy();
        let sees_roots = !policy.source().processes.allow.is_empty();
        let Some(mut loaded) = start::loaded(process, main, sees_roots) else {
            return if self.needs.prevents { Verdict::Stop } else { Verdict::Go };
        };
        if self.needs.ancestors {
            start::complete(&mut loaded.event);
        }
        let links = Links { image: &loaded.link, script: loaded.script.as_deref() };
        self.facts.fill(&mut loaded.event, links, caller, &self.needs, Moment::Stop);
        let script = loaded.script.is_some();
        let scripts = if script { process::scripts_between(process, loaded.name()) } else { Vec::new() };
        match self.opinion(loaded.event, &scripts) {
            None => Verdict::Go,
            Some(Objection { violation, effect, mut event }) => {
                start::complete(&mut event);
                self.judge.report(violation, effect, Event::Process(event))
            }
        }
    }

    /// A seized thread stopped, but not with a new image: its execve failed. `signal` is delivered to it.
    pub fn on_other_stop(&mut self, thread: u32, signal: i32) {
        self.seized.remove(&thread);
        let _ = trace::detach(thread, signal);
    }

    /// A process or thread is gone.
    pub fn on_end(&mut self, thread: u32) {
        self.seized.remove(&thread);
    }
}

enum Answer {
    Now(Reply),
    /// The kernel goes on; the path is told when that cannot be watched.
    AtTheStop(String),
    Nothing,
}

/// What the policy objects to in a start.
struct Objection {
    violation: Violation,
    effect: Effect,
    event: ProcessEvent,
}
