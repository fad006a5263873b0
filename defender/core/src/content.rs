//! What a written file is, by its first bytes: a program, or one that hides something. Pure; whoever reads the file decides how
//! much of it.
use crate::Reason;

/// As much of a file as is worth reading.
pub const WORTH_READING: usize = 1 << 20;
/// Compressed or encrypted code comes near 8 bits per byte; compiled code stays below 6.8 (Lyda and Hamrock, "Using Entropy
/// Analysis to Find Encrypted and Packed Malware", 2007).
const PACKED_ENTROPY: f64 = 7.2;
/// Below this, entropy says little.
const LEAST_CODE: usize = 4 << 10;
const ELF: &[u8] = b"\x7fELF";
/// What can be said about a written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which detection.
    pub reason: Reason,
    /// What it goes by.
    pub because: String,
}

/// Judges a file by its start (up to [`WORTH_READING`] bytes), its length and whether it may be executed.
///
/// `machine` is the ELF machine number of this computer (elf(5)): 62 for x86-64, 183 for arm64.
#[must_use]
pub fn findings(start: &[u8], length: u64, executable: bool, machine: u16) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |reason, because: &str| found.push(Finding { reason, because: because.to_owned() });
    let elf = start.starts_with(ELF);
    if elf {
        find(Reason::BinaryWritten, "ELF");
        if let Some(because) = suspicious(start, length, machine) {
            find(Reason::SuspiciousElf, because);
        }
        if let Some(because) = packed(start) {
            find(Reason::PackedBinary, because);
        }
    } else if executable && start.starts_with(b"#!") {
        find(Reason::BinaryWritten, "script");
    }
    found
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// An ELF header that no compiler writes, or one of another machine.
fn suspicious(start: &[u8], length: u64, machine: u16) -> Option<&'static str> {
    let Some(header) = Header::read(start) else { return Some("header cut short") };
    let table = u64::from(header.programs).saturating_mul(u64::from(header.program_size));
    if header.class != 1 && header.class != 2 {
        return Some("unknown class");
    }
    if header.order != 1 && header.order != 2 {
        return Some("unknown byte order");
    }
    if header.machine != machine && !(machine == 62 && header.machine == 3) {
        return Some("foreign architecture");
    }
    let expected = if header.class == 2 { 56 } else { 32 };
    if header.programs > 0 && header.program_size != expected {
        return Some("malformed program headers");
    }
    if header.kind != 1 && header.programs > 0 && header.program_offset.saturating_add(table) > length {
        return Some("program headers beyond its end");
    }
    (matches!(header.kind, 2 | 3) && header.programs == 0).then_some("nothing to load")
}

/// The part of an ELF header that matters here (elf(5)).
struct Header {
    class: u8,
    order: u8,
    kind: u16,
    machine: u16,
    program_offset: u64,
    program_size: u16,
    programs: u16,
}

impl Header {
    fn read(start: &[u8]) -> Option<Self> {
        let (class, order) = (*start.get(4)?, *start.get(5)?);
        let big = order == 2;
        let half = |at: usize| {
            let bytes: [u8; 2] = start.get(at..at + 2)?.try_into().ok()?;
            Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
        };
        let long = class != 1;
        Some(Self {
            class,
            order,
            kind: half(16)?,
            machine: half(18)?,
            program_offset: word(start, if long { 32 } else { 28 }, long, big)?,
            program_size: half(if long { 54 } else { 42 })?,
            programs: half(if long { 56 } else { 44 })?,
        })
    }
}

fn word(bytes: &[u8], at: usize, long: bool, big: bool) -> Option<u64> {
    let raw = bytes.get(at..at.checked_add(if long { 8 } else { 4 })?)?;
    let fold = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    Some(if big { raw.iter().fold(0, fold) } else { raw.iter().rev().fold(0, fold) })
}

/// Marks of a packer, or code too random to be code.
fn packed(start: &[u8]) -> Option<&'static str> {
    if holds(&start[..start.len().min(4096)], b"UPX!") {
        return Some("UPX");
    }
    let code = code(start)?;
    (code.len() >= LEAST_CODE && entropy(code) > PACKED_ENTROPY).then_some("entropy of its code")
}

/// The first executable segment, as much of it as is here.
fn code(start: &[u8]) -> Option<&[u8]> {
    const LOADED: u64 = 1;
    const EXECUTABLE: u64 = 1;
    let header = Header::read(start)?;
    let (long, big) = (header.class == 2, header.order == 2);
    for index in 0..u64::from(header.programs) {
        let offset = header.program_offset.checked_add(index * u64::from(header.program_size))?;
        let at = usize::try_from(offset).ok()?;
        let (flags, place, size) = if long { (4, 8, 32) } else { (24, 4, 16) };
        let field = |offset: usize, long| word(start, at.checked_add(offset)?, long, big);
        if field(0, false)? == LOADED && field(flags, false)? & EXECUTABLE != 0 {
            let begin = usize::try_from(field(place, long)?).ok()?;
            let end = begin.saturating_add(usize::try_from(field(size, long)?).ok()?).min(start.len());
            return start.get(begin..end);
        }
    }
    None
}

/// Shannon's entropy in bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    // A mebibyte at most.
    let total = f64::from(bytes.len() as u32);
    let bits = |&count: &u32| {
        let share = f64::from(count) / total;
        if count == 0 { 0.0 } else { -share * share.log2() }
    };
    counts.iter().map(bits).sum()
}

#[cfg(test)]
mod tests;
