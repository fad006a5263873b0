//! The filter that the workload runs under: which system calls are notified, refused, or left alone.
//!
//! Nearly every call is decided by its number alone, which the kernel caches as a bitmap since 5.11; only a handful look
//! at an argument. Calls of another table (32-bit, x32) and `io_uring` would go round the filter and are refused as if the
//! kernel did not have them.
use crate::{
    abi,
    bpf::{self, Action, Instruction},
    file_calls, narrow,
};

/// What the filter needs to know.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub struct Options {
    /// Process and thread ids of the Defender, as the workload sees them: calls aimed at them are refused.
    pub protected: Vec<u32>,
    /// Its process group: joining it, or signals to it, are refused too. 0 for one that the workload cannot name.
    pub group: u32,
    /// True when the Defender is the first process of its namespace: the kernel lets no signal from inside end it. If it is
    /// not, signals on ways that name no process id are refused as well.
    pub first: bool,
    /// True where nobody listens: nothing is asked, destinations are shown to a tracer, and what would go round it is refused.
    pub silent: bool,
    /// True when writes to files are watched. Otherwise the filter does not know these calls, and they cost nothing.
    pub files: bool,
    /// True when programs may use the 32-bit table of x86-64, under the same rules. Otherwise it does not exist.
    pub narrow: bool,
}

#[derive(Debug, Clone, Copy)]
enum Condition {
    Always,
    Pointer(u32),
    AnyBit(u32, u32),
    Equals(u32, u32),
    Both((u32, u32), (u32, u32)),
    /// A socket of this domain and, under a mask, of this type (socket(2) takes flags in the same argument).
    SocketOf(u32, u32),
}

struct Block {
    number: i64,
    cases: Vec<(Condition, Action)>,
}

/// Attacks on the Defender are asked about, so that they can be told; the answer is no.
const ATTACK: Action = Action::Notify;
const REFUSE: Action = Action::Fail(libc::EPERM);
const ABSENT: Action = Action::Fail(libc::ENOSYS);
/// `SOCK_TYPE_MASK` of the kernel: what stands above it are flags.
const SOCKET_TYPE: u32 = 0xf;
/// An old name of packet sockets.
const SOCK_PACKET: i32 = 10;
const EVERYBODY: u32 = u32::MAX;
const PRIO_USER: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;
const F_SETSIG: u32 = 10;
const NEW_LISTENER: u32 = 1 << 3;

/// Calls with a process or thread id among their arguments that reaches into that process: (number, name, argument).
const AIMED: &[(i64, &str, u32)] = &[
    (libc::SYS_ptrace, "ptrace", 1),
    (libc::SYS_process_vm_readv, "process_vm_readv", 0),
    (libc::SYS_process_vm_writev, "process_vm_writev", 0),
    (libc::SYS_prlimit64, "prlimit64", 0),
    (libc::SYS_kill, "kill", 0),
    (libc::SYS_tkill, "tkill", 0),
    (libc::SYS_tgkill, "tgkill", 0),
    (libc::SYS_tgkill, "tgkill", 1),
    (libc::SYS_rt_sigqueueinfo, "rt_sigqueueinfo", 0),
    (libc::SYS_rt_tgsigqueueinfo, "rt_tgsigqueueinfo", 0),
    (libc::SYS_pidfd_open, "pidfd_open", 0),
    (libc::SYS_sched_setscheduler, "sched_setscheduler", 0),
    (libc::SYS_sched_setparam, "sched_setparam", 0),
    (libc::SYS_sched_setaffinity, "sched_setaffinity", 0),
    (libc::SYS_sched_setattr, "sched_setattr", 0),
    (libc::SYS_setpriority, "setpriority", 1),
    (libc::SYS_ioprio_set, "ioprio_set", 1),
    (libc::SYS_migrate_pages, "migrate_pages", 0),
    (libc::SYS_move_pages, "move_pages", 0),
    (libc::SYS_perf_event_open, "perf_event_open", 1),
    (libc::SYS_kcmp, "kcmp", 0),
    (libc::SYS_kcmp, "kcmp", 1),
];

/// True for calls that are only asked about when they are aimed at the Defender.
#[must_use]
pub fn is_aimed(number: i64) -> bool {
    AIMED.iter().any(|&(aimed, ..)| aimed == number) || number == libc::SYS_setpgid
}

/// Name of a call that [`is_aimed`].
#[must_use]
pub fn name_of(number: i64) -> &'static str {
    AIMED.iter().find(|&&(aimed, ..)| aimed == number).map_or("setpgid", |&(_, name, _)| name)
}

