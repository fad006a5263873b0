use super::*;
use crate::{
    bpf::interpreter::{Call, run, run_counting},
    search::description,
};

/// Of the number; the table is compared first. The rules have no more than a hundred edges.
const MOST_COMPARISONS: u32 = 7;

fn options() -> Options {
    Options { protected: vec![7, 8, 9], group: 7, ..Options::default() }
}

fn watching_files(number: i64, arguments: [u64; 6]) -> u32 {
    let options = Options { files: true, ..options() };
    run(&program(&options), &Call { number: number as u32, architecture: abi::NATIVE, arguments })
}

#[test]
fn writes_to_files_are_notified_when_they_are_watched_and_reads_never() {
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_TMPFILE | libc::O_RDWR] {
        let arguments = [0, 0, flags as u64, 0, 0, 0];
        assert_eq!(Action::Notify.value(), watching_files(libc::SYS_openat, arguments));
        assert_eq!(Action::Allow.value(), verdict(libc::SYS_openat, arguments));
    }
    for flags in [libc::O_RDONLY, libc::O_CLOEXEC | libc::O_DIRECTORY, libc::O_PATH | libc::O_NOFOLLOW] {
        assert_eq!(Action::Allow.value(), watching_files(libc::SYS_openat, [0, 0, flags as u64, 0, 0, 0]));
    }
    for &number in file_calls::CHANGING {
        assert_eq!(Action::Notify.value(), watching_files(number, [0; 6]));
        assert_eq!(Action::Allow.value(), verdict(number, [0; 6]));
    }
    assert_eq!(ABSENT.value(), watching_files(libc::SYS_openat2, [0; 6]));
    assert_eq!(ABSENT.value(), watching_files(libc::SYS_landlock_create_ruleset, [0; 6]));
    assert_eq!(REFUSE.value(), watching_files(libc::SYS_open_by_handle_at, [0, 0, 1, 0, 0, 0]));
}

fn verdict(number: i64, arguments: [u64; 6]) -> u32 {
    run(&program(&options()), &Call { number: number as u32, architecture: abi::NATIVE, arguments })
}

#[test]
fn program_starts_and_destinations_are_notified() {
    for number in [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
    ] {
        assert_eq!(Action::Notify.value(), verdict(number, [0; 6]));
    }
}

#[test]
fn sendto_is_notified_with_an_address_or_with_fast_open_only() {
    assert_eq!(Action::Allow.value(), verdict(libc::SYS_sendto, [3, 1, 1, 0, 0, 0]));
    assert_eq!(Action::Notify.value(), verdict(libc::SYS_sendto, [3, 1, 1, 0, 1 << 33, 16]));
    assert_eq!(Action::Notify.value(), verdict(libc::SYS_sendto, [3, 1, 1, 0, 4096, 16]));
    assert_eq!(Action::Notify.value(), verdict(libc::SYS_sendto, [3, 1, 1, libc::MSG_FASTOPEN as u64, 0, 0]));
}

#[test]
fn raw_sockets_are_notified_and_ordinary_ones_are_not() {
    let socket = |domain: i32, kind: i32, protocol: i32| {
        verdict(libc::SYS_socket, [domain as u64, kind as u64, protocol as u64, 0, 0, 0])
    };
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    for (domain, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_STREAM | flags, 0),
        (libc::AF_INET6, libc::SOCK_DGRAM, 17),
        (libc::AF_INET, libc::SOCK_DGRAM, 1),
        (libc::AF_NETLINK, libc::SOCK_RAW | flags, 0),
        (libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
    ] {
        assert_eq!(Action::Allow.value(), socket(domain, kind, protocol), "{domain} {kind} {protocol}");
    }
    for (domain, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_RAW | flags, 1),
        (libc::AF_INET6, libc::SOCK_RAW, 58),
        (libc::AF_INET, SOCK_PACKET | flags, 3),
        (libc::AF_PACKET, libc::SOCK_DGRAM, 0),
        (libc::AF_INET, libc::SOCK_SEQPACKET, 0),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        (libc::AF_INET6, libc::SOCK_SEQPACKET | flags, libc::IPPROTO_SCTP),
    ] {
        assert_eq!(Action::Notify.value(), socket(domain, kind, protocol), "{domain} {kind} {protocol}");
    }
}

