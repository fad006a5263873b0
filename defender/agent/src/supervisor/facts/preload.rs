//! Foreign libraries that load first: `LD_PRELOAD`, `LD_AUDIT`, `LD_LIBRARY_PATH` (ld.so(8)) and `/etc/ld.so.preload`.
//!
//! What the definition of the workload itself sets is not foreign: many images preload an allocator. So whatever the main
//! program starts with is the measure, and only what differs from it is named.
use std::{fs, io::Read, os::unix::fs::PermissionsExt};

use crate::supervisor::process::open;

const FILE: &str = "/etc/ld.so.preload";
/// As much of the file as is looked at and told.
const TOLD: u64 = 512;
const USUAL: usize = 16 << 10;
const MOST: u64 = 16 << 20;

/// What the main program started with.
#[derive(Debug, Clone, Default)]
pub struct Preloads {
    usual: Vec<String>,
}

impl Preloads {
    /// Takes what the main program starts with as the measure.
    pub fn learn(&mut self, process: u32) {
        self.usual = all(process);
    }

    /// What makes foreign libraries load in a process that has not run yet, as `NAME=value`.
    #[must_use]
    pub fn foreign(&self, process: u32) -> Vec<String> {
        all(process).into_iter().filter(|preload| !self.usual.contains(preload)).collect()
    }
}

fn all(process: u32) -> Vec<String> {
    let environment = environment(process).unwrap_or_default();
    let mut found = variables(&environment, |directory| anybody_writes(process, directory));
    found.extend(listed(process));
    found
}

/// All of a process's environment: the kernel allows some megabytes (execve(2)), and a variable may stand at their end.
fn environment(process: u32) -> Option<Vec<u8>> {
    let mut environment = Vec::with_capacity(USUAL);
    fs::File::open(format!("/proc/{process}/environ")).ok()?.take(MOST).read_to_end(&mut environment).ok()?;
    Some(environment)
}

/// The variables that matter, of an environment as `/proc/PID/environ` has it.
///
/// A search path is only foreign where somebody else may put a library: in a directory that is not absolute, or for which
/// `writable` says so.
fn variables(environment: &[u8], writable: impl Fn(&str) -> bool) -> Vec<String> {
    let texts = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    texts
        .filter(|text| match text.split_once('=') {
            Some(("LD_PRELOAD" | "LD_AUDIT", value)) => !value.is_empty(),
            Some(("LD_LIBRARY_PATH", value)) if !value.is_empty() => {
                value.split([':', ';']).any(|directory| !directory.starts_with('/') || writable(directory))
            }
            _ => false,
        })
        .map(|text| text.chars().take(TOLD as usize).collect())
        .collect()
}

fn anybody_writes(process: u32, directory: &str) -> bool {
    let status = fs::metadata(format!("/proc/{process}/root{directory}"));
    status.is_ok_and(|status| status.permissions().mode() & 0o002 != 0)
}

fn listed(process: u32) -> Option<String> {
    let mut text = Vec::new();
    open(format!("/proc/{process}/root{FILE}")).ok()?.take(TOLD).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    (!text.trim().is_empty()).then(|| format!("{FILE}={}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_load_libraries_are_named() {
        let environment = b"PATH=/bin\0LD_PRELOAD=/tmp/x.so\0LD_AUDIT=\0XLD_PRELOAD=1\0LD_BIND_NOW=1\0";

        assert_eq!(vec!["LD_PRELOAD=/tmp/x.so"], variables(environment, |_| false));
    }

    #[test]
    fn a_search_path_is_named_where_others_may_write() {
        let writable = |directory: &str| directory == "/tmp";
        for (value, named) in
            [("/usr/lib", false), ("/usr/lib:/tmp", true), ("/usr/lib:", true), ("lib", true), ("", false)]
        {
            let environment = format!("LD_LIBRARY_PATH={value}\0");

            assert_eq!(named, !variables(environment.as_bytes(), writable).is_empty(), "{value}");
        }
    }

    #[test]
    fn what_the_main_program_has_is_not_foreign() {
        let own = std::process::id();
        let mut preloads = Preloads::default();

        preloads.learn(own);

        assert_eq!(Vec::<String>::new(), preloads.foreign(own));
    }
}
