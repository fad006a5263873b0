//! Another process's memory (`process_vm_readv(2)`, with `/proc/PID/mem` where that is forbidden).
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
};

use crate::{Errno, Result};

const PAGE: u64 = 4096;

/// Fills `buffer` from `address` on.
///
/// # Errors
/// `EFAULT` when not all of it is readable, `EPERM` when we may not look, `ESRCH` when the process is gone.
pub fn read(process: u32, address: u64, buffer: &mut [u8]) -> Result<()> {
    if buffer.is_empty() {
        return Ok(());
    }
    match read_by_call(process, address, buffer) {
        Err(Errno(libc::EPERM | libc::ENOSYS)) => read_by_file(process, address, buffer),
        result => result,
    }
}

pub(crate) fn read_by_call(process: u32, address: u64, buffer: &mut [u8]) -> Result<()> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the local vector describes `buffer`, exclusively ours; the remote one is only looked at by the kernel.
    let read =
        Errno::check(unsafe { libc::process_vm_readv(process as i32, &raw const local, 1, &raw const remote, 1, 0) });
    match read {
        Ok(length) if length as usize == buffer.len() => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn read_by_file(process: u32, address: u64, buffer: &mut [u8]) -> Result<()> {
    let file = File::open(format!("/proc/{process}/mem"))?;
    file.read_exact_at(buffer, address).map_err(|_| Errno(libc::EFAULT))
}

/// Fills `buffer` from `address` on, as far as there is memory; gives the number of bytes.
///
/// # Errors
/// As [`read`], when not even one byte is readable.
pub fn read_some(process: u32, address: u64, buffer: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the local vector describes `buffer`, exclusively ours; the remote one is only looked at by the kernel.
    let read = unsafe { libc::process_vm_readv(process as i32, &raw const local, 1, &raw const remote, 1, 0) };
    Errno::check(read).map(|length| length as usize)
}

/// Writes `bytes` at `address`.
///
/// # Errors
/// As [`read`].
pub fn write(process: u32, address: u64, bytes: &[u8]) -> Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads the local vector's memory; the remote one lies in another process.
    let written =
        Errno::check(unsafe { libc::process_vm_writev(process as i32, &raw const local, 1, &raw const remote, 1, 0) });
    match written {
        Ok(length) if length as usize == bytes.len() => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(Errno(libc::EPERM | libc::ENOSYS)) => {
            let file = OpenOptions::new().write(true).open(format!("/proc/{process}/mem"))?;
            file.write_all_at(bytes, address).map_err(|_| Errno(libc::EFAULT))
        }
        Err(errno) => Err(errno),
    }
}

/// A NUL-terminated string of at most `limit` bytes, read page by page so that a page that is not there does not matter
/// behind the string's end.
///
/// # Errors
/// As [`read`]; `ENAMETOOLONG` when there is no NUL within `limit`.
pub fn read_text(process: u32, address: u64, limit: usize) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() < limit {
        let at = address.wrapping_add(text.len() as u64);
        let rest_of_page = (PAGE - at % PAGE) as usize;
        let mut chunk = vec![0; rest_of_page.min(limit - text.len()).min(256)];
        read(process, at, &mut chunk)?;
        if let Some(end) = chunk.iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&chunk[..end]);
            return Ok(text);
        }
        text.extend_from_slice(&chunk);
    }
    Err(Errno(libc::ENAMETOOLONG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_memory_reads_back() {
        let text = c"a text that crosses nothing".to_owned();
        let here = std::process::id();

        assert_eq!(Ok(text.as_bytes().to_vec()), read_text(here, text.as_ptr() as u64, 4096));
        assert_eq!(Err(Errno(libc::ENAMETOOLONG)), read_text(here, text.as_ptr() as u64, 4));
        assert_eq!(Err(Errno(libc::EFAULT)), read_text(here, 8, 4096));
    }
}
