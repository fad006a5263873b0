//! Processes that came into the container from outside (ECS Exec, health checks, `runc exec`), or escaped their tracer.
//!
//! A process of the workload has inherited one filter more than the Defender itself, or its tracer. One that has not was
//! started by somebody else. Only when the namespace has given out a process id is there anything to look for.
use std::{
    collections::HashSet,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// As many ids are remembered; beyond that, processes are looked at again.
const MOST_KNOWN: usize = 1 << 16;
/// A process that is ending is gone after this.
const BLINK: Duration = Duration::from_millis(2);
/// Parents followed.
const DEEPEST: usize = 64;
/// What the container runtime calls itself in the container, before it becomes the program that it starts there.
const RUNTIME: &str = "runc:[";

/// Where a process that is not of the workload comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From outside of the container.
    Outside,
    /// From the workload, in a way that its tracer was not told about.
    Escaped,
}

/// How processes of the workload are told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// They have one filter more than we have.
    Filter,
    /// We trace them.
    Tracer,
}

/// What a process says of itself in `/proc/PID/status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Facts {
    parent: u32,
    tracer: u32,
    /// None on kernels before 5.9.
    filters: Option<u32>,
    /// It has ended and waits for its parent.
    ended: bool,
}

/// Looks for them.
pub struct Scan {
    own: u32,
    filters: Option<u32>,
    /// How the workload's processes are told from others.
    pub sign: Sign,
    namespace: Option<PathBuf>,
    /// `/proc/loadavg`, held open: it is read ten times a second.
    load: Option<File>,
    last: Option<u32>,
    /// Processes that need not be looked at again: id and start time.
    known: HashSet<(u32, u64)>,
    /// A process was not yet what it will be.
    unfinished: bool,
}

impl Scan {
    /// Prepares. What runs already is not asked about where we are not the first process.
    #[must_use]
    pub fn new() -> Self {
        let own = std::process::id();
        let mut scan = Self {
            own,
            filters: facts(own).unwrap_or_default().filters,
            sign: Sign::Filter,
            namespace: fs::read_link("/proc/self/ns/mnt").ok(),
            load: File::open("/proc/loadavg").ok(),
            last: None,
            known: HashSet::new(),
            unfinished: false,
        };
        if own != 1 {
            scan.known = processes().filter_map(|process| Some((process, started(process)?))).collect();
        }
        scan
    }

    /// The processes that were not seen before and are not of the workload. Cheap when no process was started since.
    pub fn look(&mut self) -> Vec<(u32, Origin)> {
        let last = self.load.as_ref().and_then(last_started);
        if last.is_some() && last == self.last && !self.unfinished {
            return Vec::new();
        }
        self.last = last;
        self.unfinished = false;
        let mut present = HashSet::new();
        let mut found = Vec::new();
        for process in processes().take(MOST_KNOWN) {
            let Some(start) = started(process) else { continue };
            if self.known.contains(&(process, start)) || process == self.own {
                present.insert((process, start));
                continue;
            }
            if is_runtime(process) {
                self.unfinished = true;
                continue;
            }
            found.extend(self.origin(process).map(|origin| (process, origin)));
            present.insert((process, start));
        }
        self.known = present;
        found
    }

    fn origin(&self, process: u32) -> Option<Origin> {
        if !self.is_foreign(&facts(process)?) {
            return None;
        }
        // The kernel takes the filters of a process that is about to end from it: only what goes on running counts.
        thread::sleep(BLINK);
        let facts = facts(process).filter(|facts| self.is_foreign(facts))?;
        fs::read_link(format!("/proc/{process}/exe")).ok()?;
        match ancestor(process, facts.parent, self.own) {
            Ancestor::Us if self.sign == Sign::Tracer => Some(Origin::Escaped),
            // A child between fork and its filter, or a process of our own.
            Ancestor::Us if facts.filters.is_none() || self.own != 1 => None,
            Ancestor::First if self.own != 1 => None,
            _ if !self.shares_files(process) => None,
            _ => Some(Origin::Outside),
        }
    }

