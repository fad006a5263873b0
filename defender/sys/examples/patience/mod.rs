//! How long tests and their attackers wait. Emulated machines are many times slower than real ones, so all of it is
//! stretched by `BARTIZAN_PATIENCE`, a whole number; 1 when it is not set.
#![allow(dead_code, reason = "not every program uses everything")]

use std::time::Duration;

pub fn factor() -> u32 {
    std::env::var("BARTIZAN_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// How often a race is tried, or a storm blows: fewer times where `ATTACK_SHARE` divides it, for one try takes long there.
pub fn tries(times: u32) -> u32 {
    let share: u32 = std::env::var("ATTACK_SHARE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    (times / share.max(1)).max(1)
}

/// The time that something may take here which takes no more than `time` on a real machine.
pub fn patient(time: Duration) -> Duration {
    time * factor()
}

/// The same in whole seconds, as a word of a command line.
pub fn seconds(time: u32) -> String {
    (time * factor()).to_string()
}
