//! How strong the Defender is on this platform: found by trying, before the application runs, and never claimed beyond that.
use defender_sys::{Errno, probe::Probe};

use crate::enforcement::Wanted;

/// How program starts and connections are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The kernel asks us about each call (tiers 1 and 2). `copies`: descriptors of the workload can be copied, so that
    /// connections are made by us, with our copy of the address.
    Asked {
        /// True in tier 1.
        copies: bool,
    },
    /// Every process is traced for life; program starts are judged when the new image is loaded (tiers 3 and 4).
    Traced {
        /// True where a filter without questions can still refuse what would go round us (tier 4).
        filtered: bool,
    },
    /// The kernel asks us, and we can only look (tier 5).
    Observed,
    /// Nothing at all.
    None,
}

/// The mechanism, its number for people, and why it is not a stronger one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// What is used.
    pub mechanism: Mechanism,
    /// 1 is the strongest, 5 only looks, 0 is none.
    pub number: u8,
    /// One sentence each.
    pub reasons: Vec<String>,
}

impl Tier {
    /// True when connections are made on copies of the workload's descriptors.
    #[must_use]
    pub fn copies(&self) -> bool {
        self.mechanism == Mechanism::Asked { copies: true }
    }

    /// True when every process is traced for life.
    #[must_use]
    pub fn traces(&self) -> bool {
        matches!(self.mechanism, Mechanism::Traced { .. })
    }

    /// True when a policy's `prevent` can be kept for program starts.
    #[must_use]
    pub fn prevents(&self) -> bool {
        matches!(self.mechanism, Mechanism::Asked { .. } | Mechanism::Traced { .. })
    }
}

/// Chooses the strongest mechanism that `probe` found to work, or the one that was asked for if that works.
#[must_use]
pub fn choose(probe: &Probe, wanted: Wanted) -> Tier {
    let mut reasons = Vec::new();
    if wanted == Wanted::Compat {
        match (probe.watching, probe.trace_capability) {
            (Ok(()), true) => return compat(),
            (Ok(()), false) => {
                reasons
                    .push("`compat` was asked for and needs SYS_PTRACE: programs would lose their privileges".into());
            }
            (Err(errno), _) => reasons.push(format!("`compat` was asked for, but nothing can be traced here: {errno}")),
        }
    }
    let (mechanism, number) = strongest(probe, &mut reasons);
    reasons.extend(weaknesses(probe, mechanism));
    Tier { mechanism, number, reasons }
}

fn compat() -> Tier {
    let reasons = [
        "`compat` was asked for: setuid programs keep their privileges, and there is no filter",
        "connections and ports are judged once the kernel's tables show them; look-ups and writes are not judged",
        "a process that is started untraced is found within a second",
    ];
    Tier { mechanism: Mechanism::Traced { filtered: false }, number: 3, reasons: reasons.map(str::to_owned).to_vec() }
}

fn strongest(probe: &Probe, reasons: &mut Vec<String>) -> (Mechanism, u8) {
    match (probe.listener, probe.watching, probe.reads_memory()) {
        (Ok(()), Ok(()), true) => match probe.copying {
            Ok(()) => (Mechanism::Asked { copies: true }, 1),
            Err(errno) => {
                reasons.push(format!(
                    "descriptors of the workload cannot be copied, add SYS_PTRACE to the container: {errno}"
                ));
                (Mechanism::Asked { copies: false }, 2)
            }
        },
        (Err(errno), Ok(()), _) => {
            reasons.push(format!("this platform does not allow a seccomp listener: {errno}"));
            reasons.push(
                "connections and ports are judged by their tracer, which can be raced, and once the kernel's tables show \
                 them; look-ups and writes are not judged"
                    .into(),
            );
            (Mechanism::Traced { filtered: true }, 4)
        }
        (Ok(()), watching, _) => {
            let errno = watching.err().or(probe.memory_file.err()).unwrap_or(Errno::EPERM);
            reasons.push(format!("processes cannot be watched, so nothing can be prevented: {errno}"));
            (Mechanism::Observed, 5)
        }
        (Err(listener), Err(watching), _) => {
            reasons.push(format!("this platform does not allow a seccomp listener: {listener}"));
            reasons.push(format!("processes cannot be traced: {watching}"));
            (Mechanism::None, 0)
        }
    }
}

/// What holds with less strength than the tier's number promises.
fn weaknesses(probe: &Probe, mechanism: Mechanism) -> Vec<String> {
    let mut weaknesses = Vec::new();
    if mechanism != Mechanism::None && !probe.trace_capability && probe.copying.is_ok() {
        weaknesses.push("a process that changes its user is closed to the Defender, add SYS_PTRACE".to_owned());
    }
    if probe.admin_capability {
        weaknesses.push("the workload has CAP_SYS_ADMIN and can blind the Defender by mounting".to_owned());
    }
    weaknesses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able() -> Probe {
        Probe {
            listener: Ok(()),
            never_restarts: true,
            wakes_directly: true,
            watching: Ok(()),
            copying: Ok(()),
            memory_call: Ok(()),
            memory_file: Ok(()),
            thread_handles: true,
            trace_capability: true,
            admin_capability: false,
        }
    }

    /// All ways in which a platform can say no, as bits.
    fn probe(bits: u32) -> Probe {
        let said = |bit: u32| if bits & (1 << bit) == 0 { Ok(()) } else { Err(Errno::EPERM) };
        Probe {
            listener: said(0),
            watching: said(1),
            copying: said(2),
            memory_call: said(3),
            memory_file: said(4),
            trace_capability: bits & (1 << 5) == 0,
            admin_capability: bits & (1 << 6) != 0,
            never_restarts: bits & (1 << 7) != 0,
            wakes_directly: bits & (1 << 8) != 0,
            thread_handles: bits & (1 << 9) != 0,
        }
    }

    /// A platform that allows everything is tier 1, without a word.
    #[test]
    fn nothing_missing_is_tier_one() {
        let best = Tier { mechanism: Mechanism::Asked { copies: true }, number: 1, reasons: Vec::new() };
        assert_eq!(best, choose(&able(), Wanted::Strongest));
    }

    /// Features newer than Linux 5.10 never decide the tier.
    #[test]
    fn newer_features_are_not_needed() {
        let old = Probe { never_restarts: false, wakes_directly: false, thread_handles: false, ..able() };
        assert_eq!(choose(&able(), Wanted::Strongest), choose(&old, Wanted::Strongest));
    }

    /// Whatever a platform refuses, no tier is claimed whose primitives do not all work, and every lower one says why.
    #[test]
    fn nothing_is_claimed_that_does_not_work() {
        for bits in 0..1 << 10 {
            for wanted in [Wanted::Strongest, Wanted::Compat] {
                let probe = probe(bits);
                let tier = choose(&probe, wanted);
                let asks = probe.listener.is_ok() && probe.watching.is_ok() && probe.reads_memory();
                let works = match tier.number {
                    1 => asks && probe.copying.is_ok(),
                    2 => asks,
                    3 => probe.watching.is_ok() && probe.trace_capability,
                    4 => probe.watching.is_ok(),
                    5 => probe.listener.is_ok() && !tier.prevents(),
                    _ => tier.number == 0 && tier.mechanism == Mechanism::None,
                };
                assert!(works, "{probe:?} {tier:?}");
                assert!(tier.number == 1 || !tier.reasons.is_empty(), "{probe:?} {tier:?}");
            }
        }
    }
}
