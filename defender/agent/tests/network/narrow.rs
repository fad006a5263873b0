//! Calls of the 32-bit table where they are allowed.
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::arena::{Arena, attacker, policy};

const DENYING: &str = r#""denyPorts":[{"start":6666,"end":6666}]"#;

/// The policy with a program that must not run.
fn without(program: &str) -> String {
    let denied = format!(r#""processes":{{"effect":"prevent","allow":[],"deny":["{program}"]}}"#);
    policy("prevent", "", DENYING).replace(r#""processes":{"effect":"disable","allow":[],"deny":[]}"#, &denied)
}

/// Unless it is asked for, no call of the table exists.
#[test]
fn no_call_exists_unless_it_is_allowed() {
    let arena = Arena::new("narrow-off");

    assert_eq!("38", arena.run(&without("true"), &["narrow-run", &attacker()]));
    assert_eq!("-38 -38", arena.run(&without("true"), &["narrow-connect", "7000"]));
}

/// Programs are started and refused as by the other table.
#[test]
fn programs_are_judged() {
    let arena = Arena::new("narrow-run");

    assert_eq!("0", arena.run_narrow(&without("true"), &["narrow-run", &attacker()]));
    assert_eq!("0", arena.run_narrow(&without("none"), &["narrow-run", "/bin/true"]));
    assert_eq!("13", arena.run_narrow(&without("true"), &["narrow-run", "/bin/true"]));
}

/// A program of 32 bits that ends with 42 by its own table: one segment, `mov $1, %al; mov $42, %bl; int $0x80`.
fn program_of_32_bits() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let code = [0xb0, 1, 0xb3, 42, 0xcd, 0x80];
    let (headers, size) = (84, 84 + code.len() as u32);
    let mut program = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |number: u16| number.to_le_bytes();
    program.extend([half(2), half(3)].concat());
    program.extend([1, BASE + headers, 52, 0, 0].map(u32::to_le_bytes).concat());
    program.extend([52, 32, 1, 0, 0, 0].map(half).concat());
    program.extend([1, 0, BASE, BASE, size, size, 5, 4096].map(u32::to_le_bytes).concat());
    program.extend(code);
    program
}

/// A real 32-bit program runs to its end where it is allowed, is refused by the name of its link, and goes nowhere where its
/// table does not exist.
#[test]
fn real_programs_run() {
    let arena = Arena::new("narrow-real");
    let (program, link) = (arena.folder.join("tiny"), arena.folder.join("alias"));
    fs::write(&program, program_of_32_bits()).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&program, &link).unwrap();
    let link = link.to_str().unwrap();

    assert_eq!("42", arena.run_narrow(&without("none"), &["narrow-run", link]));
    assert_eq!("13", arena.run_narrow(&without("alias"), &["narrow-run", link]));
    assert_eq!("42", arena.run_narrow(&without("none").replace("prevent", "alert"), &["run", link]));
    assert_eq!("42", arena.run_narrow(&without("alias").replace("prevent", "alert"), &["run", link]));
    assert_eq!(1, arena.audits("deniedProcess"), "judged by what the loaded program was called");
    assert_eq!("139", arena.run(&without("none"), &["run", link]));
}

/// Connections and datagrams are judged, whichever call makes them and wherever its arguments lie.
#[test]
fn destinations_are_judged() {
    let arena = Arena::new("narrow-connect");

    for policy in [policy("alert", "", DENYING), policy("disable", "", DENYING)] {
        assert_eq!("0 0", arena.run_narrow(&policy, &["narrow-connect", "6666"]));
        assert_eq!("6 1 6 3", arena.run_narrow(&policy, &["narrow-send", "6666"]));
    }
    assert_eq!("-111 -111", arena.run_narrow(&policy("prevent", "", DENYING), &["narrow-connect", "6666"]));
    assert_eq!("-1 -1 -1 0", arena.run_narrow(&policy("prevent", "", DENYING), &["narrow-send", "6666"]));
    assert_eq!("0 0", arena.run_narrow(&policy("prevent", "", DENYING), &["narrow-connect", "7000"]));
    assert_eq!("6 1 6 3", arena.run_narrow(&policy("prevent", "", DENYING), &["narrow-send", "7000"]));
}

/// Arguments in memory that are exchanged between check and use reach no forbidden server.
#[test]
fn arguments_that_are_exchanged_reach_nothing() {
    let arena = Arena::new("narrow-race");

    assert_ne!(
        "0",
        arena.run_narrow(&policy("alert", "", DENYING), &["narrow-race", "1000"]),
        "it must be a real race"
    );
    assert_eq!("0", arena.run_narrow(&policy("prevent", "", DENYING), &["narrow-race", "4000"]));
}

/// Attacks on the Defender are refused and told, whichever table they use.
#[test]
fn attacks_on_the_defender_are_refused() {
    let arena = Arena::new("narrow-attack");
    let tampering = policy("disable", r#""tampering":"alert""#, "");

    assert_eq!("-1 -1", arena.run_narrow(&tampering, &["narrow-attack"]));
    assert_eq!(2, arena.audits("tampering"));
}

/// Writes to files are judged by what each call of the table does.
#[test]
fn writes_are_judged() {
    let arena = Arena::new("narrow-write");
    let file = arena.folder.join("secret");
    let on = |effect: &str| {
        let files =
            format!(r#""files":{{"effect":"{effect}","allow":[],"deny":["{}*"]}},"detections""#, file.display());
        policy("disable", "", "").replace(r#""detections""#, &files)
    };
    let write = |effect: &str| arena.run_narrow(&on(effect), &["narrow-write", file.to_str().unwrap()]);

    assert_eq!("0 0 0 0 0", write("disable"));
    assert_eq!("0 0 0 0 0", write("alert"));
    assert!(arena.audits("deniedFile") >= 4);
    fs::write(&file, "kept").unwrap();
    assert_eq!("-13 -13 -13 -13 -2", write("prevent"));
    assert_eq!("kept", fs::read_to_string(&file).unwrap());
}