/// Builds the program.
#[must_use]
pub fn program(options: &Options) -> Vec<Instruction> {
    let blocks = blocks(options);
    let mut native = vec![bpf::load(bpf::NUMBER), bpf::if_at_least(abi::X32_BIT, 0, 1), bpf::finish(ABSENT)];
    native.extend(table(&blocks));
    let mut program = vec![
        bpf::load(bpf::ARCHITECTURE),
        bpf::if_equal(abi::NATIVE, 3, 0),
        bpf::if_equal(narrow::I386, 0, 1),
        bpf::skip(native.len() as u32 + 1),
        bpf::finish(ABSENT),
    ];
    program.extend(native);
    program.extend(if options.narrow { narrow_table(&blocks, options) } else { vec![bpf::finish(ABSENT)] });
    program
}

fn table(blocks: &[Block]) -> Vec<Instruction> {
    blocks.iter().flat_map(instructions).chain([bpf::finish(Action::Allow)]).collect()
}

/// The same rules for the 32-bit table, whose calls have the same arguments under other numbers.
fn narrow_table(blocks: &[Block], options: &Options) -> Vec<Instruction> {
    let again = |block: &Block| {
        let cases = block.cases.clone();
        narrow::numbers_of(block.number).map(move |number| Block { number: number.into(), cases: cases.clone() })
    };
    let mut narrow: Vec<Block> = blocks.iter().flat_map(again).collect();
    let kinds = narrow::SOCKET_KINDS.iter().map(|&(kind, ..)| (Condition::Equals(0, kind), Action::Notify));
    narrow.push(Block { number: narrow::SOCKETCALL.into(), cases: kinds.collect() });
    if options.files {
        let absent = |number: u32| Block { number: number.into(), cases: vec![(Condition::Always, ABSENT)] };
        narrow.extend(narrow::OLD_OWNERS.map(absent));
    }
    [vec![bpf::load(bpf::NUMBER)], table(&narrow)].concat()
}

fn blocks(options: &Options) -> Vec<Block> {
    let always = |number, action| Block { number, cases: vec![(Condition::Always, action)] };
    // First, since these depend on an argument: the kernel runs the program for each of them, and stops at the first match.
    let mut blocks = if options.files { file_blocks() } else { Vec::new() };
    blocks.extend([
        always(libc::SYS_execve, Action::Notify),
        always(libc::SYS_execveat, Action::Notify),
        always(libc::SYS_connect, Action::Notify),
        always(libc::SYS_bind, Action::Notify),
        always(libc::SYS_listen, Action::Notify),
        Block { number: libc::SYS_socket, cases: unusual_sockets() },
        always(libc::SYS_sendmsg, Action::Notify),
        always(libc::SYS_sendmmsg, Action::Notify),
        Block {
            number: libc::SYS_sendto,
            cases: vec![
                (Condition::Pointer(4), Action::Notify),
                (Condition::AnyBit(3, libc::MSG_FASTOPEN as u32), Action::Notify),
            ],
        },
        always(libc::SYS_io_uring_setup, ABSENT),
        always(libc::SYS_io_uring_enter, ABSENT),
        always(libc::SYS_io_uring_register, ABSENT),
    ]);
    blocks.extend(self_protection(options));
    if options.silent {
        silence(&mut blocks);
    }
    blocks
}

/// Calls that name a destination or a port in one argument: their tracer can judge them.
const TRACED: [i64; 3] = [libc::SYS_connect, libc::SYS_bind, libc::SYS_sendto];

/// Nobody listens: what is aimed at the Defender is refused, and so is what would start a process that its tracer does not see.
/// Destinations are shown to the tracer.
fn silence(blocks: &mut Vec<Block>) {
    for block in &mut *blocks {
        for (_, action) in block.cases.iter_mut().filter(|_| TRACED.contains(&block.number)) {
            *action = Action::Trace;
        }
        for (_, action) in block.cases.iter_mut().filter(|_| is_aimed(block.number)) {
            *action = REFUSE;
        }
        block.cases.retain(|(_, action)| *action != Action::Notify);
    }
    blocks.retain(|block| !block.cases.is_empty());
    let untraced = (Condition::AnyBit(0, libc::CLONE_UNTRACED as u32), REFUSE);
    blocks.push(Block { number: libc::SYS_clone, cases: vec![untraced] });
    // Its flags are in memory, out of a filter's sight; C libraries then use clone.
    blocks.push(Block { number: libc::SYS_clone3, cases: vec![(Condition::Always, ABSENT)] });
    // A listener of the workload's own would be asked first and could let everything go on.
    blocks.push(Block { number: libc::SYS_seccomp, cases: vec![(Condition::AnyBit(1, NEW_LISTENER), REFUSE)] });
}

/// Sockets whose packets no later call shows: raw ones, packet ones, and SCTP, which connects in ways of its own.
/// The types of netlink sockets mean nothing, and every C library opens raw ones of them.
fn unusual_sockets() -> Vec<(Condition, Action)> {
    let mut cases = vec![
        (Condition::Equals(0, libc::AF_PACKET as u32), Action::Notify),
        (Condition::Equals(0, libc::AF_XDP as u32), Action::Notify),
        (Condition::Equals(2, libc::IPPROTO_SCTP as u32), Action::Notify),
    ];
    for domain in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_RAW, libc::SOCK_SEQPACKET, libc::SOCK_DCCP, SOCK_PACKET] {
            cases.push((Condition::SocketOf(domain as u32, kind as u32), Action::Notify));
        }
    }
    cases
}