    fn is_foreign(&self, facts: &Facts) -> bool {
        !facts.ended
            && match (self.sign, facts.filters, self.filters) {
                (Sign::Tracer, ..) => facts.tracer == 0,
                (Sign::Filter, Some(has), Some(own)) => has <= own,
                (Sign::Filter, ..) => true,
            }
    }

    /// False for a process of another container, where containers share process ids. Where we may not look, it is ours.
    fn shares_files(&self, process: u32) -> bool {
        match (fs::read_link(format!("/proc/{process}/ns/mnt")), &self.namespace) {
            (Ok(theirs), Some(ours)) => theirs == *ours,
            _ => self.own == 1,
        }
    }
}

enum Ancestor {
    Us,
    First,
    Outside,
}

fn ancestor(process: u32, parent: u32, own: u32) -> Ancestor {
    let (mut at, mut parent) = (process, parent);
    for _ in 0..DEEPEST {
        match parent {
            0 if at == 1 => return Ancestor::First,
            0 => return Ancestor::Outside,
            _ if parent == own => return Ancestor::Us,
            _ => at = parent,
        }
        parent = facts(at).unwrap_or_default().parent;
    }
    Ancestor::First
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_runtime(process: u32) -> bool {
    fs::read_to_string(Path::new("/proc").join(process.to_string()).join("comm"))
        .is_ok_and(|name| name.starts_with(RUNTIME))
}

/// When a process was started, in ticks since boot; an id that is used again has another one.
fn started(process: u32) -> Option<u64> {
    start_time(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

fn start_time(stat: &str) -> Option<u64> {
    // The name may hold anything, also parentheses; after the last one come fields 3 and up (proc(5)).
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The process id that was given out last.
fn last_started(load: &File) -> Option<u32> {
    let mut line = [0; 128];
    let length = load.read_at(&mut line, 0).ok()?;
    last_id(str::from_utf8(&line[..length]).ok()?)
}

fn last_id(load: &str) -> Option<u32> {
    load.split_whitespace().nth(4)?.parse().ok()
}

fn facts(process: u32) -> Option<Facts> {
    fs::read_to_string(format!("/proc/{process}/status")).ok().map(|text| parse(&text))
}

fn parse(status: &str) -> Facts {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse().ok()
    };
    Facts {
        parent: field("PPid").unwrap_or_default(),
        tracer: field("TracerPid").unwrap_or_default(),
        filters: field("Seccomp_filters"),
        ended: status.lines().any(|line| line.starts_with("State:\tZ") || line.starts_with("State:\tX")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Fields are found by name, wherever a name of a process tries to look like one.
    #[test]
    fn facts_are_read_by_field() {
        let status = "Name:\tPPid:\t9\nPPid:\t3\nTracerPid:\t4\nSeccomp:\t2\nSeccomp_filters:\t5\n";
        assert_eq!(Facts { parent: 3, tracer: 4, filters: Some(5), ended: false }, parse(status));
        assert_eq!(Facts::default(), parse("nonsense"));
    }

    /// A name with spaces and parentheses does not move the start time.
    #[test]
    fn start_times_are_read_behind_the_name() {
        let rest: Vec<String> = (3..30).map(|field| field.to_string()).collect();
        assert_eq!(Some(22), start_time(&format!("7 (a) b (c) {}", rest.join(" "))));
        assert!(started(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(Some(77), last_id("0.1 0.2 0.3 1/100 77\n"));
        let load = File::open("/proc/loadavg").unwrap();
        // It is read anew each time.
        assert!((0..2).all(|_| last_started(&load).is_some()));
    }

    /// The second look finds nothing new, and none of what runs beside us is of our container.
    #[test]
    fn what_runs_already_is_not_reported() {
        let mut scan = Scan::new();
        let own = std::process::id();
        assert!(scan.look().iter().all(|(process, _)| *process != own));
    }

    proptest! {
        /// No text breaks the readers of `/proc`.
        #[test]
        fn readers_take_any_text(text in ".{0,200}") {
            let _ = (parse(&text), start_time(&text), last_id(&text));
        }
    }
}
