//! What the kernel would ask before it lets a caller bind, asked in the caller's place.
use std::fs;

/// `CAP_NET_BIND_SERVICE` (capabilities(7)).
const BIND_LOW_PORTS: u32 = 10;
/// `CAP_SYS_PTRACE`.
const TRACE_ANYBODY: u32 = 19;
/// Where nothing is set (ip(7)).
const USUAL_FIRST_FREE_PORT: u16 = 1024;

/// The first port that anybody may bind here.
#[must_use]
pub fn first_free_port() -> u16 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(USUAL_FIRST_FREE_PORT)
}

/// True when the thread may bind the ports below. In a user namespace of its own it has capabilities that mean nothing here.
#[must_use]
pub fn may_bind_low_ports(thread: u32) -> bool {
    let namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/user")).ok();
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    has_capability(&status, BIND_LOW_PORTS) && namespace(&thread.to_string()) == namespace("self")
}

/// True when we may look into processes of every user.
#[must_use]
pub fn may_look_at_everybody() -> bool {
    has_capability(&fs::read_to_string("/proc/self/status").unwrap_or_default(), TRACE_ANYBODY)
}

fn has_capability(status: &str, number: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_by_number() {
        assert!(has_capability("Name:\tx\nCapEff:\t0000000000000400\n", BIND_LOW_PORTS));
        assert!(!has_capability("Name:\tx\nCapEff:\t0000000000000bff\n", BIND_LOW_PORTS));
        assert!(!has_capability("nonsense", BIND_LOW_PORTS));
    }
}