fn file_blocks() -> Vec<Block> {
    let when = |number, argument, action| Block {
        number,
        cases: vec![(Condition::AnyBit(argument, file_calls::WRITING), action)],
    };
    let mut blocks: Vec<Block> =
        file_calls::OPENING.iter().map(|&(number, flags)| when(number, flags, Action::Notify)).collect();
    // A handle goes round every path.
    blocks.push(when(libc::SYS_open_by_handle_at, 2, REFUSE));
    let always = |number, action| Block { number, cases: vec![(Condition::Always, action)] };
    blocks.push(always(libc::SYS_openat2, ABSENT));
    // What we open on behalf of another would not be bounded by it; who asks for it must know.
    blocks.push(always(libc::SYS_landlock_create_ruleset, ABSENT));
    blocks.extend(file_calls::CHANGING.iter().map(|&number| always(number, Action::Notify)));
    blocks
}

fn self_protection(options: &Options) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for &(number, _, argument) in AIMED {
        let mut cases: Vec<_> = options.protected.iter().map(|&id| (Condition::Equals(argument, id), ATTACK)).collect();
        match number {
            libc::SYS_kill => {
                // Group 1 cannot be named: -1 means everybody.
                if options.group > 1 {
                    cases.push((Condition::Equals(0, options.group.wrapping_neg()), ATTACK));
                }
                if !options.first {
                    cases.push((Condition::Equals(0, EVERYBODY), ATTACK));
                }
            }
            libc::SYS_setpriority => cases.push((Condition::Equals(0, PRIO_USER), REFUSE)),
            libc::SYS_ioprio_set => cases.push((Condition::Equals(0, IOPRIO_WHO_USER), REFUSE)),
            _ => {}
        }
        match blocks.last_mut().filter(|block| block.number == number) {
            Some(block) => block.cases.extend(cases),
            None => blocks.push(Block { number, cases }),
        }
    }
    // In our group, a signal to one's own group would be one to us.
    if options.group != 0 {
        blocks.push(Block { number: libc::SYS_setpgid, cases: vec![(Condition::Equals(1, options.group), ATTACK)] });
    }
    if !options.first {
        // A descriptor of `/proc/PID` names a process as well as one of pidfd_open; callers then fall back to kill.
        blocks.push(Block { number: libc::SYS_pidfd_send_signal, cases: vec![(Condition::Always, ABSENT)] });
        // With F_SETOWN the kernel sends any signal for its caller. Those that can be handled do us no harm.
        let deadly = [libc::SIGKILL, libc::SIGSTOP].map(|signal| Condition::Both((1, F_SETSIG), (2, signal as u32)));
        blocks.push(Block { number: libc::SYS_fcntl, cases: deadly.map(|condition| (condition, REFUSE)).to_vec() });
    }
    blocks
}

/// `if number == N { if case { action } … allow }`; the accumulator holds the number before and after.
fn instructions(block: &Block) -> Vec<Instruction> {
    let mut body = Vec::new();
    for &(condition, action) in &block.cases {
        match condition {
            Condition::Always => {}
            Condition::Pointer(argument) => body.extend([
                bpf::load(bpf::argument_low(argument)),
                bpf::if_equal(0, 0, 2),
                bpf::load(bpf::argument_high(argument)),
                bpf::if_equal(0, 1, 0),
            ]),
            Condition::AnyBit(argument, mask) => {
                body.extend([bpf::load(bpf::argument_low(argument)), bpf::if_any_bit(mask, 0, 1)]);
            }
            Condition::Equals(argument, value) => {
                body.extend([bpf::load(bpf::argument_low(argument)), bpf::if_equal(value, 0, 1)]);
            }
            Condition::Both((one, value), (other, second)) => body.extend([
                bpf::load(bpf::argument_low(one)),
                bpf::if_equal(value, 0, 3),
                bpf::load(bpf::argument_low(other)),
                bpf::if_equal(second, 0, 1),
            ]),
            Condition::SocketOf(domain, kind) => body.extend([
                bpf::load(bpf::argument_low(0)),
                bpf::if_equal(domain, 0, 4),
                bpf::load(bpf::argument_low(1)),
                bpf::keep_bits(SOCKET_TYPE),
                bpf::if_equal(kind, 0, 1),
            ]),
        }
        body.push(bpf::finish(action));
    }
    if !matches!(block.cases.last(), Some((Condition::Always, _))) {
        body.push(bpf::finish(Action::Allow));
    }
    let mut whole = vec![bpf::if_equal(block.number as u32, 0, body.len() as u8)];
    whole.extend(body);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::interpreter::{Call, run};

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
            for (number, argument) in
                numbers.into_iter().flat_map(|number| [0, 3, 7, 10, 1001].map(|one| (number, one)))
            {
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
}
