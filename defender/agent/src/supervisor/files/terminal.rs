//! `/dev/tty`: a name for whatever terminal the caller has, which need not be ours.
use std::{
    fs::{self, File},
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use defender_sys::{Errno, Result};

use super::caller::{Caller, open_path};

/// Device number of `/dev/tty` (major 5, minor 0).
const OWN_TERMINAL: u64 = 0x500;

/// The terminal that `/dev/tty` means to the caller; any other file as it is.
///
/// # Errors
/// `ENXIO` when the caller has no terminal, or none that can be found.
pub fn meant(file: File, caller: &Caller) -> Result<File> {
    let status = file.metadata()?;
    if !status.file_type().is_char_device() || status.rdev() != OWN_TERMINAL {
        return Ok(file);
    }
    let theirs = of(&caller.process.to_string());
    if theirs == 0 {
        return Err(Errno::ENXIO);
    }
    if theirs == of("self") {
        return Ok(file);
    }
    // The kernel's own coding: minor in bits 0-7 and 20-31, major in bits 8-19 (proc(5)).
    let minor = (theirs & 0xff) | ((theirs >> 12) & 0xfff00);
    let terminal = open_path(&format!("/dev/pts/{minor}")).map_err(|_| Errno::ENXIO)?;
    if terminal.metadata()?.rdev() == theirs { Ok(terminal) } else { Err(Errno::ENXIO) }
}

/// The controlling terminal of a process; 0 for none. The name before it in the line may hold anything but its last `)`.
fn of(process: &str) -> u64 {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = line.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().nth(4).and_then(|number| number.parse().ok()).unwrap_or_default()
}
