//! What differs between the two machines that we build for.

/// `AUDIT_ARCH_*` of this machine's native system calls (`include/uapi/linux/audit.h`).
#[cfg(target_arch = "x86_64")]
pub const NATIVE: u32 = 0xc000_003e;
/// `AUDIT_ARCH_*` of this machine's native system calls (`include/uapi/linux/audit.h`).
#[cfg(target_arch = "aarch64")]
pub const NATIVE: u32 = 0xc000_00b7;

/// Numbers from here on belong to the x32 table on x86-64; other machines have no numbers that high.
pub const X32_BIT: u32 = 0x4000_0000;
