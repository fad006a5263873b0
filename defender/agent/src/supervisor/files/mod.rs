//! Writes to files: judged by where they really lead, and done on the caller's behalf where they may be stopped.
//!
//! 1. The filter notifies what writes: opens that ask for more than reading, and calls that change a name. Reads stay native.
//! 2. As long as the policy is not interested in files, the answer is to go on, at once, without a look.
//! 3. Where it only reports, the path is walked, judged, and the kernel goes on. Who flips the path meanwhile is not seen.
//! 4. Where it may stop something, nothing is left to the kernel's second look: the path is walked once, with the caller's
//!    rights, to an open directory or file; that is judged; that very file is opened, renamed, removed, and the caller gets the
//!    result. One thread does all of it, one call after the other, so no directory is moved between the walk and the deed.
mod alias;
mod caller;
mod prepare;
mod request;
mod terminal;
mod walk;
mod written;

use std::{
    os::fd::AsFd,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use defender_core::{CompiledPolicy, Decision, Event, FileEvent, FileOperation, Notice};
use defender_sys::{
    Errno, Result, constants as c,
    credentials::{self, Credentials},
    notify::{Listener, Notification, Reply},
};

use self::{
    caller::{Caller, OwnRoot},
    prepare::{Outcome, Preparation, Prepared, Subject, open_again},
    request::Request,
    walk::Rules,
    written::Written,
};
use super::{
    judge::{Judge, Verdict},
    process,
};

/// How often a file that could not be opened yet is tried again.
const TICK: Duration = Duration::from_millis(50);
const MOST_WAITING: usize = 256;
/// How often a name is looked at anew that others make and remove meanwhile.
const MOST_TRIES: u32 = 8;

/// How much a policy wants to know of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    Nothing,
    Reports,
    Prevents,
}

impl Interest {
    fn of(policy: &CompiledPolicy) -> Self {
        if policy.prevents_files() {
            Self::Prevents
        } else if policy.judges_files() {
            Self::Reports
        } else {
            Self::Nothing
        }
    }
}

/// Watches writes to files.
pub struct FileWatch {
    judge: Judge,
    calls: Sender<(Arc<Listener>, Notification)>,
}

impl FileWatch {
    /// Starts the thread that does it. To be called before the filter is made, which protects the threads that it knows.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(judge: Judge) -> std::io::Result<Self> {
        let (calls, receiver) = mpsc::channel();
        let worker = Worker::new(judge.clone(), Written::start(judge.clone())?)?;
        thread::Builder::new().name("files".into()).spawn(move || worker.run(&receiver))?;
        Ok(Self { judge, calls })
    }

    /// Answers a notified call that writes to a file.
    pub fn on_call(&self, listener: &Arc<Listener>, call: &Notification) {
        let idle = Interest::of(&self.judge.policy()) == Interest::Nothing;
        if idle || self.calls.send((listener.clone(), *call)).is_err() {
            let _ = listener.reply(call.id, Reply::Continue);
        }
    }
}

struct Worker {
    judge: Judge,
    own_root: OwnRoot,
    own: Credentials,
    rules: Rules,
    written: Written,
    waiting: Vec<Waiting>,
    blind: bool,
}

/// A call whose file cannot be opened yet.
struct Waiting {
    listener: Arc<Listener>,
    call: Notification,
    file: std::fs::File,
    flags: i32,
}

impl Worker {
    fn new(judge: Judge, written: Written) -> Result<Self> {
        let (own_root, own) = (OwnRoot::find()?, caller::own_credentials()?);
        Ok(Self { judge, own_root, own, rules: Rules::read(), written, waiting: Vec::new(), blind: false })
    }

