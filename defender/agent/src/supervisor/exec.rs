//! Program starts: judged at the call, and again when the new image is loaded but has not run.
//!
//! 1. The call is notified. The path is read and followed; a file that is not there is answered at once (a PATH search has
//!    nothing to race). A program that the policy stops is refused with `EACCES`, cleanly.
//! 2. Anything else may be a race: the path can be flipped, the link exchanged. So the caller is seized, the kernel goes on
//!    with the call, and an interruption makes sure that it stops again soon.
//! 3. If it stops with an exec event, the new image is there and nothing of it has run. What was really loaded is judged by
//!    what cannot be changed any more: `/proc/PID/exe` and the new stack. If it must not run, it is killed.
//! 4. If it stops in any other way the call failed, and it is let go.
use std::collections::HashSet;

use defender_core::{Decision, Effect, Event, Notice, ProcessEvent, ProcessFacts, Reason};
use defender_sys::{
    Errno, constants,
    notify::{Listener, Notification, Reply},
    signals, trace,
};

use super::{
    judge::{Judge, Verdict},
    process,
};

/// Watches program starts. Everything here runs on the one thread that waits for children.
pub struct ExecWatch {
    judge: Judge,
    /// The workload's first process, until its program runs.
    main: Option<u32>,
    seized: HashSet<u32>,
    blind: bool,
    /// False where nothing can be prevented: what cannot be watched is let go then.
    pub prevents: bool,
}

impl ExecWatch {
    /// Watches the workload whose first process is `main`.
    #[must_use]
    pub fn new(judge: Judge, main: u32) -> Self {
        Self { judge, main: Some(main), seized: HashSet::new(), blind: false, prevents: true }
    }

    /// Answers a notified execve or execveat.
    pub fn on_call(&mut self, listener: &Listener, call: &Notification) {
        let reply = match self.at_call(listener, call) {
            Answer::Now(reply) => reply,
            Answer::Nothing => return,
            Answer::AtTheStop => match self.seize(call.thread) {
                Ok(()) => Reply::Continue,
                Err(reply) => reply,
            },
        };
        // When nobody waits any more (the caller was killed or interrupted), the interruption lets the thread go.
        let _ = listener.reply(call.id, reply);
        if self.seized.contains(&call.thread) {
            let _ = trace::interrupt(call.thread);
        }
    }

    fn at_call(&self, listener: &Listener, call: &Notification) -> Answer {
        let policy = self.judge.policy();
        let effect = policy.source().processes.effect;
        let by_descriptor = i64::from(call.number) == constants::SYS_execveat;
        let (directory, path_at, vector_at) = if by_descriptor {
            (call.arguments[0] as i32, call.arguments[1], call.arguments[2])
        } else {
            (constants::AT_FDCWD, call.arguments[0], call.arguments[1])
        };
        if effect == Effect::Disable {
            return Answer::Now(Reply::Continue);
        }
        let path = match process::path_at(call.thread, path_at) {
            Ok(path) => path,
            // Closed memory (a process of another user, and no right to look): the stop still sees what is loaded.
            Err(Errno::EPERM) => return Answer::AtTheStop,
            Err(errno) => return Answer::Now(Reply::Fail(errno)),
        };
        let found = process::find(call.thread, directory, &path);
        if !listener.is_valid(call.id) {
            return Answer::Nothing;
        }
        match found {
            Err(errno) if process::is_final(errno) => Answer::Now(Reply::Fail(errno)),
            // The kernel may see more than we do, or less: it decides, and the stop judges.
            Err(_) => Answer::AtTheStop,
            Ok(found) => self.before(call.thread, &path, found, vector_at),
        }
    }

