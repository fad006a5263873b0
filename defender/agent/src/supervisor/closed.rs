//! Callers whose memory is closed to us: without `SYS_PTRACE`, a process that changed its user, such as a worker that gave up
//! root. Where its call would go cannot be read, and so not judged.
use std::cell::Cell;

use defender_core::Notice;
use defender_sys::{Errno, constants, memory, notify::Notification};

use super::{judge::Judge, privilege};

/// Decides about calls on the network that cannot be read.
pub struct ClosedCallers {
    judge: Judge,
    open_to_us: bool,
    told_refused: Cell<bool>,
    told_unjudged: Cell<bool>,
}

impl ClosedCallers {
    /// To be made by the process that answers.
    #[must_use]
    pub fn new(judge: Judge) -> Self {
        let open_to_us = privilege::may_look_at_everybody();
        Self { judge, open_to_us, told_refused: Cell::new(false), told_unjudged: Cell::new(false) }
    }

    /// True when a call has to go on unjudged: its caller is closed to us, and nothing on the network is to be prevented.
    /// Where something is, it is refused by whoever judges it. Both are reported, each once.
    #[must_use]
    pub fn goes_on(&self, call: &Notification) -> bool {
        if self.open_to_us || i64::from(call.number) == constants::SYS_socket || !is_closed(call) {
            return false;
        }
        let prevents = self.judge.policy().prevents_network();
        let (told, fate) =
            if prevents { (&self.told_refused, "refused") } else { (&self.told_unjudged, "let through") };
        if !told.replace(true) {
            let detail = format!(
                "a process that changed its user cannot be judged, its calls on the network are {fate}: \
                 add SYS_PTRACE to the container, or start it as that user"
            );
            self.judge.notice(Notice::NotEnforcing, &detail);
        }
        !prevents
    }
}

/// Whether we may read is asked before whether there is anything at an address, so that any address does.
fn is_closed(call: &Notification) -> bool {
    matches!(memory::read(call.thread, call.arguments[1], &mut [0]), Err(Errno::EPERM | Errno::EACCES))
}
