//! The supervisor: starts the application under the filter and judges what it does, until it ends.
//!
//! One thread does all of it: waiting for children, ptrace, answering notifications, forwarding signals. It never blocks but
//! for the next of these, so no part of the workload can make it wait for another; should it, the watchdog answers.
//!
//! Every thread of the Defender is started before the workload is: the filter protects those that are there then.
mod approvals;
mod caller_signals;
mod closed;
mod connect;
mod datagram;
mod descriptor;
mod destination;
mod ending;
mod exec;
mod facts;
mod files;
mod hash;
mod injected;
mod inspection;
mod judge;
mod launch;
mod lifelong;
mod listen;
mod message;
mod network;
mod package;
mod pending;
mod privilege;
mod process;
mod program;
mod protection;
mod reach;
mod script;
mod sentry;
mod stack;
mod start;
pub(crate) mod table;
mod tier;
mod traced;
mod unheard;
mod unjudged;
mod watchdog;

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use defender_sys::{
    Errno, constants, file_calls, filter,
    keeper::Keeper,
    notify::Notification,
    poll::{self, Interest},
    signals::{self, Signals},
    spawn::Launched,
    trace::{self, Happening},
};

use self::{
    exec::{ExecWatch, Loading},
    files::FileWatch,
    launch::Started,
    lifelong::Lifelong,
    network::NetworkWatch,
    pending::TICK,
    protection::Protection,
    reach::Reach,
    sentry::Sentry,
    watchdog::Watchdog,
};
use crate::enforcement::{Application, AuditSink, PolicyHandle, TierReport};

/// Signals about children and terminals, which are this process's own affair (catatonit and tini keep the same list).
const KEPT: [i32; 4] = [constants::SIGCHLD, constants::SIGTSTP, constants::SIGTTIN, constants::SIGTTOU];

/// Runs the application to its end and gives its exit code: its own, or 128 plus the signal that killed it.
///
/// `signals` must have been made before the process had a second thread. `first` is process 1, where the application is to be
/// that; then this comes back only when it is not started. Where this platform lets nothing be enforced the
/// fail mode decides: `open` runs the application unjudged and says so, `closed` ends with 78.
pub fn run(
    application: &Application,
    signals: &Signals,
    first: Option<Keeper>,
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    report: &dyn TierReport,
) -> u8 {
    match launch::launch(application, signals, first, policy, audits, report) {
        Ok(started) => u8::try_from(Supervisor::new(started, signals, application.reading).run()).unwrap_or(u8::MAX),
        Err(code) => code,
    }
}

/// While a file is read piece by piece, others are served for so long between two pieces.
const READING: Duration = Duration::from_millis(500);

struct Supervisor<'a> {
    launched: Launched,
    signals: &'a Signals,
    execs: ExecWatch,
    network: NetworkWatch,
    files: Option<FileWatch>,
    protection: Protection,
    lifelong: Lifelong,
    sentry: Option<Sentry>,
    watchdog: Watchdog,
    /// Every process of the workload is traced for life.
    traced: bool,
    reach: Reach,
    last_reading: Instant,
}

impl<'a> Supervisor<'a> {
    fn new(started: Started, signals: &'a Signals, reading: Duration) -> Self {
        let Started { launched, judge, mut network, files, tier, lifelong, sentry, watchdog } = started;
        let mut execs = ExecWatch::new(judge.clone(), launched.child, reading);
        network.watch(launched.listener.as_deref(), tier.copies());
        execs.prevents = tier.prevents();
        Self {
            execs,
            network,
            files,
            protection: Protection::new(judge),
            traced: tier.traces(),
            reach: Reach::own(),
            last_reading: Instant::now(),
            launched,
            signals,
            lifelong,
            sentry,
            watchdog,
        }
    }

    fn run(mut self) -> i32 {
        loop {
            self.watchdog.rest();
            let ready = self.wait();
            let is_ready = |index: usize| ready.get(index) == Some(&true);
            self.watchdog.wake(is_ready(2));
            if is_ready(0)
                && self.take_signals()
                && let Some(code) = self.reap()
            {
                self.watchdog.settle();
                if let Some(files) = &self.files {
                    files.settle();
                }
                return code;
            }
            if is_ready(1) {
                self.take_in();
            }
            let Some(listener) = self.launched.listener.clone() else { continue };
            self.network.advance(&listener);
            if is_ready(2)
                && let Some(call) = self.watchdog.receive(&listener)
            {
                self.answer(&call);
                self.watchdog.done();
            }
            self.read_on(!ready.contains(&true));
        }
    }

