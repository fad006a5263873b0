//! Makes this machine look like a weaker platform to a program: `platform LIMIT[,LIMIT…] PROGRAM [ARG…]`.
//!
//! The tests run the supervisor under it, so the product needs no switches that turn things off. Limits:
//! `linux-5.10` (what came later is refused as that kernel would, and its cache of constant verdicts is defeated),
//! `no-copies` (`pidfd_getfd` refused: Docker's profile without `SYS_PTRACE`), `no-remote-memory` (`process_vm_*` refused:
//! Cloud Foundry), `no-listener` (gVisor), `no-trace` (Yama 3).
#![allow(clippy::undocumented_unsafe_blocks, missing_docs)] // not part of the product

use std::{env, ffi::CString, io, process::exit, ptr};

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// The first number that Linux 5.10 does not have (`epoll_pwait2`), on every machine.
const FIRST_OF_5_11: u32 = 441;
const WAIT_KILLABLE_RECV: u32 = 1 << 5;
const NEW_LISTENER: u32 = 1 << 3;
const SET_FLAGS: u32 = 0x4008_2104;

fn step(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: jump_true, jf: jump_false, k: operand }
}

/// `if number == N && (argument test) return errno`; the accumulator holds the number before and after.
fn refuse(number: i64, test: Option<(u16, u32, u32)>, errno: i32) -> Vec<libc::sock_filter> {
    let verdict = step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32);
    let Some((code, argument, operand)) = test else {
        return vec![step(EQUAL, 0, 1, number as u32), verdict];
    };
    vec![
        step(EQUAL, 0, 4, number as u32),
        step(LOAD, 0, 0, 16 + 8 * argument),
        step(code, 0, 1, operand),
        verdict,
        step(LOAD, 0, 0, 0),
    ]
}

fn limit(name: &str) -> Vec<libc::sock_filter> {
    match name {
        "linux-5.10" => [
            vec![step(LOAD, 0, 0, 16), step(LOAD, 0, 0, 0)],
            vec![
                step(AT_LEAST, 0, 1, FIRST_OF_5_11),
                step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
            ],
            refuse(libc::SYS_seccomp, Some((ANY_BIT, 1, WAIT_KILLABLE_RECV)), libc::EINVAL),
            refuse(libc::SYS_pidfd_open, Some((ANY_BIT, 1, libc::O_EXCL as u32)), libc::EINVAL),
            refuse(libc::SYS_ioctl, Some((EQUAL, 1, SET_FLAGS)), libc::EINVAL),
        ]
        .concat(),
        "no-copies" => refuse(libc::SYS_pidfd_getfd, None, libc::EPERM),
        "no-remote-memory" => [
            refuse(libc::SYS_process_vm_readv, None, libc::EPERM),
            refuse(libc::SYS_process_vm_writev, None, libc::EPERM),
        ]
        .concat(),
        "no-listener" => refuse(libc::SYS_seccomp, Some((ANY_BIT, 1, NEW_LISTENER)), libc::EINVAL),
        "no-trace" => refuse(libc::SYS_ptrace, None, libc::EPERM),
        other => {
            eprintln!("platform: there is no limit `{other}`");
            exit(64);
        }
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [limits, program, ..] = words.as_slice() else {
        eprintln!("usage: platform LIMIT[,LIMIT…] PROGRAM [ARG…]");
        exit(64);
    };
    let mut filter = vec![step(LOAD, 0, 0, 0)];
    limits.split(',').for_each(|name| filter.extend(limit(name)));
    filter.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let description = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let arguments: Vec<CString> =
        words[1..].iter().map(|word| CString::new(word.as_str()).unwrap_or_default()).collect();
    let mut vector: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    vector.push(ptr::null());
    let program = CString::new(program.as_str()).unwrap_or_default();
    unsafe {
        // Only the administrator may do without: otherwise nothing below would gain privileges anyway.
        if libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const description) != 0 {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const description);
        }
        libc::execvp(program.as_ptr(), vector.as_ptr());
    }
    eprintln!("platform: {}", io::Error::last_os_error());
    exit(127);
}