    /// The opinion before the kernel has loaded anything: good for a clean refusal, not for letting through.
    fn before(&self, thread: u32, path: &[u8], found: process::Found, vector_at: u64) -> Answer {
        let mut event = ProcessEvent {
            path: found.path,
            invoked: process::absolute(thread, path),
            arguments: process::arguments_at(thread, vector_at, 2),
            pid: thread,
            parent_pid: 0,
            parent_path: String::new(),
            user: 0,
            main: self.main == Some(thread),
            interpreted: false,
            invoked_is_exe: true,
            sha256: None,
            facts: ProcessFacts::default(),
        };
        let Decision::Prevent(violation) = self.judge.opinion(&Event::Process(event.clone())) else {
            return Answer::AtTheStop;
        };
        // A script not on an allow list may have an interpreter that is: only the stop knows.
        if violation.reason == Reason::ProcessNotAllowed && process::is_script(thread, &event.path) {
            return Answer::AtTheStop;
        }
        event.arguments = process::arguments_at(thread, vector_at, 64);
        let mut event = Event::Process(event);
        complete(&mut event);
        self.judge.report(violation, Effect::Prevent, event);
        Answer::Now(Reply::Fail(Errno::EACCES))
    }

    /// Makes the next stop of a thread ours. Who is traced already cannot be watched; then the policy's effect decides.
    fn seize(&mut self, thread: u32) -> Result<(), Reply> {
        if self.seized.contains(&thread) {
            return Ok(());
        }
        match trace::seize(thread) {
            Ok(()) => {
                self.seized.insert(thread);
                Ok(())
            }
            Err(Errno::ESRCH) => Err(Reply::Fail(Errno::ESRCH)),
            Err(errno) => {
                if !self.blind {
                    self.blind = true;
                    let detail =
                        format!("a program start cannot be watched (a debugger, or no right to trace): {errno}");
                    self.judge.notice(Notice::NotEnforcing, &detail);
                }
                let prevents = self.prevents && self.judge.policy().source().processes.effect == Effect::Prevent;
                Err(if prevents { Reply::Fail(Errno::EACCES) } else { Reply::Continue })
            }
        }
    }

    /// Judges the new image of `process`; one that must not run is killed. `former` is the thread that called execve.
    pub fn judge_image(&mut self, process: u32, former: u32) {
        self.seized.remove(&former);
        self.seized.remove(&process);
        let main = self.main.take_if(|main| *main == process).is_some();
        if self.judge_loaded(process, main) == Verdict::Stop {
            // Killed while stopped: no instruction of the new image ever runs.
            let _ = signals::send(process as i32, constants::SIGKILL);
        }
    }

    /// True when a thread is watched until its program runs.
    #[must_use]
    pub fn has(&self, thread: u32) -> bool {
        self.seized.contains(&thread)
    }

    fn judge_loaded(&self, process: u32, main: bool) -> Verdict {
        let Some((path, identity)) = process::executable(process) else {
            let prevents = self.judge.policy().source().processes.effect == Effect::Prevent;
            return if prevents { Verdict::Stop } else { Verdict::Go };
        };
        let invoked = process::invoked_path(process).filter(|invoked| !invoked.starts_with("/dev/fd/"));
        // The image's own path leads to the image; only another one has to be followed.
        let other = invoked.as_deref().filter(|invoked| *invoked != path);
        let led_to = other.and_then(|invoked| process::identity_of(process, invoked));
        let mut event = ProcessEvent {
            invoked: invoked.unwrap_or_else(|| path.clone()),
            path,
            arguments: process::arguments(process),
            pid: process,
            parent_pid: 0,
            parent_path: String::new(),
            user: 0,
            main,
            interpreted: false,
            invoked_is_exe: led_to.is_none_or(|file| file == identity),
            sha256: None,
            facts: ProcessFacts::default(),
        };
        event.interpreted = !event.invoked_is_exe && process::is_script(process, &event.invoked);
        // What a path means inside a chroot is for its owner to choose; only where the image really lies counts there.
        if !self.judge.policy().source().processes.allow.is_empty() && process::has_other_root(process) {
            (event.interpreted, event.invoked_is_exe) = (false, false);
        }
        self.judge.judge(Event::Process(event), complete)
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
    AtTheStop,
    Nothing,
}

fn complete(event: &mut Event) {
    let Event::Process(event) = event else { return };
    let status = process::status(event.pid).unwrap_or_default();
    event.pid = if status.process == 0 { event.pid } else { status.process };
    event.parent_pid = status.parent;
    event.parent_path = process::executable_path(status.parent);
    event.user = status.user;
}