    /// Waits for a signal, a find of the sentry, a notification or the end of a pending connect.
    fn wait(&self) -> Vec<bool> {
        let signals = self.signals.as_fd();
        // What is not there is stood in for by what is looked at anyway.
        let news = self.sentry.as_ref().map_or(signals, Sentry::news);
        let listener = self.launched.listener.as_ref().map_or(signals, |listener| listener.as_fd());
        let mut descriptors: Vec<(BorrowedFd<'_>, Interest)> =
            [signals, news, listener].map(|descriptor| (descriptor, Interest::Readable)).to_vec();
        descriptors.extend(self.network.descriptor().map(|pending| (pending, Interest::Readable)));
        let patience = match self.execs.unread() {
            Some(_) => Some(Duration::ZERO),
            None => self.network.is_waiting().then_some(TICK),
        };
        poll::wait(&descriptors, patience).unwrap_or_default()
    }

    fn answer(&mut self, call: &Notification) {
        let Some(listener) = &self.launched.listener else { return };
        match i64::from(call.number) {
            constants::SYS_execve | constants::SYS_execveat => {
                let _likeness = self.reach.toward(call.thread);
                self.execs.on_call(listener, call);
            }
            number if filter::is_aimed(number) => self.protection.on_call(listener, call),
            number if file_calls::is_one(number) => {
                if let Some(files) = &self.files {
                    files.on_call(listener, call);
                }
            }
            _ => {
                let _likeness = self.reach.toward(call.thread);
                self.network.on_call(listener, call);
            }
        }
    }

    /// Traces what the sentry has found. One that has gone, or that somebody else traces, was reported all the same.
    fn take_in(&mut self) {
        while let Some(process) = self.sentry.as_ref().and_then(Sentry::take) {
            let _ = self.lifelong.seize(process);
        }
    }

    /// Takes everything that happened to children; the exit code when the application itself has ended.
    fn reap(&mut self) -> Option<i32> {
        while let Ok(Some((child, happening))) = trace::next_happening() {
            let for_life = self.lifelong.has(child) || (self.traced && !self.execs.has(child));
            let code = match happening {
                Happening::Exited(code) => code,
                Happening::Killed(signal) => 128 + signal,
                Happening::Exec { former } => {
                    self.on_image(child, |execs| execs.judge_image(child, former, for_life));
                    continue;
                }
                Happening::Call => {
                    self.network.at_stop(child);
                    let _ = trace::go_on(child, 0);
                    continue;
                }
                // A new child of one that is traced for life is nobody's yet.
                other if for_life || !self.execs.has(child) => {
                    self.lifelong.on_stop(child, other);
                    continue;
                }
                Happening::Signal(signal) => {
                    self.execs.on_other_stop(child, signal);
                    continue;
                }
                Happening::Interrupted | Happening::GroupStop | Happening::Parent => {
                    self.execs.on_other_stop(child, 0);
                    continue;
                }
            };
            self.lifelong.on_end(child);
            self.execs.on_end(child);
            if child == self.launched.child {
                self.explain_failure();
                return Some(code);
            }
        }
        None
    }

    /// Lets a program that is loaded go once it is judged.
    fn on_image(&mut self, process: u32, judge: impl FnOnce(&mut ExecWatch) -> Option<Loading>) {
        self.watchdog.judging(Some(process));
        let likeness = self.reach.toward(process);
        let judged = judge(&mut self.execs);
        drop(likeness);
        self.watchdog.judging(None);
        let Some(Loading { former, for_life, .. }) = judged else { return };
        if for_life {
            self.lifelong.on_exec(process, former);
        } else {
            let _ = trace::detach(process, 0);
        }
    }

    /// Reads on for a program that waits for it: when nobody else wants anything, and from time to time in any case.
    fn read_on(&mut self, is_idle: bool) {
        if (is_idle || self.last_reading.elapsed() >= READING)
            && let Some(process) = self.execs.unread()
        {
            self.on_image(process, ExecWatch::read_on);
            self.last_reading = Instant::now();
        }
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
