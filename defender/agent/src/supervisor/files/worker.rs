//! The one thread that answers: walks, judges, does.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use defender_sys::{
    Errno, Result, constants as c,
    credentials::{self, Credentials},
    notify::{Listener, Notification, Reply},
};

use super::{
    Interest,
    caller::{self, Caller, OwnRoot},
    judging::FileJudge,
    prepare::{Outcome, Preparation, Prepared, open_again},
    queue::Queue,
    request::Request,
    walk::Rules,
};
use crate::supervisor::{
    judge::{Judge, Verdict},
    unjudged::{Deed, Fate},
};

/// How often a file that could not be opened yet is tried again.
const TICK: Duration = Duration::from_millis(50);
const MOST_WAITING: usize = 256;
/// How often a name is looked at anew that others make and remove meanwhile.
const MOST_TRIES: u32 = 8;

/// A call and where to answer it.
pub type Call = (Arc<Listener>, Notification);

/// Answers calls, one after the other.
pub struct Worker {
    judge: Judge,
    files: FileJudge,
    own_root: OwnRoot,
    own: Credentials,
    rules: Rules,
    waiting: Vec<Waiting>,
    tried: Instant,
}

/// A call whose file cannot be opened yet.
struct Waiting {
    listener: Arc<Listener>,
    call: Notification,
    file: std::fs::File,
    flags: i32,
}

impl Worker {
    /// Gets ready.
    ///
    /// # Errors
    /// When our own process cannot be looked at.
    pub fn new(judge: Judge, files: FileJudge) -> Result<Self> {
        let (own_root, own) = (OwnRoot::find()?, caller::own_credentials()?);
        let (rules, tried) = (Rules::read(), Instant::now());
        Ok(Self { judge, files, own_root, own, rules, waiting: Vec::new(), tried })
    }

    /// Answers for ever.
    pub fn run(mut self, calls: &Queue<Call>) {
        credentials::separate_mask();
        loop {
            let patience = (!self.waiting.is_empty()).then_some(TICK);
            if let Some((listener, call)) = calls.next(patience) {
                self.answer(&listener, &call);
            }
            if !self.waiting.is_empty() && self.tried.elapsed() >= TICK {
                self.tried = Instant::now();
                self.try_again();
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
        let read = caller::looking(call.thread, &self.own, || Request::read(call));
        let (request, caller) = match (read, Caller::of(call.thread, &self.own_root)) {
            (Ok(Some(request)), Ok(caller)) => (request, caller),
            (Ok(None), _) => return Ok(Some(Answer::Continue)),
            (Err(errno), _) | (_, Err(errno)) => return self.unknown(call.thread, errno, prevents),
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
            match self.on_behalf(&caller, &request, &|| listener.is_valid(call.id)) {
                // Somebody else made the file first: it is there now, and to be looked at as such.
                Err(Errno::EEXIST) if request.may_be_repeated() => {}
                result => return result.map(Some),
            }
        }
        Err(Errno::EAGAIN)
    }

    /// A caller that cannot be looked at: what its call would do is unknown. It must not get by what others may not.
    fn unknown(&self, thread: u32, errno: Errno, prevents: bool) -> Result<Option<Answer>> {
        if !caller::is_closed(errno) {
            return Err(errno);
        }
        self.judge.unjudged(thread, Deed::Write, if prevents { Fate::Refused } else { Fate::LetThrough });
        if prevents { Err(Errno::EACCES) } else { Ok(Some(Answer::Continue)) }
    }

    fn only_report(&self, caller: &Caller, request: &Request) {
        let rights = |walk: &mut dyn FnMut()| {
            walk();
            Ok(())
        };
        let preparation = Preparation { caller, rules: &self.rules, rights: &rights };
        // What cannot be walked fails in the kernel too.
        if let Ok(Prepared { subjects, .. }) = preparation.prepare(request) {
            self.files.judge(caller, &subjects);
        }
    }

    fn on_behalf(&self, caller: &Caller, request: &Request, waits: &dyn Fn() -> bool) -> Result<Answer> {
        let rights = |walk: &mut dyn FnMut()| credentials::with(&caller.credentials, &self.own, walk);
        let preparation = Preparation { caller, rules: &self.rules, rights: &rights };
        let Prepared { subjects, act } = preparation.prepare(request)?;
        if self.files.judge(caller, &subjects) == Verdict::Stop
            || self.files.judge_moved(caller, &subjects)? == Verdict::Stop
        {
            return Err(Errno::EACCES);
        }
        // Whoever was told otherwise meanwhile, because it took too long, must not find it done all the same.
        if !waits() {
            return Err(Errno::EINTR);
        }
        let outcome = credentials::with(&caller.credentials, &self.own, act)??;
        Ok(Answer::Outcome(outcome, request.close_on_exec()))
    }

    fn reply(&mut self, listener: &Arc<Listener>, call: &Notification, result: Result<Option<Answer>>) {
        // Nobody waits any more in the cases where an answer fails.
        let _ = match result {
            Ok(None) => Ok(()),
            Ok(Some(Answer::Continue)) => listener.reply(call.id, Reply::Continue),
            Ok(Some(Answer::Outcome(Outcome::Done, _))) => listener.reply(call.id, Reply::Value(0)),
            Ok(Some(Answer::Outcome(Outcome::Opened(file), close))) => {
                match listener.reply_with_descriptor(call.id, file.into(), close) {
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