#[test]
fn foreign_tables_and_io_uring_do_not_exist() {
    let foreign = Call { number: 11, architecture: 0x4000_0003, arguments: [0; 6] };
    assert_eq!(ABSENT.value(), run(&program(&options()), &foreign));
    assert_eq!(ABSENT.value(), verdict(i64::from(abi::X32_BIT) + 520, [0; 6]));
    assert_eq!(ABSENT.value(), verdict(libc::SYS_io_uring_setup, [0; 6]));
}

#[test]
fn calls_aimed_at_the_defender_are_refused_and_others_are_not() {
    for &(number, _, argument) in AIMED {
        for id in [7, 8, 9] {
            let mut arguments = [5; 6];
            arguments[argument as usize] = id;
            assert_eq!(ATTACK.value(), verdict(number, arguments), "call {number}, argument {argument}, id {id}");
        }
        assert_eq!(Action::Allow.value(), verdict(number, [5; 6]), "call {number}");
    }
    assert_eq!(ATTACK.value(), verdict(libc::SYS_kill, [u64::from(EVERYBODY), 9, 0, 0, 0, 0]));
    assert_eq!(ATTACK.value(), verdict(libc::SYS_kill, [u64::from(-7_i32 as u32), 9, 0, 0, 0, 0]));
    assert_eq!(ATTACK.value(), verdict(libc::SYS_setpgid, [0, 7, 0, 0, 0, 0]));
    for (signal, expected) in [(9, REFUSE), (19, REFUSE), (29, Action::Allow)] {
        assert_eq!(expected.value(), verdict(libc::SYS_fcntl, [3, u64::from(F_SETSIG), signal, 0, 0, 0]));
        assert_eq!(Action::Allow.value(), verdict(libc::SYS_fcntl, [3, 8, signal, 0, 0, 0]));
    }
}

/// Every mix of options that changes the rules.
fn all_options() -> impl Iterator<Item = Options> {
    (0..32_u32).map(|bits| {
        let is = |bit: u32| bits & 1 << bit != 0;
        let group = if is(4) { 7 } else { 0 };
        Options { group, first: is(0), silent: is(1), files: is(2), narrow: is(3), ..options() }
    })
}

/// Arguments near those that rules speak of, in no order.
fn arguments(seed: &mut u64) -> [u64; 6] {
    const SPOKEN_OF: [u64; 22] = [
        0,
        1,
        2,
        3,
        5,
        7,
        8,
        9,
        10,
        16,
        17,
        19,
        44,
        132,
        0x241,
        0x0080_0000,
        0x2000_0000,
        0x80003,
        1 << 33,
        (1 << 33) + 7,
        0xffff_fff9,
        u64::MAX,
    ];
    [0; 6].map(|_: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        SPOKEN_OF[(*seed >> 33) as usize % SPOKEN_OF.len()]
    })
}

#[test]
fn the_program_decides_what_its_rules_say() {
    let mut seed = 1;
    for options in all_options() {
        let (program, native) = (program(&options), blocks(&options));
        let narrow = narrow_blocks(&native, &options);
        for number in (0..1024).chain([abi::X32_BIT - 1, abi::X32_BIT, abi::X32_BIT + 59, u32::MAX]) {
            for _ in 0..24 {
                let arguments = arguments(&mut seed);
                let decided = |architecture| run(&program, &Call { number, architecture, arguments });
                let is_x32 = number >= abi::X32_BIT;
                let said = if is_x32 { ABSENT } else { description::action(&native, number, &arguments) };
                assert_eq!(said.value(), decided(abi::NATIVE), "{options:?} {number} {arguments:?}");
                let said = if options.narrow { description::action(&narrow, number, &arguments) } else { ABSENT };
                assert_eq!(said.value(), decided(narrow::I386), "{options:?} {number} {arguments:?}, 32 bits");
                assert_eq!(ABSENT.value(), decided(0x4000_0028), "a table of nobody's");
            }
        }
    }
}

#[test]
fn calls_that_no_rule_speaks_of_leave_after_few_comparisons() {
    let options = Options { files: true, ..options() };
    let (program, rules) = (program(&options), blocks(&options));
    let free = (0..1024).filter(|&number| rules.iter().all(|block| block.number != i64::from(number)));
    for number in free {
        let call = Call { number, architecture: abi::NATIVE, arguments: [0; 6] };

        let (verdict, comparisons) = run_counting(&program, &call);

        assert_eq!(Action::Allow.value(), verdict, "call {number}");
        assert!(comparisons <= 1 + MOST_COMPARISONS, "call {number}: {comparisons}");
    }
}

