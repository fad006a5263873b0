//! The signals of a thread at one moment, from `/proc` (proc(5)).
use std::{fs::File, os::unix::fs::FileExt};

/// A status is some 1500 bytes; lists of groups make it longer, and stand before the signals.
const LARGEST: usize = 16 << 10;
/// `SIGSTOP`, `SIGTSTP`, `SIGTTIN`, `SIGTTOU`: who is stopped and goes on repeats its call, without any handler.
const STOPS: u64 = 0xf << 18;

/// Signals as bits, the first signal lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// Those that wait, for the thread or its whole process.
    pub pending: u64,
    /// Those that the thread blocks; in a handler its own is among them.
    pub blocked: u64,
    /// Those that the process handles.
    pub caught: u64,
    /// How often the thread has begun to wait; a number, not signals.
    pub waits: u64,
}

impl Signals {
    /// Reads them from a thread's status; what is not there is none.
    #[must_use]
    pub fn parse(status: &str) -> Self {
        let number = |name: &str, radix| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| u64::from_str_radix(value.trim(), radix).ok()).unwrap_or_default()
        };
        Self {
            pending: number("SigPnd", 16) | number("ShdPnd", 16),
            blocked: number("SigBlk", 16),
            caught: number("SigCgt", 16),
            waits: number("voluntary_ctxt_switches", 10),
        }
    }

    /// True when one waits that takes the thread out of a call which can go on afterwards.
    #[must_use]
    pub fn interrupts(self) -> bool {
        self.pending & !self.blocked & (self.caught | STOPS) != 0
    }
}

/// Where a thread's signals can be read again and again; reading costs little and says what is true at that moment.
pub struct SignalFile(File);

impl SignalFile {
    /// None when the thread is gone, or cannot be looked at.
    #[must_use]
    pub fn of(thread: u32) -> Option<Self> {
        File::open(format!("/proc/{thread}/status")).ok().map(Self)
    }

    /// The text for [`Signals::parse`], which can wait; none when the thread is gone.
    #[must_use]
    pub fn read(&self) -> Option<String> {
        let mut bytes = vec![0; LARGEST];
        let length = self.0.read_at(&mut bytes, 0).ok().filter(|length| *length > 0)?;
        bytes.truncate(length);
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_field() {
        let text = "Name:\tx\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\nSigBlk:\t0000000000000002\nSigIgn:\t0\n\
                    SigCgt:\t0000000000004000\nvoluntary_ctxt_switches:\t10\nnonvoluntary_ctxt_switches:\t3\n";

        assert_eq!(Signals { pending: 0x4001, blocked: 2, caught: 0x4000, waits: 10 }, Signals::parse(text));
        assert_eq!(Signals::default(), Signals::parse("nonsense"));
    }

    #[test]
    fn only_signals_that_a_thread_takes_interrupt_it() {
        let handled = Signals { pending: 0x4000, caught: 0x4000, ..Signals::default() };

        assert!(handled.interrupts());
        assert!(!Signals { blocked: 0x4000, ..handled }.interrupts());
        assert!(!Signals { caught: 0, ..handled }.interrupts());
        assert!(Signals { pending: 1 << 18, ..Signals::default() }.interrupts(), "a stop needs no handler");
    }

    #[test]
    fn a_file_of_signals_is_read_twice() {
        let file = SignalFile::of(std::process::id()).unwrap();

        assert!(file.read().is_some_and(|text| text.contains("SigCgt")));
        assert!(file.read().is_some_and(|text| text.contains("SigCgt")));
        assert!(SignalFile::of(u32::MAX).is_none());
    }
}
