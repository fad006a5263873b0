//! What the Defender detects at a program start, with the real supervisor on real processes.
//!
//! Each attack is tried three times: with its detection off, where it must succeed in silence, with it in alert, where it
//! must succeed and be reported, and with it in prevent, where it must fail and be reported. Otherwise it would prove nothing.
#![allow(clippy::unwrap_used)] // a test fails by panicking
mod arena;

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use arena::{Arena, KILLED, LOADER, RAN, REFUSED, detecting};

#[test]
fn a_program_from_memory_does_not_run() {
    let arena = Arena::new("memory");

    arena.holds("memoryProcess", REFUSED, &[&arena.good, "memory", &arena.good]);
}

#[test]
fn a_program_that_lost_its_name_does_not_run() {
    let arena = Arena::new("deleted");

    arena.holds("memoryProcess", REFUSED, &[&arena.good, "deleted", &arena.good]);
}

#[test]
fn a_program_from_a_file_system_in_memory_does_not_run() {
    let arena = Arena::new("tmpfs");
    let target = format!("/dev/shm/detections-{}", std::process::id());

    arena.holds("tmpfsProcess", REFUSED, &[&arena.good, "copied", &arena.good, &target]);
}

#[test]
fn a_script_from_memory_does_not_run() {
    let arena = Arena::new("script-in-memory");

    arena.holds("newBinary", REFUSED, &[&arena.good, "script-in-memory", "/bin/sh"]);
}

#[test]
fn the_dynamic_loader_does_not_run_a_program() {
    let arena = Arena::new("loader");
    let disguised = arena.folder.join("tool").to_string_lossy().into_owned();
    fs::copy(LOADER, &disguised).unwrap();

    for loader in [LOADER, &disguised] {
        arena.holds("loaderInvocation", REFUSED, &[&arena.good, "start", loader, "/bin/sh", "-c", "exit 77"]);
    }
}

#[test]
fn foreign_libraries_are_not_loaded_first() {
    let arena = Arena::new("preload");
    let outside = format!("LD_LIBRARY_PATH=/usr/lib:{}", std::env::temp_dir().display());

    for variable in ["LD_PRELOAD=/tmp/evil.so", "LD_AUDIT=/tmp/evil.so", &outside] {
        arena.holds("preload", KILLED, &[&arena.good, "preloaded", &arena.good, variable]);
    }
}

#[test]
fn a_program_that_was_changed_does_not_run() {
    let arena = Arena::new("modified");
    let tool = arena.program("tool");

    arena.holds("modifiedBinary", REFUSED, &[&arena.good, "appended", &tool]);
}

#[test]
fn a_program_that_was_brought_in_does_not_run() {
    let arena = Arena::new("new");

    arena.holds("newBinary", REFUSED, &[&arena.good, "copied", &arena.good, "brought"]);
    arena.holds("newBinary", REFUSED, &[&arena.good, "memory", &arena.good]);
}

#[test]
fn a_program_unlike_its_package_does_not_run() {
    let arena = Arena::new("altered");
    let (tool, info) = (arena.program("tool"), arena.folder.join("info"));
    fs::create_dir_all(&info).unwrap();
    let database = info.join("tool.md5sums");
    let put = |sum: &str| fs::write(&database, format!("{sum}  {}\n", tool.trim_start_matches('/'))).unwrap();
    let before = format!("mount --bind '{}' /var/lib/dpkg/info", info.display());
    let start = [&arena.good, "start", &tool, "ran"];

    put("00000000000000000000000000000000");
    arena.holds_after(&before, "alteredPackageBinary", REFUSED, &start);
    let sum = Command::new("md5sum").arg(&tool).output().unwrap().stdout;
    put(String::from_utf8_lossy(&sum).split(' ').next().unwrap());
    assert_eq!(RAN, arena.run_after(&before, &detecting("alteredPackageBinary", "prevent"), &start).0);
}

#[test]
fn a_crypto_miner_does_not_run() {
    let arena = Arena::new("miner");
    let named = arena.program("xmrig");

    arena.holds("cryptoMiner", REFUSED, &[&arena.good, "start", &named, "ran"]);
    arena.holds("cryptoMiner", REFUSED, &[&arena.good, "mining", &arena.good]);
}

#[test]
fn a_shell_on_a_connection_does_not_run() {
    let arena = Arena::new("reverse");

    arena.holds("reverseShell", KILLED, &[&arena.good, "connected", "/bin/sh", "-c", "exit 77"]);
}

#[test]
fn a_shell_under_a_web_server_does_not_run() {
    let arena = Arena::new("web");
    let server = arena.program("php-fpm");

    arena.holds("webShell", REFUSED, &[&server, "start", "/bin/sh", "-c", "exit 77"]);
    assert_eq!(
        RAN,
        arena.run(&detecting("webShell", "prevent"), &[&arena.good, "start", "/bin/sh", "-c", "exit 77"]).0
    );
}

#[test]
fn a_web_server_does_not_turn_into_a_shell() {
    let arena = Arena::new("turned");
    let server = arena.program("nginx");
    let attack = [&server, "become", "/bin/sh", "-c", "exit 77"];

    assert_eq!("exit Some(77)", arena.run(&detecting("webShell", "disable"), &attack).0);
    assert_eq!("exit Some(13)", arena.run(&detecting("webShell", "prevent"), &attack).0);
}

#[test]
fn a_file_that_gives_privilege_is_not_used() {
    let arena = Arena::new("setuid");
    let (plain, setuid) = (arena.program("plain"), arena.program("setuid"));
    fs::set_permissions(&setuid, fs::Permissions::from_mode(0o4755)).unwrap();

    arena.holds("setuidUse", REFUSED, &[&arena.good, "start", &setuid, "ran"]);
    arena.holds("setuidUse", REFUSED, &[&arena.good, "capable", &plain]);
}

#[test]
fn a_tool_for_other_machines_does_not_run() {
    let arena = Arena::new("lateral");
    let tool = arena.program("nmap");

    arena.holds("lateralMovement", REFUSED, &[&arena.good, "start", &tool, "ran"]);
}

#[test]
fn code_on_a_command_line_does_not_run() {
    let arena = Arena::new("inline");

    arena.holds("inlineCode", REFUSED, &[&arena.good, "start", "/usr/bin/perl", "-e", "exit 77"]);
}

#[test]
fn nothing_runs_beside_the_main_program() {
    let arena = Arena::new("main");

    arena.holds("notMainProcess", REFUSED, &[&arena.good, "start", &arena.good, "ran"]);
}
