//! Answers that their callers may not have got. Before `WAIT_KILLABLE_RECV` (5.19) a signal can take a caller away while it
//! is answered: the answer counts as sent, is lost, and the call comes again (or ends with `EINTR`, and the caller repeats it).
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use defender_sys::{
    Result,
    notify::{Listener, Notification, Reply},
};

use super::caller_signals::{SignalFile, Signals};

/// Results kept for calls that come again, and for how long: handlers are short.
const MOST: usize = 1024;
const LIFE: Duration = Duration::from_secs(10);

/// The results of connects that are not certain to have arrived, by thread: each waits for one answer at a time.
#[derive(Default)]
pub struct Unheard {
    results: HashMap<u32, Kept>,
}

struct Kept {
    call: Notification,
    inode: u64,
    result: Result<()>,
    at: Instant,
    doubt: Doubt,
}

/// Why a result may not have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// A signal was about when it was sent, or nothing could be seen.
    Signal,
    /// The caller had begun this many waits when it was looked at: the last of them, if it is this call again.
    Waits(u64),
}

impl Doubt {
    /// Whether a caller that has begun so many waits may repeat the call that is in doubt.
    fn allows(self, waits_now: impl FnOnce() -> Option<u64>) -> bool {
        match self {
            Self::Signal => true,
            Self::Waits(waits) => waits_now() == Some(waits),
        }
    }
}

impl Unheard {
    /// Notes the result of a call on a socket, before it is answered.
    pub fn keep(&mut self, call: &Notification, inode: u64, result: Result<()>) {
        if self.results.len() >= MOST {
            self.results.retain(|_, kept| kept.at.elapsed() < LIFE);
        }
        self.results.insert(call.thread, Kept { call: *call, inode, result, at: Instant::now(), doubt: Doubt::Signal });
    }

    /// The result that was lost on the way, where `call` is the one that comes again: by the same thread, from the same
    /// instruction, with the same arguments, on the same socket.
    #[must_use]
    pub fn result(&self, call: &Notification, inode: u64) -> Option<Result<()>> {
        let kept = self.results.get(&call.thread)?;
        let same = kept.inode == inode && call.repeats(&kept.call) && kept.at.elapsed() < LIFE;
        (same && kept.doubt.allows(|| waits(call.thread))).then_some(kept.result)
    }

    /// Answers a call. Its result stays noted only if a signal may have taken the caller away from this answer: a signal
    /// waited for it just before or after, or a handler has begun meanwhile, or the caller waits anew already, which may be
    /// this call again after a handler that has begun and ended.
    pub fn reply(&mut self, listener: &Listener, call: &Notification, reply: Reply) {
        if self.results.get(&call.thread).is_none_or(|kept| kept.call.id != call.id) {
            // The caller may be gone; then nobody waits for this.
            let _ = listener.reply(call.id, reply);
            return;
        }
        let file = SignalFile::of(call.thread);
        let look = || file.as_ref().and_then(SignalFile::read);
        let before = look();
        let sent = listener.reply(call.id, reply);
        let after = look();
        if sent.is_err() {
            return;
        }
        match doubt(before.map(|text| Signals::parse(&text)), after.map(|text| Signals::parse(&text))) {
            None => drop(self.results.remove(&call.thread)),
            Some(doubt) => drop(self.results.get_mut(&call.thread).map(|kept| kept.doubt = doubt)),
        }
    }
}

fn waits(thread: u32) -> Option<u64> {
    Some(Signals::parse(&SignalFile::of(thread)?.read()?).waits)
}

/// Why an answer that was sent between two looks at its caller's signals may not have reached it; none where it has for
/// certain. What cannot be seen is not certain.
fn doubt(before: Option<Signals>, after: Option<Signals>) -> Option<Doubt> {
    let (Some(before), Some(after)) = (before, after) else { return Some(Doubt::Signal) };
    if before.interrupts() || after.interrupts() || before.blocked != after.blocked {
        return Some(Doubt::Signal);
    }
    (before.waits != after.waits).then_some(Doubt::Waits(after.waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_heard_where_no_signal_was_about() {
        let quiet = Signals { caught: 0x4000, ..Signals::default() };
        let waits = Signals { pending: 0x4000, ..quiet };
        let in_handler = Signals { blocked: 0x4000, ..quiet };
        let stops = Signals { pending: 1 << 18, ..quiet };
        let blocked = Signals { pending: 0x4000, ..in_handler };

        assert_eq!(None, doubt(Some(quiet), Some(quiet)));
        assert_eq!(None, doubt(Some(blocked), Some(blocked)));
        for other in [waits, in_handler, stops] {
            assert_eq!(Some(Doubt::Signal), doubt(Some(quiet), Some(other)), "{other:?} after");
            assert_eq!(Some(Doubt::Signal), doubt(Some(other), Some(quiet)), "{other:?} before");
        }
        assert_eq!(Some(Doubt::Signal), doubt(None, Some(quiet)));
        assert_eq!(Some(Doubt::Signal), doubt(Some(quiet), None));
        assert_eq!(Some(Doubt::Waits(8)), doubt(Some(quiet), Some(Signals { waits: 8, ..quiet })));
    }

    #[test]
    fn after_another_wait_a_call_is_no_repetition() {
        assert!(Doubt::Waits(8).allows(|| Some(8)));
        assert!(!Doubt::Waits(8).allows(|| Some(9)));
        assert!(!Doubt::Waits(8).allows(|| None));
        assert!(Doubt::Signal.allows(|| None));
    }

    fn changed(mut call: Notification, change: fn(&mut Notification)) -> Notification {
        change(&mut call);
        call
    }

    #[test]
    fn only_the_same_call_gets_a_kept_result() {
        let call = changed(Notification::default(), |call| (call.id, call.thread) = (1, 7));
        let again = changed(call, |call| call.id = 2);
        let mut unheard = Unheard::default();

        unheard.keep(&call, 99, Ok(()));

        assert_eq!(Some(Ok(())), unheard.result(&again, 99));
        assert_eq!(None, unheard.result(&again, 98), "another socket");
        assert_eq!(None, unheard.result(&changed(again, |call| call.thread = 8), 99));
        assert_eq!(None, unheard.result(&changed(again, |call| call.arguments[1] = 0x2000), 99));
    }
}
