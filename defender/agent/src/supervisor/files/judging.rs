//! The judge of files: under all names that a file has, and with what is known of who writes it.
use defender_core::{
    CompiledPolicy, Context, CustomKind, Decision, Effect, Event, FileEvent, FileOperation, ProcessEvent, decide_in,
};
use defender_sys::Result;

use super::{alias, caller::Caller, prepare::Subject, written::Written};
use crate::supervisor::{
    judge::{Judge, Verdict},
    process,
};

/// Judges what requests are about, and hands on what is to be looked at once it is written.
pub struct FileJudge {
    judge: Judge,
    written: Written,
    root_mount: u64,
}

impl FileJudge {
    /// Makes one. `root_mount` is the mount of our root directory.
    #[must_use]
    pub fn new(judge: Judge, written: Written, root_mount: u64) -> Self {
        Self { judge, written, root_mount }
    }

    /// Judges all that a request is about. Under its other names a file is what it is, too.
    pub fn judge(&self, caller: &Caller, subjects: &[Subject]) -> Verdict {
        let (mut verdict, policy) = (Verdict::Go, self.judge.policy());
        for subject in subjects {
            self.written.expect(&policy, caller, subject);
            let alias = alias::known_as(&policy, &subject.path, subject.file.as_ref(), self.root_mount);
            let path = alias.unwrap_or_else(|| String::from_utf8_lossy(&subject.path).into_owned());
            let event = event(caller, subject.operation, path);
            if self.report(decide(&policy, &event), event) == Verdict::Stop {
                verdict = Verdict::Stop;
            }
        }
        verdict
    }

    /// Judges what a directory carries along when it is renamed: where it was, and where it will be.
    ///
    /// # Errors
    /// `EXDEV` for a directory that holds too much to be looked at.
    pub fn judge_moved(&self, caller: &Caller, subjects: &[Subject]) -> Result<Verdict> {
        let policy = self.judge.policy();
        for subject in subjects.iter().filter(|subject| subject.operation == FileOperation::Rename) {
            let Some(file) = &subject.file else { continue };
            for below in alias::beneath(file)? {
                for top in subjects {
                    let path = [top.path.as_slice(), b"/", below.as_slice()].concat();
                    let event = event(caller, FileOperation::Rename, String::from_utf8_lossy(&path).into_owned());
                    let decision = decide(&policy, &event);
                    if matches!(decision, Decision::Prevent(_)) {
                        return Ok(self.report(decision, event));
                    }
                }
            }
        }
        Ok(Verdict::Go)
    }

    fn report(&self, decision: Decision, mut event: Event) -> Verdict {
        let (violation, effect) = match decision {
            Decision::Allow => {
                self.judge.saw(&event);
                return Verdict::Go;
            }
            Decision::Alert(violation) => (violation, Effect::Alert),
            Decision::Prevent(violation) => (violation, Effect::Prevent),
        };
        if let Event::File(event) = &mut event {
            event.path = process::executable_path(event.pid);
        }
        self.judge.report(violation, effect, event)
    }
}

/// Custom rules may go by the process that writes; it is looked up only for them.
fn decide(policy: &CompiledPolicy, event: &Event) -> Decision {
    let process = match event {
        Event::File(file) if policy.has_custom(CustomKind::Filesystem) => {
            process::portrait(file.pid).map(|process| ProcessEvent { user: file.user, ..process })
        }
        _ => None,
    };
    decide_in(policy, event, Context { process: process.as_ref(), ..Context::default() })
}

fn event(caller: &Caller, operation: FileOperation, file: String) -> Event {
    Event::File(FileEvent { operation, file, pid: caller.process, path: String::new(), user: caller.user })
}
