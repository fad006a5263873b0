//! Calls of 32-bit programs on x86-64 (`arch/x86/entry/syscalls/syscall_32.tbl`), told in the words of the 64-bit table.
//!
//! What asks about calls knows one table only: a notified call of the other is translated where it arrives, arguments that
//! lie in memory (socketcall(2)) included. Structures behind pointers stay as they are: [`Notification::is_narrow`] tells.
use crate::{Errno, Result, memory, notify::Notification};

/// `AUDIT_ARCH_I386` (`include/uapi/linux/audit.h`).
pub const I386: u32 = 0x4000_0003;
/// Everything about sockets in one call, whose arguments lie in memory.
pub const SOCKETCALL: u32 = 102;
/// Old calls whose users and groups have 16 bits; every C library of this century has others.
pub const OLD_OWNERS: [u32; 3] = [16, 95, 182];
const TRUNCATE: u32 = 92;
const TRUNCATE64: u32 = 193;

/// The kinds of socketcall that matter here: its first argument, the call that it stands for, how many arguments that has.
pub const SOCKET_KINDS: [(u32, i64, usize); 7] = [
    (1, libc::SYS_socket, 3),
    (2, libc::SYS_bind, 3),
    (3, libc::SYS_connect, 3),
    (4, libc::SYS_listen, 2),
    (11, libc::SYS_sendto, 6),
    (16, libc::SYS_sendmsg, 3),
    (20, libc::SYS_sendmmsg, 4),
];

/// Calls of the 32-bit table that the filter speaks of, and what they are called in the other.
#[cfg(target_arch = "x86_64")]
const TABLE: &[(u32, i64)] = &[
    (5, libc::SYS_open),
    (8, libc::SYS_creat),
    (9, libc::SYS_link),
    (10, libc::SYS_unlink),
    (11, libc::SYS_execve),
    (14, libc::SYS_mknod),
    (15, libc::SYS_chmod),
    (26, libc::SYS_ptrace),
    (37, libc::SYS_kill),
    (38, libc::SYS_rename),
    (39, libc::SYS_mkdir),
    (40, libc::SYS_rmdir),
    (55, libc::SYS_fcntl),
    (221, libc::SYS_fcntl),
    (57, libc::SYS_setpgid),
    (83, libc::SYS_symlink),
    (TRUNCATE, libc::SYS_truncate),
    (TRUNCATE64, libc::SYS_truncate),
    (94, libc::SYS_fchmod),
    (97, libc::SYS_setpriority),
    (154, libc::SYS_sched_setparam),
    (156, libc::SYS_sched_setscheduler),
    (178, libc::SYS_rt_sigqueueinfo),
    (198, libc::SYS_lchown),
    (207, libc::SYS_fchown),
    (212, libc::SYS_chown),
    (238, libc::SYS_tkill),
    (241, libc::SYS_sched_setaffinity),
    (270, libc::SYS_tgkill),
    (289, libc::SYS_ioprio_set),
    (294, libc::SYS_migrate_pages),
    (295, libc::SYS_openat),
    (296, libc::SYS_mkdirat),
    (297, libc::SYS_mknodat),
    (298, libc::SYS_fchownat),
    (301, libc::SYS_unlinkat),
    (302, libc::SYS_renameat),
    (303, libc::SYS_linkat),
    (304, libc::SYS_symlinkat),
    (306, libc::SYS_fchmodat),
    (317, libc::SYS_move_pages),
    (335, libc::SYS_rt_tgsigqueueinfo),
    (336, libc::SYS_perf_event_open),
    (340, libc::SYS_prlimit64),
    (342, libc::SYS_open_by_handle_at),
    (345, libc::SYS_sendmmsg),
    (347, libc::SYS_process_vm_readv),
    (348, libc::SYS_process_vm_writev),
    (349, libc::SYS_kcmp),
    (351, libc::SYS_sched_setattr),
    (353, libc::SYS_renameat2),
    (358, libc::SYS_execveat),
    (359, libc::SYS_socket),
    (361, libc::SYS_bind),
    (362, libc::SYS_connect),
    (363, libc::SYS_listen),
    (369, libc::SYS_sendto),
    (370, libc::SYS_sendmsg),
    // From here on the tables agree (`pidfd_send_signal` is 424 in both).
    (424, libc::SYS_pidfd_send_signal),
    (425, libc::SYS_io_uring_setup),
    (426, libc::SYS_io_uring_enter),
    (427, libc::SYS_io_uring_register),
    (434, libc::SYS_pidfd_open),
    (437, libc::SYS_openat2),
    (444, libc::SYS_landlock_create_ruleset),
    (452, crate::file_calls::FCHMODAT2),
];
/// No 32-bit programs on other machines.
#[cfg(not(target_arch = "x86_64"))]
const TABLE: &[(u32, i64)] = &[];