#[test]
fn everything_else_is_decided_by_its_number_alone() {
    // What the kernel's bitmap of constant actions needs: no argument is loaded on the way to the verdict.
    for number in 0..500 {
        let loads_an_argument = |call: Call| {
            let program = program(&options());
            let poisoned = Call { arguments: [u64::MAX; 6], ..call };
            run(&program, &call) != run(&program, &poisoned)
        };
        let others = [libc::SYS_sendto, libc::SYS_fcntl, libc::SYS_socket];
        let aimed = is_aimed(number) || others.contains(&number);
        let call = Call { number: number as u32, architecture: abi::NATIVE, arguments: [0; 6] };
        assert!(aimed || !loads_an_argument(call), "call {number}");
    }
}

#[test]
fn where_nobody_listens_nothing_is_asked_and_no_tracer_is_escaped() {
    let silent = Options { silent: true, ..options() };
    let verdict = |number: i64, arguments| {
        run(&program(&silent), &Call { number: number as u32, architecture: abi::NATIVE, arguments })
    };
    for number in 0..500 {
        for argument in [0, 7, u64::MAX] {
            assert_ne!(Action::Notify.value(), verdict(number, [argument; 6]), "call {number}");
        }
    }
    assert_eq!(Action::Trace.value(), verdict(libc::SYS_connect, [3, 1, 16, 0, 0, 0]));
    assert_eq!(Action::Trace.value(), verdict(libc::SYS_sendto, [3, 1, 1, 0, 4096, 16]));
    assert_eq!(Action::Allow.value(), verdict(libc::SYS_sendto, [3, 1, 1, 0, 0, 0]));
    assert_eq!(REFUSE.value(), verdict(libc::SYS_ptrace, [0, 7, 0, 0, 0, 0]));
    assert_eq!(REFUSE.value(), verdict(libc::SYS_clone, [libc::CLONE_UNTRACED as u64, 0, 0, 0, 0, 0]));
    assert_eq!(REFUSE.value(), verdict(libc::SYS_seccomp, [1, u64::from(NEW_LISTENER), 0, 0, 0, 0]));
    assert_eq!(ABSENT.value(), verdict(libc::SYS_io_uring_setup, [0; 6]));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_32_bit_table_has_the_same_rules_when_it_is_allowed() {
    let (native, with) = (Options { files: true, ..options() }, Options { files: true, narrow: true, ..options() });
    let (native, with) = (program(&native), program(&with));
    for block in blocks(&Options { files: true, ..options() }) {
        let numbers: Vec<u32> = narrow::numbers_of(block.number).collect();
        assert!(!numbers.is_empty(), "call {} has no rule for 32-bit programs", block.number);
        for (number, argument) in numbers.into_iter().flat_map(|number| [0, 3, 7, 10, 1001].map(|one| (number, one))) {
            let call = |number, architecture| Call { number, architecture, arguments: [argument; 6] };
            let expected = run(&native, &call(block.number as u32, abi::NATIVE));
            assert_eq!(expected, run(&with, &call(number, narrow::I386)), "call {number}");
            assert_eq!(expected, run(&with, &call(block.number as u32, abi::NATIVE)), "call {}", block.number);
        }
    }
    let socketcall = |kind| {
        let arguments = [kind, 0, 0, 0, 0, 0];
        run(&with, &Call { number: narrow::SOCKETCALL, architecture: narrow::I386, arguments })
    };
    for kind in 0..32 {
        let asked = [1, 2, 3, 4, 11, 16, 20].contains(&kind);
        assert_eq!(if asked { Action::Notify } else { Action::Allow }.value(), socketcall(kind), "{kind}");
    }
    let foreign = Call { number: 11, architecture: 0x4000_0028, arguments: [0; 6] };
    assert_eq!(ABSENT.value(), run(&with, &foreign));
}

#[test]
fn the_program_fits_the_kernels_limits() {
    let many = Options { protected: (1..=24).collect(), files: true, narrow: true, ..options() };
    let program = program(&many);
    assert!(program.len() < 4096);
    let largest = program.iter().map(|instruction| instruction.jump_false).max().unwrap_or_default();
    assert!(largest < u8::MAX);
}
