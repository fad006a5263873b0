//! The only unsafe code of the Defender. Everything that leaves this crate is safe to call.
//!
//! Each module wraps one facility of Linux and says which manual page it follows. Nothing here decides anything.
#![cfg(target_os = "linux")]

pub mod abi;
pub mod bpf;
pub mod credentials;
pub mod epoll;
pub mod errno;
pub mod file;
pub mod file_calls;
pub mod filter;
pub mod hardening;
pub mod inotify;
pub mod keeper;
pub mod memory;
pub mod names;
mod narrow;
pub mod notify;
pub mod pidfd;
pub mod poll;
pub mod probe;
mod registers;
mod search;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod trace;

pub use errno::{Errno, Result};

/// Flags and numbers of system calls that the supervisor reads.
pub mod constants {
    pub use libc::{
        AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AT_FDCWD, IPPROTO_SCTP, MSG_DONTWAIT, MSG_FASTOPEN,
        O_NONBLOCK, O_PATH, SIGABRT, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP,
        SIGTSTP, SIGTTIN, SIGTTOU, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SYS_bind, SYS_connect, SYS_execve,
        SYS_execveat, SYS_kill, SYS_listen, SYS_prlimit64, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_socket,
    };
    pub use libc::{
        AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL,
        O_NOCTTY, O_NOFOLLOW, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat,
        SYS_linkat, SYS_mkdirat, SYS_mknodat, SYS_openat, SYS_renameat, SYS_renameat2, SYS_symlinkat, SYS_truncate,
        SYS_unlinkat,
    };
    #[cfg(target_arch = "x86_64")]
    pub use libc::{
        SYS_chmod, SYS_chown, SYS_creat, SYS_lchown, SYS_link, SYS_mkdir, SYS_mknod, SYS_open, SYS_rename, SYS_rmdir,
        SYS_symlink, SYS_unlink,
    };
}