/// Numbers in the 32-bit table of what is called `native` in the other.
pub fn numbers_of(native: i64) -> impl Iterator<Item = u32> {
    TABLE.iter().filter(move |&&(_, other)| other == native).map(|&(number, _)| number)
}

/// Says a 32-bit call in the words of the other table; others stay as they are. True when its arguments lie in memory, so
/// that the kernel would read other ones than we did if it went on.
///
/// # Errors
/// `EFAULT` when there is no such memory, `ENOSYS` for a call that nobody asked about.
pub fn translate(call: &mut Notification) -> Result<bool> {
    if !call.is_narrow() {
        return Ok(false);
    }
    let number = call.number as u32;
    // The kernel looks at the low halves only; a 64-bit program that calls by this table may have something in the others.
    let mut arguments = call.arguments.map(|argument| argument & u64::from(u32::MAX));
    let in_memory = number == SOCKETCALL;
    let native = if in_memory {
        let kind = SOCKET_KINDS.iter().find(|(kind, ..)| u64::from(*kind) == arguments[0]);
        let &(_, native, count) = kind.ok_or(Errno::ENOSYS)?;
        arguments = read_arguments(call.thread, arguments[1], count)?;
        native
    } else {
        TABLE.iter().find(|(one, _)| *one == number).ok_or(Errno::ENOSYS)?.1
    };
    match number {
        TRUNCATE => arguments[1] = i64::from(arguments[1] as u32 as i32) as u64,
        TRUNCATE64 => arguments[1] |= arguments[2] << 32,
        _ => {}
    }
    (call.number, call.arguments) = (native as i32, arguments);
    // All that counts of a new socket is what is done with it later.
    Ok(in_memory && native != libc::SYS_socket)
}

fn read_arguments(thread: u32, at: u64, count: usize) -> Result<[u64; 6]> {
    let mut bytes = [0; 24];
    memory::read(thread, at, &mut bytes[..4 * count])?;
    let mut arguments = [0; 6];
    for (argument, word) in arguments.iter_mut().zip(bytes.chunks_exact(4)) {
        *argument = word.try_into().map_or(0, u32::from_ne_bytes).into();
    }
    Ok(arguments)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn call(number: u32, arguments: [u64; 6]) -> Notification {
        Notification::of_table(I386, std::process::id(), number as i32, arguments)
    }

    /// A call keeps its meaning, and what stands in the upper halves of registers has none.
    #[test]
    fn calls_are_told_in_the_words_of_the_other_table() {
        let mut connect = call(362, [0xffff_ffff_0000_0003, 1 << 40 | 4096, 16, 0, 0, 0]);
        let mut truncate = call(TRUNCATE64, [4096, 5, 1, 0, 0, 0]);

        assert_eq!((Ok(false), Ok(false)), (translate(&mut connect), translate(&mut truncate)));
        assert_eq!((libc::SYS_connect, [3, 4096, 16, 0, 0, 0]), (connect.number.into(), connect.arguments));
        assert_eq!((libc::SYS_truncate, (1 << 32) + 5), (truncate.number.into(), truncate.arguments[1]));
    }

    /// A native call is left alone, whatever its number means in the other table.
    #[test]
    fn native_calls_stay_as_they_are() {
        let mut native = Notification::of_table(crate::abi::NATIVE, 1, 11, [u64::MAX; 6]);

        assert_eq!(Ok(false), translate(&mut native));
        assert_eq!((11, [u64::MAX; 6]), (native.number, native.arguments));
    }

    /// Calls that nobody asked about, and arguments that are nowhere, are errors.
    #[test]
    fn what_cannot_be_told_fails() {
        assert_eq!(Err(Errno::ENOSYS), translate(&mut call(1, [0; 6])));
        assert_eq!(Err(Errno::ENOSYS), translate(&mut call(SOCKETCALL, [5, 8, 0, 0, 0, 0])));
    }
}
