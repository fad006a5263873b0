//! Calls of the workload that are aimed at the Defender: refused, and told as `tampering`.
use defender_core::{Event, ProcessEvent, ProcessFacts, Reason};
use defender_sys::{
    Errno, constants, filter,
    notify::{Listener, Notification, Reply},
};

use super::{judge::Judge, process};

/// The kernel lets none of these end the first process of a namespace, nor can we pass them on.
const NOT_PASSED_ON: [i32; 9] = [
    constants::SIGKILL,
    constants::SIGSTOP,
    constants::SIGSEGV,
    constants::SIGBUS,
    constants::SIGFPE,
    constants::SIGILL,
    constants::SIGTRAP,
    constants::SIGSYS,
    constants::SIGABRT,
];

/// Answers calls that are aimed at the Defender.
pub struct Protection {
    judge: Judge,
    /// We are what the application would be without us: the first process, to which it may send signals.
    first: bool,
}

impl Protection {
    /// Watches for attacks.
    #[must_use]
    pub fn new(judge: Judge) -> Self {
        Self { judge, first: std::process::id() == 1 }
    }

    /// Answers a notified call. What decides are numbers in registers, which nobody can change behind our back.
    pub fn on_call(&self, listener: &Listener, call: &Notification) {
        if self.is_harmless(call) {
            let _ = listener.reply(call.id, Reply::Continue);
            return;
        }
        let _ = listener.reply(call.id, Reply::Fail(Errno::EPERM));
        let event = process_event(call.thread);
        self.judge.detected(Reason::Tampering, Some(filter::name_of(i64::from(call.number)).to_owned()), event);
    }

    /// A signal to the first process is one to the application, to which we pass it on; asking whether we exist, or what our
    /// limits are, changes nothing.
    fn is_harmless(&self, call: &Notification) -> bool {
        match i64::from(call.number) {
            constants::SYS_kill => {
                let (whom, signal) = (call.arguments[0] as i32, call.arguments[1] as i32);
                whom > 0 && (signal == 0 || self.first && !NOT_PASSED_ON.contains(&signal))
            }
            constants::SYS_prlimit64 => call.arguments[2] == 0,
            _ => false,
        }
    }
}

/// What an audit says of a process that is there, not started just now.
#[must_use]
pub fn process_event(thread: u32) -> Event {
    let status = process::status(thread).unwrap_or_default();
    let pid = if status.process == 0 { thread } else { status.process };
    let path = process::executable_path(pid);
    Event::Process(ProcessEvent {
        invoked: path.clone(),
        path,
        arguments: process::arguments(pid),
        pid,
        parent_pid: status.parent,
        parent_path: process::parent_path(&status),
        user: status.user,
        main: false,
        interpreted: false,
        invoked_is_exe: true,
        sha256: None,
        facts: ProcessFacts::default(),
    })
}
