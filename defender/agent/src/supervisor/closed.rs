//! Callers whose memory is closed to us: without `SYS_PTRACE`, a process that made itself undumpable, or that changed its user
//! where we cannot follow. Where its call would go cannot be read, and so not judged.
use defender_sys::{constants, notify::Notification};

use super::{
    judge::Judge,
    reach::{self, Reach},
    unjudged::{Deed, Fate},
};

/// Decides about calls on the network that cannot be read.
pub struct ClosedCallers {
    judge: Judge,
    reach: Reach,
}

impl ClosedCallers {
    /// To be made by the process that answers.
    #[must_use]
    pub fn new(judge: Judge) -> Self {
        Self { judge, reach: Reach::own() }
    }

    /// True when a call has to go on unjudged: its caller is closed to us, and nothing on the network is to be prevented.
    /// Where something is, it is refused by whoever judges it. Both are reported.
    #[must_use]
    pub fn goes_on(&self, call: &Notification) -> bool {
        if self.reach.is_everybody()
            || i64::from(call.number) == constants::SYS_socket
            || !reach::is_closed(call.thread)
        {
            return false;
        }
        let prevents = self.judge.policy().prevents_network();
        let fate = if prevents { Fate::Refused } else { Fate::LetThrough };
        self.judge.unjudged(call.thread, Deed::Network, fate);
        !prevents
    }
}
