//! What a program is called, by whoever starts it and by whoever judges it.
use crate::{ProcessEvent, policy::base_name};

/// Programs that are many: which one they are is the name they are called by, or their first argument.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

impl ProcessEvent {
    /// The executable. proc(5) adds a mark to the path of a file that has been removed; that must not hide it.
    pub(crate) fn program(&self) -> &str {
        self.path.strip_suffix(" (deleted)").unwrap_or(&self.path)
    }

    /// Every name that the program may be known by: that of its file, the one it was called by, the one it is told it has,
    /// its applet, and that of the program that a loader was told to run. Empty where there is none, or none but those
    /// before it.
    pub(crate) fn names(&self) -> [&str; 5] {
        let told = self.argument(0);
        let told = told.strip_prefix('-').unwrap_or(told);
        let exe = base_name(self.program());
        let applet = if MULTI_CALL.contains(&exe) { self.argument(1) } else { "" };
        let mut names = [exe, base_name(&self.invoked), told, applet, self.loaded_name()];
        for at in 1..names.len() {
            if names[..at].contains(&names[at]) {
                names[at] = "";
            }
        }
        names
    }

    /// SHA-256 of everything that the start runs, as far as known.
    pub(crate) fn digests(&self) -> impl Iterator<Item = &str> {
        [&self.sha256, &self.facts.script_sha256, &self.facts.loaded_sha256].into_iter().flatten().map(String::as_str)
    }

    /// The arguments that the program itself looks at, without its names: behind its applet, and behind what a loader
    /// was told to run.
    pub(crate) fn own_arguments(&self) -> &[String] {
        let arguments = self.arguments.as_slice();
        let names = match &self.facts.loaded {
            Some(loaded) => {
                let at = arguments.iter().skip(1).position(|argument| argument == loaded || self.is_loaded(argument));
                at.map_or(1, |at| at + 2)
            }
            None if self.is_told_its_applet() => 2,
            None => 1,
        };
        arguments.get(names..).unwrap_or_default()
    }

    /// `busybox sh -c …`, and not `sh -c …` with `sh` a link to busybox.
    fn is_told_its_applet(&self) -> bool {
        MULTI_CALL.contains(&base_name(self.program())) && MULTI_CALL.contains(&self.argument(0))
    }

    fn is_loaded(&self, argument: &str) -> bool {
        !argument.is_empty() && base_name(argument) == self.loaded_name()
    }

    fn loaded_name(&self) -> &str {
        self.facts.loaded.as_deref().map_or("", base_name)
    }

    /// Base name of an argument; empty when there is none.
    fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map_or("", |argument| base_name(argument))
    }
}
