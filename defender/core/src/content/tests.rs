use proptest::prelude::*;

use super::*;

const X86: u16 = 62;

/// A 64-bit program with one executable segment.
fn program(machine: u16, code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 120];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64] = 1;
    bytes[68] = 5;
    bytes[72] = 120;
    bytes[96..104].copy_from_slice(&(code.len() as u64).to_le_bytes());
    bytes.extend_from_slice(code);
    bytes
}

fn found(start: &[u8], executable: bool) -> Vec<(Reason, String)> {
    let findings = findings(start, start.len() as u64, executable, X86);
    findings.into_iter().map(|finding| (finding.reason, finding.because)).collect()
}

/// Bytes without any order.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn programs_are_known_by_their_start() {
    assert_eq!(vec![(Reason::BinaryWritten, "ELF".into())], found(&program(X86, &[0x90; 8192]), false));
    assert_eq!(vec![(Reason::BinaryWritten, "script".into())], found(b"#!/bin/sh\n", true));
    assert!(found(b"#!/bin/sh\n", false).is_empty());
    assert!(found(b"text", true).is_empty());
}

#[test]
fn foreign_and_broken_headers_are_suspicious() {
    let suspicious = |bytes: &[u8]| found(bytes, true).into_iter().find(|(r, _)| *r == Reason::SuspiciousElf);
    let with = |at: usize, value: u8| {
        let mut bytes = program(X86, &[0x90; 64]);
        bytes[at] = value;
        suspicious(&bytes).map(|(_, because)| because)
    };

    assert_eq!(Some("foreign architecture".into()), suspicious(&program(183, &[0; 64])).map(|(_, because)| because));
    assert_eq!(Some("unknown class".into()), with(4, 9));
    assert_eq!(Some("unknown byte order".into()), with(5, 9));
    assert_eq!(Some("malformed program headers".into()), with(54, 57));
    assert_eq!(Some("program headers beyond its end".into()), with(33, 9));
    assert_eq!(Some("nothing to load".into()), with(56, 0));
    assert_eq!(Some("header cut short".into()), suspicious(b"\x7fELF\x02\x01").map(|(_, because)| because));
    assert_eq!(None, with(120, 0x91));
}

#[test]
fn packed_programs_are_known_by_mark_or_entropy() {
    let packed = |bytes: &[u8]| found(bytes, true).into_iter().any(|(r, _)| r == Reason::PackedBinary);

    assert!(packed(&program(X86, &noise(16384))));
    assert!(packed(&program(X86, b"UPX!")));
    assert!(!packed(&program(X86, &noise(512))), "too little to say");
    // Compiled code uses some bytes much more often than others.
    let code: Vec<u8> = (0..16384_u32).map(|index| (index * index % 97) as u8).collect();
    assert!(!packed(&program(X86, &code)), "compiled code is not random");
}

proptest! {
    /// Whatever the bytes are, judging them ends, and only ELF files are called programs without being executable.
    #[test]
    fn any_bytes_are_judged(mut bytes in proptest::collection::vec(any::<u8>(), 0..512), elf in any::<bool>()) {
        if elf && bytes.len() > 4 {
            bytes[..4].copy_from_slice(ELF);
        }
        let found = found(&bytes, false);
        prop_assert_eq!(bytes.starts_with(ELF), found.iter().any(|(reason, _)| *reason == Reason::BinaryWritten));
    }
}
