//! The only unsafe code of the Defender. Everything that leaves this crate is safe to call.
//!
//! Each module wraps one facility of Linux and says which manual page it follows. Nothing here decides anything.
#![cfg(target_os = "linux")]

pub mod abi;
pub mod bpf;
pub mod epoll;
pub mod errno;
pub mod filter;
pub mod hardening;
pub mod memory;
pub mod notify;
pub mod pidfd;
pub mod poll;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod trace;

pub use errno::{Errno, Result};

/// Flags and numbers of system calls that the supervisor reads.
pub mod constants {
    pub use libc::{
        AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AT_FDCWD, IPPROTO_SCTP, MSG_DONTWAIT, MSG_FASTOPEN,
        O_NONBLOCK, O_PATH, SIGCHLD, SIGKILL, SIGTSTP, SIGTTIN, SIGTTOU, SOCK_RAW, SOCK_SEQPACKET, SYS_bind,
        SYS_connect, SYS_execve, SYS_execveat, SYS_listen, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_socket,
    };
}