    fn run(mut self, calls: &Receiver<(Arc<Listener>, Notification)>) {
        credentials::separate_mask();
        loop {
            let next = if self.waiting.is_empty() {
                calls.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                calls.recv_timeout(TICK)
            };
            match next {
                Ok((listener, call)) => self.answer(&listener, &call),
                Err(RecvTimeoutError::Timeout) => self.try_again(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(&mut self, listener: &Arc<Listener>, call: &Notification) {
        let prevents = Interest::of(&self.judge.policy()) == Interest::Prevents;
        let result = self.judge_call(listener, call, prevents);
        self.reply(listener, call, result);
    }

    fn judge_call(&mut self, listener: &Arc<Listener>, call: &Notification, prevents: bool) -> Result<Option<Answer>> {
        // What is done on behalf of another is done as the other; nobody else's rights are ours to use.
        let (request, caller) = match (Request::read(call), Caller::of(call.thread, &self.own_root)) {
            (Ok(Some(request)), Ok(caller)) => (request, caller),
            (Ok(None), _) => return Ok(Some(Answer::Continue)),
            (Err(errno), _) | (_, Err(errno)) => return self.unknown(errno),
        };
        if !listener.is_valid(call.id) {
            return Ok(None);
        }
        if request.is_harmless() {
            return Ok(Some(Answer::Continue));
        }
        if !prevents {
            self.only_report(&caller, &request);
            return Ok(Some(Answer::Continue));
        }
        for _ in 0..MOST_TRIES {
            match self.on_behalf(&caller, &request) {
                // Somebody else made the file first: it is there now, and to be looked at as such.
                Err(Errno::EEXIST) if request.may_be_repeated() => {}
                result => return result.map(Some),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// A caller that cannot be looked at: what its call would do is unknown.
    fn unknown(&mut self, errno: Errno) -> Result<Option<Answer>> {
        if errno != Errno::EPERM && errno != Errno::EACCES {
            return Err(errno);
        }
        if !self.blind {
            self.blind = true;
            let detail = format!("a write to a file cannot be judged, add SYS_PTRACE to the container: {errno}");
            self.judge.notice(Notice::NotEnforcing, &detail);
        }
        Ok(Some(Answer::Continue))
    }

    fn only_report(&self, caller: &Caller, request: &Request) {
        let rights = |walk: &mut dyn FnMut()| {
            walk();
            Ok(())
        };
        let preparation = Preparation { caller, rules: &self.rules, rights: &rights };
        // What cannot be walked fails in the kernel too.
        if let Ok(Prepared { subjects, .. }) = preparation.prepare(request) {
            self.judge_subjects(caller, &subjects);
        }
    }

    fn on_behalf(&self, caller: &Caller, request: &Request) -> Result<Answer> {
        let rights = |walk: &mut dyn FnMut()| credentials::with(&caller.credentials, &self.own, walk);
        let preparation = Preparation { caller, rules: &self.rules, rights: &rights };
        let Prepared { subjects, act } = preparation.prepare(request)?;
        if self.judge_subjects(caller, &subjects) == Verdict::Stop
            || self.judge_moved(caller, &subjects)? == Verdict::Stop
        {
            return Err(Errno::EACCES);
        }
        let outcome = credentials::with(&caller.credentials, &self.own, act)??;
        Ok(Answer::Outcome(outcome, request.close_on_exec()))
    }

    /// Judges all that a request is about. Under its other names a file is what it is, too.
    fn judge_subjects(&self, caller: &Caller, subjects: &[Subject]) -> Verdict {
        let (mut verdict, policy) = (Verdict::Go, self.judge.policy());
        for subject in subjects {
            self.written.expect(&policy, caller, subject);
            let alias = alias::known_as(&policy, &subject.path, subject.file.as_ref(), self.own_root.mount());
            let path = alias.unwrap_or_else(|| String::from_utf8_lossy(&subject.path).into_owned());
            if self.judge.judge(event(caller, subject.operation, path), complete) == Verdict::Stop {
                verdict = Verdict::Stop;
            }
        }
        verdict
    }

    /// Judges what a directory carries along when it is renamed: where it was, and where it will be.
    fn judge_moved(&self, caller: &Caller, subjects: &[Subject]) -> Result<Verdict> {
        for subject in subjects.iter().filter(|subject| subject.operation == FileOperation::Rename) {
            let Some(file) = &subject.file else { continue };
            for below in alias::beneath(file)? {
                let paths = subjects.iter().map(|top| [top.path.as_slice(), b"/", below.as_slice()].concat());
                for path in paths {
                    let path = String::from_utf8_lossy(&path).into_owned();
                    let event = event(caller, FileOperation::Rename, path);
                    if matches!(self.judge.opinion(&event), Decision::Prevent(_)) {
                        return Ok(self.judge.judge(event, complete));
                    }
                }
            }
        }
        Ok(Verdict::Go)
    }

    fn reply(&mut self, listener: &Arc<Listener>, call: &Notification, result: Result<Option<Answer>>) {
        // Nobody waits any more in the cases where an answer fails.
        let _ = match result {
            Ok(None) => Ok(()),
            Ok(Some(Answer::Continue)) => listener.reply(call.id, Reply::Continue),
            Ok(Some(Answer::Outcome(Outcome::Done, _))) => listener.reply(call.id, Reply::Value(0)),
            Ok(Some(Answer::Outcome(Outcome::Opened(file), close))) => {
                match listener.reply_with_descriptor(call.id, file.as_fd(), close) {
                    Err(errno) => listener.reply(call.id, Reply::Fail(errno)),
                    done => done,
                }
            }
            Ok(Some(Answer::Outcome(Outcome::NotYet(file, flags), _))) if self.waiting.len() < MOST_WAITING => {
                self.waiting.push(Waiting { listener: listener.clone(), call: *call, file, flags });
                Ok(())
            }
            Ok(Some(Answer::Outcome(Outcome::NotYet(..), _))) => listener.reply(call.id, Reply::Fail(Errno::ENXIO)),
            Err(errno) => listener.reply(call.id, Reply::Fail(errno)),
        };
    }

    /// Opens what could not be opened before, unless its caller is gone or has a signal to handle.
    fn try_again(&mut self) {
        for Waiting { listener, call, file, flags } in std::mem::take(&mut self.waiting) {
            if !listener.is_valid(call.id) {
                continue;
            }
            let result = Caller::of(call.thread, &self.own_root).and_then(|caller| {
                if caller.signal_waits {
                    return Err(Errno::EINTR);
                }
                let opened = credentials::with(&caller.credentials, &self.own, || open_again(file, flags))??;
                Ok(Some(Answer::Outcome(opened, flags & c::O_CLOEXEC != 0)))
            });
            self.reply(&listener, &call, result);
        }
    }
}

enum Answer {
    Continue,
    Outcome(Outcome, bool),
}

impl Request {
    /// True for an open that cannot write to any file that has a name, whatever its path is by the time the kernel looks:
    /// the flags are in registers.
    fn is_harmless(&self) -> bool {
        matches!(self, Self::Open { flags, .. } if flags & c::O_PATH != 0 || flags & c::O_TMPFILE == c::O_TMPFILE)
    }

    fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Open { flags, .. } if flags & c::O_EXCL == 0)
    }

    fn close_on_exec(&self) -> bool {
        matches!(self, Self::Open { flags, .. } if flags & c::O_CLOEXEC != 0)
    }
}

fn event(caller: &Caller, operation: FileOperation, file: String) -> Event {
    Event::File(FileEvent { operation, file, pid: caller.process, path: String::new(), user: caller.user })
}

fn complete(event: &mut Event) {
    let Event::File(event) = event else { return };
    event.path = process::executable_path(event.pid);
}
