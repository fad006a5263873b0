//! The probe on the kernel of this machine. An integration test, since user-mode emulation has no seccomp to probe: the
//! unit tests run there too.

use defender_sys::probe;

#[test]
fn this_machine_allows_what_the_tests_need() {
    let probe = probe::run().unwrap();

    assert_eq!((Ok(()), Ok(())), (probe.listener, probe.watching));
    assert!(probe.reads_memory());
}
