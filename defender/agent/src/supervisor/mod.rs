//! The supervisor: starts the application under the filter and judges what it does, until it ends.
//!
//! One thread does all of it: waiting for children, ptrace, answering notifications, forwarding signals. It never blocks but
//! for the next of these, so no part of the workload can make it wait for another.
mod approvals;
mod connect;
mod datagram;
mod descriptor;
mod destination;
mod exec;
mod facts;
mod files;
mod hash;
mod judge;
mod listen;
mod network;
mod package;
mod pending;
mod privilege;
mod process;
mod program;
mod start;
mod table;

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use defender_core::Notice;
use defender_sys::{
    Errno, constants, file_calls, hardening,
    notify::{Notification, Reply},
    poll::{self, Interest},
    signals::{self, Signals},
    spawn::{self, Launched},
    trace::{self, Happening},
};

use self::{
    descriptor::Descriptors, exec::ExecWatch, files::FileWatch, judge::Judge, network::NetworkWatch, pending::TICK,
};
use crate::enforcement::{Application, AuditSink, FailMode, PolicyHandle, TierReport};

const FAIL_CLOSED: u8 = 78;
/// Signals about children and terminals, which are this process's own affair (catatonit and tini keep the same list).
const KEPT: [i32; 4] = [constants::SIGCHLD, constants::SIGTSTP, constants::SIGTTIN, constants::SIGTTOU];

/// Runs the application to its end and gives its exit code: its own, or 128 plus the signal that killed it.
///
/// `signals` must have been made before the process had a second thread. Without a filter on this platform the fail mode
/// decides: `open` runs the application unjudged and says so, `closed` ends with 78.
pub fn run(
    application: &Application,
    signals: &Signals,
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    report: &dyn TierReport,
) -> u8 {
    let launch = match program::prepare(application) {
        Ok(launch) => launch,
        Err(error) => {
            crate::say!("bartizan: {error}");
            return error.exit_code();
        }
    };
    let judge = Judge::new(policy, audits);
    // Neither can fail on a kernel that this program runs on; if one does, the next steps still hold.
    let _ = hardening::hide();
    let _ = hardening::adopt_orphans();
    let network = NetworkWatch::start(&judge);
    let files = application.watch_files.then(|| FileWatch::start(judge.clone())).transpose().unwrap_or_else(|error| {
        judge.notice(Notice::NotEnforcing, &format!("writes to files cannot be judged: {error}"));
        None
    });
    let launched = match spawn::under_filter(launch, signals) {
        Ok(launched) => launched,
        Err(errno) => match unfiltered(application, signals, &judge, report, errno) {
            Some(launched) => launched,
            None => return FAIL_CLOSED,
        },
    };
    let code = Supervisor { files, ..Supervisor::new(launched, signals, judge, network, report) }.run();
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn unfiltered(
    application: &Application,
    signals: &Signals,
    judge: &Judge,
    report: &dyn TierReport,
    errno: Errno,
) -> Option<Launched> {
    let reason = format!("this platform does not allow a seccomp listener: {errno}");
    report.report(0, vec![reason.clone()]);
    judge.notice(Notice::NotEnforcing, &reason);
    crate::say!("bartizan: nothing can be enforced here: {reason}");
    if application.fail_mode == FailMode::Closed {
        return None;
    }
    let launch = program::prepare(application).ok()?;
    spawn::without_filter(launch, signals).inspect_err(|errno| crate::say!("bartizan: cannot start: {errno}")).ok()
}

struct Supervisor<'a> {
    launched: Launched,
    signals: &'a Signals,
    report: &'a dyn TierReport,
    execs: ExecWatch,
    network: NetworkWatch,
    files: Option<FileWatch>,
    tier_known: bool,
}

