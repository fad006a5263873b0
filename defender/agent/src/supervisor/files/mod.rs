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
mod judging;
mod prepare;
mod queue;
mod request;
mod terminal;
mod walk;
mod worker;
mod written;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use defender_core::{CompiledPolicy, Notice};
use defender_sys::{
    Errno,
    notify::{Listener, Notification, Reply},
};

use self::{
    caller::OwnRoot,
    judging::FileJudge,
    queue::Queue,
    worker::{Call, Worker},
    written::Written,
};
use super::judge::Judge;

/// How often it is looked whether calls wait too long.
const BEAT: Duration = Duration::from_millis(250);
/// With one beat more, no call has waited for two seconds.
const LIMIT: Duration = Duration::from_millis(1500);

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
    calls: Arc<Queue<Call>>,
    /// Held from an answer that came late until that is recorded.
    recording: Arc<Mutex<()>>,
}

impl FileWatch {
    /// Starts the threads that do it. To be called before the filter is made, which protects the threads that it knows.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(judge: Judge) -> std::io::Result<Self> {
        let calls = Arc::new(Queue::new());
        let files = FileJudge::new(judge.clone(), Written::start(judge.clone())?, OwnRoot::find()?.mount());
        let (worker, queue) = (Worker::new(judge.clone(), files)?, calls.clone());
        thread::Builder::new().name("files".into()).spawn(move || worker.run(&queue))?;
        let recording = Arc::new(Mutex::new(()));
        let (queue, watching, record) = (calls.clone(), judge.clone(), recording.clone());
        thread::Builder::new()
            .name("files-watch".into())
            .stack_size(256 << 10)
            .spawn(move || watch(&queue, &watching, &record))?;
        Ok(Self { judge, calls, recording })
    }

    /// Answers a notified call that writes to a file.
    pub fn on_call(&self, listener: &Arc<Listener>, call: &Notification) {
        if Interest::of(&self.judge.policy()) == Interest::Nothing {
            let _ = listener.reply(call.id, Reply::Continue);
        } else {
            self.calls.add((listener.clone(), *call));
        }
    }

    /// Waits until what was answered late is recorded: the end of this process would cut that off.
    pub fn settle(&self) {
        drop(self.recording.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Answers calls that wait too long without judging them, and records it.
fn watch(calls: &Queue<Call>, judge: &Judge, recording: &Mutex<()>) {
    loop {
        thread::sleep(BEAT);
        let _recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
        let late = calls.held_up(LIMIT);
        let prevents = Interest::of(&judge.policy()) == Interest::Prevents;
        let (reply, told) =
            if prevents { (Reply::Fail(Errno::EACCES), "refused") } else { (Reply::Continue, "let through") };
        // Who has been answered before does not wait any more, which is what the kernel says then.
        let answered = late.iter().filter(|(listener, call)| listener.reply(call.id, reply).is_ok()).count();
        if answered > 0 {
            let detail = format!("{answered} writes to files waited too long to be judged and were {told}");
            judge.notice(Notice::AnsweredLate, &detail);
        }
    }
}
