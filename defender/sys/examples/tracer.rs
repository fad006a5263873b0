//! The naive way, for comparison in the benchmarks: `tracer PROGRAM [ARG…]` runs a program and everything that it starts
//! under ptrace, stopping at the begin and at the end of every system call, and judges nothing.
#![allow(clippy::undocumented_unsafe_blocks, clippy::unwrap_used, missing_docs)]
use std::{env, ffi::CString, process::exit, ptr};

const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;

fn main() {
    let words: Vec<CString> = env::args().skip(1).map(|word| CString::new(word).unwrap()).collect();
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut arguments: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
        arguments.push(ptr::null());
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::execvp(arguments[0], arguments.as_ptr());
            libc::_exit(127);
        }
    }
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, OPTIONS) };
    go_on(child, 0);
    loop {
        let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if thread < 0 {
            exit(1);
        }
        if libc::WIFSTOPPED(status) {
            go_on(thread, signal_of(status));
        } else if thread == child {
            exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) });
        }
    }
}

/// The signal that a stop must pass on; none for those that only ptrace makes.
fn signal_of(status: i32) -> i32 {
    let signal = libc::WSTOPSIG(status);
    let own = signal == libc::SIGTRAP | 0x80 || status >> 16 != 0 || signal == libc::SIGSTOP;
    if own { 0 } else { signal }
}

fn go_on(thread: i32, signal: i32) {
    unsafe { libc::ptrace(libc::PTRACE_SYSCALL, thread, 0, signal) };
}
