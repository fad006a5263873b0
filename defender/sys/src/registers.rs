//! The registers of a thread that stands still for its tracer (`PTRACE_GETREGSET`, ptrace(2)), and its system call in them.
use crate::{Errno, Result};

/// The general registers, among the notes of `elf(5)`.
const NT_PRSTATUS: usize = 1;
/// The number of the system call, which arm64 keeps beside its registers.
#[cfg(target_arch = "aarch64")]
const NT_ARM_SYSCALL: usize = 0x404;

/// A system call that a thread is about to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: i64,
    /// Its arguments: values, nothing that they point to.
    pub arguments: [u64; 6],
}

/// The call before which `thread` stands (`PTRACE_EVENT_SECCOMP`).
///
/// # Errors
/// `ESRCH` when it is gone or does not stand still; `EINVAL` for a 32-bit program, whose registers are others.
pub fn call(thread: u32) -> Result<Call> {
    let registers = read(thread)?;
    #[cfg(target_arch = "x86_64")]
    return Ok(Call {
        number: registers.orig_rax as i64,
        arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9],
    });
    #[cfg(target_arch = "aarch64")]
    return Ok(Call {
        number: registers.regs[8] as i64,
        arguments: std::array::from_fn(|index| registers.regs[index]),
    });
}

/// Makes the kernel skip the call before which `thread` stands, which then fails with `errno`.
///
/// # Errors
/// As [`call`].
pub fn refuse(thread: u32, errno: Errno) -> Result<()> {
    let mut registers = read(thread)?;
    let answer = (-i64::from(errno.0)) as u64;
    #[cfg(target_arch = "x86_64")]
    {
        (registers.orig_rax, registers.rax) = (u64::MAX, answer);
    }
    #[cfg(target_arch = "aarch64")]
    {
        registers.regs[0] = answer;
        let mut none = -1_i32;
        transfer(libc::PTRACE_SETREGSET, thread, NT_ARM_SYSCALL, &raw mut none)?;
    }
    transfer(libc::PTRACE_SETREGSET, thread, NT_PRSTATUS, &raw mut registers).map(drop)
}

/// The stack pointer of a stopped thread.
///
/// # Errors
/// As [`call`].
pub fn stack_pointer(thread: u32) -> Result<u64> {
    let registers = read(thread)?;
    #[cfg(target_arch = "x86_64")]
    return Ok(registers.rsp);
    #[cfg(target_arch = "aarch64")]
    return Ok(registers.sp);
}

fn read(thread: u32) -> Result<libc::user_regs_struct> {
    // SAFETY: all-zero registers are valid ones.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let length = transfer(libc::PTRACE_GETREGSET, thread, NT_PRSTATUS, &raw mut registers)?;
    if length == size_of::<libc::user_regs_struct>() { Ok(registers) } else { Err(Errno::EINVAL) }
}

/// Moves one set of registers, which has the layout of `T`; gives how many bytes the kernel's has.
fn transfer<T>(request: libc::c_uint, thread: u32, kind: usize, set: *mut T) -> Result<usize> {
    let mut vector = libc::iovec { iov_base: set.cast(), iov_len: size_of::<T>() };
    // SAFETY: the vector describes the memory behind `set`, which callers in this file own exclusively.
    Errno::check(unsafe { libc::ptrace(request, thread as libc::pid_t, kind, &raw mut vector) })?;
    Ok(vector.iov_len)
}
