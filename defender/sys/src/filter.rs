//! The filter that the workload runs under: which system calls are notified, refused, or left alone.
//!
//! Nearly every call is decided by its number alone, which the kernel caches as a bitmap since 5.11; only a handful look
//! at an argument. Calls of another table (32-bit, x32) and `io_uring` would go round the filter and are refused as if the
//! kernel did not have them.
use crate::{
    abi,
    bpf::{self, Action, Instruction},
    file_calls, narrow,
    search::{self, Block, Condition},
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

/// Attacks on the Defender are asked about, so that they can be told; the answer is no.
const ATTACK: Action = Action::Notify;
const REFUSE: Action = Action::Fail(libc::EPERM);
const ABSENT: Action = Action::Fail(libc::ENOSYS);
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
    let native = table(&blocks, Some((abi::X32_BIT, ABSENT)));
    let mut program = vec![
        bpf::load(bpf::ARCHITECTURE),
        bpf::if_equal(abi::NATIVE, 3, 0),
        bpf::if_equal(narrow::I386, 0, 1),
        bpf::skip(native.len() as u32 + 1),
        bpf::finish(ABSENT),
    ];
    program.extend(native);
    program.extend(if options.narrow {
        table(&narrow_blocks(&blocks, options), None)
    } else {
        vec![bpf::finish(ABSENT)]
    });
    program
}

fn table(blocks: &[Block], absent_from: Option<(u32, Action)>) -> Vec<Instruction> {
    [vec![bpf::load(bpf::NUMBER)], search::program(blocks, absent_from)].concat()
}

/// The same rules for the 32-bit table, whose calls have the same arguments under other numbers.
fn narrow_blocks(blocks: &[Block], options: &Options) -> Vec<Block> {
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
    narrow
}

fn blocks(options: &Options) -> Vec<Block> {
    let always = |number, action| Block { number, cases: vec![(Condition::Always, action)] };
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

#[cfg(test)]
mod tests;
