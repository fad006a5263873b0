//! Classic BPF programs for seccomp (seccomp(2), `include/uapi/linux/filter.h`): instructions as data, made by a few
//! constructors, so that a program can be looked at, interpreted in tests and then installed.

/// One instruction. The layout is the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// Instructions to skip when it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// What the kernel does with a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Runs it.
    Allow,
    /// Returns this error instead of running it.
    Fail(i32),
    /// Asks the listener.
    Notify,
    /// Stops the caller for its tracer; without one, the call does not exist.
    Trace,
}

impl Action {
    /// The return value of a filter for this action (seccomp(2)).
    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Fail(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32 & 0xffff),
            Self::Notify => libc::SECCOMP_RET_USER_NOTIF,
            Self::Trace => libc::SECCOMP_RET_TRACE,
        }
    }
}

pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCHITECTURE: u32 = 4;

/// Offset of the low half of an argument in `struct seccomp_data` (little-endian machines).
pub(crate) const fn argument_low(index: u32) -> u32 {
    16 + 8 * index
}

/// Offset of the high half.
pub(crate) const fn argument_high(index: u32) -> u32 {
    argument_low(index) + 4
}

pub(crate) const fn load(offset: u32) -> Instruction {
    Instruction {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jump_true: 0,
        jump_false: 0,
        operand: offset,
    }
}

/// Keeps only these bits of what was loaded.
pub(crate) const fn keep_bits(mask: u32) -> Instruction {
    Instruction {
        code: (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16,
        jump_true: 0,
        jump_false: 0,
        operand: mask,
    }
}

pub(crate) const fn finish(action: Action) -> Instruction {
    Instruction { code: (libc::BPF_RET | libc::BPF_K) as u16, jump_true: 0, jump_false: 0, operand: action.value() }
}

/// Skips so many instructions.
pub(crate) const fn skip(count: u32) -> Instruction {
    Instruction { code: (libc::BPF_JMP | libc::BPF_JA) as u16, jump_true: 0, jump_false: 0, operand: count }
}

pub(crate) const fn if_equal(operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jump_true, jump_false, operand }
}

pub(crate) const fn if_any_bit(operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16, jump_true, jump_false, operand }
}

pub(crate) const fn if_at_least(operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, jump_true, jump_false, operand }
}

#[cfg(test)]
pub(crate) mod interpreter {
    //! A second opinion on filters: runs a program on a made-up system call, as the kernel would.
    use super::Instruction;

    /// A system call as a filter sees it (`struct seccomp_data`).
    #[derive(Debug, Clone, Copy, Default)]
    pub struct Call {
        pub number: u32,
        pub architecture: u32,
        pub arguments: [u64; 6],
    }

    impl Call {
        fn word(&self, offset: u32) -> u32 {
            match offset {
                0 => self.number,
                4 => self.architecture,
                8 | 12 => 0,
                _ => {
                    let argument = self.arguments[(offset as usize - 16) / 8];
                    if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
                }
            }
        }
    }

    pub fn run(program: &[Instruction], call: &Call) -> u32 {
        run_counting(program, call).0
    }

    /// The verdict, and after how many comparisons it came.
    pub fn run_counting(program: &[Instruction], call: &Call) -> (u32, u32) {
        let (mut at, mut accumulator, mut comparisons) = (0, 0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            let holds = match instruction.code {
                0x20 => {
                    accumulator = call.word(instruction.operand);
                    continue;
                }
                0x54 => {
                    accumulator &= instruction.operand;
                    continue;
                }
                0x05 => {
                    at += instruction.operand as usize;
                    continue;
                }
                0x06 => return (instruction.operand, comparisons),
                0x15 => accumulator == instruction.operand,
                0x35 => accumulator >= instruction.operand,
                0x45 => accumulator & instruction.operand != 0,
                other => panic!("instruction {other:#x} is not used by our filters"),
            };
            comparisons += 1;
            at += usize::from(if holds { instruction.jump_true } else { instruction.jump_false });
        }
    }
}
