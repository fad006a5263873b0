//! The watchdog: when the supervisor hangs, the workload's calls are answered without it, and that is recorded.
//!
//! Whatever holds the supervisor up (a file that does not answer, a huge one to hash, a sink that blocks), no call waits
//! longer than two seconds. Then the effect of its section answers: where it prevents, the call fails; otherwise it goes on.
//! A program that is loaded and waits for its judge is killed where programs are prevented; where they are not, it waits on,
//! for only the supervisor's own thread can let it go, and that is recorded.
use std::{
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use defender_core::{CompiledPolicy, Effect, Notice};
use defender_sys::{
    Errno, constants,
    notify::{Listener, Notification, Reply},
    poll::{self, Interest},
};

use super::{ending, judge::Judge};

/// How often the supervisor is looked at.
const BEAT: Duration = Duration::from_millis(250);
/// With one beat more, no call has waited for two seconds.
const LIMIT: Duration = Duration::from_millis(1500);
/// An answer that took this long makes the calls behind it wait, too: their time began with its.
const SLOW: Duration = Duration::from_millis(50);

/// What the supervisor is at.
#[derive(Default)]
struct State {
    /// Since when it has been busy; none while it waits for something to happen.
    busy: Option<Instant>,
    /// Since when calls may have been waiting behind slow answers.
    behind: Option<Instant>,
    call: Option<Notification>,
    /// The process whose new image is being judged.
    loaded: Option<u32>,
    /// Calls taken by the watchdog.
    taken: u64,
    /// The watchdog has answered and not yet recorded it.
    recording: Arc<Mutex<()>>,
    listener: Weak<Listener>,
}

/// The supervisor's end: it says what it is at.
#[derive(Clone, Default)]
pub struct Watchdog(Arc<Mutex<State>>);

impl Watchdog {
    /// Starts the thread, which ends with the last clone of what it gives. Call it before the workload is started, so that
    /// the thread is protected like the others.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(judge: Judge) -> std::io::Result<Self> {
        let watchdog = Self::default();
        let watched = Arc::downgrade(&watchdog.0);
        thread::Builder::new().name("watchdog".into()).stack_size(256 << 10).spawn(move || {
            while let Some(state) = watched.upgrade() {
                watch(&Self(state), &judge);
                thread::sleep(BEAT);
            }
        })?;
        Ok(watchdog)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment or two; none can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls to watch over.
    pub fn watch_over(&self, listener: &Arc<Listener>) {
        self.state().listener = Arc::downgrade(listener);
    }

    /// The supervisor begins to wait for something to happen.
    pub fn rest(&self) {
        self.state().busy = None;
    }

    /// Something happened. `calls`: at least one call waits.
    pub fn wake(&self, calls: bool) {
        let mut state = self.state();
        let now = Instant::now();
        state.busy = Some(now);
        state.behind = if calls { state.behind.or(Some(now)) } else { None };
    }

    /// Takes a call that waits, unless the watchdog was quicker.
    pub fn receive(&self, listener: &Listener) -> Option<Notification> {
        let mut state = self.state();
        // The kernel would make us wait for another call if this one had been taken.
        if state.taken > 0 {
            state.taken = 0;
            let ready = poll::wait(&[(listener.as_fd(), Interest::Readable)], Some(Duration::ZERO));
            if ready.ok()?.first() != Some(&true) {
                return None;
            }
        }
        // ENOENT and EINTR are normal: the caller was killed or interrupted before we looked.
        let call = listener.receive().ok()?;
        state.call = Some(call);
        Some(call)
    }

    /// Waits until what was answered late is recorded: the end of this process would cut that off.
    pub fn settle(&self) {
        let recording = self.state().recording.clone();
        drop(recording.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A process stands at its new image until it is judged, or none does any more.
    pub fn judging(&self, process: Option<u32>) {
        self.state().loaded = process;
    }

    /// The call was answered, or put aside for its peer.
    pub fn done(&self) {
        let mut state = self.state();
        state.call = None;
        if state.busy.is_some_and(|since| since.elapsed() < SLOW) {
            state.behind = None;
        }
    }
}

/// One look. Answers what has waited too long, and as long as the supervisor hangs, what comes in.
fn watch(watchdog: &Watchdog, judge: &Judge) {
    let recording = watchdog.state().recording.clone();
    let _recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
    stop_loaded(watchdog, judge);
    let mut late: Vec<(Notification, Reply)> = Vec::new();
    let mut held_up = Duration::ZERO;
    while let Some((listener, call, waited)) = overdue(watchdog) {
        let Some(call) = call else { break };
        let reply = by_effect(&judge.policy(), i64::from(call.number));
        let _ = listener.reply(call.id, reply);
        held_up = waited;
        late.push((call, reply));
        if late.len() >= 512 {
            break;
        }
    }
    if let Some((call, reply)) = late.first() {
        let what = if *reply == Reply::Continue { "let go on" } else { "refused" };
        let detail = format!(
            "the supervisor was held up for {} ms: system call {} of process {} was {what} unjudged",
            held_up.as_millis(),
            call.number,
            call.thread
        );
        judge.notice_many(Notice::AnsweredLate, &detail, late.len() as u64);
    }
}

/// A program that is loaded and whose judge hangs.
fn stop_loaded(watchdog: &Watchdog, judge: &Judge) {
    let mut state = watchdog.state();
    if state.busy.is_none_or(|since| since.elapsed() < LIMIT) {
        return;
    }
    let Some(process) = state.loaded.take() else { return };
    let stops = by_effect(&judge.policy(), constants::SYS_execve) != Reply::Continue;
    if stops {
        // Still under the lock: the supervisor has not let it go, so the id is still its own.
        ending::end(process);
    }
    drop(state);
    let what = if stops { "was killed unjudged" } else { "waits to be judged" };
    let detail =
        format!("the supervisor was held up for {} ms: program of process {process} {what}", LIMIT.as_millis());
    judge.notice(Notice::AnsweredLate, &detail);
}

type Overdue = (Arc<Listener>, Option<Notification>, Duration);

/// The next call to answer in the supervisor's stead; none while it keeps up.
fn overdue(watchdog: &Watchdog) -> Option<Overdue> {
    let mut state = watchdog.state();
    let since = state.behind.into_iter().chain(state.busy).min().filter(|_| state.busy.is_some())?;
    if since.elapsed() < LIMIT {
        return None;
    }
    let listener = state.listener.upgrade()?;
    if let Some(call) = state.call.take() {
        return Some((listener, Some(call), since.elapsed()));
    }
    let ready = poll::wait(&[(listener.as_fd(), Interest::Readable)], Some(Duration::ZERO)).unwrap_or_default();
    let call = if ready.first() == Some(&true) { listener.receive().ok() } else { None };
    state.taken += u64::from(call.is_some());
    Some((listener, call, since.elapsed()))
}

/// What a section does decides for a call that nobody could look at.
fn by_effect(policy: &CompiledPolicy, number: i64) -> Reply {
    let source = policy.source();
    let effect = match number {
        _ if source.rule.is_none() => Effect::Disable,
        constants::SYS_execve | constants::SYS_execveat => source.processes.effect,
        constants::SYS_connect
        | constants::SYS_bind
        | constants::SYS_listen
        | constants::SYS_socket
        | constants::SYS_sendto
        | constants::SYS_sendmsg
        | constants::SYS_sendmmsg => stronger(source.network.effect, source.dns.effect),
        _ if defender_sys::filter::is_aimed(number) => Effect::Prevent,
        _ => stronger(source.files.effect, source.network.effect),
    };
    if effect == Effect::Prevent { Reply::Fail(Errno::EACCES) } else { Reply::Continue }
}

fn stronger(one: Effect, other: Effect) -> Effect {
    if one == Effect::Prevent { one } else { other }
}
