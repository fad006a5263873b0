//! The one place where the Defender decides.
//!
//! Per section: with effect `disable` everything is allowed. Otherwise the deny list is looked at first, then, when there
//! is one, the allow list: whatever is not on it is a violation. A violation takes the section's effect.
use std::net::IpAddr;

use crate::{
    CompiledPolicy, ConnectionEvent, Effect, Event, LookupEvent, PortRange, ProcessEvent, Reason,
    address::{AddressBlock, effective},
    glob,
    policy::{NameRules, NetworkRules, ProcessRules, ProgramList, normal_name},
};

/// What to do with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Let it happen, say nothing.
    Allow,
    /// Let it happen and report it.
    Alert(Violation),
    /// Stop it and report it.
    Prevent(Violation),
}

/// What a policy objected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the rule.
    pub rule: String,
    /// Why.
    pub reason: Reason,
    /// The list entry that matched, for deny lists.
    pub matched: Option<String>,
}

/// Judges one event by the policy of its workload. Total: never fails, never blocks.
#[must_use]
pub fn decide(policy: &CompiledPolicy, event: &Event) -> Decision {
    // No rule applies to this workload, so nothing is judged.
    let Some(rule) = &policy.rule else { return Decision::Allow };
    let (effect, objection) = match event {
        Event::Process(process) => (policy.processes.effect, judge_process(&policy.processes, process)),
        Event::Lookup(lookup) => (policy.dns.effect, judge_lookup(&policy.dns, lookup)),
        Event::Connection(connection) => (policy.network.effect, judge_connection(&policy.network, connection)),
        Event::File(file) => (policy.source().files.effect, judge_file(&policy.source().files, file)),
        Event::Listen(_) | Event::Defender(_) => return Decision::Allow,
    };
    let Some(Objection(reason, matched)) = objection else { return Decision::Allow };
    let violation = Violation { rule: rule.clone(), reason, matched };
    match effect {
        Effect::Disable => Decision::Allow,
        Effect::Alert => Decision::Alert(violation),
        Effect::Prevent => Decision::Prevent(violation),
    }
}

/// Why a section objects, with the entry of the deny list.
struct Objection(Reason, Option<String>);

fn judge_process(rules: &ProcessRules, process: &ProcessEvent) -> Option<Objection> {
    if rules.effect == Effect::Disable {
        return None;
    }
    if let Some(entry) = denied_program(&rules.deny, process) {
        return Some(Objection(Reason::DeniedProcess, Some(entry.to_owned())));
    }
    // The program that the workload consists of is what the user asked for; a deny list still speaks of it.
    let allowed = rules.allow.is_empty() || process.main || allows_program(&rules.allow, process);
    (!allowed).then_some(Objection(Reason::ProcessNotAllowed, None))
}

/// Programs that are many: which one they are is the name they are called by, or their first argument.
const MULTI_CALL: [&str; 3] = ["busybox", "toybox", "coreutils"];

/// Any of a program's names may give it away: the file that runs, the way it was called, and what it is told it is.
fn denied_program<'a>(list: &'a ProgramList, process: &ProcessEvent) -> Option<&'a str> {
    let exe = undeleted(&process.path);
    let argument = |index: usize| process.arguments.get(index).map_or("", |argument| base_name(argument));
    let told = argument(0).strip_prefix('-').unwrap_or(argument(0));
    let applet = if MULTI_CALL.contains(&base_name(exe)) { argument(1) } else { "" };
    find_name(list, &[base_name(exe), base_name(&process.invoked), told, applet])
        .or_else(|| find_path(list, &[exe, &process.path, &process.invoked]))
}

/// A name that the caller chose freely must not allow anything, so `invoked` counts only where it says what really runs.
fn allows_program(list: &ProgramList, process: &ProcessEvent) -> bool {
    let by_exe = find_name(list, &[base_name(&process.path)]).or_else(|| find_path(list, &[&process.path]));
    let by_link = || find_name(list, &[base_name(&process.invoked)]).or_else(|| find_path(list, &[&process.invoked]));
    let by_script = || find_path(list, &[&process.invoked]);
    by_exe.is_some()
        || (process.invoked_is_exe && by_link().is_some())
        || (process.interpreted && by_script().is_some())
}

