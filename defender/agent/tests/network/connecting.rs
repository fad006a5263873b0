//! Connecting goes on as the kernel would do it: errors, signals, time limits, floods.
use crate::arena::{Arena, policy};

/// Wrong calls of every kind fail with the same errors as without a Defender.
#[test]
fn errors_are_the_kernels_own() {
    let arena = Arena::new("errors");

    assert_eq!(arena.natively(&["errors"]), arena.run(&policy("prevent", "", ""), &["errors"]));
}

/// An alarm interrupts a waiting connect whose handler does not restart, and does not disturb one that does.
#[test]
fn alarms_interrupt_or_restart_a_waiting_connect() {
    let arena = Arena::new("alarm");
    for attack in [["alarm", "once"], ["alarm", "restart"]] {
        let native = arena.natively(&attack);

        assert_eq!(native, arena.run(&policy("prevent", "", ""), &attack), "{attack:?}");
        assert!(native.ends_with("true"), "the alarm must come: {native}");
    }
}

/// A socket that is connected is not connected again, also where signals restart calls that were answered already and the
/// second call looks like the first one restarted.
#[test]
fn a_connected_socket_is_not_connected_again() {
    let arena = Arena::new("again");

    assert_eq!("0 106", arena.natively(&["again"]));
    assert_eq!("0 106", arena.run(&policy("prevent", "", ""), &["again"]));
    assert_eq!("0 106", arena.run_as_on_old_kernels(&policy("prevent", "", ""), &["again"]));
}

/// A signal whose handler restarts calls makes no connect fail, whenever it comes.
#[test]
fn signals_make_no_connect_fail() {
    let arena = Arena::new("interrupted");

    assert_eq!("0", arena.run(&policy("prevent", "", ""), &["interrupted", "2000"]));
    assert_eq!("0", arena.run_as_on_old_kernels(&policy("prevent", "", ""), &["interrupted", "5000"]));
}

/// A socket's own time limit ends a waiting connect.
#[test]
fn a_time_limit_ends_a_waiting_connect() {
    let arena = Arena::new("patience");

    assert_eq!("115 true", arena.natively(&["patience"]));
    assert_eq!("115 true", arena.run(&policy("prevent", "", ""), &["patience"]));
}

/// While many hundreds of connects wait, programs start as ever.
#[test]
fn many_waiting_connects_make_nobody_else_wait() {
    assert_eq!("true true true", Arena::new("pending").run(&policy("prevent", "", ""), &["pending", "700"]));
}

/// A server that resets what it accepted does not make connect fail, as it would not without a Defender.
#[test]
fn a_reset_after_connecting_is_no_failure_to_connect() {
    let arena = Arena::new("resets");

    assert_eq!("0", arena.run(&policy("prevent", "", ""), &["resets", "500"]));
}

/// Descriptors travel over local sockets.
#[test]
fn descriptors_travel() {
    assert_eq!("0 through", Arena::new("rights").run(&policy("prevent", "", ""), &["rights"]));
}

/// Fast open by sendmsg sends nothing unjudged either.
#[test]
fn fast_open_by_message_does_not_exist() {
    assert_eq!("95", Arena::new("fastopen").run(&policy("prevent", "", ""), &["fastopen", "6666"]));
}
