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
}

impl Unheard {
    /// Notes the result of a call on a socket, before it is answered.
    pub fn keep(&mut self, call: &Notification, inode: u64, result: Result<()>) {
        if self.results.len() >= MOST {
            self.results.retain(|_, kept| kept.at.elapsed() < LIFE);
        }
        self.results.insert(call.thread, Kept { call: *call, inode, result, at: Instant::now() });
    }

    /// The result that was lost on the way, where `call` is the one that comes again: by the same thread, from the same
    /// instruction, with the same arguments, on the same socket.
    #[must_use]
    pub fn result(&self, call: &Notification, inode: u64) -> Option<Result<()>> {
        let kept = self.results.get(&call.thread)?;
        (kept.inode == inode && call.repeats(&kept.call) && kept.at.elapsed() < LIFE).then_some(kept.result)
    }

    /// Answers a call. Its result stays noted only if a signal may have taken the caller away from this answer: a signal
    /// waited for it just before or after, or a handler has begun meanwhile.
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
        if sent.is_ok() && is_heard(before.map(|text| Signals::parse(&text)), after.map(|text| Signals::parse(&text))) {
            self.results.remove(&call.thread);
        }
    }
}

/// Whether an answer that was sent between two looks at its caller's signals has reached it for certain. What cannot be seen
/// is not certain.
fn is_heard(before: Option<Signals>, after: Option<Signals>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    !before.interrupts() && !after.interrupts() && before.blocked == after.blocked
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

        assert!(is_heard(Some(quiet), Some(quiet)));
        assert!(is_heard(Some(blocked), Some(blocked)));
        for other in [waits, in_handler, stops] {
            assert!(!is_heard(Some(quiet), Some(other)), "{other:?} after");
            assert!(!is_heard(Some(other), Some(quiet)), "{other:?} before");
        }
        assert!(!is_heard(None, Some(quiet)));
        assert!(!is_heard(Some(quiet), None));
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