impl<'a> Supervisor<'a> {
    fn new(
        launched: Launched,
        signals: &'a Signals,
        judge: Judge,
        mut network: NetworkWatch,
        report: &'a dyn TierReport,
    ) -> Self {
        network.expect_restarts(launched.listener.as_ref().is_none_or(|listener| !listener.never_restarts));
        Self {
            execs: ExecWatch::new(judge, launched.child),
            network,
            files: None,
            tier_known: launched.listener.is_none(),
            launched,
            signals,
            report,
        }
    }

    fn run(mut self) -> i32 {
        loop {
            let ready = self.wait();
            if ready.first() == Some(&true)
                && self.take_signals()
                && let Some(code) = self.reap()
            {
                return code;
            }
            let Some(listener) = &self.launched.listener else { continue };
            self.network.advance(listener);
            // ENOENT and EINTR are normal: the caller was killed or interrupted before we looked.
            if ready.get(1) == Some(&true)
                && let Ok(call) = listener.receive()
            {
                self.answer(&call);
            }
        }
    }

    /// Waits for a signal, a notification or the end of a pending connect.
    fn wait(&self) -> Vec<bool> {
        let mut descriptors: Vec<(BorrowedFd<'_>, Interest)> = vec![(self.signals.as_fd(), Interest::Readable)];
        descriptors.extend(self.launched.listener.as_ref().map(|listener| (listener.as_fd(), Interest::Readable)));
        descriptors.extend(self.network.descriptor().map(|pending| (pending, Interest::Readable)));
        let patience = self.network.is_waiting().then_some(TICK);
        poll::wait(&descriptors, patience).unwrap_or_default()
    }

    fn answer(&mut self, call: &Notification) {
        if !self.tier_known {
            self.find_tier(call);
        }
        let Some(listener) = &self.launched.listener else { return };
        match i64::from(call.number) {
            constants::SYS_execve | constants::SYS_execveat => self.execs.on_call(listener, call),
            number if file_calls::is_one(number) => match &self.files {
                Some(files) => files.on_call(listener, call),
                None => drop(listener.reply(call.id, Reply::Continue)),
            },
            _ => self.network.on_call(listener, call),
        }
    }

    /// The workload's very first call, the start of its program, shows what the platform allows.
    fn find_tier(&mut self, call: &Notification) {
        self.tier_known = true;
        let reason = match Descriptors::default().copy(call.thread, 0) {
            Ok(_) | Err(Errno::EBADF) => return self.report.report(1, Vec::new()),
            Err(errno) => {
                format!("descriptors of the workload cannot be copied, add SYS_PTRACE to the container: {errno}")
            }
        };
        self.network.without_copies();
        crate::say!("bartizan: {reason}");
        self.report.report(2, vec![reason]);
    }

    /// Takes everything that happened to children; the exit code when the application itself has ended.
    fn reap(&mut self) -> Option<i32> {
        while let Ok(Some((child, happening))) = trace::next_happening() {
            let code = match happening {
                Happening::Exec { former } => {
                    self.execs.on_exec(child, former);
                    continue;
                }
                Happening::Interrupted => {
                    self.execs.on_other_stop(child, 0);
                    continue;
                }
                Happening::Signal(signal) => {
                    self.execs.on_other_stop(child, signal);
                    continue;
                }
                Happening::Exited(code) => code,
                Happening::Killed(signal) => 128 + signal,
            };
            self.execs.on_end(child);
            if child == self.launched.child {
                self.explain_failure();
                return Some(code);
            }
        }
        None
    }

    fn explain_failure(&self) {
        if let Some(errno) = self.launched.failure() {
            let denied = if errno == Errno::EACCES { " (or its policy forbids it)" } else { "" };
            crate::say!("bartizan: the application cannot be started: {errno}{denied}");
        }
    }

    /// Passes signals on to the application; true when one of them was about our children.
    fn take_signals(&self) -> bool {
        let mut children = false;
        while let Some(signal) = self.signals.take() {
            children |= signal == constants::SIGCHLD;
            if !KEPT.contains(&signal) {
                // It may have ended just now; then the signal has no more meaning.
                let _ = signals::send(self.launched.child as i32, signal);
            }
        }
        children
    }
}
