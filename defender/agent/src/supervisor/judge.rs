//! Decision and report in one place: whatever is judged is judged here.
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use defender_core::{
    AuditDraft, CompiledPolicy, Context, CustomKind, Decision, Effect, Event, Judged, LookupEvent, Notice, Reason,
    Violation, decide, decide_in, dns,
};

use super::{
    process,
    unjudged::{Deed, Fate, Unjudged},
};
use crate::enforcement::{AuditSink, PolicyHandle};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Let it happen.
    Go,
    /// Stop it.
    Stop,
}

/// Judges events by the policy in force and reports violations.
#[derive(Clone)]
pub struct Judge {
    policy: PolicyHandle,
    audits: Arc<dyn AuditSink>,
    unjudged: Arc<Mutex<Unjudged>>,
}

impl Judge {
    /// Makes a judge over the policy in force.
    #[must_use]
    pub fn new(policy: PolicyHandle, audits: Arc<dyn AuditSink>) -> Self {
        Self { policy, audits, unjudged: Arc::default() }
    }

    /// The policy in force now.
    #[must_use]
    pub fn policy(&self) -> Arc<CompiledPolicy> {
        self.policy.current()
    }

    /// Where the policy in force is found.
    #[must_use]
    pub fn policy_handle(&self) -> PolicyHandle {
        self.policy.clone()
    }

    /// Where audits go.
    #[must_use]
    pub fn sink(&self) -> Arc<dyn AuditSink> {
        self.audits.clone()
    }

    /// What the policy says, without reporting anything.
    #[must_use]
    pub fn opinion(&self, event: &Event) -> Decision {
        decide(&self.policy.current(), event)
    }

    /// Judges, and reports a violation. `complete` adds to the event what only a reader of the audit needs to know.
    pub fn judge(&self, event: Event, complete: impl FnOnce(&mut Event)) -> Verdict {
        self.judge_in(event, Context::default(), complete)
    }

    /// Judges with what is known beyond the event.
    fn judge_in(&self, mut event: Event, context: Context<'_>, complete: impl FnOnce(&mut Event)) -> Verdict {
        let (violation, effect) = match decide_in(&self.policy.current(), &event, context) {
            Decision::Allow => {
                // A program start is rare and dear enough to be completed for the record; the others are not.
                if matches!(event, Event::Process(_)) {
                    complete(&mut event);
                }
                self.saw(&event);
                return Verdict::Go;
            }
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        complete(&mut event);
        self.report(violation, effect, event)
    }

    /// Judges the question in a DNS query. What we cannot read could ask for anything, so it is stopped where names are
    /// prevented.
    #[must_use]
    pub fn judge_query(&self, query: &[u8], pid: u32, path: &str) -> Verdict {
        let Some(question) = dns::parse_query(query) else {
            let prevents = self.policy.current().source().dns.effect == Effect::Prevent;
            return if prevents { Verdict::Stop } else { Verdict::Go };
        };
        let event = LookupEvent { name: question.name, record_type: question.record_type, pid, path: path.to_owned() };
        // Custom rules on names may go by the program that asks; it is looked up only for them.
        let process = (pid != 0 && self.policy().has_custom(CustomKind::NetworkOutgoing))
            .then(|| process::portrait(pid))
            .flatten();
        self.judge_in(Event::Lookup(event), Context { process: process.as_ref(), ..Context::default() }, |_| ())
    }

    /// Reports what a detection of the agent's own found, if the policy has it on, and says what is to be done.
    pub fn detected(&self, reason: Reason, matched: Option<String>, event: Event) -> Verdict {
        let context = Context::default();
        match defender_core::detected(&self.policy.current(), reason, matched, &event, context) {
            Decision::Allow => Verdict::Go,
            Decision::Alert(violation) => self.report(violation, Effect::Alert, event),
            Decision::Prevent(violation) => self.report(violation, Effect::Prevent, event),
        }
    }

    /// Shows an event that may happen to those who keep a record of all.
    pub fn saw(&self, event: &Event) {
        self.audits.saw(event, None);
    }

    /// Reports a violation that was found by [`Judge::opinion`].
    pub fn report(&self, violation: Violation, effect: Effect, event: Event) -> Verdict {
        self.audits.saw(&event, Some(Judged { effect, reason: violation.reason }));
        self.audits.submit(AuditDraft {
            time: now(),
            rule: Some(violation.rule),
            effect,
            reason: violation.reason,
            matched: violation.matched,
            ancestry: acting(&event).map(process::ancestors).unwrap_or_default(),
            event,
        });
        if effect == Effect::Prevent { Verdict::Stop } else { Verdict::Go }
    }

    /// Reports something about the Defender itself.
    pub fn notice(&self, notice: Notice, detail: &str) {
        self.notice_many(notice, detail, 1);
    }

    /// Reports that a call of a thread that is closed to us was not judged; many of one program are counted.
    pub fn unjudged(&self, thread: u32, deed: Deed, fate: Fate) {
        let name = process::name(thread);
        let told = self.unjudged.lock().unwrap_or_else(PoisonError::into_inner).add(&name, deed, fate, Instant::now());
        if let Some(told) = told {
            self.notice_many(Notice::NotEnforcing, &told.to_string(), told.count);
        }
    }

    /// Lets the sink do what has to happen with time.
    pub fn tick(&self) {
        let due = self.unjudged.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        for told in due {
            self.notice_many(Notice::NotEnforcing, &told.to_string(), told.count);
        }
        self.audits.tick();
    }

    /// Reports something about the Defender itself that happened `count` times.
    pub fn notice_many(&self, notice: Notice, detail: &str, count: u64) {
        self.audits.submit(AuditDraft::notice(now(), notice, detail, count));
    }
}

/// The process that an event is about.
fn acting(event: &Event) -> Option<u32> {
    let pid = match event {
        Event::Process(event) => event.pid,
        Event::Lookup(event) => event.pid,
        Event::Connection(event) => event.pid,
        Event::Listen(event) => event.pid,
        Event::File(event) => event.pid,
        Event::Request(_) | Event::Defender(_) => 0,
    };
    (pid != 0).then_some(pid)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
