//! The probe on the kernel of this machine. An integration test, since user-mode emulation has no seccomp to probe: the
//! unit tests run there too.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use defender_sys::probe;

#[test]
fn this_machine_allows_what_the_tests_need() {
    let probe = probe::run().unwrap();

    assert_eq!((Ok(()), Ok(())), (probe.listener, probe.watching));
    assert!(probe.reads_memory());
}

/// What a kernel has is in use: a request that is made wrongly is refused just as one that an older kernel does not know.
#[test]
fn what_this_kernel_offers_is_in_use() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map_while(|word| word.parse().ok());
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());

    let probe = probe::run().unwrap();

    assert_eq!(version >= (5, 19), probe.never_restarts, "{version:?}");
    assert_eq!(version >= (6, 6), probe.wakes_directly, "{version:?}");
    assert_eq!(version >= (6, 9), probe.thread_handles, "{version:?}");
}