fn find_name<'a>(list: &'a ProgramList, names: &[&str]) -> Option<&'a str> {
    find(&list.names, names)
}

fn find_path<'a>(list: &'a ProgramList, paths: &[&str]) -> Option<&'a str> {
    find(&list.paths, paths)
}

fn find<'a>(globs: &'a [String], texts: &[&str]) -> Option<&'a str> {
    let hit = |entry: &&String| texts.iter().any(|text| !text.is_empty() && glob::matches(entry, text));
    globs.iter().find(hit).map(String::as_str)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// proc(5) adds a mark to the path of a file that has been removed; that must not hide it from a deny list.
fn undeleted(path: &str) -> &str {
    path.strip_suffix(" (deleted)").unwrap_or(path)
}

fn judge_file(rules: &crate::FilePolicy, event: &crate::FileEvent) -> Option<Objection> {
    if rules.effect == Effect::Disable {
        return None;
    }
    let speaks = |entry: &&String| {
        let beneath = event.file.strip_prefix(entry.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        beneath || glob::matches(entry, &event.file)
    };
    if let Some(entry) = rules.deny.iter().find(speaks) {
        return Some(Objection(Reason::DeniedFile, Some(entry.clone())));
    }
    let allowed = rules.allow.is_empty() || rules.allow.iter().any(|entry| speaks(&entry));
    (!allowed).then_some(Objection(Reason::FileNotAllowed, None))
}

fn judge_lookup(rules: &NameRules, lookup: &LookupEvent) -> Option<Objection> {
    if rules.effect == Effect::Disable {
        return None;
    }
    let name = normal_name(&lookup.name);
    if let Some(entry) = rules.deny.iter().find(|entry| glob::matches(&entry.glob, &name)) {
        return Some(Objection(Reason::DeniedName, Some(entry.text.clone())));
    }
    let allowed = rules.allow.is_empty() || rules.allow.iter().any(|entry| glob::matches(&entry.glob, &name));
    (!allowed).then_some(Objection(Reason::NameNotAllowed, None))
}

fn judge_connection(rules: &NetworkRules, connection: &ConnectionEvent) -> Option<Objection> {
    if rules.effect == Effect::Disable {
        return None;
    }
    let (address, port) = (effective(connection.address), connection.port);
    if let Some(entry) = denied_address(rules, &[address, connection.address.to_canonical()]) {
        return Some(Objection(Reason::DeniedAddress, Some(entry.to_owned())));
    }
    if let Some(range) = rules.deny_ports.iter().find(|range| range.holds(port)) {
        return Some(Objection(Reason::DeniedPort, Some(range.to_string())));
    }
    // Loopback stays in the task, and our own proxy judges what goes to a resolver.
    if address.is_loopback() || connection.resolver {
        return None;
    }
    if !rules.allow_addresses.is_empty() && !rules.allow_addresses.iter().any(|block| block.contains(address)) {
        return Some(Objection(Reason::AddressNotAllowed, None));
    }
    let allowed = rules.allow_ports.is_empty() || rules.allow_ports.iter().any(|range| range.holds(port));
    (!allowed).then_some(Objection(Reason::PortNotAllowed, None))
}

/// The unspecified address reaches loopback, so an entry for either speaks of it.
fn denied_address<'a>(rules: &'a NetworkRules, addresses: &[IpAddr]) -> Option<&'a str> {
    let hit = |block: &AddressBlock| addresses.iter().any(|&address| block.contains(address));
    rules.deny_addresses.iter().find(|(_, block)| hit(block)).map(|(text, _)| text.as_str())
}

impl PortRange {
    fn holds(self, port: u16) -> bool {
        (self.start..=self.end).contains(&port)
    }
}

impl std::fmt::Display for PortRange {
    /// One port as itself, more as `start-end`: the way `matched` names an entry of a list of ports.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.start == self.end {
            write!(formatter, "{}", self.start)
        } else {
            write!(formatter, "{}-{}", self.start, self.end)
        }
    }
}
