//! The end of a process that did what it must not.
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use defender_sys::{constants, keeper, signals, trace};

/// For how long the last audits may hold up the end of a container.
const FLUSH: Duration = Duration::from_millis(300);
/// As for any process that SIGKILL ends.
const KILLED: i32 = 128 + constants::SIGKILL;

/// Whether process 1 is the application. A property of the whole process, like its id: whoever ends something asks for it.
static FIRST_IS_OURS: AtomicBool = AtomicBool::new(false);

/// From now on process 1 is the application.
pub fn first_is_the_application() {
    FIRST_IS_OURS.store(true, Ordering::Relaxed);
}

/// True where process 1 is the application, and the Defender its child.
#[must_use]
pub fn is_first_the_application() -> bool {
    FIRST_IS_OURS.load(Ordering::Relaxed)
}

/// Kills a process. One that has gone needs nothing.
///
/// Where the application is process 1, no signal from within the container ends it (`pid_namespaces(7)`). What does is the end
/// of a tracer that took it with `PTRACE_O_EXITKILL` (ptrace(2)): so the Defender ends itself, and the container with it.
pub fn end(process: u32) {
    if process == keeper::FIRST && is_first_the_application() {
        end_container();
    }
    let _ = signals::send(process as i32, constants::SIGKILL);
}

fn end_container() -> ! {
    // Fails where we trace it already, which is as good.
    if trace::seize(keeper::FIRST).is_ok() {
        let _ = trace::interrupt(keeper::FIRST);
    }
    crate::say!("bartizan: process 1 did what its policy forbids, and nothing but the end of the container ends it");
    thread::sleep(FLUSH);
    std::process::exit(KILLED)
}
